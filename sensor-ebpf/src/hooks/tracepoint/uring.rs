//! io_uring: bytes move without a system call that names a descriptor. Flow hooks. Every mode runs in threads of the
//! process that owns the ring, so that `current` is the process.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    engine,
    hooks::slots,
    kernel::{task::current_file, uring::Request},
};

/// `io_uring_file_get(struct io_kiocb *req, int fd)`, 5.19 and later: before the bytes move; not called for fixed files.
#[raw_tracepoint(tracepoint = "io_uring_file_get")]
fn uring_began(ctx: RawTracePointContext) -> i32 {
    engine::began(slots::URING_BEGAN, Request(ctx.arg(0)).opcode(), current_file(ctx.arg(1)));
    0
}

/// `io_uring_complete(struct io_ring_ctx *ctx, void *req, struct io_uring_cqe *cqe)`, 6.13 and later; in all modes.
#[raw_tracepoint(tracepoint = "io_uring_complete")]
fn uring_done(ctx: RawTracePointContext) -> i32 {
    let request = Request(ctx.arg(1));
    engine::completed(slots::URING_DONE, request.opcode(), request.file(), Request::result(ctx.arg(2)));
    0
}
