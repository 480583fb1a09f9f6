//! Dumps that programs write themselves: told by their first bytes, while the writer is still in its system call. Where
//! the header may come later, in a write that changes nothing that is seen, the agent is asked to look again.

use sensor_abi::{
    fault::Fault,
    flow,
    key::{CarrierKey, PairKey},
    magic::{HEAD, Head, WORDS, is_hypervisor},
    mark::{FileMark, MarkSet},
    record::Kind as Record,
};

use super::{
    EEXIST, NOEXIST, is_exempt, is_trusted, marks, memory,
    work::{Slot, Work},
};
use crate::{
    emit::{self, Newborn},
    kernel::{
        copy_user,
        file::{File, Inode, Kind},
        read_head,
        regs::Call,
        stamp,
        task::{Task, tgid},
    },
    maps::FILE,
    stats,
};

/// See `record::Birth::sink`.
const PERHAPS: u64 = 5;

/// A write to a file.
struct Written {
    file: File,
    /// The inode that has the data.
    inode: Inode,
    /// User address and number of the first bytes.
    bytes: (u64, u64),
    /// Where they go.
    position: u64,
    /// They are the first of several pieces.
    pieces: bool,
}

/// A file that is no larger after a write in pieces was made by it, or rewritten: the pieces are not summed up. Nor has it
/// much in front of what a dumper writes first: its header comes last.
const SMALL: u64 = 64 * 1024;

/// The current process touched an inode: a write to it may be under way, or it was emptied.
#[inline(always)]
pub fn touched(slot: Slot, inode: Inode) {
    let call = Call::current();
    if let Some(writing) = flow::writing(call.number) {
        if let Some(written) = written(writing, &call, inode) {
            let head = if writing.vector { gathered(slot, &call) } else { read_head(written.bytes.0, written.bytes.1) };
            wrote(slot, &written, &head);
        }
    } else if flow::may_empty(call.number) {
        super::cleared(slot, inode);
    }
}

/// The write that the current process is in, when it goes to this very inode.
#[inline(always)]
fn written(writing: flow::Writing, call: &Call, inode: Inode) -> Option<Written> {
    let file = call.file(0);
    let given = if writing.at { call.wide(3) } else { u64::MAX };
    let position = if given == u64::MAX { file.position(inode) } else { given };
    let may_begin = position == 0 || inode.size() == 0 || inode.size() <= SMALL && Task::current().tracee().0 != 0;
    if !may_begin || file.inode().real().0 != inode.0 {
        return None;
    }
    let (address, len) = (call.arg(1), call.arg(2));
    let bytes = if writing.vector { (call.address(address, 0), call.address(address, 1)) } else { (address, len) };
    Some(Written { file, inode, bytes, position, pieces: writing.vector })
}

/// Pieces that a header is looked for in.
const PIECES: u64 = 4;

/// The first bytes of all pieces together: who buffers writes what it has and what comes next by one call.
#[inline(always)]
fn gathered(slot: Slot, call: &Call) -> Head {
    let (table, pieces) = (call.arg(1), call.arg(2));
    let mut len = 0;
    for i in 0..PIECES {
        if i < pieces {
            len = dumptrail_gather(slot.number(), len, call.address(table, 2 * i), call.address(table, 2 * i + 1));
        }
    }
    let head = Work::slot(slot).map_or([0; WORDS], |work| core::array::from_fn(|i| work.room.head[i]));
    Head::of_words(head, len as usize)
}

/// Puts a piece behind the `at` bytes that are in the slot; returns how many these are then.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_gather(slot: u32, at: u64, address: u64, len: u64) -> u64 {
    let Some(work) = Work::slot(Slot::of(slot)) else { return 0 };
    if at >= HEAD as u64 {
        return at;
    }
    let len = if len > HEAD as u64 { HEAD as u64 } else { len };
    copy_user(&mut work.room.head, at, len, address);
    at + len
}

/// A dump's first bytes are being written, or will be. Who holds a dump writes a copy, which is a movement and no birth, or
/// its own: the agent knows how much it has read.
#[inline(always)]
fn wrote(slot: Slot, written: &Written, head: &Head) {
    let format = if written.position == 0 { head.dump().or_else(|| head.packed_dump()) } else { None };
    let traced = traced();
    if format.is_none() && !comes_later(written, head, traced) {
        return;
    }
    let inode = written.inode;
    if is_exempt() || is_trusted() || inode.kind() != Kind::Regular {
        return;
    }
    let (dump, object) = (stamp(), inode.own_key());
    let holds = marks::of_task(tgid()).is_some();
    // SAFETY: the value is not used.
    if format.is_none() && (holds || unsafe { FILE.get(&object) }.is_some()) {
        return;
    }
    let path = written.file.path();
    let newborn = Newborn { dump, object, inode: inode.0, path, traced, ..Newborn::of(Record::Birth) };
    let Some(format) = format.filter(|_| !holds) else {
        emit::birth(slot, Newborn { sink: PERHAPS, ..newborn });
        return;
    };
    let mark = FileMark { dump, set: MarkSet::default(), object: inode.0, sb: inode.sb(), id: stamp() };
    match marks::set_file(&object, &mark, NOEXIST) {
        Ok(()) => {}
        // Its header is written once more.
        Err(EEXIST) => return,
        Err(_) => stats::fault(Fault::FileMapFull),
    }
    memory::remember(&PairKey { from: traced, to: Task::current().key() }, dump);
    emit::birth(slot, Newborn { sink: 3, format: format as u64, ..newborn });
}

/// True of the first write to a file whose header is still to come: it leaves room for one, or zeroes stand where it will
/// be; and of the first write of who traces another process, or has that of a guest. Who traces may have made room by
/// `ftruncate`, as Breakpad does.
#[inline(always)]
fn comes_later(written: &Written, head: &Head, traced: CarrierKey) -> bool {
    let size = written.inode.size();
    let whole = size == written.bytes.1 || written.pieces && size <= SMALL;
    let first = size == 0 || whole;
    written.position != 0 || first && (head.is_blank() || traced.generation != 0 || is_guest_memory(written))
}

/// Perhaps: a hypervisor writes a file that it does not read. Its disks it does read.
#[inline(always)]
fn is_guest_memory(written: &Written) -> bool {
    is_hypervisor(Task::current().name()) && !written.file.is_for_reading()
}

/// The process whose memory a debugger or dumper writes.
#[inline(always)]
fn traced() -> CarrierKey {
    let tracee = Task::current().tracee();
    if tracee.0 == 0 { CarrierKey::default() } else { tracee.key() }
}
