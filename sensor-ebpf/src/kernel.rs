//! The only code that reads kernel structs, always through offsets from the running kernel's BTF.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_kernel, bpf_probe_read_user};
use sensor_abi::{
    magic::{HEAD, Head, WORDS},
    settings::CAST,
};

pub mod aio;
pub mod cgroup;
pub mod file;
pub mod fuse;
pub mod ipc;
pub mod path;
pub mod pid;
pub mod regs;
pub mod sock;
pub mod task;
pub mod tree;
pub mod tty;
pub mod uring;

/// One offset; the verifier sees the loaded constant.
macro_rules! offset {
    ($name:ident) => {
        $crate::kernel::frozen(&raw const $crate::maps::OFFSETS.$name)
    };
}
pub(crate) use offset;

/// One setting.
macro_rules! setting {
    ($name:ident) => {
        $crate::kernel::frozen(&raw const $crate::maps::SETTINGS.$name)
    };
}
pub(crate) use setting;

/// Reads one of our frozen globals. Volatile, so that LLVM does not fold the all-zero initialiser.
#[inline(always)]
pub fn frozen<T: Copy>(global: *const T) -> T {
    // SAFETY: only called by the two macros above, on fields of initialised statics.
    unsafe { core::ptr::read_volatile(global) }
}

/// Reads kernel memory; the helper zeroes the value when the address is bad.
#[inline(always)]
pub fn read<T: Copy>(base: u64, offset: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address and fills or zeroes all of `value`.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, base.wrapping_add(offset) as *const _);
        value.assume_init()
    }
}

/// Reads kernel memory through a pointer whose type the verifier knows: an argument of a function, or what such a pointer
/// points to. It cannot fault, gives zero where nothing is, and costs a few instructions where `read` costs fifty.
#[inline(always)]
pub fn load<T: Copy>(base: u64, offset: u64) -> T {
    // SAFETY: the verifier takes only what points to a member of a kernel object, and guards the load.
    unsafe { core::ptr::read_volatile((base as *const u8).add(offset as usize).cast()) }
}

/// The address of a kernel object as a pointer of the type that has this number, which `load` takes.
// KERNEL(6.2): `bpf_rdonly_cast`, which is no call: the verifier makes it a move.
#[inline(always)]
pub fn cast(address: u64, number: u32) -> u64 {
    // SAFETY: the agent makes this a call of the kernel's function, which has no preconditions; only reached where it did.
    let cast: unsafe extern "C" fn(u64, u32) -> u64 = unsafe { core::mem::transmute(CAST as usize) };
    // SAFETY: as above.
    unsafe { cast(address, number) }
}

/// Argument `n` of a function. The verifier of some kernels refuses to load a pointer to a number from the context.
#[inline(always)]
pub fn argument(ctx: *mut c_void, n: u64) -> u64 {
    read(ctx as u64, n * 8)
}

/// Reads user memory of the current process; zero when it is not there. The process may change it afterwards.
#[inline(always)]
pub fn read_user<T: Copy>(address: u64) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address and fills or zeroes all of `value`.
    unsafe {
        bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _);
        value.assume_init()
    }
}

/// The first bytes of `len` in the user memory of the current process; as `read_user`.
#[inline(always)]
pub fn read_head(address: u64, len: u64) -> Head {
    let len = if len > HEAD as u64 { HEAD as u64 } else { len };
    let mut words = [0u64; 8];
    // SAFETY: the helper checks the address; `words` has room for all that the mask lets through.
    unsafe { bpf_probe_read_user(words.as_mut_ptr().cast(), len as u32 & 0x3f, address as *const _) };
    Head::of_words([words[0], words[1], words[2], words[3], words[4], words[5]], len as usize)
}

/// Copies user memory of the current process to byte `at`, as `read_user`. Both numbers are compared with `HEAD` before: the
/// verifier goes by that.
#[inline(always)]
pub fn copy_user(buffer: &mut [u64; 2 * WORDS], at: u64, len: u64, address: u64) {
    // SAFETY: the helper checks the address; `buffer` has room for twice as many bytes.
    unsafe {
        let start = buffer.as_mut_ptr().cast::<u8>().add(at as usize);
        bpf_probe_read_user(start.cast(), len as u32, address as *const _);
    }
}

/// Time since boot, suspend included, ns.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// The CPU that runs the program.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { aya_ebpf::helpers::generated::bpf_get_smp_processor_id() }
}

/// A number that nothing else has until reboot.
#[inline(always)]
pub fn stamp() -> u64 {
    sensor_abi::mark::stamp(now(), cpu())
}
