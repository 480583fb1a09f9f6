//! System calls. Flow hooks: attached only while something is marked. Sinks are marked at entry, sources checked at
//! exit; `sensor_abi::flow` says which argument is which.
//!
//! Each program has a twin, for kernels that preempt programs: one that was preempted is not run again on that CPU before it
//! has ended, which may be many calls of other processes later. The twin does the same where the first did not run: where it left
//! no stash, and of what is read no word.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use sensor_abi::flow::{FICLONE, MOVERS, NONE, Numbers, O_TRUNC, Row, SINKS, Shape, Via, is_clone, syscall};

use crate::{
    engine::{self, Op, opening, sink, work::Slot},
    hooks::slots,
    kernel::{
        file::File,
        ipc::{Queue, segment},
        pid::Pid,
        read_user,
        regs::{Call, Regs},
        sock::{Name, ZEROCOPY_RECEIVE, zero_copied},
    },
};

const MAP_ANONYMOUS: u64 = 0x20;
const O_ACCMODE: u64 = 3;
const O_RDWR: u64 = 2;
const O_WRONLY: u64 = 1;
const O_PATH: u64 = 0o10_000_000;
const SHM_RDONLY: u64 = 0o10000;
/// `PROT_READ` and `PROT_WRITE`; a segment is shared by nature.
const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
const MAP_SHARED: u64 = 1;
/// Results from here on are error codes.
const ERRORS: u64 = u64::MAX - 4095;

/// What most calls are told by, before anything is asked about them.
static INTO: Numbers = SINKS;
static ANY: Numbers = MOVERS;

/// `sys_enter(struct pt_regs *regs, long id)`, 5.10 to 7.2.
#[btf_tracepoint(function = "sys_enter")]
fn entered(ctx: BtfTracePointContext) -> i32 {
    enter::<false>(slots::ENTERED, &ctx);
    0
}

/// Behind `entered`.
#[btf_tracepoint(function = "sys_enter")]
fn entered_again(ctx: BtfTracePointContext) -> i32 {
    enter::<true>(slots::ENTERED_AGAIN, &ctx);
    0
}

/// `sys_exit(struct pt_regs *regs, long ret)`, 5.10 to 7.2.
#[btf_tracepoint(function = "sys_exit")]
fn returned(ctx: BtfTracePointContext) -> i32 {
    if leave::<false>(slots::RETURNED, &ctx) {
        sink::tell_twin(slots::RETURNED);
    }
    0
}

/// Behind `returned`.
#[btf_tracepoint(function = "sys_exit")]
fn returned_again(ctx: BtfTracePointContext) -> i32 {
    leave::<true>(slots::RETURNED_AGAIN, &ctx);
    0
}

/// Requests of libaio are counted when they begin, so a twin leaves them alone.
// STACK: by a constant, so that each program has closures of its own: what is called twice is not inlined.
#[inline(always)]
fn enter<const AGAIN: bool>(slot: Slot, ctx: &BtfTracePointContext) {
    let number = ctx.arg(1);
    if !INTO.may_have(number) {
        return;
    }
    let call = Call::of(Regs::argument(ctx.arg(0)), number);
    let row = syscall(call.number);
    if row.sink == NONE {
        return;
    }
    if AGAIN && (row.shape == Shape::Submit || sink::is_stashed()) {
        return;
    }
    if row.shape == Shape::Submit {
        engine::submitted(slot, &call);
    } else if row.shape == Shape::Messages {
        engine::sending(slot, &call);
    } else if row.source == NONE {
        engine::write(slot, || sink_of(&row, &call));
    } else if row.shape != Shape::Clone || is_clone(call.arg(1)) {
        engine::transfer(slot, &both(&row, &call));
    }
}

/// True when something was read or transferred, and counted.
#[inline(always)]
fn leave<const AGAIN: bool>(slot: Slot, ctx: &BtfTracePointContext) -> bool {
    let regs = Regs::argument(ctx.arg(0));
    let number = regs.number();
    if !ANY.may_have(number) {
        return false;
    }
    let call = Call::of(regs, number);
    let row = syscall(call.number);
    if row.source == NONE && row.sink == NONE || AGAIN && sink::was_told() {
        return false;
    }
    let result: u64 = ctx.arg(1);
    let moved = match row.shape {
        Shape::Option => taken(&call, result),
        _ if result < ERRORS => result,
        _ => 0,
    };
    if row.shape == Shape::Map || row.shape == Shape::Attach {
        return mapped(slot, &row, &call, result);
    }
    if row.shape == Shape::Process && row.source != NONE {
        return engine::read_memory(slot, call.arg(0), moved);
    }
    if row.via == Via::Name {
        opened(slot, &row, &call, result);
    } else if row.shape == Shape::Messages {
        return messages(slot, &row, &call, moved);
    } else if row.sink != NONE && !takes_pages(&row, &call) {
        let bytes = if row.shape == Shape::Clone && result == 0 { cloned(&call) } else { moved };
        let bytes = if row.shape == Shape::Queue && result == 0 { call.arg(2) } else { bytes };
        if row.source == NONE || row.shape == Shape::Clone {
            engine::finish(slot, bytes);
        } else {
            return engine::transferred(slot, || both(&row, &call), bytes);
        }
    } else if moved != 0 {
        return engine::read_by_call(slot, &source(&row, &call, moved));
    }
    false
}

/// Attaching a segment is mapping all of the file that it lies in.
#[inline(always)]
fn mapped(slot: Slot, row: &Row, call: &Call, result: u64) -> bool {
    let flags = call.arg(3);
    if result >= ERRORS || row.shape == Shape::Map && flags & MAP_ANONYMOUS != 0 {
        return false;
    }
    let (file, bytes, protection, flags) = if row.shape == Shape::Map {
        (call.file(4), call.arg(1), call.arg(2), flags)
    } else {
        let file = segment(call.arg(0));
        let protection = if call.arg(2) & SHM_RDONLY == 0 { PROT_READ | PROT_WRITE } else { PROT_READ };
        (file, file.inode().size(), protection, MAP_SHARED)
    };
    engine::mapped(slot, file, bytes, protection, flags)
}

/// A terminal is opened for both ways. Opening with `O_TRUNC`, or cutting to nothing, empties a file.
#[inline(always)]
fn opened(slot: Slot, row: &Row, call: &Call, result: u64) {
    let flags = match row.shape {
        Shape::Open => call.arg(row.source),
        Shape::Open2 => read_user(call.arg(row.source)),
        Shape::Create => O_TRUNC,
        _ => 0,
    };
    if flags & O_ACCMODE == O_RDWR && result < ERRORS {
        engine::opened(call.file_of(result));
    }
    // Whose data goes at once is not opened for what it holds.
    if flags & (O_PATH | O_TRUNC) == 0
        && flags & O_ACCMODE != O_WRONLY
        && row.shape != Shape::Truncate
        && result < ERRORS
    {
        opening::opens(slot, call.file_of(result));
    }
    // `O_PATH` leaves out everything else (`build_open_how`).
    if flags & (O_PATH | O_TRUNC) == O_TRUNC && result < ERRORS {
        engine::emptied(slot, call.file_of(result));
    } else if row.shape == Shape::Truncate && result == 0 && call.wide(1) == 0 {
        engine::emptied(slot, call.file(0));
    }
}

#[inline(always)]
fn messages(slot: Slot, row: &Row, call: &Call, count: u64) -> bool {
    if row.sink != NONE {
        engine::sent(slot, call, count);
        return false;
    }
    count != 0 && engine::received(slot, call, 0, count)
}

/// What getsockopt(2) has received.
#[inline(always)]
fn taken(call: &Call, result: u64) -> u64 {
    let option = (call.arg(1) as u32, call.arg(2) as u32);
    if result == 0 && option == ZEROCOPY_RECEIVE { zero_copied(call.arg(3)) } else { 0 }
}

#[inline(always)]
fn source(row: &Row, call: &Call, bytes: u64) -> Op {
    let via = row.via;
    if row.shape == Shape::Queue {
        return Op { queue: Queue::seen(call.arg(0)), via, bytes, ..Op::EMPTY };
    }
    Op { source: call.file(0), via, bytes, ..Op::EMPTY }
}

#[inline(always)]
fn sink_of(row: &Row, call: &Call) -> Op {
    let name = match row.shape {
        Shape::Address if call.arg(5) as u32 != 0 => Name::user(call.arg(4)),
        Shape::Message => call.name(call.arg(1)),
        _ => Name::NONE,
    };
    if row.shape == Shape::Process {
        return Op { process: Pid::seen(call.arg(0)).task(), via: row.via, ..Op::EMPTY };
    }
    if row.shape == Shape::Queue {
        return Op { queue: Queue::seen(call.arg(0)), via: row.via, ..Op::EMPTY };
    }
    if takes_pages(row, call) {
        return Op::EMPTY;
    }
    Op { sink: call.file(0), via: row.via, name, ..Op::EMPTY }
}

/// vmsplice(2) at the end of a pipe that bytes come out of.
#[inline(always)]
fn takes_pages(row: &Row, call: &Call) -> bool {
    row.shape == Shape::Pages && call.file(0).is_only_read()
}

#[inline(always)]
fn both(row: &Row, call: &Call) -> Op {
    let source = if row.shape == Shape::Clone { cloned_from(call) } else { call.file(row.source) };
    Op { source, sink: call.file(row.sink), via: row.via, ..Op::EMPTY }
}

/// The file of which `FICLONE` shares all, `FICLONERANGE` a part.
#[inline(always)]
fn cloned_from(call: &Call) -> File {
    let given = call.arg(2);
    let descriptor: u64 = if call.arg(1) as u32 == FICLONE { given } else { read_user(given) };
    call.file_of(descriptor)
}

/// How much that is; a length of 0 means up to the end.
#[inline(always)]
fn cloned(call: &Call) -> u64 {
    let length: u64 = if call.arg(1) as u32 == FICLONE { 0 } else { read_user(call.arg(2).wrapping_add(16)) };
    if length != 0 { length } else { cloned_from(call).inode().size() }
}
