//! Offsets of kernel struct members, resolved from the running kernel's BTF at load time. `|` separates alternatives,
//! the first that exists counts; a missing one is [`MISSING`] and the verifier removes the code that needs it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The value of an offset that this kernel does not have.
pub const MISSING: u64 = u64::MAX;

macro_rules! offsets {
    ($($name:ident = $spec:literal,)*) => {
        /// Byte offsets by name; see the table in this file for the struct members.
        #[expect(missing_docs, reason = "the table of specs is the documentation")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct Offsets { $(pub $name: u64,)* }

        impl Offsets {
            /// All zero: the initialiser of the kernel side's global, which the loader overwrites.
            pub const ZERO: Self = Self { $($name: 0,)* };

            /// Fills the table with `find(spec)` and returns the specs that were not found.
            pub fn resolve(mut find: impl FnMut(&'static str) -> Option<u64>) -> (Self, impl Iterator<Item = &'static str>) {
                let table = Self { $($name: find($spec).unwrap_or(MISSING),)* };
                let all = [$((table.$name, $spec),)*];
                (table, all.into_iter().filter(|(o, _)| *o == MISSING).map(|(_, s)| s))
            }
        }
    };
}

offsets! {
    task_ptraced = "task_struct.ptraced",
    task_ptrace_entry = "task_struct.ptrace_entry",
    task_pid = "task_struct.thread_pid",
    task_pid_links = "task_struct.pid_links",
    pid_level = "pid.level",
    pid_numbers = "pid.numbers",
    pid_tasks = "pid.tasks",
    upid_ns = "upid.ns",
    pidns_tree = "pid_namespace.idr.idr_rt.xa_head",
    node_shift = "xa_node.shift",
    node_slots = "xa_node.slots",
    proc_pid = "proc_inode.pid",
    proc_inode = "proc_inode.vfs_inode",
    task_flags = "task_struct.flags",
    task_comm = "task_struct.comm",
    task_stack = "task_struct.stack",
    task_status = "task_struct.thread_info.status",
    task_tgid = "task_struct.tgid",
    task_exec_id = "task_struct.self_exec_id",
    task_leader = "task_struct.group_leader",
    task_files = "task_struct.files",
    task_signal = "task_struct.signal",
    task_parent = "task_struct.real_parent",
    task_mm = "task_struct.mm",
    task_nsproxy = "task_struct.nsproxy",
    task_loginuid = "task_struct.loginuid",
    task_start = "task_struct.start_boottime|task_struct.real_start_time",
    nsproxy_net = "nsproxy.net_ns",
    nsproxy_mnt = "nsproxy.mnt_ns",
    net_inum = "net.ns.inum",
    mntns_inum = "mnt_namespace.ns.inum",
    signal_exit_code = "signal_struct.group_exit_code",
    signal_core_state = "signal_struct.core_state",
    signal_live = "signal_struct.live",
    mm_core_state = "mm_struct.core_state",
    mm_exe_file = "mm_struct.exe_file",
    mm_arg_start = "mm_struct.arg_start",
    mm_arg_end = "mm_struct.arg_end",
    mm_env_start = "mm_struct.env_start",
    mm_env_end = "mm_struct.env_end",
    files_fdt = "files_struct.fdt",
    fdt_max = "fdtable.max_fds",
    fdt_fd = "fdtable.fd",
    file_mapping = "file.f_mapping",
    mapping_host = "address_space.host",
    bdev_inode = "bdev_inode.vfs_inode",
    bdev_bdev = "bdev_inode.bdev",
    bdev_disk = "block_device.bd_disk",
    disk_major = "gendisk.major",
    disk_private = "gendisk.private_data",
    loop_file = "loop_device.lo_backing_file",
    ipc_ids = "ipc_namespace.ids",
    ipc_after_ids = "ipc_namespace.sem_ctls",
    ipc_tree = "ipc_ids.ipcs_idr.idr_rt.xa_head",
    nsproxy_ipc = "nsproxy.ipc_ns",
    shm_file = "shmid_kernel.shm_file",
    file_pos = "file.f_pos",
    file_flags = "file.f_flags",
    file_inode = "file.f_inode",
    file_private = "file.private_data",
    file_mnt = "file.f_path.mnt",
    file_dentry = "file.f_path.dentry",
    inode_mode = "inode.i_mode",
    inode_ino = "inode.i_ino",
    inode_generation = "inode.i_generation",
    inode_sb = "inode.i_sb",
    inode_size = "inode.i_size",
    inode_nlink = "inode.__i_nlink|inode.i_nlink",
    inode_state = "inode.i_state",
    inode_readcount = "inode.i_readcount",
    inode_writecount = "inode.i_writecount",
    inode_pipe = "inode.i_pipe",
    inode_dentry = "inode.i_dentry",
    sb_dev = "super_block.s_dev",
    sb_magic = "super_block.s_magic",
    dentry_parent = "dentry.d_parent",
    dentry_name = "dentry.d_name.name",
    dentry_inode = "dentry.d_inode",
    dentry_alias = "dentry.d_u.d_alias|dentry.d_alias",
    mount_mnt = "mount.mnt",
    mount_parent = "mount.mnt_parent",
    mount_mountpoint = "mount.mnt_mountpoint",
    vfsmount_root = "vfsmount.mnt_root",
    ovl_inode = "ovl_inode.vfs_inode",
    ovl_upper = "ovl_inode.__upperdentry",
    ovl_entry = "ovl_inode.oe",
    ovl_stack = "ovl_entry.__lowerstack",
    ovl_stack_dentry = "ovl_path.dentry",
    ovl_lower_dentry = "ovl_inode.lowerpath.dentry",
    ovl_lower = "ovl_inode.lower",
    socket_alloc_inode = "socket_alloc.vfs_inode",
    socket_alloc_socket = "socket_alloc.socket",
    socket_file = "socket.file",
    socket_sk = "socket.sk",
    sk_family = "sock_common.skc_family",
    sk_daddr = "sock_common.skc_daddr",
    sk_saddr = "sock_common.skc_rcv_saddr",
    sk_dport = "sock_common.skc_dport",
    sk_num = "sock_common.skc_num",
    sk_daddr6 = "sock_common.skc_v6_daddr",
    sk_saddr6 = "sock_common.skc_v6_rcv_saddr",
    sk_state = "sock_common.skc_state",
    sk_flags = "sock_common.skc_flags",
    sk_net = "sock_common.skc_net.net",
    sk_socket = "sock.sk_socket",
    sk_protocol = "sock.sk_protocol",
    sk_type = "sock.sk_type",
    unix_peer = "unix_sock.peer",
    msghdr_name = "msghdr.msg_name",
    kiocb_file = "kiocb.ki_filp",
    cprm_file = "coredump_params.file",
    req_file = "io_kiocb.file",
    req_opcode = "io_kiocb.opcode",
    // x86-64; arm64 has its own table when that port comes.
    regs_nr = "pt_regs.orig_ax",
    regs_a0 = "pt_regs.di",
    regs_a1 = "pt_regs.si",
    regs_a2 = "pt_regs.dx",
    regs_a3 = "pt_regs.r10",
    regs_a4 = "pt_regs.r8",
    regs_a5 = "pt_regs.r9",
}
