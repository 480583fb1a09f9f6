//! Programs that the agent runs itself by `BPF_PROG_TEST_RUN`. They are attached to nothing.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::engine::reap::{self, Question};

/// Arguments: class, object, fingerprint, inode number. Answer: 0 alive, 1 dead, 2 unknown.
#[raw_tracepoint]
fn reap(ctx: RawTracePointContext) -> i32 {
    reap::ask(&Question { class: ctx.arg(0), object: ctx.arg(1), fingerprint: ctx.arg(2), ino: ctx.arg(3) })
}

/// Arguments: descriptor, dump number (0: a trusted executable). Answer: 1 done, 0 was marked before, 2 no regular file.
#[raw_tracepoint]
fn seed(ctx: RawTracePointContext) -> i32 {
    reap::seed(ctx.arg(0), ctx.arg(1))
}
