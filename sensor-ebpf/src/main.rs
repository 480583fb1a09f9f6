//! The in-kernel programs. Table of contents, in reading order: `hooks` adapt a kernel event to one call of the
//! `engine`, which decides with `maps` and reads kernel structs through `kernel` only, and `emit` tells the agent.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
// The standard atomics offer no addition on a target without compare-and-swap; the intrinsic compiles to XADD.
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics), expect(internal_features, reason = "see above"))]
#![cfg_attr(
    target_arch = "bpf",
    expect(unreachable_pub, reason = "a binary has no public surface; pub says what a module offers to the others"),
    expect(
        clippy::needless_borrows_for_generic_args,
        reason = "maps take `impl Borrow`: a key or value given by value is copied once more to the 512 bytes of stack"
    )
)]

#[cfg(target_arch = "bpf")]
mod emit;
#[cfg(target_arch = "bpf")]
mod engine;
#[cfg(target_arch = "bpf")]
mod hooks;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod stats;

#[cfg(target_arch = "bpf")]
mod elf {
    /// GPL-compatible: some helpers are GPL-only.
    // SAFETY: the kernel's loader looks for this section; nothing else has the name.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

/// On the host this crate is only type-checked by tools that visit every member.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
