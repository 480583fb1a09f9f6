//! System calls. Flow hooks: attached only while something is marked. Sinks are marked at entry, sources checked at
//! exit; `sensor_abi::flow` says which argument is which.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use sensor_abi::flow::{NONE, O_TRUNC, Row, Shape, Via, syscall};

use crate::{
    engine::{self, Op},
    hooks::slots,
    kernel::{
        file::File,
        regs::Regs,
        sock::{Name, message_name},
        task::{current_file, is_compat},
    },
};

const FICLONE: u64 = 0x4004_9409;
const MAP_ANONYMOUS: u64 = 0x20;
/// Results from here on are error codes.
const ERRORS: u64 = u64::MAX - 4095;

/// `sys_enter(struct pt_regs *regs, long id)`, 5.10 to 7.2.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn entered(ctx: RawTracePointContext) -> i32 {
    // Its number is another table's.
    if is_compat() {
        engine::unknown_abi();
        return 0;
    }
    let row = syscall(ctx.arg(1));
    if row.sink == NONE {
        return 0;
    }
    let regs = Regs(ctx.arg(0));
    if row.source == NONE {
        engine::write(slots::ENTERED, || sink(&row, regs));
    } else if row.shape != Shape::Clone || regs.arg(1) == FICLONE {
        engine::transfer(slots::ENTERED, &both(&row, regs));
    }
    0
}

/// `sys_exit(struct pt_regs *regs, long ret)`, 5.10 to 7.2.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn returned(ctx: RawTracePointContext) -> i32 {
    let regs = Regs(ctx.arg(0));
    let row = syscall(regs.number());
    if row.source == NONE && row.sink == NONE || is_compat() {
        return 0;
    }
    let result: u64 = ctx.arg(1);
    if row.shape == Shape::Map {
        mapped(regs, result);
    } else if row.via == Via::Name {
        opened(&row, regs, result);
    } else if row.sink != NONE {
        engine::finish(slots::RETURNED, if result < ERRORS { result } else { 0 });
    } else if result != 0 && result < ERRORS {
        engine::read(slots::RETURNED, &Op { source: current_file(regs.arg(0) as u32), bytes: result, ..EMPTY });
    }
    0
}

const EMPTY: Op = Op { source: File(0), sink: File(0), via: Via::File, bytes: 0, name: Name::NONE };

#[inline(always)]
fn mapped(regs: Regs, result: u64) {
    let flags = regs.arg(3);
    if result >= ERRORS || flags & MAP_ANONYMOUS != 0 {
        return;
    }
    engine::mapped(slots::RETURNED, current_file(regs.arg(4) as u32), regs.arg(1), regs.arg(2), flags);
}

/// Opening with `O_TRUNC`, or cutting to nothing, empties a file.
#[inline(always)]
fn opened(row: &Row, regs: Regs, result: u64) {
    if row.shape == Shape::Open && result < ERRORS && regs.arg(row.source) & O_TRUNC != 0 {
        engine::emptied(slots::RETURNED, current_file(result as u32));
    } else if row.shape == Shape::Truncate && result == 0 && regs.arg(1) == 0 {
        engine::emptied(slots::RETURNED, current_file(regs.arg(0) as u32));
    }
}

#[inline(always)]
fn sink(row: &Row, regs: Regs) -> Op {
    let name = match row.shape {
        Shape::Address => Name::user(regs.arg(4)),
        Shape::Message => message_name(regs.arg(1)),
        _ => Name::NONE,
    };
    Op { sink: current_file(regs.arg(0) as u32), via: row.via, name, ..EMPTY }
}

#[inline(always)]
fn both(row: &Row, regs: Regs) -> Op {
    Op {
        source: current_file(regs.arg(row.source) as u32),
        sink: current_file(regs.arg(row.sink) as u32),
        via: row.via,
        ..EMPTY
    }
}
