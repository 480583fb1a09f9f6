//! Dumps that programs write themselves: told by their first bytes, while the writer is still in its system call.

use sensor_abi::{
    fault::Fault,
    flow,
    key::{CarrierKey, PairKey},
    mark::{FileMark, MarkSet},
    record::Kind as Record,
};

use super::{EEXIST, NOEXIST, is_exempt, is_trusted, marks, memory, work::Slot};
use crate::{
    emit::{self, Newborn},
    kernel::{
        file::{File, Inode, Kind},
        read_head, read_user,
        regs::Regs,
        stamp,
        task::{Task, current_file, is_compat, tgid},
    },
    maps::FILE,
    stats,
};

/// What begins here may be a dump.
struct Begun {
    file: File,
    /// The inode that has the data.
    inode: Inode,
    /// User address and number of the first bytes.
    bytes: (u64, u64),
}

/// The current process touched an inode: a write to it may be under way, or it was emptied.
#[inline(always)]
pub fn touched(slot: Slot, inode: Inode) {
    let number = Regs::current_number();
    if let Some(call) = flow::writing(number) {
        if let Some(begun) = begun(call, Regs::current(), inode) {
            wrote(slot, &begun);
        }
    } else if flow::may_empty(number) && inode.size() == 0 {
        super::cleared(slot, inode);
    }
}

/// The write that the current process is in, when it goes to the beginning of this very inode.
#[inline(always)]
fn begun(call: flow::Writing, regs: Regs, inode: Inode) -> Option<Begun> {
    let file = current_file(regs.arg(0) as u32);
    let given = if call.at { regs.arg(3) } else { u64::MAX };
    let position = if given == u64::MAX { file.position(inode) } else { given };
    if position != 0 || file.inode().real().0 != inode.0 || is_compat() {
        return None;
    }
    let (address, len) = (regs.arg(1), regs.arg(2));
    let bytes = if call.vector { (read_user(address), read_user(address.wrapping_add(8))) } else { (address, len) };
    Some(Begun { file, inode, bytes })
}

/// A dump's first bytes are being written. Who holds a dump writes a copy: that is a movement, no birth.
#[inline(always)]
fn wrote(slot: Slot, begun: &Begun) {
    let head = read_head(begun.bytes.0, begun.bytes.1);
    let Some(format) = head.dump().or_else(|| head.packed_dump()) else { return };
    let inode = begun.inode;
    if marks::of_task(tgid()).is_some() || is_exempt() || is_trusted() || inode.kind() != Kind::Regular {
        return;
    }
    let (dump, object) = (stamp(), inode.own_key());
    let mark = FileMark { dump, set: MarkSet::default(), object: inode.0, id: stamp() };
    match FILE.insert(&object, &mark, NOEXIST) {
        Ok(()) => {}
        // Its header is written once more.
        Err(EEXIST) => return,
        Err(_) => stats::fault(Fault::FileMapFull),
    }
    let (path, traced) = (begun.file.path(), traced());
    memory::remember(&PairKey { from: traced, to: Task::current().key() }, dump);
    let newborn = Newborn {
        dump,
        object,
        inode: inode.0,
        sink: 3,
        path,
        traced,
        format: format as u64,
        ..Newborn::of(Record::Birth)
    };
    emit::birth(slot, newborn);
}

/// The process whose memory a debugger or dumper writes.
#[inline(always)]
fn traced() -> CarrierKey {
    let tracee = Task::current().tracee();
    if tracee.0 == 0 { CarrierKey::default() } else { tracee.key() }
}
