//! The functions take over from the system calls. For a while both layers are attached, and each call is counted by one:
//! by the functions if they see it, else by the system call when it returns. What is written is told by the stash, which
//! one of them takes; what is read by `CALL`. The ends of system calls are looked at until no call is in progress that
//! began before all functions stood.

use sensor_abi::{
    fault::Fault,
    flow::{self, NONE, Shape, Via},
    key::CarrierKey,
    mark::{Call, counted},
    state::{self, duty},
};

use super::work::{Layer, Slot};
use crate::{
    kernel::{
        file::{File, Kind},
        pid::Pid,
        regs::{self, Regs},
        sock::Sock,
        task::{is_uring, pid_tgid},
    },
    maps::CALL,
    stats,
};

/// Does a program count what it looks at? Its own layer, or the other one; 0 for the other one. The functions take a call
/// by asking.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_duty(slot: u32) -> i32 {
    let slot = Slot::of(slot);
    let counts = if slot.is_of(Layer::Functions) {
        function_counts()
    } else if slot.is_of(Layer::Rings) {
        ring_counts()
    } else {
        of_this_call() != counted::BELOW
    };
    i32::from(counts)
}

/// By whom the call is counted that the current thread is in.
#[inline(always)]
fn of_this_call() -> u64 {
    // SAFETY: only this thread uses its entry while a call is in progress.
    unsafe { CALL.get(&pid_tgid()) }.map_or(counted::NOT_YET, |call| call.counted)
}

#[inline(always)]
fn function_counts() -> bool {
    let stands = stats::state(state::DUTY);
    if stands == duty::FUNCTIONS {
        return true;
    }
    if is_uring() {
        return stands == duty::BOTH || stats::state(state::RINGS) == 0;
    }
    let by = of_this_call();
    if by == counted::NOT_YET {
        set(counted::BELOW);
    }
    // Messages of the same call may have gone before this function stood.
    if by != counted::AT_ENTRY
        && stands == duty::CALLS
        && flow::syscall(regs::Call::current().number).shape == Shape::Messages
    {
        stats::fault(Fault::HandOver);
    }
    by != counted::AT_ENTRY
}

/// Requests are not known by thread. Once all functions stand they count; whether they have counted one that ends now
/// cannot be told.
#[inline(always)]
fn ring_counts() -> bool {
    let stands = stats::state(state::DUTY);
    if stands == duty::BOTH {
        stats::fault(Fault::HandOver);
    }
    stands == duty::CALLS
}

#[inline(always)]
fn set(by: u64) {
    let id = pid_tgid();
    if let Some(call) = CALL.get_ptr_mut(&id) {
        // SAFETY: points into a map value; see `of_this_call`.
        unsafe { (*call).counted = by };
    } else {
        insert(id, &Call { object: CarrierKey::default(), counted: by });
    }
}

#[inline(always)]
fn insert(id: u64, call: &Call) {
    if CALL.insert(&id, call, 0).is_err() {
        stats::fault(Fault::HandOver);
    }
}

/// What the current call moves was counted when it began; no later call tells of its end.
#[inline(always)]
pub fn counted_at_entry() {
    // SAFETY: as in `of_this_call`. Without an entry only one layer stands.
    if unsafe { CALL.get(&pid_tgid()) }.is_some() {
        set(counted::AT_ENTRY);
    }
}

/// The current thread begins a call.
#[inline(always)]
pub fn began(regs: Regs, number: u64) {
    let call = regs::Call::of(regs, number);
    let row = flow::syscall(call.number);
    if row.source == NONE && row.sink == NONE || row.via == Via::Name {
        return;
    }
    let reads = row.sink == NONE && row.via == Via::File;
    let object = if reads { object(call.file(0)) } else { CarrierKey::default() };
    insert(pid_tgid(), &Call { object, counted: counted::NOT_YET });
}

/// The current thread ends a call.
#[inline(always)]
pub fn ended() {
    let _ = CALL.remove(&pid_tgid());
}

/// A thread was found in a call that reads this descriptor, and that may have begun before any program stood. 1 when the
/// descriptor can keep it waiting.
#[inline(always)]
pub fn found(thread: u64, fd: u32) -> i32 {
    let object = object(Pid::seen(thread & 0xffff_ffff).task().file(fd));
    if object == CarrierKey::default() {
        return 0;
    }
    let call = Call { object, counted: counted::NOT_YET };
    i32::from(CALL.insert(&thread, &call, super::NOEXIST).is_ok())
}

/// Where a mark on a pipe, socket or terminal would stand.
#[inline(always)]
fn object(file: File) -> CarrierKey {
    if file.0 == 0 {
        return CarrierKey::default();
    }
    let inode = file.inode();
    match inode.kind() {
        Kind::Pipe => inode.plain_key(),
        Kind::Socket => Sock(file.sock()).object_key(),
        Kind::Tty => file.tty().key(),
        _ => CarrierKey::default(),
    }
}
