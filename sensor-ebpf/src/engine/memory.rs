//! Memory of another process. Who reads it in bulk takes a dump of it; from a process that holds a dump it is a movement.

use sensor_abi::{
    fault::Fault,
    flow::{Move, Via},
    key::{CarrierKey, PairKey},
    mark::MarkSet,
    record::Kind as Record,
};

use super::{
    NOEXIST, Op, is_exempt, is_trusted, marks,
    source::colour_of,
    work::{Slot, Work},
};
use crate::{
    emit::{self, Newborn},
    kernel::{
        file::Inode,
        pid::{Memory, memory},
        stamp,
        task::Task,
    },
    maps::TAKEN,
    stats,
};

/// A read of so many bytes in one go is no look at a variable,
const BULK: u64 = 4096;
/// but by who traces the process: strace reads a page to print a name, gdb two, the whole vDSO, when it attaches.
const BULK_OF_TRACER: u64 = 2 * 4096 + 1;
/// process_vm_readv(2) is also how strace reads what calls read and write, in pieces as long as its `-s`.
const BULK_OF_PRINTER: u64 = 16 * 1024;

/// What has come out of a file in /proc that is memory.
#[inline(always)]
pub fn of_file(slot: Slot, op: &Op, inode: Inode) -> Option<&'static mut Work> {
    let task = match memory(op.source, inode)? {
        Memory::Of(task) if task.0 != 0 => task,
        Memory::Of(_) => return None,
        Memory::Kernel => Task(0),
    };
    of_task(slot, task, op.bytes, BULK_OF_TRACER)
}

/// What has come out of the memory of a process by process_vm_readv(2).
#[inline(always)]
pub fn of_process(slot: Slot, task: Task, bytes: u64) -> Option<&'static mut Work> {
    of_task(slot, task, bytes, BULK_OF_PRINTER)
}

/// What has come out of the memory of a process; address 0 stands for the kernel. A tracer may read less than `bulk`.
#[inline(always)]
fn of_task(slot: Slot, task: Task, bytes: u64, bulk: u64) -> Option<&'static mut Work> {
    let found = dumptrail_memory(slot.number(), task.0, bytes, bulk);
    if found == BORN {
        emit::announce(slot);
    }
    if found == 0 { None } else { Work::slot(slot) }
}

/// It is a birth.
const BORN: i32 = 2;

/// Fills the slot with what the current process has read from the memory of a task. 0 when that is nothing, `BORN` when a
/// birth is to be told: not here, the stack is too short.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_memory(slot: u32, task: u64, bytes: u64, bulk: u64) -> i32 {
    let (slot, from, to) = (Slot::of(slot), Task(task), Task::current());
    let Some(work) = Work::begin(slot, Via::Memory, Move::Read) else { return 0 };
    if from.tgid() == to.tgid() || is_exempt() {
        return 0;
    }
    work.pair = PairKey { from: from.key(), to: to.key() };
    work.set = MarkSet::default();
    let mut born = false;
    let bulk = if from.is_traced_by(to) { bulk } else { BULK };
    if bytes >= bulk && !is_trusted() {
        let dump = taken(work, &mut born);
        work.set = MarkSet::one(colour_of(dump));
    }
    if let Some(mark) = marks::of_task(from.tgid()) {
        work.pair.from.id = mark.carrier;
        work.set.join(&mark.set);
    }
    if born { BORN } else { i32::from(!work.set.is_empty()) }
}

/// The dump that the current process makes of this memory: one, whether it is read before the file is begun or after.
#[inline(always)]
fn taken(work: &mut Work, born: &mut bool) -> u64 {
    // SAFETY: values are only written once.
    if let Some(known) = unsafe { TAKEN.get(&work.pair) } {
        return *known;
    }
    let from = work.pair.from;
    work.pair.from = CarrierKey::default();
    // SAFETY: as above.
    let begun = unsafe { TAKEN.get(&work.pair) }.copied();
    work.pair.from = from;
    let dump = begun.unwrap_or_else(stamp);
    remember(&work.pair, dump);
    if begun.is_none() {
        let colour = u64::from(colour_of(dump));
        let (object, traced) = (work.pair.to, work.pair.from);
        work.room.newborn = Newborn { dump, object, colour, sink: 4, traced, ..Newborn::of(Record::Birth) };
        *born = true;
    }
    dump
}

/// Remembers whose memory a process makes which dump of.
#[inline(always)]
pub fn remember(pair: &PairKey, dump: u64) {
    if TAKEN.insert(pair, &dump, NOEXIST) == Err(super::E2BIG) {
        stats::fault(Fault::DumpMapFull);
    }
}
