//! Births, and openings. Watch hooks: without a dump they do nothing unless the current process dumps core.

use aya_ebpf::{EbpfContext as _, macros::fentry, programs::FEntryContext};

use crate::{
    engine::source,
    hooks::slots,
    kernel::{
        argument,
        file::{File, dump_file},
    },
};

/// `security_file_open(struct file *file)`: before the first byte of a core, whatever the file system is; and who opens a
/// dump.
#[fentry]
fn opened(ctx: FEntryContext) -> i32 {
    source::opened(slots::OPENED, move || [ctx.arg(0), argument(ctx.as_ptr(), 0)].map(File));
    0
}

/// `dump_emit(struct coredump_params *cprm, const void *addr, int nr)`: the only one that sees a coredump socket.
#[fentry]
fn dumped(ctx: FEntryContext) -> i32 {
    source::dumped(slots::DUMPED, dump_file(ctx.arg(0)));
    0
}
