//! File systems in user space. Watch hooks: what is born there changes no inode that the kernel tells of.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{engine::fuse, hooks::slots, kernel::fuse::Request};

/// `fuse_request_send(const struct fuse_req *req)`, 6.11 and later: in the call that asks, before the server knows.
#[raw_tracepoint(tracepoint = "fuse_request_send")]
fn asked(ctx: RawTracePointContext) -> i32 {
    fuse::asked(slots::ASKED, Request(ctx.arg(0)));
    0
}

/// `fuse_request_end(const struct fuse_req *req)`, 6.11 and later: in the server's own call, before the reader wakes.
#[raw_tracepoint(tracepoint = "fuse_request_end")]
fn answered(ctx: RawTracePointContext) -> i32 {
    fuse::answered(slots::ANSWERED, Request(ctx.arg(0)));
    0
}
