//! Paths, walked from the leaf up.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sensor_abi::record::PATH_MAX;

use super::{offset, read};

/// Longest chain of components that is followed.
const DEPTH: u32 = 40;
/// Longest component, terminator included.
const NAME: u32 = 256;

/// Where the loop stands. In map memory, so that every iteration starts from the same abstract state and the verifier
/// prunes; in registers, 40 iterations are more than a million states.
#[repr(C)]
pub struct Walk {
    dentry: u64,
    mount: u64,
    position: u64,
}

/// Writes the components of a path, leaf first, each with its NUL, to `out` (at least [`PATH_MAX`] + 256 bytes). With
/// `vfsmount` 0 the walk ends at the root of the file system. Returns the length.
#[inline(always)]
pub fn walk(dentry: u64, vfsmount: u64, out: *mut u8, state: *mut Walk) -> u32 {
    let mount = if vfsmount == 0 { 0 } else { vfsmount.wrapping_sub(offset!(mount_mnt)) };
    // SAFETY: `out` and `state` point into one scratch slot; the position is masked to stay inside it.
    unsafe {
        core::ptr::write_volatile(&raw mut (*state).dentry, dentry);
        core::ptr::write_volatile(&raw mut (*state).mount, mount);
        core::ptr::write_volatile(&raw mut (*state).position, 0);
        for _ in 0..DEPTH {
            if !component(out, state) {
                break;
            }
        }
        core::ptr::read_volatile(&raw const (*state).position) as u32
    }
}

/// One step up. False at the top, or when there is no room. What lies in no folder, such as a memfd, has a name all the same.
///
/// # Safety
/// As for [`walk`].
#[inline(always)]
unsafe fn component(out: *mut u8, state: *mut Walk) -> bool {
    // SAFETY: see `walk`.
    unsafe {
        let dentry = core::ptr::read_volatile(&raw const (*state).dentry);
        let mount = core::ptr::read_volatile(&raw const (*state).mount);
        let parent: u64 = read(dentry, offset!(dentry_parent));
        let root: u64 =
            if mount == 0 { 0 } else { read(mount.wrapping_add(offset!(mount_mnt)), offset!(vfsmount_root)) };
        let position = core::ptr::read_volatile(&raw const (*state).position);
        let alone = dentry == parent && dentry != root && position == 0;
        if (dentry == root || dentry == parent) && !alone {
            let above: u64 = if mount == 0 { 0 } else { read(mount, offset!(mount_parent)) };
            if above == 0 || above == mount || dentry != root {
                return false;
            }
            core::ptr::write_volatile(&raw mut (*state).dentry, read(mount, offset!(mount_mountpoint)));
            core::ptr::write_volatile(&raw mut (*state).mount, above);
            return true;
        }
        if position >= PATH_MAX as u64 {
            return false;
        }
        let at = position & (PATH_MAX as u64 - 1);
        let name: u64 = read(dentry, offset!(dentry_name));
        let n = bpf_probe_read_kernel_str(out.add(at as usize).cast(), NAME, name as *const _);
        // What has no name of its own is called `/` (an inode found by its number), or nothing (a pipe).
        if n <= 0 || alone && (n == 1 || *out.add(at as usize) == b'/') {
            return false;
        }
        core::ptr::write_volatile(&raw mut (*state).position, position.wrapping_add(n as u64));
        core::ptr::write_volatile(&raw mut (*state).dentry, parent);
        true
    }
}
