//! Setting marks. A new mark is inserted whole; to one that stands, colours are added one by one, each by the one
//! program run that wins its `MEMBER` insertion.

use aya_ebpf::{macros::map, maps::Array};
use sensor_abi::{
    fault::Fault,
    key::{CarrierKey, EndpointKey, MemberKey},
    mark::{FileMark, MANY, MarkSet, ObjectMark, TaskMark},
};

use super::{
    E2BIG, EEXIST, NOEXIST,
    work::{Slot, Work, target},
};
use crate::{
    kernel::{file::Place, stamp, task::Task},
    maps::{ENDPOINT, FILE, MEMBER, OBJECT, TASK},
    stats,
};

/// The mark of a process.
#[inline(always)]
pub fn of_task(tgid: u32) -> Option<&'static TaskMark> {
    // SAFETY: values are only added to; a deleted entry stays readable until the program ends.
    unsafe { TASK.get(&tgid) }
}

/// A byte for each of so many places of files.
const PLACES: usize = 1 << 16;

/// Where files have been marked: nothing is taken back, so a byte that is not set says that no file there is marked. That
/// is the answer for most of what is read, and it costs neither the generation nor a look into `FILE`.
#[map]
static PLACED: Array<[u8; PLACES]> = Array::with_max_entries(1, 0);

/// Multiplier that tells devices with the same inode numbers apart: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn placed(ino: u64, dev: u32) -> Option<*mut u8> {
    let index = (ino ^ ino >> 16).wrapping_add(u64::from(dev).wrapping_mul(SPREAD) >> 32) as usize % PLACES;
    // SAFETY: within the value.
    PLACED.get_ptr_mut(0).map(|bytes| unsafe { bytes.cast::<u8>().add(index) })
}

/// False when no file of this place has a mark.
#[inline(always)]
pub fn may_be_marked(place: Place) -> bool {
    // SAFETY: points into a map value whose bytes are only ever set.
    placed(place.ino, place.dev).is_none_or(|byte| unsafe { core::ptr::read_volatile(byte) } != 0)
}

/// Marks a file. All marks of files are made here: the place must be told of too.
#[inline(always)]
pub fn set_file(key: &CarrierKey, mark: &FileMark, flags: u64) -> Result<(), i32> {
    if let Some(byte) = placed(key.id, key.dev) {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(byte, 1) };
    }
    FILE.insert(key, mark, flags)
}

/// Marks the target of the movement in a slot.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_mark(slot: u32) -> i32 {
    let Some(work) = Work::slot(Slot::of(slot)) else { return 0 };
    let standing = match work.target {
        target::TASK => task(work),
        target::FILE => file(work),
        target::OBJECT => object(work),
        target::ENDPOINT => endpoint(work),
        _ => return 0,
    };
    if let Some(set) = standing {
        add(set, work);
    }
    0
}

/// The colours of a mark that stands already; its id is in the slot.
type Standing = Option<*mut MarkSet>;

/// Puts the id of a mark into the slot, and returns where its colours are.
macro_rules! standing {
    ($work:ident, $mark:expr) => {{
        let mark = $mark;
        // SAFETY: points into a map value.
        unsafe {
            $work.room.adding.key.mark = (*mark).id;
            &raw mut (*mark).set
        }
    }};
}

#[inline(always)]
fn task(work: &mut Work) -> Standing {
    let tgid = work.pair.to.generation;
    // STACK: calls come first, so that nothing of the slot is kept over them.
    let (arg_len, id) = (Task(work.object).arg_len(), stamp());
    work.room.task = TaskMark { carrier: work.pair.to.id, set: work.set, arg_len, id };
    if settle(TASK.insert(&tgid, &work.room.task, NOEXIST), Fault::TaskMapFull) {
        return None;
    }
    TASK.get_ptr_mut(&tgid).map(|mark| standing!(work, mark))
}

#[inline(always)]
fn file(work: &mut Work) -> Standing {
    let id = stamp();
    work.room.file = FileMark { dump: 0, set: work.set, object: work.inode, id };
    if settle(set_file(&work.pair.to, &work.room.file, NOEXIST), Fault::FileMapFull) {
        return None;
    }
    FILE.get_ptr_mut(&work.pair.to).map(|mark| standing!(work, mark))
}

/// A mark that another object left at the same address is replaced.
#[inline(always)]
fn object(work: &mut Work) -> Standing {
    new_object(work);
    if let Some(old) = OBJECT.get_ptr(&work.object_key) {
        // SAFETY: points into a map value.
        if unsafe { !is_of(&*old, work.fingerprint, work.ino) } {
            let _ = OBJECT.remove(&work.object_key);
        }
    }
    if settle(OBJECT.insert(&work.object_key, &work.room.object, NOEXIST), Fault::ObjectMapFull) {
        return None;
    }
    OBJECT.get_ptr_mut(&work.object_key).map(|mark| standing!(work, mark))
}

#[inline(always)]
fn endpoint(work: &mut Work) -> Standing {
    new_object(work);
    if let Some(old) = ENDPOINT.get_ptr(&work.endpoint) {
        // SAFETY: points into a map value.
        if unsafe { (*old).object } != work.object {
            let _ = ENDPOINT.remove(&work.endpoint);
        }
    }
    let new = settle(ENDPOINT.insert(&work.endpoint, &work.room.object, NOEXIST), Fault::ObjectMapFull);
    let mark = ENDPOINT.get_ptr_mut(&work.endpoint)?;
    // SAFETY: points into a map value.
    unsafe { stats::add(&raw mut (*mark).sends, 1) };
    (!new).then(|| standing!(work, mark))
}

/// A call by this socket was refused: nothing has gone to the receiver that was marked for it.
#[inline(always)]
pub fn unsent(endpoint: &EndpointKey, object: u64) {
    let Some(mark) = ENDPOINT.get_ptr_mut(endpoint) else { return };
    // SAFETY: points into a map value.
    unsafe {
        if (*mark).object == object {
            stats::add(&raw mut (*mark).sends, u64::MAX);
        }
    }
}

/// True when a mark is that of the object which looks like this now, not of one that had its address before.
#[inline(always)]
pub fn is_of(mark: &ObjectMark, fingerprint: u64, ino: u64) -> bool {
    mark.fingerprint == fingerprint && (mark.ino == 0 || mark.ino == ino)
}

#[inline(always)]
fn new_object(work: &mut Work) {
    let id = stamp();
    let (set, writer, object, ino) = (work.set, work.writer, work.object, work.ino);
    let fingerprint = work.fingerprint;
    work.room.object = ObjectMark { set, writer, object, fingerprint, ino, id, sends: 0 };
}

/// True when nothing stands there to be added to: the mark was inserted, or there was no room.
#[inline(always)]
fn settle(result: Result<(), i32>, cause: Fault) -> bool {
    match result {
        Ok(()) => true,
        Err(EEXIST) => false,
        Err(_) => {
            stats::fault(cause);
            true
        }
    }
}

/// Colours that one operation adds one by one to a mark that stands; with more, "many" stands for the rest until later
/// operations have added them.
const AT_ONCE: u32 = 16;

/// Where [`add`] stands. In map memory, as `kernel::path::Walk` is: what is loaded from there is unknown to the verifier, so
/// that all rounds of the loop are one; in registers, the words and rounds are a state each.
#[repr(C)]
pub struct Adding {
    /// The colour that is added.
    key: MemberKey,
    /// Those of its word that are left.
    new: u64,
}

/// Adds the colours of the slot that `have`, which points into a map value, lacks.
#[inline(always)]
fn add(have: *mut MarkSet, work: &mut Work) {
    next_word(have, work, 0);
    for _ in 0..AT_ONCE + 4 {
        let at = &mut work.room.adding;
        // SAFETY: reads of fields.
        let (number, new) =
            unsafe { (core::ptr::read_volatile(&raw const at.key.word), core::ptr::read_volatile(&raw const at.new)) };
        if new == 0 {
            if number >= 3 {
                return;
            }
            next_word(have, work, number + 1);
            continue;
        }
        at.key.bit = new & new.wrapping_neg();
        at.new = new & (new - 1);
        // SAFETY: in bounds; `have` points into a map value.
        let target = unsafe { (&raw mut (*have).words).cast::<u64>().add(number as usize & 3) };
        if !member(target, &at.key) {
            break;
        }
    }
    // SAFETY: as above. A plain write may lose a colour that races in, never the mark.
    unsafe { (*have).words[0] |= 1 << MANY };
}

/// Goes on with the colours of this word that are missing.
#[inline(always)]
fn next_word(have: *const MarkSet, work: &mut Work, number: u64) {
    let at = number as usize & 3;
    // SAFETY: in bounds; `have` points into a map value.
    let known = unsafe { core::ptr::read_volatile((&raw const (*have).words).cast::<u64>().add(at)) };
    (work.room.adding.key.word, work.room.adding.new) = (number, work.set.words[at] & !known);
}

/// Adds one colour if nobody has. False when there is no room.
#[inline(always)]
fn member(word: *mut u64, key: &MemberKey) -> bool {
    match MEMBER.insert(key, &0, NOEXIST) {
        Ok(()) => stats::add(word, key.bit),
        Err(E2BIG) => {
            stats::fault(Fault::MemberMapFull);
            return false;
        }
        Err(_) => {}
    }
    true
}

/// Adds the colour of a dump at rest to the mark of its file.
#[inline(always)]
pub fn colour_file(key: &CarrierKey, colour: u32) {
    let Some(mark) = FILE.get_ptr_mut(key) else { return };
    let (word, bit) = (colour / 64 % 4, 1u64 << (colour % 64));
    // SAFETY: points into a map value; `word` is in bounds.
    unsafe {
        let at = (&raw mut (*mark).set.words).cast::<u64>().add(word as usize);
        if core::ptr::read_volatile(at) & bit == 0 {
            member(at, &MemberKey { mark: (*mark).id, word: u64::from(word), bit });
        }
    }
}
