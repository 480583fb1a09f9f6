//! Processes. Watch hooks.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{engine::life, hooks::slots, kernel::task::Task};

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, 5.10 to 7.2; before the child runs.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn forked(ctx: RawTracePointContext) -> i32 {
    life::forked(slots::FORKED, Task(ctx.arg(0)), Task(ctx.arg(1)));
    0
}

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, 5.10 to 7.2.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn executed(_ctx: RawTracePointContext) -> i32 {
    life::executed(slots::EXECUTED, slots::SCAN);
    0
}

/// `sched_process_exit(struct task_struct *p[, bool group_dead])`, 5.10 to 7.2; every thread, before its files close.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn exited(_ctx: RawTracePointContext) -> i32 {
    life::exited(slots::EXITED);
    0
}
