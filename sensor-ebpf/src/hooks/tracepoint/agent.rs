//! Programs that the agent runs itself by `BPF_PROG_TEST_RUN`. They are attached to nothing.
//!
//! Their result is the answer, so they are written out: aya's macro drops what its function returns and makes it 0.

use core::ffi::c_void;

use aya_ebpf::programs::RawTracePointContext;

use crate::{
    engine::{
        found, handover,
        reap::{self, Question},
    },
    hooks::slots,
};

/// Arguments: class, object, fingerprint, inode number. Answer: 0 alive, 1 dead, 2 unknown.
// SAFETY: a program of the loader's kind `raw_tp`; nothing else has the name.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
extern "C" fn reap(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    reap::ask(&Question { class: ctx.arg(0), object: ctx.arg(1), fingerprint: ctx.arg(2), ino: ctx.arg(3) }) as i32
}

/// Arguments: descriptor, dump number (0: a trusted executable), 1 for a dump that somebody writes now. Answer: 1 done, 0 was marked before, or no regular file.
// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
extern "C" fn seed(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    found::seed(ctx.arg(0), ctx.arg(1), ctx.arg(2))
}

/// Arguments: descriptor, four words of colours. Answer: 1 done, 0 no regular file.
// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
extern "C" fn share(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    found::share(slots::SHARE, ctx.arg(0), [ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)])
}

/// Arguments: pid, colour. Answer: 1 done, 0 no such process.
// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
extern "C" fn hold(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    found::hold(slots::HOLD, ctx.arg(0), ctx.arg(1))
}

/// Arguments: thread, descriptor that it reads. Answer: 1 when that may keep it waiting and was not known.
// SAFETY: as above.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp")]
extern "C" fn waits(ctx: *mut c_void) -> i32 {
    let ctx = RawTracePointContext::new(ctx);
    handover::found(ctx.arg(0), ctx.arg(1))
}
