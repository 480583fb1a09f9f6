//! Do trampolines work here?

use aya_ebpf::{macros::fentry, programs::FEntryContext};

use crate::engine::life;

/// `bpf_fentry_test1(int a)`, which the kernel has for this: `BPF_PROG_TEST_RUN` of the program calls it.
#[fentry]
fn trial(_ctx: FEntryContext) -> i32 {
    life::tried();
    0
}
