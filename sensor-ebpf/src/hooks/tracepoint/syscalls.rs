//! System calls. Flow hooks: attached only while something is marked. Sinks are marked at entry, sources checked at
//! exit; `sensor_abi::flow` says which argument is which.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use sensor_abi::flow::{NONE, O_TRUNC, Row, Shape, Via, syscall};

use crate::{
    engine::{self, Op},
    hooks::slots,
    kernel::{
        ipc::segment,
        pid::Pid,
        read_user,
        regs::Regs,
        sock::{Name, message_name},
        task::{current_file, is_compat},
    },
};

const FICLONE: u64 = 0x4004_9409;
const MAP_ANONYMOUS: u64 = 0x20;
const SHM_RDONLY: u64 = 0o10000;
/// `PROT_READ` and `PROT_WRITE`; a segment is shared by nature.
const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
const MAP_SHARED: u64 = 1;
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
    if row.shape == Shape::Submit {
        engine::submitted(slots::ENTERED, regs.arg(1), regs.arg(2));
    } else if row.source == NONE {
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
    } else if row.shape == Shape::Attach {
        attached(regs, result);
    } else if row.shape == Shape::Process && row.source != NONE {
        engine::read_memory(slots::RETURNED, regs.arg(0), if result < ERRORS { result } else { 0 });
    } else if row.via == Via::Name {
        opened(&row, regs, result);
    } else if row.sink != NONE {
        engine::finish(slots::RETURNED, if result < ERRORS { result } else { 0 });
    } else if result != 0 && result < ERRORS {
        engine::read(slots::RETURNED, &Op { source: current_file(regs.arg(0) as u32), bytes: result, ..Op::EMPTY });
    }
    0
}

#[inline(always)]
fn mapped(regs: Regs, result: u64) {
    let flags = regs.arg(3);
    if result >= ERRORS || flags & MAP_ANONYMOUS != 0 {
        return;
    }
    engine::mapped(slots::RETURNED, current_file(regs.arg(4) as u32), regs.arg(1), regs.arg(2), flags);
}

/// Attaching a segment is mapping all of the file that it lies in.
#[inline(always)]
fn attached(regs: Regs, result: u64) {
    if result < ERRORS {
        let file = segment(regs.arg(0));
        let protection = if regs.arg(2) & SHM_RDONLY == 0 { PROT_READ | PROT_WRITE } else { PROT_READ };
        engine::mapped(slots::RETURNED, file, file.inode().size(), protection, MAP_SHARED);
    }
}

/// Opening with `O_TRUNC`, or cutting to nothing, empties a file.
#[inline(always)]
fn opened(row: &Row, regs: Regs, result: u64) {
    let flags = match row.shape {
        Shape::Open => regs.arg(row.source),
        Shape::Open2 => read_user(regs.arg(row.source)),
        Shape::Create => O_TRUNC,
        _ => 0,
    };
    if flags & O_TRUNC != 0 && result < ERRORS {
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
    if row.shape == Shape::Process {
        return Op { process: Pid::seen(regs.arg(0)).task(), via: row.via, ..Op::EMPTY };
    }
    Op { sink: current_file(regs.arg(0) as u32), via: row.via, name, ..Op::EMPTY }
}

#[inline(always)]
fn both(row: &Row, regs: Regs) -> Op {
    Op {
        source: current_file(regs.arg(row.source) as u32),
        sink: current_file(regs.arg(row.sink) as u32),
        via: row.via,
        ..Op::EMPTY
    }
}
