//! Control groups of v2.

use super::{offset, read, task::Task};

/// A control group, by address; 0 above the root.
#[derive(Clone, Copy)]
pub struct Cgroup(u64);

impl Cgroup {
    /// That of the current task.
    #[inline(always)]
    pub fn current() -> Self {
        let set: u64 = read(Task::current().0, offset!(task_cgroups));
        Self(read(set, offset!(cset_cgroup)))
    }
    /// Its id, which is the inode number of its folder.
    #[inline(always)]
    pub fn id(self) -> u64 {
        read(read(self.0, offset!(cgroup_node)), offset!(node_id))
    }
    /// The one above.
    #[inline(always)]
    pub fn parent(self) -> Self {
        let own: u64 = read(self.0, offset!(cgroup_parent));
        Self(if own == 0 { 0 } else { own.wrapping_sub(offset!(cgroup_self)) })
    }
    /// False above the root.
    #[inline(always)]
    pub fn is_there(self) -> bool {
        self.0 != 0
    }
}
