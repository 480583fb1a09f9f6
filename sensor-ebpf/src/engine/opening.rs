//! Who opens a dump, also without reading it.

use sensor_abi::flow::Move;

use super::{NOEXIST, Op, source, work::Slot};
use crate::kernel::{
    file::{File, Kind},
    task::Task,
};

/// The current process has opened a file, or is about to. Said once of a file that holds a dump; nothing is marked by it.
#[inline(always)]
pub fn opens(slot: Slot, file: File) {
    dumptrail_opens(slot.number(), file.0);
}

/// The same.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_opens(slot: u32, file: u64) -> i32 {
    let (slot, file) = (Slot::of(slot), File(file));
    if Kind::of_number(source::dumptrail_sift(file.0)) != Kind::Regular || !file.is_for_reading() {
        return 0;
    }
    let op = Op { source: file, ..Op::EMPTY };
    let inode = file.inode();
    let Some(work) = source::of_regular(slot, &op, inode, inode.place(), Move::Open) else { return 0 };
    work.pair.to = Task::current().key();
    // Another digest than that of the read that may follow.
    let digest = !work.set.digest();
    super::tell(slot, work, digest, NOEXIST);
    0
}
