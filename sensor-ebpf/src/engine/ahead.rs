//! Reads that begin before there is anything to read. Functions see a read of a file where it begins, and the kernel may
//! schedule within it: who waits for a dump's first bytes gets them by a read that found nothing when it was looked at. So
//! one that begins at a file's end is remembered until the process reads on, writes or executes: if the file's position has moved, it
//! holds what lies between.

use sensor_abi::{fault::Fault, flow::Move};

use super::{
    EEXIST, NOEXIST, Op, source,
    work::{Slot, Work},
};
use crate::{
    engine,
    kernel::{
        file::{File, Inode},
        task::{Task, is_transferring, tgid},
    },
    maps::{AHEAD, AHEADS},
    stats,
};

/// Value of `AHEAD`, keyed by tgid: a read that began at the end of a file.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Ahead {
    /// Address of the open file.
    file: u64,
    /// Address of the inode that its data is in.
    inode: u64,
    /// Where it began.
    position: u64,
}

impl Ahead {
    /// False when the file was closed since: its address may be another's.
    #[inline(always)]
    fn is_open(&self) -> bool {
        File(self.file).inode().real().0 == self.inode
    }
    /// What lies between where it began and where the next one will, which may have been set by lseek(2).
    #[inline(always)]
    fn brought(&self) -> u64 {
        if !self.is_open() {
            return 0;
        }
        let (reached, size) = (File(self.file).reached(), Inode(self.inode).size());
        if reached < size { reached } else { size }.saturating_sub(self.position)
    }
}

#[inline(always)]
fn of_current() -> Option<Ahead> {
    // SAFETY: a value of plain numbers; what two threads have mixed is found not to be open.
    unsafe { AHEAD.get(&tgid()) }.copied()
}

/// The current process reads a file from a position on where it has nothing yet.
// VERIFIER: see `engine::dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_begins(file: u64, position: u64) -> i32 {
    // A read of the pread(2) kind does not move the position; a write does.
    if File(file).reached() != position || !File(file).is_only_read() || engine::is_exempt() {
        return 0;
    }
    let ahead = Ahead { file, inode: File(file).inode().real().0, position };
    match AHEAD.get_ptr_mut(&tgid()) {
        None => begins(&ahead),
        // SAFETY: points into a map value, see above.
        Some(known) => unsafe {
            // Overlayfs reads the file below by one whose position stays.
            let below = (*known).inode == ahead.inode && (*known).file != ahead.file && (*known).is_open();
            if !below {
                *known = ahead;
            }
        },
    }
    0
}

#[inline(always)]
fn begins(ahead: &Ahead) {
    match AHEAD.insert(&tgid(), ahead, NOEXIST) {
        Ok(()) => AHEADS.add(1),
        Err(EEXIST) => {}
        Err(_) => stats::fault(Fault::StashMapFull),
    }
}

/// The current process reads on: so many bytes the read has brought that was remembered.
#[inline(always)]
pub fn before(file: u64) -> u64 {
    if AHEADS.get() == 0 { 0 } else { dumptrail_before(file) }
}

/// The same, where anything is remembered.
// VERIFIER: see `engine::dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_before(file: u64) -> u64 {
    let Some(ahead) = of_current().filter(|ahead| ahead.file == file) else { return 0 };
    forget(tgid());
    ahead.brought()
}

/// The current process is about to write.
#[inline(always)]
pub fn look(slot: Slot) {
    if AHEADS.get() != 0 && dumptrail_brought(slot.number()) != 0 {
        engine::dumptrail_move(slot.number());
        let bytes = Work::slot(slot).map_or(0, |work| work.bytes);
        engine::dumptrail_count(slot.number(), bytes);
    }
}

/// Fills the slot with what a read has brought that was remembered; 0 when that is none of a dump's.
// VERIFIER: see `engine::dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_brought(slot: u32) -> i32 {
    let Some(ahead) = of_current() else { return 0 };
    let bytes = ahead.brought();
    // A transfer moves the position, too, and no byte into the process.
    if ahead.is_open() && (bytes == 0 || is_transferring()) {
        return 0;
    }
    forget(tgid());
    if bytes == 0 {
        return 0;
    }
    let op = Op { source: File(ahead.file), ..Op::EMPTY };
    let inode = op.source.inode();
    let Some(work) = source::of_regular(Slot::of(slot), &op, inode, inode.place(), Move::Read) else { return 0 };
    work.bytes = bytes;
    work.reach(Task::current());
    1
}

/// The inode that the current process has read from by a read that was remembered; 0 for none.
#[inline(always)]
pub fn held() -> u64 {
    if AHEADS.get() == 0 { 0 } else { dumptrail_held() }
}

/// The same, where anything is remembered.
// VERIFIER: see `engine::dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_held() -> u64 {
    match of_current() {
        Some(ahead) if ahead.brought() != 0 => File(ahead.file).inode().0,
        _ => 0,
    }
}

/// A process has nothing more to tell.
#[inline(always)]
pub fn forget(tgid: u32) {
    if AHEADS.get() != 0 && AHEAD.remove(&tgid).is_ok() {
        AHEADS.add(u64::MAX);
    }
}
