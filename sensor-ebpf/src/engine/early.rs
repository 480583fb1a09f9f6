//! Who had a dump open when it was born. A read that began before finds a mark only when it is looked at once more when it
//! returns, and functions below the system call do not; before the flow hooks stood none is seen at all. So for a moment
//! after a birth who is about to write is asked which dumps it has open and has read from.

use sensor_abi::{flow::Move, mark::stamp_time, state};

use super::{Op, is_exempt, marks, source, work::Slot};
use crate::{
    engine,
    kernel::{
        file::Kind,
        now,
        task::{Task, current_file, is_transferring, tgid},
    },
    stats,
};

/// So long after a birth, ns: until its readers have read again, or have written what they have.
const MOMENT_NS: u64 = 250_000_000;
/// Descriptors that are looked at.
const DESCRIPTORS: u32 = 32;

/// The current process is about to write: it holds what it has read.
#[inline(always)]
pub fn look(slot: Slot) {
    if stats::state(state::BORN) != 0 {
        dumptrail_early(slot.number());
    }
}

/// The same, in the moment after a birth.
// VERIFIER: see `engine::dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_early(slot: u32) -> i32 {
    if !is_recent(stats::state(state::BORN)) {
        // A birth in between is forgotten with it: some ns in each second at most.
        stats::state_set(state::BORN, 0);
        return 0;
    }
    // A transfer within the kernel moves the position, too, and no byte into the process.
    if is_exempt() || is_transferring() {
        return 0;
    }
    for fd in 0..DESCRIPTORS {
        let bytes = dumptrail_has_read(slot, fd);
        if bytes != 0 {
            engine::dumptrail_move(slot);
            engine::dumptrail_count(slot, bytes);
        }
    }
    0
}

/// Fills the slot with a read of the file behind a descriptor, and returns how much that was, by the position; 0 when that
/// is no newborn dump, or nothing new.
// VERIFIER: see `engine::dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_has_read(slot: u32, fd: u32) -> u64 {
    let file = current_file(fd);
    if file.0 == 0 || !file.is_only_read() {
        return 0;
    }
    // A server has it open, sends a header and then the file by sendfile(2): that says where to begin.
    let reached = file.reached();
    if reached == 0 {
        return 0;
    }
    let inode = file.inode();
    if inode.kind() != Kind::Regular {
        return 0;
    }
    let place = inode.place();
    if !source::of_inode(inode, place.0, place.1).is_some_and(|(_, mark)| is_recent(stamp_time(mark.dump))) {
        return 0;
    }
    let op = Op { source: file, ..Op::EMPTY };
    let Some(work) = source::of_regular(Slot::of(slot), &op, inode, place, Move::Read) else { return 0 };
    if marks::of_task(tgid()).is_some_and(|mark| mark.set.has_all(&work.set)) {
        return 0;
    }
    // It may have been set.
    let size = inode.real().size();
    work.bytes = if reached < size { reached } else { size };
    work.reach(Task::current());
    work.bytes
}

#[inline(always)]
fn is_recent(time: u64) -> bool {
    now().wrapping_sub(time) < MOMENT_NS
}
