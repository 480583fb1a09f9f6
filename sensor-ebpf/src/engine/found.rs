//! What the agent has found in /proc and on disks, and tells the engine: only the kernel knows a file's true key, and how a
//! mark that stands is added to.

use aya_ebpf::{macros::map, maps::Array};
use sensor_abi::{
    key::CarrierKey,
    mark::{FileMark, MarkSet},
};

use super::{
    EEXIST, NOEXIST, marks,
    work::{Slot, Work, target},
};
use crate::{
    kernel::{
        file::{Inode, Kind},
        pid::Pid,
        stamp,
        task::current_file,
    },
    maps::TRUSTED,
};

/// Nothing was to be done.
const NOTHING: i32 = 0;
/// It is done.
const DONE: i32 = 1;

/// The key of the file that was marked last.
#[map]
static FOUND: Array<CarrierKey> = Array::with_max_entries(1, 0);

#[inline(always)]
fn tell(key: &CarrierKey) {
    if let Some(found) = FOUND.get_ptr_mut(0) {
        // SAFETY: points into a map value; the agent reads it when this program is over.
        unsafe { *found = *key };
    }
}

/// The regular file behind a descriptor of the agent.
#[inline(always)]
fn regular(fd: u32) -> Option<Inode> {
    let file = current_file(fd);
    if file.0 == 0 || file.inode().kind() != Kind::Regular || file.inode().is_pseudo() {
        return None;
    }
    Some(file.inode().real())
}

/// Marks a file as dump at rest, or with dump 0 as a trusted executable. One that has colours already, put there by who
/// wrote it, is marked only when it is told to be `newborn`: else it is a copy.
#[inline(always)]
pub fn seed(fd: u32, dump: u64, newborn: u64) -> i32 {
    let Some(inode) = regular(fd) else { return NOTHING };
    let key = inode.own_key();
    if dump == 0 {
        return if TRUSTED.insert(&key, &0, 0).is_ok() { DONE } else { NOTHING };
    }
    let mark = FileMark { dump, set: MarkSet::default(), object: inode.0, sb: inode.sb(), id: stamp() };
    match marks::set_file(&key, &mark, NOEXIST) {
        Ok(()) => {}
        Err(EEXIST) if newborn != 0 && marks::give_dump(&key, dump) => {}
        Err(_) => return NOTHING,
    }
    tell(&key);
    DONE
}

/// Marks a file with these colours: bytes of theirs get there without a call.
#[inline(always)]
pub fn share(slot: Slot, fd: u32, words: [u64; 4]) -> i32 {
    let Some(inode) = regular(fd) else { return NOTHING };
    let Some(work) = Work::slot(slot) else { return NOTHING };
    work.pair.to = inode.own_key();
    (work.inode, work.set, work.target) = (inode.0, MarkSet { words }, target::FILE);
    marks::dumptrail_mark(slot.number());
    tell(&work.pair.to);
    DONE
}

/// Marks a process, by its pid as the agent sees it, with a dump of this colour.
#[inline(always)]
pub fn hold(slot: Slot, pid: u64, colour: u32) -> i32 {
    let task = Pid::seen(pid).task();
    let Some(work) = Work::slot(slot) else { return NOTHING };
    if task.0 == 0 {
        return NOTHING;
    }
    work.reach(task);
    work.set = MarkSet::one(colour);
    marks::dumptrail_mark(slot.number());
    DONE
}
