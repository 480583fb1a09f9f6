//! Setting marks. A new mark is inserted whole; to one that stands, colours are added one by one, each by the one
//! program run that wins its `MEMBER` insertion.

use aya_ebpf::{macros::map, maps::Array};
use sensor_abi::{
    fault::Fault,
    key::{CarrierKey, EndpointKey, MemberKey, class},
    mark::{FileMark, MANY, MarkSet, ObjectMark, TaskMark},
};

use super::{
    E2BIG, EEXIST, NOEXIST,
    work::{Slot, Work, target},
};
use crate::{
    kernel::{
        file::{Inode, Place},
        stamp,
        task::Task,
    },
    maps::{ENDPOINT, FILE, MARKED, MEMBER, OBJECT, REASONS, TASK},
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
    // Two at once add it twice.
    if REASONS.get() < MARKED {
        REASONS.add(MARKED);
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
        add(slot, set, work);
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
    let (id, sb) = (stamp(), Inode(work.inode).sb());
    work.room.file = FileMark { dump: 0, set: work.set, object: work.inode, sb, id };
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
    let mark = OBJECT.get_ptr_mut(&work.object_key)?;
    // Of several who send to one socket, what is read next came from the last.
    // SAFETY: points into a map value. Who reads it meanwhile may get half of each: a sender that nobody knows.
    unsafe {
        if work.writer.dev != class::TASK && (*mark).writer.id != work.writer.id {
            core::ptr::write_volatile(&raw mut (*mark).writer, work.writer);
        }
    }
    Some(standing!(work, mark))
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

/// Where [`add`] stands.
#[repr(C)]
pub struct Adding {
    /// The colour that is added.
    key: MemberKey,
    /// Those that are left.
    left: MarkSet,
    /// Those whose insertion was won.
    won: MarkSet,
}

/// Adds the colours of the slot that `have`, which points into a map value, lacks.
#[inline(always)]
fn add(slot: u32, have: *mut MarkSet, work: &mut Work) {
    let adding = &mut work.room.adding;
    for i in 0..4 {
        // STACK: word by word. SAFETY: points into a map value.
        let known = unsafe { core::ptr::read_volatile(&raw const (*have).words[i]) };
        adding.left.words[i] = work.set.words[i] & !known;
    }
    if adding.left.is_empty() {
        return;
    }
    adding.won = MarkSet::default();
    let mut said = MORE;
    for _ in 0..=AT_ONCE {
        said = dumptrail_colour(slot);
        if said != MORE {
            break;
        }
    }
    for i in 0..4 {
        // SAFETY: as above; the winner of a colour adds it.
        unsafe {
            let won = core::ptr::read_volatile(&raw const work.room.adding.won.words[i]);
            stats::add(&raw mut (*have).words[i], won);
        }
    }
    if said != DONE {
        // SAFETY: as above. A plain write may lose a colour that races in, never the mark.
        unsafe { (*have).words[0] |= 1 << MANY };
    }
}

/// There may be more.
const MORE: i32 = 0;
/// Nothing is left.
const DONE: i32 = 1;
/// There was no room.
const FULL: i32 = 2;

/// Tries to win the next of the colours that are left.
// VERIFIER: see `dumptrail_move`. A body of a loop that knows the slot's number only: it is looked at once, not once a round
// and for each map that the mark may be in.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_colour(slot: u32) -> i32 {
    let Some(work) = Work::slot(Slot::of(slot)) else { return DONE };
    let adding = &mut work.room.adding;
    let Some(at) = (0..4).find(|i| adding.left.words[*i] != 0) else { return DONE };
    let left = adding.left.words[at & 3];
    (adding.key.word, adding.key.bit) = (at as u64, left & left.wrapping_neg());
    adding.left.words[at & 3] = left & (left - 1);
    match MEMBER.insert(&adding.key, &0, NOEXIST) {
        Ok(()) => adding.won.words[at & 3] |= adding.key.bit,
        Err(E2BIG) => {
            stats::fault(Fault::MemberMapFull);
            return FULL;
        }
        Err(_) => {}
    }
    MORE
}

/// Adds one colour if nobody has.
#[inline(always)]
fn member(word: *mut u64, key: &MemberKey) {
    match MEMBER.insert(key, &0, NOEXIST) {
        Ok(()) => stats::add(word, key.bit),
        Err(E2BIG) => stats::fault(Fault::MemberMapFull),
        Err(_) => {}
    }
}

/// Makes a marked file a dump of its own. False when it is one, or has no mark.
#[inline(always)]
pub fn give_dump(key: &CarrierKey, dump: u64) -> bool {
    let Some(mark) = FILE.get_ptr_mut(key) else { return false };
    // SAFETY: points into a map value. Only the agent does this, one file at a time, and births find the mark there.
    unsafe {
        let of = &raw mut (*mark).dump;
        let free = core::ptr::read_volatile(of) == 0;
        if free {
            core::ptr::write_volatile(of, dump);
        }
        free
    }
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
