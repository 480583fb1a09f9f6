//! Setting marks. A new mark is inserted whole; to one that stands, colours are added one by one, each by the one
//! program run that wins its `MEMBER` insertion.

use sensor_abi::{
    fault::Fault,
    key::{CarrierKey, EndpointKey, MemberKey},
    mark::{FileMark, MANY, MarkSet, ObjectMark, TaskMark},
};

use super::{E2BIG, EEXIST, NOEXIST};
use crate::{
    kernel::{
        file::Inode,
        stamp,
        task::{Task, tgid},
    },
    maps::{ENDPOINT, FILE, MEMBER, OBJECT, TASK},
    stats,
};

/// The mark of a process.
#[inline(always)]
pub fn of_task(tgid: u32) -> Option<&'static TaskMark> {
    // SAFETY: values are only added to; a deleted entry stays readable until the program ends.
    unsafe { TASK.get(&tgid) }
}

/// Marks the current process.
#[inline(never)]
pub fn task(key: &CarrierKey, set: &MarkSet) {
    let mark = TaskMark { start_ns: key.id, set: *set, arg_len: Task::current().arg_len(), id: stamp() };
    settle(TASK.insert(&tgid(), &mark, NOEXIST), Fault::TaskMapFull);
    if let Some(mark) = TASK.get_ptr_mut(&tgid()) {
        // SAFETY: points into a map value.
        unsafe { add(&raw mut (*mark).set, (*mark).id, set) };
    }
}

/// Marks a regular file.
#[inline(never)]
pub fn file(key: &CarrierKey, inode: Inode, set: &MarkSet) {
    let mark = FileMark { dump: 0, set: *set, object: inode.0, id: stamp() };
    settle(FILE.insert(key, &mark, NOEXIST), Fault::FileMapFull);
    if let Some(mark) = FILE.get_ptr_mut(key) {
        // SAFETY: points into a map value.
        unsafe { add(&raw mut (*mark).set, (*mark).id, set) };
    }
}

/// What a pipe or socket mark needs to know about its object.
pub struct Object {
    /// Address of the inode or `struct sock`.
    pub address: u64,
    /// See [`ObjectMark::fingerprint`].
    pub fingerprint: u64,
    /// The carrier that writes.
    pub writer: CarrierKey,
}

/// Marks a pipe, FIFO or receiving socket. A mark that another object left at the same address is replaced.
#[inline(never)]
pub fn object(key: &CarrierKey, object: &Object, set: &MarkSet) {
    let mark = new_object(object, set);
    if let Some(old) = OBJECT.get_ptr(key) {
        // SAFETY: points into a map value.
        if unsafe { (*old).fingerprint } != object.fingerprint {
            let _ = OBJECT.remove(key);
        }
    }
    settle(OBJECT.insert(key, &mark, NOEXIST), Fault::ObjectMapFull);
    if let Some(mark) = OBJECT.get_ptr_mut(key) {
        // SAFETY: points into a map value.
        unsafe { add(&raw mut (*mark).set, (*mark).id, set) };
    }
}

/// Marks a receiver of which only the address is known.
#[inline(never)]
pub fn endpoint(key: &EndpointKey, object: &Object, set: &MarkSet) {
    let mark = new_object(object, set);
    if let Some(old) = ENDPOINT.get_ptr(key) {
        // SAFETY: points into a map value.
        if unsafe { (*old).object } != object.address {
            let _ = ENDPOINT.remove(key);
        }
    }
    settle(ENDPOINT.insert(key, &mark, NOEXIST), Fault::ObjectMapFull);
    if let Some(mark) = ENDPOINT.get_ptr_mut(key) {
        // SAFETY: points into a map value.
        unsafe { add(&raw mut (*mark).set, (*mark).id, set) };
    }
}

#[inline(always)]
fn new_object(object: &Object, set: &MarkSet) -> ObjectMark {
    ObjectMark {
        set: *set,
        writer: object.writer,
        object: object.address,
        fingerprint: object.fingerprint,
        id: stamp(),
    }
}

#[inline(always)]
fn settle(result: Result<(), i32>, cause: Fault) {
    if let Err(error) = result
        && error != EEXIST
    {
        stats::fault(cause);
    }
}

/// Adds the colours of `set` that `have` lacks.
///
/// # Safety
/// `have` points into a map value.
#[inline(never)]
pub unsafe fn add(have: *mut MarkSet, id: u64, set: &MarkSet) {
    for word in 0..4 {
        // SAFETY: `word` is in bounds; the value is only ever added to.
        let (at, mut new) = unsafe {
            let at = (&raw mut (*have).words).cast::<u64>().add(word);
            (at, set.words[word] & !core::ptr::read_volatile(at))
        };
        for _ in 0..64 {
            if new == 0 {
                break;
            }
            let bit = new & new.wrapping_neg();
            new ^= bit;
            match MEMBER.insert(&MemberKey { mark: id, word: word as u64, bit }, &0, NOEXIST) {
                Ok(()) => stats::add(at, bit),
                Err(E2BIG) => {
                    stats::fault(Fault::MemberMapFull);
                    // SAFETY: as above. A plain write may lose a colour that races in: the fault is counted, and
                    // "many" keeps the mark.
                    unsafe { (*have).words[0] |= 1 << MANY };
                    return;
                }
                Err(_) => {}
            }
        }
    }
}
