//! The `tracepoint` backend: for every kernel with BTF, also where it allows no trampolines.

use super::{
    Hook, Kind,
    Need::{self, Required, Twin, Wanted},
    Set,
};

const fn hook(
    program: &'static str,
    targets: &'static [&'static str],
    arguments: &'static [&'static str],
    set: Set,
    need: Need,
    blind: &'static str,
) -> Hook {
    let kind = if targets.is_empty() { Kind::Own } else { Kind::Tracepoint };
    Hook { program, kind, targets, arguments, set, need, instead_of: "", blind }
}

const fn typed(hook: Hook) -> Hook {
    Hook { kind: Kind::Typed, ..hook }
}

/// Its programs.
#[rustfmt::skip]
pub const HOOKS: &[Hook] = &[
    hook("inode_dirtied", &["writeback_mark_inode_dirty"], &["struct inode *"], Set::Watch, Required, "kernel cores to files"),
    hook("ctime_changed", &["ctime_ns_xchg"], &["struct inode *"], Set::Watch, Wanted, "dumps that programs write to tmpfs, and with the backend tracepoint kernel cores to it (kernels before 6.13)"),
    hook("core_sent", &["sock_send_length"], &["struct sock *", "int"], Set::Watch, Wanted, "kernel cores to a coredump socket"),
    hook("signalled", &["signal_deliver"], &["int", "struct kernel_siginfo *", "struct k_sigaction *"], Set::Watch, Required, "kernel cores to a pipe handler"),
    hook("forked", &["sched_process_fork"], &["struct task_struct *", "struct task_struct *"], Set::Watch, Required, "children of processes that read a dump"),
    hook("executed", &["sched_process_exec"], &["struct task_struct *"], Set::Watch, Required, "pipe handlers"),
    hook("exited", &["sched_process_exit"], &["struct task_struct *"], Set::Watch, Required, "the end of processes"),
    hook("state_changed", &["inet_sock_set_state"], &["struct sock *", "int", "int"], Set::Watch, Wanted, "connections of marked processes before the flow hooks stand"),
    hook("delivered", &["sk_data_ready"], &["struct sock *"], Set::Flow, Wanted, "same-kernel receivers behind NAT, of UDP and of unconnected unix sockets (kernels before 6.4)"),
    hook("uring_began", &["io_uring_file_get"], &["struct io_kiocb *", "int"], Set::Flow, Wanted, "io_uring writes until they are done"),
    hook("uring_done", &["io_uring_complete"], &["struct io_ring_ctx *", "void *", "struct io_uring_cqe *"], Set::Flow, Wanted, "io_uring (kernels before 6.13)"),
    hook("asked", &["fuse_request_send"], &["struct fuse_req *|const struct fuse_req *"], Set::Watch, Wanted, "dumps that programs write to a file system in user space, and with the backend tracepoint kernel cores there (kernels before 6.11, or a module loaded later)"),
    hook("answered", &["fuse_request_end"], &["struct fuse_req *|const struct fuse_req *"], Set::Watch, Wanted, "which files of a file system in user space its server fills with a dump (kernels before 6.11, or a module loaded later)"),
    typed(hook("entered", &["sys_enter"], &["struct pt_regs *", "long int"], Set::Flow, Required, "writes and sends")),
    typed(hook("returned", &["sys_exit"], &["struct pt_regs *", "long int"], Set::Flow, Required, "reads")),
    typed(hook("entered_again", &["sys_enter"], &["struct pt_regs *", "long int"], Set::Flow, Twin, "writes and sends for which the first was skipped")),
    typed(hook("returned_again", &["sys_exit"], &["struct pt_regs *", "long int"], Set::Flow, Twin, "reads for which the first was skipped")),
    hook("reap", &[], &[], Set::Agent, Required, "the end of pipes and sockets"),
    hook("seed", &[], &[], Set::Agent, Required, "dumps that were there before the agent"),
    hook("share", &[], &[], Set::Agent, Required, "files that a process has mapped before it holds a dump"),
    hook("hold", &[], &[], Set::Agent, Required, "processes that took a dump before the flow hooks stood"),
];
