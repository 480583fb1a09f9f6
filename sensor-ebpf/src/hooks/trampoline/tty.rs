//! Terminals. Flow hooks. A writer was seen when it began (`file::verified`).

use aya_ebpf::{macros::fexit, programs::FExitContext};

use crate::{
    engine::{self, below},
    hooks::slots,
    kernel::file::{File, request_file},
};

/// `tty_read(struct kiocb *iocb, struct iov_iter *to)`, 5.11 and later, and in stable releases of 5.10.
#[fexit]
fn tty_drained(ctx: FExitContext) -> i32 {
    below::received(slots::TTY_DRAINED, request_file(ctx.arg(0)), ctx.arg(2));
    0
}

/// `tty_write(struct kiocb *iocb, struct iov_iter *from)`, as above.
#[fexit]
fn tty_filled(ctx: FExitContext) -> i32 {
    below::written(slots::TTY_FILLED, ctx.arg(2));
    0
}

/// `ptmx_open(struct inode *inode, struct file *filp)`: a new pseudo-terminal.
#[fexit]
fn ptmx_opened(ctx: FExitContext) -> i32 {
    engine::opened(File(ctx.arg(1)));
    0
}
