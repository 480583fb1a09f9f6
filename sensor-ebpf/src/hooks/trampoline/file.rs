//! Regular files, and what pipes have in common with them. Flow hooks.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    engine::below,
    hooks::slots,
    kernel::{
        argument,
        file::{Dentry, File, Mapping},
    },
};

/// `rw_verify_area(int read_write, struct file *file, const loff_t *ppos, size_t count)`: below read(2), write(2) and their
/// families, io_uring in all its modes and libaio, before the bytes move.
// STACK: without a frame of its own below the one that the macro makes.
#[fentry]
#[inline(always)]
fn verified(ctx: FEntryContext) -> i32 {
    let number = |n| argument(ctx.as_ptr(), n);
    below::verified(slots::VERIFIED, ctx.arg(0), File(ctx.arg(1)), ctx.arg(3), number);
    0
}

/// `security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)`; without a file for memory.
#[fentry]
fn mapping(ctx: FEntryContext) -> i32 {
    let file = (File(ctx.arg(0)), argument(ctx.as_ptr(), 0));
    below::mapping(slots::MAPPING, file, ctx.arg(1), ctx.arg(2));
    0
}

/// `security_file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`: a mapping that was made
/// for reading may become one for writing.
#[fentry]
fn protecting(ctx: FEntryContext) -> i32 {
    below::protecting(slots::PROTECTING, Mapping(ctx.arg(0)), ctx.arg(2));
    0
}

/// `do_truncate(struct dentry *dentry, loff_t length, unsigned int time_attrs, struct file *filp)`, before 5.12: truncate(2),
/// ftruncate(2), and every way to open with `O_TRUNC`.
#[fexit]
fn truncated(ctx: FExitContext) -> i32 {
    below::truncated(slots::TRUNCATED, Dentry(ctx.arg(0)).inode(), ctx.arg(1), ctx.arg(4));
    0
}

/// `do_truncate(struct mnt_idmap *idmap, struct dentry *dentry, …)`, 6.3 and later; from 5.12 on `struct user_namespace *`.
#[fexit]
fn truncated_mapped(ctx: FExitContext) -> i32 {
    below::truncated(slots::TRUNCATED_MAPPED, Dentry(ctx.arg(1)).inode(), ctx.arg(2), ctx.arg(5));
    0
}
