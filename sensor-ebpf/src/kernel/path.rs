//! Paths, walked from the leaf up.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sensor_abi::record::{PATH_MAX, STRINGS};

use super::{offset, read};

/// Longest chain of components that is followed.
pub const DEPTH: u32 = 40;
/// Longest component, terminator included.
const NAME: u32 = 256;

/// Where the walk stands.
#[repr(C)]
pub struct Walk {
    dentry: u64,
    mount: u64,
    start: u64,
    position: u64,
}

/// Where in a scratch slot the walk's state lies, and where strings end at most.
pub const WALK: usize = 8192 - size_of::<Walk>();
/// Where strings may begin, after the first: keeps the verifier sure of bounds.
pub const STRING_MASK: u32 = 0xfff;
const _: () = assert!(STRINGS + STRING_MASK as usize + PATH_MAX + NAME as usize <= WALK);

#[inline(always)]
const unsafe fn state(slot: *mut u8) -> *mut Walk {
    // SAFETY: see `begin`.
    unsafe { slot.add(WALK).cast() }
}

/// Begins a walk whose components go into a scratch slot, leaf first, each with its NUL, `at` bytes after the beginning of
/// its strings. With `vfsmount` 0 it ends at the root of the file system.
///
/// # Safety
/// `slot` points to 8 KiB.
#[inline(always)]
pub unsafe fn begin(dentry: u64, vfsmount: u64, slot: *mut u8, at: u32) {
    let mount = if vfsmount == 0 { 0 } else { vfsmount.wrapping_sub(offset!(mount_mnt)) };
    // SAFETY: the state lies in the slot.
    unsafe { *state(slot) = Walk { dentry, mount, start: u64::from(at), position: 0 } };
}

/// How long the components are by now.
///
/// # Safety
/// As for [`begin`].
#[inline(always)]
pub unsafe fn length(slot: *mut u8) -> u32 {
    // SAFETY: the state lies in the slot.
    unsafe { core::ptr::read_volatile(&raw const (*state(slot)).position) as u32 }
}

/// One step up. False at the top, or when there is no room. What lies in no folder, such as a memfd, has a name all the same.
///
/// # Safety
/// As for [`begin`].
#[inline(always)]
pub unsafe fn step(slot: *mut u8) -> bool {
    // SAFETY: `start` and `position` are masked to stay inside the slot.
    unsafe {
        let state = state(slot);
        let dentry = core::ptr::read_volatile(&raw const (*state).dentry);
        let mount = core::ptr::read_volatile(&raw const (*state).mount);
        let parent: u64 = read(dentry, offset!(dentry_parent));
        let root: u64 =
            if mount == 0 { 0 } else { read(mount.wrapping_add(offset!(mount_mnt)), offset!(vfsmount_root)) };
        let alone = dentry == parent && dentry != root && core::ptr::read_volatile(&raw const (*state).position) == 0;
        if (dentry == root || dentry == parent) && !alone {
            let above: u64 = if mount == 0 { 0 } else { read(mount, offset!(mount_parent)) };
            if above == 0 || above == mount || dentry != root {
                return false;
            }
            core::ptr::write_volatile(&raw mut (*state).dentry, read(mount, offset!(mount_mountpoint)));
            core::ptr::write_volatile(&raw mut (*state).mount, above);
            return true;
        }
        // STACK: what is in the slot is read again rather than kept.
        core::ptr::write_volatile(&raw mut (*state).dentry, parent);
        let name: u64 = read(dentry, offset!(dentry_name));
        let position = core::ptr::read_volatile(&raw const (*state).position);
        if position >= PATH_MAX as u64 {
            return false;
        }
        let start = core::ptr::read_volatile(&raw const (*state).start) & u64::from(STRING_MASK);
        let at = slot.add(STRINGS + start as usize).add((position & (PATH_MAX as u64 - 1)) as usize);
        let n = bpf_probe_read_kernel_str(at.cast(), NAME, name as *const _);
        // What has no name of its own is called `/` (an inode found by its number), or nothing (a pipe).
        if n <= 0 || alone && (n == 1 || *at == b'/') {
            return false;
        }
        let position = core::ptr::read_volatile(&raw const (*state).position);
        core::ptr::write_volatile(&raw mut (*state).position, position.wrapping_add(n as u64));
        true
    }
}
