//! Pipes and FIFOs. Flow hooks. A reader that blocks is seen when it has got something; a writer was seen when it began
//! (`file::verified`).

use aya_ebpf::{macros::fexit, programs::FExitContext};

use crate::{engine::below, hooks::slots, kernel::file::request_file};

/// `pipe_read(struct kiocb *iocb, struct iov_iter *to)`; 6.15 and later `anon_pipe_read`.
#[fexit]
fn pipe_drained(ctx: FExitContext) -> i32 {
    below::drained(slots::PIPE_DRAINED, request_file(ctx.arg(0)), ctx.arg(2));
    0
}

/// `fifo_pipe_read(struct kiocb *iocb, struct iov_iter *to)`, 6.15 and later.
#[fexit]
fn fifo_drained(ctx: FExitContext) -> i32 {
    below::received(slots::FIFO_DRAINED, request_file(ctx.arg(0)), ctx.arg(2));
    0
}

/// `pipe_write(struct kiocb *iocb, struct iov_iter *from)`; 6.15 and later `anon_pipe_write`.
#[fexit]
fn pipe_filled(ctx: FExitContext) -> i32 {
    below::written(slots::PIPE_FILLED, ctx.arg(2));
    0
}

/// `fifo_pipe_write(struct kiocb *iocb, struct iov_iter *from)`, 6.15 and later.
#[fexit]
fn fifo_filled(ctx: FExitContext) -> i32 {
    below::written(slots::FIFO_FILLED, ctx.arg(2));
    0
}
