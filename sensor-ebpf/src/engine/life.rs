//! Processes: fork copies, exec drops, exit ends.

use sensor_abi::{
    fault::Fault,
    flow::Move,
    key::CarrierKey,
    mark::{MarkSet, TaskMark},
    record::{CARRIES, CARRIES_ON},
    state,
};

use super::{
    EEXIST, NOEXIST, Op, ahead, marks, source,
    work::{Slot, Work},
};
use crate::{
    emit,
    kernel::{
        now,
        sock::Sock,
        stamp,
        task::{Task, current_file, tgid},
    },
    maps::{CRASHED, REASONS, TASK},
    stats,
};

/// Signals whose default action is a core dump: QUIT ILL TRAP ABRT BUS FPE SEGV XCPU XFSZ SYS.
const CORE_SIGNALS: u64 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 24 | 1 << 25 | 1 << 31;
/// Descriptors that exec looks at while the flow hooks are not attached.
const INHERITED: u32 = 8;

/// A process forked: the child has its memory. A new thread is no new process.
#[inline(always)]
pub fn forked(slot: Slot, parent: Task, child: Task) {
    let (tgid, new) = (parent.tgid(), child.tgid());
    if tgid == new {
        return;
    }
    let Some(mark) = marks::of_task(tgid) else { return };
    let key = child.key();
    let copy = TaskMark { carrier: key.id, set: mark.set, arg_len: mark.arg_len, id: stamp() };
    if let Err(error) = TASK.insert(&new, &copy, NOEXIST)
        && error != EEXIST
    {
        stats::fault(Fault::TaskMapFull);
    }
    emit::fork(slot, &CarrierKey::task(tgid, mark.carrier), &key, &copy.set);
}

/// The current process executed a program: what was in memory is gone. Descriptors are looked at in a slot of their own.
#[inline(always)]
pub fn executed(slot: Slot, scan: Slot) {
    ahead::forget(tgid());
    if source::handler_started(slot) {
        return;
    }
    let Some(mark) = marks::of_task(tgid()) else { return };
    let (old, before) = (CarrierKey::task(tgid(), mark.carrier), mark.set);
    let arg_len_before = mark.arg_len;
    let _ = TASK.remove(&tgid());
    let mut after = if stats::state(state::ARMED) == 0 { inherited(slot, scan) } else { MarkSet::default() };
    let arg_len = Task::current().arg_len();
    let carries = arg_len > arg_len_before.saturating_add(CARRIES);
    if carries {
        after.join(&before);
    }
    emit::exec(slot, &old, &before, &after, [arg_len_before, arg_len]);
    if after.is_empty() {
        return;
    }
    source::mark_current(slot, &after);
    // What makes them longer is no memory that the next exec drops: that one hands them on, or a child's does.
    let on = arg_len > arg_len_before.saturating_add(CARRIES_ON);
    if let (true, Some(mark)) = (on, TASK.get_ptr_mut(&tgid())) {
        // SAFETY: points into a map value; a lost race costs one exec's arguments.
        unsafe { (*mark).arg_len = arg_len_before };
    }
}

/// While no read is seen, a process that inherits a marked descriptor is taken to read it.
#[inline(always)]
fn inherited(slot: Slot, scan: Slot) -> MarkSet {
    let Some(found) = Work::slot(scan) else { return MarkSet::default() };
    found.set = MarkSet::default();
    for fd in 0..INHERITED {
        dumptrail_inherit(slot.number(), scan.number(), fd);
    }
    found.set
}

/// Adds the colours behind one descriptor of the current process to the scan slot.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_inherit(slot: u32, scan: u32, fd: u32) -> i32 {
    let op = Op { source: current_file(fd), ..Op::EMPTY };
    let source = source::of_file(Slot::of(slot), &op, Move::Read);
    let (Some(source), Some(found)) = (source, Work::slot(Slot::of(scan))) else { return 0 };
    found.set.join(&source.set);
    0
}

/// A thread ends. The mark goes with the last one.
#[inline(always)]
pub fn exited(slot: Slot) {
    let task = Task::current();
    source::written(slot);
    if task.live_threads() != 0 {
        return;
    }
    over(tgid());
    let Some(mark) = marks::of_task(tgid()) else { return };
    let key = CarrierKey::task(tgid(), mark.carrier);
    let _ = TASK.remove(&tgid());
    emit::exit(slot, &key, u64::from(task.exit_code()));
}

/// A process is over, marked or not.
#[inline(always)]
pub fn over(tgid: u32) {
    ahead::forget(tgid);
    if CRASHED.remove(&tgid).is_ok() {
        REASONS.add(u64::MAX);
    }
}

/// A signal is delivered that ends the current process with a core dump, if limits allow one.
#[inline(always)]
pub fn signalled(slot: Slot, signal: u32, handler: u64) {
    if signal > 31 || CORE_SIGNALS >> signal & 1 == 0 || handler != 0 {
        return;
    }
    if CRASHED.insert(&tgid(), &now(), NOEXIST).is_ok() {
        REASONS.add(1);
        emit::crash(slot, u64::from(signal));
    }
}

/// A program on a function has run.
#[inline(always)]
pub fn tried() {
    stats::state_add(state::TRIALS, 1);
}

/// The current process opens a TCP connection.
#[inline(always)]
pub fn connecting(slot: Slot, sock: Sock) {
    let Some(mark) = marks::of_task(tgid()) else { return };
    let set = mark.set;
    emit::connect(slot, &set, sock.0);
}
