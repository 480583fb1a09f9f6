//! The hand-over from system calls to functions: attached only while it lasts, around the programs of `syscalls.rs`.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{engine::handover, kernel::regs::Regs};

/// `sys_enter(struct pt_regs *regs, long id)`, before `entered`.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn call_began(ctx: RawTracePointContext) -> i32 {
    handover::began(Regs::at(ctx.arg(0)), ctx.arg(1));
    0
}

/// `sys_exit(struct pt_regs *regs, long ret)`, after `returned`.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn call_ended(_ctx: RawTracePointContext) -> i32 {
    handover::ended();
    0
}
