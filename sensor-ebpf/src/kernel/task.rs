//! `struct task_struct` and what hangs on it.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task,
    bpf_get_current_task_btf, bpf_get_current_uid_gid,
};
use sensor_abi::{
    flow::{self, NONE, Shape},
    key::CarrierKey,
    record::Actor,
};

use super::{cast, file::File, load, offset, read, regs::Call, setting};

/// The process writes a core dump, or did.
const PF_DUMPCORE: u32 = 0x200;
/// A thread that the kernel made for a process's io_uring.
const PF_IO_WORKER: u32 = 0x10;
/// A kernel thread.
const PF_KTHREAD: u32 = 0x0020_0000;
/// x86: the current system call came through a 32-bit entry.
const TS_COMPAT: u32 = 2;

/// Thread id in the low half, process id in the high half; initial namespace.
#[inline(always)]
pub fn pid_tgid() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_current_pid_tgid() }
}

/// Process id of the current task.
#[inline(always)]
pub fn tgid() -> u32 {
    (pid_tgid() >> 32) as u32
}

/// Real user id of the current task, initial user namespace.
#[inline(always)]
pub fn uid() -> u32 {
    // SAFETY: the helper has no preconditions.
    (unsafe { bpf_get_current_uid_gid() }) as u32
}

/// A task, by address.
#[derive(Clone, Copy)]
pub struct Task(pub u64);

impl Task {
    /// The current one.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task() })
    }
    /// Process id.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        read(self.0, offset!(task_tgid))
    }
    /// `PF_*`.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        read(self.0, offset!(task_flags))
    }
    /// When its process began, ns since boot.
    #[inline(always)]
    pub fn start_ns(self) -> u64 {
        read(self.leader().0, offset!(task_start))
    }
    /// The first thread of its process.
    #[inline(always)]
    pub fn leader(self) -> Self {
        Self(read(self.0, offset!(task_leader)))
    }
    /// How often it has executed a program.
    #[inline(always)]
    pub fn exec_id(self) -> u32 {
        read(self.0, offset!(task_exec_id))
    }
    /// The carrier that its process is.
    #[inline(always)]
    pub fn key(self) -> CarrierKey {
        CarrierKey::task(self.tgid(), CarrierKey::task_id(self.start_ns(), self.exec_id()))
    }
    /// The first eight bytes of the name of its process.
    #[inline(always)]
    pub fn name(self) -> u64 {
        read(self.leader().0, offset!(task_comm))
    }
    /// The process that made it, or that took it over.
    #[inline(always)]
    pub fn parent(self) -> Self {
        Self(read(self.0, offset!(task_parent)))
    }
    /// A process that this thread traces; address 0 when there is none.
    #[inline(always)]
    pub fn tracee(self) -> Self {
        let list = self.0.wrapping_add(offset!(task_ptraced));
        let first: u64 = read(list, 0);
        Self(if first == 0 || first == list { 0 } else { first.wrapping_sub(offset!(task_ptrace_entry)) })
    }
    /// True when another process traces this thread.
    #[inline(always)]
    pub fn is_traced_by(self, other: Self) -> bool {
        read::<u32>(self.0, offset!(task_ptrace)) != 0
            && Self(read(self.0, offset!(task_tracer))).tgid() == other.tgid()
    }
    /// True for kernel threads.
    #[inline(always)]
    pub fn is_kernel(self) -> bool {
        self.flags() & PF_KTHREAD != 0
    }
    /// True while a core dump of its process is being written. The flag alone outlives the dump: the exit of the dying
    /// task still dirties its files.
    // KERNEL(5.16): core_state moved from mm_struct to signal_struct.
    #[inline(always)]
    pub fn is_dumping(self) -> bool {
        if self.flags() & PF_DUMPCORE == 0 {
            return false;
        }
        let state: u64 = if offset!(signal_core_state) == sensor_abi::offsets::MISSING {
            read(read(self.0, offset!(task_mm)), offset!(mm_core_state))
        } else {
            read(read(self.0, offset!(task_signal)), offset!(signal_core_state))
        };
        state != 0
    }
    /// `signal_struct.group_exit_code`.
    #[inline(always)]
    pub fn exit_code(self) -> u32 {
        read(read(self.0, offset!(task_signal)), offset!(signal_exit_code))
    }
    /// Number of threads that have not passed `sched_process_exit` yet.
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        read(read(self.0, offset!(task_signal)), offset!(signal_live))
    }
    /// Inode number of its network namespace.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        read(read(read(self.0, offset!(task_nsproxy)), offset!(nsproxy_net)), offset!(net_inum))
    }
    /// Length of argv plus environment, bytes.
    #[inline(always)]
    pub fn arg_len(self) -> u64 {
        let mm: u64 = read(self.0, offset!(task_mm));
        let arg = read::<u64>(mm, offset!(mm_arg_end)).wrapping_sub(read(mm, offset!(mm_arg_start)));
        let env = read::<u64>(mm, offset!(mm_env_end)).wrapping_sub(read(mm, offset!(mm_env_start)));
        arg.wrapping_add(env)
    }
    /// Where argv begins in user memory, and how long it is.
    #[inline(always)]
    pub fn argv(self) -> (u64, u64) {
        let mm: u64 = read(self.0, offset!(task_mm));
        let start: u64 = read(mm, offset!(mm_arg_start));
        (start, read::<u64>(mm, offset!(mm_arg_end)).wrapping_sub(start))
    }
    /// The executable.
    #[inline(always)]
    pub fn executable(self) -> File {
        File(read(read(self.0, offset!(task_mm)), offset!(mm_exe_file)))
    }
    /// An open file of it; address 0 when there is none.
    #[inline(always)]
    pub fn file(self, fd: u32) -> File {
        let fdt: u64 = read(read(self.0, offset!(task_files)), offset!(files_fdt));
        let max: u32 = read(fdt, offset!(fdt_max));
        if fd >= max {
            return File(0);
        }
        let table: u64 = read(fdt, offset!(fdt_fd));
        File(read(table, u64::from(fd) * 8))
    }
}

/// The current task, asked for once. The hot path: where the helper exists that gives the verifier its type, what hangs on
/// it is loaded.
#[derive(Clone, Copy)]
pub struct Current(u64);

impl Current {
    /// It.
    #[inline(always)]
    pub fn get() -> Self {
        if setting!(task_btf) == 0 {
            return Self(Task::current().0);
        }
        // SAFETY: the helper has no preconditions.
        Self(unsafe { bpf_get_current_task_btf() } as u64)
    }
    /// An open file of it; address 0 when there is none.
    #[inline(always)]
    pub fn file(self, fd: u32) -> File {
        let files: u64 = member(self.0, offset!(task_files));
        let fdt: u64 = member(files, offset!(files_fdt));
        if fd >= member(fdt, offset!(fdt_max)) {
            return File(0);
        }
        let entry = member::<u64>(fdt, offset!(fdt_fd)).wrapping_add(u64::from(fd) * 8);
        File(if setting!(word_type) == 0 { read(entry, 0) } else { load(cast(entry, setting!(word_type)), 0) })
    }
    /// `PF_*`.
    #[inline(always)]
    fn flags(self) -> u32 {
        member(self.0, offset!(task_flags))
    }
    /// True when its system call came through the 32-bit entry.
    #[inline(always)]
    pub fn is_compat(self) -> bool {
        member::<u32>(self.0, offset!(task_status)) & TS_COMPAT != 0
    }
}

/// What hangs on the current task.
#[inline(always)]
fn member<T: Copy>(base: u64, offset: u64) -> T {
    if setting!(task_btf) == 0 { read(base, offset) } else { load(base, offset) }
}

/// An open file of the current task.
#[inline(always)]
pub fn current_file(fd: u32) -> File {
    Current::get().file(fd)
}

#[inline(always)]
fn current_flags() -> u32 {
    Current::get().flags()
}

/// False for what is not dumping core, as fast as can be.
#[inline(always)]
pub fn may_be_dumping() -> bool {
    current_flags() & PF_DUMPCORE != 0
}

/// True for the kernel's own threads, which read for others: they are never marked.
#[inline(always)]
pub fn is_kernel_thread() -> bool {
    current_flags() & PF_KTHREAD != 0
}

/// `io_uring_enter`.
const IO_URING_ENTER: u64 = 426;

/// True when the current thread works for an io_uring.
#[inline(always)]
pub fn is_uring() -> bool {
    current_flags() & PF_IO_WORKER != 0 || Call::current().number == IO_URING_ENTER
}

/// True in a system call that moves bytes from object to object.
#[inline(always)]
pub fn is_transferring() -> bool {
    let call = Call::current();
    let row = flow::syscall(call.number);
    let moves = row.source != NONE && row.sink != NONE && (row.shape != Shape::Clone || flow::is_clone(call.arg(1)));
    moves && call.is_in_progress() && current_flags() & PF_IO_WORKER == 0
}

/// True when the current system call came through the 32-bit entry.
#[inline(always)]
pub fn is_compat() -> bool {
    Current::get().is_compat()
}

/// Fills in who the current task is.
#[inline(always)]
pub fn describe(actor: &mut Actor) {
    let task = Task::current();
    let parent = task.parent();
    let id = pid_tgid();
    // SAFETY: these helpers have no preconditions; comm is 16 bytes.
    let ids = unsafe { bpf_get_current_uid_gid() };
    actor.start_ns = task.start_ns();
    actor.parent_start_ns = parent.start_ns();
    // SAFETY: as above.
    actor.cgroup = unsafe { bpf_get_current_cgroup_id() };
    actor.tgid = (id >> 32) as u32;
    actor.tid = id as u32;
    actor.parent_tgid = parent.tgid();
    actor.uid = ids as u32;
    actor.gid = (ids >> 32) as u32;
    actor.login_uid = if offset!(task_loginuid) == sensor_abi::offsets::MISSING {
        u32::MAX
    } else {
        read(task.0, offset!(task_loginuid))
    };
    let namespaces: u64 = read(task.0, offset!(task_nsproxy));
    actor.netns = task.netns();
    actor.mntns = read(read(namespaces, offset!(nsproxy_mnt)), offset!(mntns_inum));
    actor.flags = task.flags();
    actor.exec_id = task.exec_id();
    actor.reserved = 0;
    let exe = task.executable().inode();
    let key = exe.own_key();
    actor.exe_ino = key.id;
    actor.exe_dev = key.dev;
    // SAFETY: comm is 16 bytes in the record.
    unsafe { bpf_get_current_comm(actor.comm.as_mut_ptr().cast(), 16) };
    // The threads of an io_uring have names of the kernel's.
    if actor.flags & PF_IO_WORKER != 0 {
        actor.comm = read(read(task.0, offset!(task_leader)), offset!(task_comm));
    }
}
