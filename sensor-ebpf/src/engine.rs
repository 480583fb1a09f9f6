//! The engine: reads like the specification. It cannot know which hook called it.
//!
//! Order is fixed: (1) `EDGE` insertion picks the one that reports, (2) the record, (3) the mark. When the ring is full
//! the mark is published all the same, the edge is taken back so that the next operation reports again, and the loss
//! is counted.

use sensor_abi::{
    fault::Fault,
    flow::{self, Move, Via},
    key::{CarrierKey, EdgeKey},
    mark::PairBytes,
};

use crate::{
    emit,
    kernel::{
        aio::Request,
        file::{File, Inode, Kind},
        ipc::Queue,
        now,
        pid::Pid,
        read_user,
        regs::Call,
        setting,
        sock::Name,
        task::{self, Task},
    },
    maps::{EDGE, FILE, OBJECT, PAIR, TRUSTED},
    stats,
};
use work::{Slot, Work, target};

pub mod ahead;
pub mod below;
pub mod found;
pub mod fuse;
pub mod handover;
pub mod life;
pub mod marks;
pub mod memory;
pub mod opening;
pub mod program;
pub mod reap;
pub mod sink;
pub mod source;
pub mod verdict;
pub mod work;

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
    /// A destination given with the message.
    pub name: Name,
    /// The process whose memory is written; address 0 when there is none.
    pub process: Task,
    /// The queue that bytes come from or go to; address 0 when there is none.
    pub queue: Queue,
}

impl Op {
    /// Without ends.
    pub const EMPTY: Self = Self {
        source: File(0),
        sink: File(0),
        via: Via::File,
        bytes: 0,
        name: Name::NONE,
        process: Task(0),
        queue: Queue(0),
    };
}

/// The agent's own operations mark nothing and are no sinks.
#[inline(always)]
pub fn is_exempt() -> bool {
    task::tgid() == setting!(agent_tgid)
}

/// The current process runs a declassifier. Only asked about processes and objects that are marked.
#[inline(always)]
fn is_trusted() -> bool {
    let executable = Task::current().executable().inode().real().own_key();
    // SAFETY: the value is not used.
    unsafe { TRUSTED.get(&executable) }.is_some()
}

/// Bytes have moved from an object to the current process. True when they are a dump's, as of all that follow.
#[inline(always)]
pub fn read(slot: Slot, op: &Op) -> bool {
    source::of_file(slot, op, Move::Read).is_some_and(|work| take(slot, work, op.bytes))
}

/// The same by a system call, which names the object by a descriptor.
#[inline(always)]
pub fn read_by_call(slot: Slot, op: &Op) -> bool {
    source::of_number(slot, op, Move::Read).is_some_and(|work| take(slot, work, op.bytes))
}

/// The current process gets what was looked up.
#[inline(always)]
fn take(slot: Slot, work: &mut Work, bytes: u64) -> bool {
    if is_exempt() {
        return false;
    }
    work.reach(Task::current());
    work.bytes = bytes;
    dumptrail_move(slot.number());
    dumptrail_count(slot.number(), bytes);
    true
}

/// The current process has read another's memory.
#[inline(always)]
pub fn read_memory(slot: Slot, pid: u64, bytes: u64) -> bool {
    memory::of_process(slot, Pid::seen(pid).task(), bytes).is_some_and(|work| take(slot, work, bytes))
}

/// Requests of libaio that are looked at in one call.
const REQUESTS: u64 = 8;

/// The current process submits as many requests as argument 1 says; argument 2 points to their addresses.
#[inline(always)]
pub fn submitted(slot: Slot, call: &Call) {
    let (requests, list) = (call.arg(1), call.arg(2));
    for i in 0..REQUESTS {
        if i >= requests {
            break;
        }
        let request = Request(call.address(list, i));
        if dumptrail_submit(slot.number(), request.0) != 0 {
            handover::counted_at_entry();
            dumptrail_move(slot.number());
            dumptrail_count(slot.number(), request.bytes());
            if fuse::dumptrail_serve(slot.number()) != 0 {
                dumptrail_move(slot.number());
                dumptrail_count(slot.number(), request.bytes());
            }
        }
    }
}

/// Fills the slot with one of them; 0 when it moves nothing marked. What it reads counts when it is submitted: no later
/// call tells of it.
// VERIFIER: see `dumptrail_move`. It is not called from here: up to 6.12 all frames share one stack.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_submit(slot: u32, request: u64) -> i32 {
    let (slot, request) = (Slot::of(slot), Request(request));
    let file = task::current_file(request.descriptor());
    // STACK: one for both directions.
    let op = Op { source: file, sink: file, ..Op::EMPTY };
    let work = match request.direction() {
        Some(Move::Read) => source::of_file(slot, &op, Move::Read),
        Some(_) => leaving(slot, || op),
        None => None,
    };
    let Some(work) = work else { return 0 };
    if work.direction == Move::Read as u8 {
        work.reach(Task::current());
    }
    work.bytes = request.bytes();
    work.pending = 0;
    1
}

/// Messages of one call whose destinations are looked at.
const DESTINATIONS: u64 = 8;
/// Messages of one call whose bytes are counted.
const MESSAGES: u64 = 128;

/// The current process is about to send as many messages as argument 2 says, each of which may name its destination.
#[inline(always)]
pub fn sending(slot: Slot, call: &Call) {
    if marks::of_task(task::tgid()).is_none() {
        return;
    }
    let (file, first, count) = (call.file(0), call.arg(1), call.arg(2));
    for i in 0..DESTINATIONS {
        if i >= count {
            break;
        }
        let message = first.wrapping_add(i * call.messages().0);
        if dumptrail_message(slot.number(), file.0, call.name(message).address()) != 0 {
            dumptrail_move(slot.number());
        }
    }
}

/// It has sent `count` of them.
#[inline(always)]
pub fn sent(slot: Slot, call: &Call, count: u64) {
    if !sink::take_stash(slot, count != 0) {
        return;
    }
    let (file, first) = (call.file(0), call.arg(1));
    let (size, at) = call.messages();
    for i in 0..DESTINATIONS {
        if i >= count {
            break;
        }
        let message = first.wrapping_add(i * size);
        if dumptrail_message(slot.number(), file.0, call.name(message).address()) != 0 {
            // It may have gone elsewhere than it seemed at first: what was gathered went with the one before.
            Work::is_over(slot);
            dumptrail_move(slot.number());
            dumptrail_count(slot.number(), u64::from(read_user::<u32>(message.wrapping_add(at))));
        }
    }
    if count > DESTINATIONS {
        let rest = dumptrail_lengths(first.wrapping_add(DESTINATIONS * size), count - DESTINATIONS, size);
        dumptrail_count(slot.number(), rest);
    }
}

/// The current process has received `count` messages, of which so many are counted elsewhere.
#[inline(always)]
pub fn received(slot: Slot, call: &Call, counted: u64, count: u64) -> bool {
    let (file, size) = (call.file(0), call.messages().0);
    let first = call.arg(1).wrapping_add(counted * size);
    if dumptrail_source(slot.number(), file.0) == 0 {
        return false;
    }
    Work::slot(slot).is_some_and(|work| take(slot, work, dumptrail_lengths(first, count - counted, size)))
}

/// Fills the slot with what is read from a file; 0 when that holds nothing.
// VERIFIER: see `dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_source(slot: u32, file: u64) -> i32 {
    source::of_file(Slot::of(slot), &Op { source: File(file), ..Op::EMPTY }, Move::Read).is_some().into()
}

/// Fills the slot with a message to a destination; 0 when nothing marked leaves by it.
// VERIFIER: see `dumptrail_submit`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_message(slot: u32, file: u64, name: u64) -> i32 {
    let op = || Op { sink: File(file), name: Name::user(name), ..Op::EMPTY };
    leaving(Slot::of(slot), op).is_some().into()
}

/// The bytes of `count` messages, of which each is a `struct mmsghdr` of this size; they stand eight bytes before its end,
/// or four.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_lengths(first: u64, count: u64, size: u64) -> u64 {
    let at = if size == 32 { 28 } else { 56 };
    let mut sum = 0;
    for i in 0..MESSAGES {
        if i >= count {
            break;
        }
        sum += u64::from(read_user::<u32>(first.wrapping_add(i * size).wrapping_add(at)));
    }
    sum
}

/// Bytes are about to move from the current process to an object. The operation is only looked at when the process is
/// marked. True when something is marked now.
#[inline(always)]
pub fn write(slot: Slot, op: impl FnOnce() -> Op) -> bool {
    let Some(work) = leaving(slot, op) else { return false };
    depart(slot);
    work.target != target::NONE
}

/// The movement in the slot, and where its end is a file whose data a process keeps, the one to that.
#[inline(always)]
fn depart(slot: Slot) {
    dumptrail_move(slot.number());
    if fuse::dumptrail_serve(slot.number()) != 0 {
        dumptrail_move(slot.number());
    }
}

/// Fills the slot with what is about to leave the current process.
#[inline(always)]
fn leaving(slot: Slot, op: impl FnOnce() -> Op) -> Option<&'static mut Work> {
    let mark = marks::of_task(task::tgid())?;
    if is_exempt() || is_trusted() {
        return None;
    }
    let op = op();
    let work = Work::begin(slot, op.via, Move::Write)?;
    work.pair.from = CarrierKey::task(task::tgid(), mark.carrier);
    work.set = mark.set;
    sink::of_file(&op, work);
    Some(work)
}

/// Bytes are about to move from an object to an object, through no buffer of the current process.
#[inline(always)]
pub fn transfer(slot: Slot, op: &Op) {
    let Some(work) = source::of_file(slot, op, Move::Transfer) else { return };
    if is_exempt() || is_trusted() {
        return;
    }
    sink::of_file(op, work);
    depart(slot);
}

/// The operation that `write` or `transfer` saw begin has moved `bytes`. False when they saw none.
#[inline(always)]
pub fn finish(slot: Slot, bytes: u64) -> bool {
    let began = sink::take_stash(slot, bytes != 0);
    if began {
        dumptrail_count(slot.number(), bytes);
        if goes_on(slot) {
            dumptrail_count(slot.number(), bytes);
        }
    }
    began
}

/// A transfer of so many bytes is done. One that blocked until a marked writer came was not seen when it began. True when
/// it is counted.
#[inline(always)]
pub fn transferred(slot: Slot, op: impl FnOnce() -> Op, bytes: u64) -> bool {
    if finish(slot, bytes) {
        return true;
    }
    if bytes == 0 {
        return false;
    }
    transfer(slot, &op());
    finish(slot, bytes)
}

/// Turns the pair in the slot into the one that ends at the server of the first one's file. False when it has none.
#[inline(always)]
fn goes_on(slot: Slot) -> bool {
    let Some(work) = Work::slot(slot) else { return false };
    work.pair.to = work.server;
    work.server.generation != 0
}

/// The current process touched an inode.
#[inline(always)]
pub fn touched(slot: Slot, inode: Inode) {
    if task::may_be_dumping() && Task::current().is_dumping() {
        source::touched(slot, inode);
    } else {
        program::touched(slot, inode);
    }
}

/// A file was opened. One that is the master of a new pseudo-terminal has nothing of one that had its addresses before.
#[inline(always)]
pub fn opened(file: File) {
    if file.0 != 0 && file.inode().is_multiplexer() {
        let tty = file.tty();
        let _ = OBJECT.remove(&tty.key());
        let _ = OBJECT.remove(&tty.other().key());
    }
}

/// A file was emptied: what is written to it from now on is other data.
#[inline(always)]
pub fn emptied(slot: Slot, file: File) {
    if file.0 != 0 {
        cleared(slot, file.inode().real());
    }
}

/// An inode that holds data has none any more; unless somebody has written since.
#[inline(always)]
pub fn cleared(slot: Slot, inode: Inode) {
    if inode.kind() != Kind::Regular || inode.size() != 0 {
        return;
    }
    let key = inode.own_key();
    // SAFETY: the value is not used.
    if unsafe { FILE.get(&key) }.is_some() && FILE.remove(&key).is_ok() {
        emit::truncate(slot, &key);
    }
}

/// The current process maps a file: taken as a read of all that is mapped; a shared writable mapping also as a write.
#[inline(always)]
pub fn mapped(slot: Slot, file: File, bytes: u64, protection: u64, flags: u64) -> bool {
    let op = Op { source: file, sink: file, via: Via::Mmap, bytes, ..Op::EMPTY };
    let read = read(slot, &op);
    let written = flags & MAP_SHARED != 0 && protection & PROT_WRITE != 0 && write(slot, || op);
    if written {
        finish(slot, bytes);
    }
    read || written
}

const MAP_SHARED: u64 = 1;
const PROT_WRITE: u64 = 2;

/// An io_uring request is about to be issued.
#[inline(always)]
pub fn began(slot: Slot, opcode: u8, file: File) {
    if flow::uring(opcode).sink != flow::NONE {
        write(slot, || Op { sink: file, via: Via::IoUring, ..Op::EMPTY });
    }
}

/// An io_uring request is done. A sink is marked here too: of a fixed file nothing is heard before.
#[inline(always)]
pub fn completed(slot: Slot, opcode: u8, file: File, result: i32) {
    let row = flow::uring(opcode);
    if result <= 0 || file.0 == 0 {
        return;
    }
    let op = Op { source: file, sink: file, via: Via::IoUring, bytes: result as u64, ..Op::EMPTY };
    if row.source != flow::NONE {
        read(slot, &op);
    } else if row.sink != flow::NONE {
        write(slot, || op);
        finish(slot, op.bytes);
    }
}

/// Tells of what is in a slot, once for its pair and a digest; with flags 0 again.
#[inline(always)]
fn tell(slot: Slot, work: &mut Work, digest: u64, flags: u64) {
    work.room.edge = EdgeKey { pair: work.pair, digest };
    match EDGE.insert(&work.room.edge, &0, flags) {
        Ok(()) => {
            if !emit::edge(slot, work) {
                let _ = EDGE.remove(&work.room.edge);
            }
        }
        Err(EEXIST) => {}
        Err(_) => stats::fault(Fault::EdgeMapFull),
    }
}

/// Reports the movement in a slot once for each set of colours, then sets the mark.
// VERIFIER: exported and not inlined, so that it is a global function that the verifier visits once a program, not once
// a path. It takes numbers only, as 5.10 wants.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_move(slot: u32) -> i32 {
    let Some(work) = Work::slot(Slot::of(slot)) else { return 0 };
    if work.target == target::NONE {
        return 0;
    }
    // What was emptied and is written again is another file to whoever has been told.
    // SAFETY: the value is not used.
    let anew = work.target == target::FILE && unsafe { FILE.get(&work.pair.to) }.is_none();
    tell(Slot::of(slot), work, work.set.digest(), if anew { 0 } else { NOEXIST });
    if work.pending != 0 {
        sink::stash(work);
    }
    marks::dumptrail_mark(slot)
}

/// Adds to what moved between the two carriers in a slot, and hints to the agent when that passes 4 KiB,
/// 64 KiB, 1 MiB, …
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_count(slot: u32, bytes: u64) -> i32 {
    let Some(work) = Work::slot(Slot::of(slot)) else { return 0 };
    let pair = &work.pair;
    if PAIR.get_ptr_mut(pair).is_none() && PAIR.insert(pair, &PairBytes::default(), NOEXIST) == Err(E2BIG) {
        stats::fault(Fault::PairMapFull);
    }
    let Some(value) = PAIR.get_ptr_mut(pair) else { return 0 };
    // SAFETY: points into a map value; the words are only added to atomically, the time is written whole.
    let (before, ops) = unsafe {
        let before = (*value).bytes;
        stats::add(&raw mut (*value).bytes, bytes);
        stats::add(&raw mut (*value).ops, 1);
        (*value).last_ns = now();
        (before, (*value).ops)
    };
    let after = before.wrapping_add(bytes);
    if passes(before, after) {
        emit::grow(Slot::of(slot), pair, after, ops);
    }
    0
}

/// True when a power of 16 from 4 KiB to 4 GiB lies between the two.
#[inline(always)]
fn passes(before: u64, after: u64) -> bool {
    [12, 16, 20, 24, 28, 32].into_iter().any(|shift| before >> shift == 0 && after >> shift != 0)
}

/// `BPF_NOEXIST`: the insertion elects one winner.
pub const NOEXIST: u64 = 1;
/// The insertion lost.
pub const EEXIST: i32 = -17;
/// The map is full.
pub const E2BIG: i32 = -7;
