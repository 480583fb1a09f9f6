//! File systems in user space. Flow hooks.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{engine::fuse, hooks::slots, kernel::fuse::Request};

/// `fuse_request_end(const struct fuse_req *req)`, 6.11 and later: in the server's own call, before the reader wakes.
#[raw_tracepoint(tracepoint = "fuse_request_end")]
fn answered(ctx: RawTracePointContext) -> i32 {
    fuse::answered(slots::ANSWERED, Request(ctx.arg(0)));
    0
}
