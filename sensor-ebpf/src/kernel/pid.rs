//! `struct pid`, and the numbers of a namespace.

use sensor_abi::offsets::MISSING;

use super::{
    file::{File, Inode, PROC_SUPER_MAGIC},
    offset, read,
    task::Task,
    tree,
};

/// `struct upid`: a number and its namespace.
const UPID: u64 = 16;

/// A process id, by address.
#[derive(Clone, Copy)]
pub struct Pid(u64);

impl Pid {
    /// The one with this number, as the current process sees it.
    #[inline(always)]
    pub fn seen(number: u64) -> Self {
        if offset!(pidns_tree) == MISSING || offset!(node_slots) == MISSING {
            return Self(0);
        }
        let own: u64 = read(Task::current().0, offset!(task_pid));
        let level: u32 = read(own, offset!(pid_level));
        let upid = own.wrapping_add(offset!(pid_numbers)).wrapping_add(u64::from(level) * UPID);
        let namespace: u64 = read(upid, offset!(upid_ns));
        Self(tree::entry(read(namespace, offset!(pidns_tree)), number))
    }
    /// Its thread; address 0 when there is none.
    #[inline(always)]
    pub fn task(self) -> Task {
        // The first list is that of the thread itself (`PIDTYPE_PID`).
        let first: u64 = if self.0 == 0 { 0 } else { read(self.0, offset!(pid_tasks)) };
        Task(if first == 0 { 0 } else { first.wrapping_sub(offset!(task_pid_links)) })
    }
}

/// A file in /proc that is memory.
pub enum Memory {
    /// `/proc/PID/mem`, also of a thread.
    Of(Task),
    /// `/proc/kcore`.
    Kernel,
}

/// What memory an open file is.
#[inline(always)]
pub fn memory(file: File, inode: Inode) -> Option<Memory> {
    if offset!(proc_pid) == MISSING || inode.file_system() != PROC_SUPER_MAGIC {
        return None;
    }
    match file.name() {
        name if name as u32 == u32::from_le_bytes(*b"mem\0") => {
            let pid = Pid(read(inode.0.wrapping_sub(offset!(proc_inode)), offset!(proc_pid)));
            Some(Memory::Of(pid.task()))
        }
        name if name & 0xffff_ffff_ffff == u64::from_le_bytes(*b"kcore\0\0\0") => Some(Memory::Kernel),
        _ => None,
    }
}
