//! Births. Watch hooks: rare events, of which most are looked at and let go. What writes to files runs the first two.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    engine::{self, life, source},
    hooks::slots,
    kernel::{file::Inode, read, sock::Sock},
};

/// `writeback_mark_inode_dirty(struct inode *inode, int flags)`, 5.10 to 7.2.
#[raw_tracepoint(tracepoint = "writeback_mark_inode_dirty")]
fn inode_dirtied(ctx: RawTracePointContext) -> i32 {
    engine::touched(slots::INODE_DIRTIED, Inode(ctx.arg(0)));
    0
}

/// `ctime_ns_xchg(struct inode *inode, u32 old, u32 new, u32 cur)`, 6.13 and later: sees tmpfs, which the other does not.
#[raw_tracepoint(tracepoint = "ctime_ns_xchg")]
fn ctime_changed(ctx: RawTracePointContext) -> i32 {
    engine::touched(slots::CTIME_CHANGED, Inode(ctx.arg(0)));
    0
}

/// `sock_send_length(struct sock *sk, int ret, int flags)`, 6.4 and later.
#[raw_tracepoint(tracepoint = "sock_send_length")]
fn core_sent(ctx: RawTracePointContext) -> i32 {
    source::core_sent(slots::CORE_SENT, Sock(ctx.arg(0)));
    0
}

/// `signal_deliver(int sig, struct kernel_siginfo *info, struct k_sigaction *ka)`, 5.10 to 7.2.
#[raw_tracepoint(tracepoint = "signal_deliver")]
fn signalled(ctx: RawTracePointContext) -> i32 {
    // `sa.sa_handler` is the first member of both structs.
    life::signalled(slots::SIGNALLED, ctx.arg(0), read(ctx.arg(2), 0));
    0
}
