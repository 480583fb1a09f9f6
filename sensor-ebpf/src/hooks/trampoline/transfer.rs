//! From object to object, through no buffer of the process. Flow hooks.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use sensor_abi::flow::Via;

use crate::{
    engine::{self, Op, below},
    hooks::slots,
    kernel::{
        file::File,
        regs::{Call, Regs},
        task::current_file,
    },
};

const fn op(source: File, sink: File, via: Via) -> Op {
    Op { source, sink, via, ..Op::EMPTY }
}

/// `do_sendfile(int out_fd, int in_fd, loff_t *ppos, size_t count, loff_t max)`
#[fentry]
fn sendfile_began(ctx: FEntryContext) -> i32 {
    below::transferring(slots::SENDFILE_BEGAN, &op(current_file(ctx.arg(1)), current_file(ctx.arg(0)), Via::Sendfile));
    0
}

/// See `sendfile_began`.
#[fexit]
fn sendfile_ended(ctx: FExitContext) -> i32 {
    let source = current_file(ctx.arg(1));
    below::file_sent(slots::SENDFILE_ENDED, source, || current_file(ctx.arg(0)), ctx.arg(5));
    0
}

/// `do_splice(struct file *in, loff_t *off_in, struct file *out, loff_t *off_out, size_t len, unsigned int flags)`
#[fentry]
fn splice_began(ctx: FEntryContext) -> i32 {
    below::transferring(slots::SPLICE_BEGAN, &op(File(ctx.arg(0)), File(ctx.arg(2)), Via::Splice));
    0
}

/// See `splice_began`.
#[fexit]
fn splice_ended(ctx: FExitContext) -> i32 {
    below::transferred(slots::SPLICE_ENDED, &op(File(ctx.arg(0)), File(ctx.arg(2)), Via::Splice), ctx.arg(6));
    0
}

/// `do_tee(struct file *in, struct file *out, size_t len, unsigned int flags)`
#[fentry]
fn tee_began(ctx: FEntryContext) -> i32 {
    engine::transfer(slots::TEE_BEGAN, &op(File(ctx.arg(0)), File(ctx.arg(1)), Via::Splice));
    0
}

/// See `tee_began`.
#[fexit]
fn tee_ended(ctx: FExitContext) -> i32 {
    below::transferred(slots::TEE_ENDED, &op(File(ctx.arg(0)), File(ctx.arg(1)), Via::Splice), ctx.arg(4));
    0
}

/// `vfs_copy_file_range(struct file *file_in, loff_t pos_in, struct file *file_out, loff_t pos_out, size_t len, unsigned int
/// flags)`
#[fentry]
fn copy_began(ctx: FEntryContext) -> i32 {
    engine::transfer(slots::COPY_BEGAN, &op(File(ctx.arg(0)), File(ctx.arg(2)), Via::Copy));
    0
}

/// See `copy_began`.
#[fexit]
fn copy_ended(ctx: FExitContext) -> i32 {
    below::ended(slots::COPY_ENDED, ctx.arg(6));
    0
}

/// `vfs_clone_file_range(struct file *file_in, loff_t pos_in, struct file *file_out, loff_t pos_out, loff_t len, unsigned int
/// flags)`: `FICLONE` and `FICLONERANGE`.
#[fentry]
fn clone_began(ctx: FEntryContext) -> i32 {
    engine::transfer(slots::CLONE_BEGAN, &op(File(ctx.arg(0)), File(ctx.arg(2)), Via::Copy));
    0
}

/// See `clone_began`.
#[fexit]
fn clone_ended(ctx: FExitContext) -> i32 {
    below::ended(slots::CLONE_ENDED, ctx.arg(6));
    0
}

/// `__ia32_sys_vmsplice(const struct pt_regs *regs)`: as below, by the 32-bit entry.
#[fentry]
fn narrow_vmsplice_began(_: FEntryContext) -> i32 {
    below::giving_pages(slots::NARROW_VMSPLICE_BEGAN, Call::current().file(0));
    0
}

/// See `narrow_vmsplice_began`.
#[fexit]
fn narrow_vmsplice_ended(ctx: FExitContext) -> i32 {
    below::moved_pages(slots::NARROW_VMSPLICE_ENDED, Call::current().file(0), ctx.arg(1));
    0
}

/// `__x64_sys_vmsplice(const struct pt_regs *regs)`: from memory to a pipe, or back.
#[fentry]
fn vmsplice_began(ctx: FEntryContext) -> i32 {
    below::giving_pages(slots::VMSPLICE_BEGAN, current_file(Regs::at(ctx.arg(0)).arg(0) as u32));
    0
}

/// See `vmsplice_began`.
#[fexit]
fn vmsplice_ended(ctx: FExitContext) -> i32 {
    let pipe = current_file(Regs::at(ctx.arg(0)).arg(0) as u32);
    below::moved_pages(slots::VMSPLICE_ENDED, pipe, ctx.arg(1));
    0
}
