//! The engine: reads like the specification. It cannot know which hook called it.
//!
//! Order is fixed: (1) `EDGE` insertion picks the one that reports, (2) the record, (3) the mark. When the ring is full
//! the mark is published all the same, the edge is taken back so that the next operation reports again, and the loss
//! is counted.

use sensor_abi::{
    fault::Fault,
    flow::{Move, Via},
    key::{CarrierKey, EdgeKey, PairKey},
    mark::PairBytes,
};

use crate::{
    emit::{self, Draft},
    kernel::{file::File, now, setting, task},
    maps::{EDGE, PAIR},
    stats,
};

pub mod life;
pub mod marks;
pub mod reap;
pub mod sink;
pub mod source;

/// What a hook layer found out about one operation.
#[derive(Clone, Copy)]
pub struct Op {
    /// The file that bytes came from; address 0 when there is none.
    pub source: File,
    /// The file that bytes go to; address 0 when there is none.
    pub sink: File,
    /// By which means.
    pub via: Via,
    /// Bytes, when they are known.
    pub bytes: u64,
    /// User address of a destination given with the message, or 0.
    pub name: u64,
}

/// The agent's own operations mark nothing and are no sinks.
#[inline(always)]
pub fn is_exempt() -> bool {
    task::tgid() == setting!(agent_tgid)
}

/// Bytes have moved from an object to the current process.
#[inline(always)]
pub fn read(op: &Op) {
    let mut source = source::Source::EMPTY;
    if !source::of_file(op.source, &mut source) || is_exempt() {
        return;
    }
    let to = task::Task::current().key();
    let mut draft = Draft {
        pair: PairKey { from: source.key, to },
        set: source.set,
        writer: source.writer,
        bytes_before: 0,
        bytes: op.bytes,
        file: source.file,
        sock: source.sock,
        name: 0,
        via: source.via(op.via) as u8,
        direction: Move::Read as u8,
    };
    report(&mut draft);
    marks::task(&to, &source.set);
    count(&PairKey { from: source.key, to }, op.bytes);
}

/// Bytes are about to move from the current process to an object. The operation is only looked at when the process is
/// marked.
#[inline(always)]
pub fn write(op: impl FnOnce() -> Op) {
    let Some(mark) = marks::of_task(task::tgid()) else { return };
    if is_exempt() {
        return;
    }
    let from = CarrierKey::task(task::tgid(), mark.start_ns);
    let set = mark.set;
    sink::mark(&op(), &from, &set, Move::Write);
}

/// Bytes are about to move from an object to an object, through no buffer of the current process.
#[inline(always)]
pub fn transfer(op: &Op) {
    let mut source = source::Source::EMPTY;
    if !source::of_file(op.source, &mut source) || is_exempt() {
        return;
    }
    sink::mark(op, &source.key, &source.set, Move::Transfer);
}

/// The operation that `write` or `transfer` saw begin has moved `bytes`.
#[inline(always)]
pub fn finish(bytes: u64) {
    if let Some(pair) = sink::take_stash() {
        count(&pair, bytes);
    }
}

/// The current process used a system call entry whose arguments are not decoded.
#[inline(always)]
pub fn unknown_abi() {
    if marks::of_task(task::tgid()).is_some() {
        stats::fault(Fault::UnknownAbi);
    }
}

/// Reports a movement once for each set of colours.
#[inline(never)]
fn report(draft: &mut Draft) {
    draft.bytes_before = PAIR.get_ptr(&draft.pair).map_or(0, |p| {
        // SAFETY: points into a map value.
        unsafe { (*p).bytes }
    });
    let key = EdgeKey { pair: draft.pair, digest: draft.set.digest() };
    match EDGE.insert(&key, &0, NOEXIST) {
        Ok(()) => {
            if !emit::edge(draft) {
                let _ = EDGE.remove(&key);
            }
        }
        Err(EEXIST) => {}
        Err(_) => stats::fault(Fault::EdgeMapFull),
    }
}

/// Adds to what moved between two carriers, and hints to the agent when that passes 4 KiB, 64 KiB, 1 MiB, …
#[inline(never)]
fn count(pair: &PairKey, bytes: u64) {
    if PAIR.get_ptr_mut(pair).is_none() && PAIR.insert(pair, &PairBytes::default(), NOEXIST) == Err(E2BIG) {
        stats::fault(Fault::PairMapFull);
    }
    let Some(value) = PAIR.get_ptr_mut(pair) else { return };
    // SAFETY: points into a map value; the words are only added to atomically, the time is written whole.
    let (before, ops) = unsafe {
        let before = (*value).bytes;
        stats::add(&raw mut (*value).bytes, bytes);
        stats::add(&raw mut (*value).ops, 1);
        (*value).last_ns = now();
        (before, (*value).ops)
    };
    let after = before.wrapping_add(bytes);
    if before >> 12 == 0 && after >> 12 != 0
        || before >> 16 == 0 && after >> 16 != 0
        || before >> 20 == 0 && after >> 20 != 0
        || before >> 24 == 0 && after >> 24 != 0
        || before >> 28 == 0 && after >> 28 != 0
        || before >> 32 == 0 && after >> 32 != 0
    {
        emit::grow(pair, after, ops);
    }
}

/// `BPF_NOEXIST`: the insertion elects one winner.
pub const NOEXIST: u64 = 1;
/// The insertion lost.
pub const EEXIST: i32 = -17;
/// The map is full.
pub const E2BIG: i32 = -7;
