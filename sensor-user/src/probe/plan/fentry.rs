//! The `fentry` backend. What happens to processes it takes from the tracepoints as well, and system calls are its bridge:
//! they are attached within a millisecond, trampolines are not.

use super::{
    Hook, Kind,
    Need::{self, Extra, Required, Wanted},
    Set, tracepoint,
};

const fn hook(
    program: &'static str,
    kind: Kind,
    targets: &'static [&'static str],
    arguments: &'static [&'static str],
    need: Need,
    blind: &'static str,
) -> Hook {
    Hook { program, kind, targets, arguments, set: Set::Flow, need, instead_of: "", blind }
}

const fn watch(hook: Hook) -> Hook {
    Hook { set: Set::Watch, ..hook }
}

const fn instead_of(other: &'static str, hook: Hook) -> Hook {
    Hook { instead_of: other, ..hook }
}

/// What is attached to a tracepoint while both layers stand.
const fn around(program: &'static str, tracepoint: &'static [&'static str], set: Set, blind: &'static str) -> Hook {
    let arguments: &[&str] = &["struct pt_regs *", "long int"];
    Hook { set, ..hook(program, Kind::Tracepoint, tracepoint, arguments, Required, blind) }
}

const REQUEST: &[&str] = &["struct kiocb *", "struct iov_iter *"];
const MESSAGE: &[&str] = &["struct socket *", "struct msghdr *"];
const TWO_FILES: &[&str] = &["struct file *", "loff_t|loff_t *", "struct file *"];

/// Programs on functions, and those of the hand-over to them.
#[rustfmt::skip]
pub const HOOKS: &[Hook] = &[
    around("call_began", &["sys_enter"], Set::Bridge, "calls that are in progress while the functions take over"),
    around("call_ended", &["sys_exit"], Set::Ends, "calls that are in progress while the functions take over"),
    Hook { set: Set::Agent, ..hook("waits", Kind::Own, &[], &[], Required, "readers that have waited since before the first dump") },
    watch(hook("opened", Kind::Entry, &["security_file_open"], &["struct file *"], Required, "kernel cores to files")),
    watch(hook("dumped", Kind::Entry, &["dump_emit"], &["struct coredump_params *"], Wanted, "kernel cores to a coredump socket")),
    hook("pipe_filled", Kind::Exit, &["pipe_write", "anon_pipe_write"], REQUEST, Wanted, "how much is written to pipes"),
    hook("fifo_filled", Kind::Exit, &["fifo_pipe_write"], REQUEST, Extra, "how much is written to FIFOs"),
    hook("sent_inet", Kind::Exit, &["inet_sendmsg"], MESSAGE, Wanted, "how much is sent over IPv4"),
    hook("sent_inet6", Kind::Exit, &["inet6_sendmsg"], MESSAGE, Wanted, "how much is sent over IPv6"),
    hook("sent_stream", Kind::Exit, &["unix_stream_sendmsg"], MESSAGE, Wanted, "how much is sent over unix streams"),
    hook("sent_datagram", Kind::Exit, &["unix_dgram_sendmsg"], MESSAGE, Wanted, "how much is sent in unix datagrams"),
    hook("sending", Kind::Entry, &["security_socket_sendmsg"], MESSAGE, Required, "sends"),
    hook("sendfile_began", Kind::Entry, &["do_sendfile"], &["int", "int"], Required, "sendfile(2)"),
    hook("sendfile_ended", Kind::Exit, &["do_sendfile"], &["int", "int", "loff_t *", "size_t", "loff_t"], Required, "sendfile(2)"),
    hook("splice_began", Kind::Entry, &["do_splice"], TWO_FILES, Required, "splice(2)"),
    hook("splice_ended", Kind::Exit, &["do_splice"], &["struct file *", "loff_t *", "struct file *", "loff_t *", "size_t", "unsigned int"], Required, "splice(2)"),
    hook("tee_began", Kind::Entry, &["do_tee"], &["struct file *", "struct file *"], Wanted, "tee(2)"),
    hook("tee_ended", Kind::Exit, &["do_tee"], &["struct file *", "struct file *", "size_t", "unsigned int"], Wanted, "tee(2)"),
    hook("copy_began", Kind::Entry, &["vfs_copy_file_range"], TWO_FILES, Required, "copy_file_range(2)"),
    hook("copy_ended", Kind::Exit, &["vfs_copy_file_range"], &["struct file *", "loff_t", "struct file *", "loff_t", "size_t", "unsigned int"], Required, "copy_file_range(2)"),
    hook("clone_began", Kind::Entry, &["vfs_clone_file_range"], TWO_FILES, Wanted, "clones of files"),
    hook("clone_ended", Kind::Exit, &["vfs_clone_file_range"], &["struct file *", "loff_t", "struct file *", "loff_t", "loff_t", "unsigned int"], Wanted, "clones of files"),
    hook("vmsplice_began", Kind::Entry, &["__x64_sys_vmsplice"], &["struct pt_regs *"], Wanted, "vmsplice(2)"),
    hook("vmsplice_ended", Kind::Exit, &["__x64_sys_vmsplice"], &["struct pt_regs *"], Wanted, "vmsplice(2)"),
    hook("narrow_vmsplice_began", Kind::Entry, &["__ia32_sys_vmsplice"], &["struct pt_regs *|pt_regs *"], Extra, "vmsplice(2) by the 32-bit entry"),
    hook("narrow_vmsplice_ended", Kind::Exit, &["__ia32_sys_vmsplice"], &["struct pt_regs *|pt_regs *"], Extra, "vmsplice(2) by the 32-bit entry"),
    hook("vm_read", Kind::Exit, &["__x64_sys_process_vm_readv"], &["struct pt_regs *|pt_regs *"], Wanted, "memory that is read from another process"),
    hook("vm_writing", Kind::Entry, &["__x64_sys_process_vm_writev"], &["struct pt_regs *|pt_regs *"], Wanted, "memory that is written to another process"),
    hook("vm_written", Kind::Exit, &["__x64_sys_process_vm_writev"], &["struct pt_regs *|pt_regs *"], Wanted, "how much memory is written to another process"),
    hook("narrow_vm_read", Kind::Exit, &["__ia32_sys_process_vm_readv"], &["struct pt_regs *|pt_regs *"], Extra, "memory that is read from another process, by the 32-bit entry"),
    hook("narrow_vm_writing", Kind::Entry, &["__ia32_sys_process_vm_writev"], &["struct pt_regs *|pt_regs *"], Extra, "memory that is written to another process, by the 32-bit entry"),
    hook("narrow_vm_written", Kind::Exit, &["__ia32_sys_process_vm_writev"], &["struct pt_regs *|pt_regs *"], Extra, "how much memory is written to another process, by the 32-bit entry"),
    hook("mem_read", Kind::Exit, &["mem_read"], &["struct file *", "char *", "size_t", "loff_t *"], Wanted, "reads of /proc/PID/mem"),
    hook("kernel_read_iter", Kind::Exit, &["read_kcore_iter"], REQUEST, Wanted, "reads of /proc/kcore"),
    instead_of("kernel_read_iter", hook("kernel_read", Kind::Exit, &["read_kcore"], &["struct file *", "char *", "size_t", "loff_t *"], Wanted, "reads of /proc/kcore")),
    hook("queueing", Kind::Entry, &["do_mq_timedsend"], &["mqd_t", "char *", "size_t"], Wanted, "messages to POSIX queues"),
    hook("queued", Kind::Exit, &["do_mq_timedsend"], &["mqd_t", "char *", "size_t", "unsigned int", "struct timespec64 *"], Wanted, "how much is sent to POSIX queues"),
    hook("msg_sending", Kind::Entry, &["do_msgsnd"], &["int", "long int", "void *", "size_t", "int"], Wanted, "messages to System V queues"),
    hook("msg_sent", Kind::Exit, &["do_msgsnd"], &["int", "long int", "void *", "size_t", "int"], Wanted, "how much is sent to System V queues"),
    hook("tty_filled", Kind::Exit, &["tty_write"], REQUEST, Wanted, "how much is written to terminals"),
    hook("ptmx_opened", Kind::Exit, &["ptmx_open"], &["struct inode *", "struct file *"], Wanted, "that a new terminal has nothing of the last"),
    hook("unqueued", Kind::Exit, &["do_mq_timedreceive"], &["mqd_t", "char *", "size_t", "unsigned int *", "struct timespec64 *"], Wanted, "messages from POSIX queues"),
    hook("msg_received", Kind::Exit, &["do_msgrcv"], &["int", "void *", "size_t", "long int", "int"], Wanted, "messages from System V queues"),
    instead_of("delivered", hook("readable", Kind::Entry, &["sock_def_readable"], &["struct sock *"], Wanted, "same-kernel receivers behind NAT, of UDP and of unconnected unix sockets")),
    hook("verified", Kind::Entry, &["rw_verify_area"], &["int", "struct file *", "loff_t *", "size_t"], Required, "reads and writes of files, writes to pipes and terminals"),
    hook("mapping", Kind::Entry, &["security_mmap_file"], &["struct file *", "long unsigned int", "long unsigned int"], Required, "mappings of files"),
    hook("pipe_drained", Kind::Exit, &["pipe_read", "anon_pipe_read"], REQUEST, Required, "reads of pipes"),
    hook("fifo_drained", Kind::Exit, &["fifo_pipe_read"], REQUEST, Extra, "reads of FIFOs"),
    hook("tty_drained", Kind::Exit, &["tty_read"], REQUEST, Wanted, "reads of terminals"),
    hook("received", Kind::Exit, &["sock_recvmsg"], MESSAGE, Required, "receivers"),
    hook("received_more", Kind::Exit, &["do_recvmmsg"], &["int", "struct mmsghdr *", "unsigned int", "unsigned int", "struct timespec64 *"], Wanted, "datagrams behind the first one of a recvmmsg(2)"),
    hook("option_taken", Kind::Exit, &["tcp_getsockopt"], &["struct sock *", "int", "int", "char *", "int *"], Wanted, "what is received by getsockopt(2), TCP_ZEROCOPY_RECEIVE"),
    hook("protecting", Kind::Entry, &["security_file_mprotect"], &["struct vm_area_struct *", "long unsigned int", "long unsigned int"], Wanted, "shared mappings that are made writable later"),
    hook("truncated_mapped", Kind::Exit, &["do_truncate"], &["struct mnt_idmap *|struct user_namespace *", "struct dentry *", "loff_t", "unsigned int", "struct file *"], Wanted, "files that are emptied"),
    instead_of("truncated_mapped", hook("truncated", Kind::Exit, &["do_truncate"], &["struct dentry *", "loff_t", "unsigned int", "struct file *"], Wanted, "files that are emptied")),
];

/// What it takes of the tracepoints, and when.
const SHARED: &[(&str, Set)] = &[
    ("inode_dirtied", Set::Watch),
    ("ctime_changed", Set::Watch),
    ("signalled", Set::Watch),
    ("forked", Set::Watch),
    ("executed", Set::Watch),
    ("exited", Set::Watch),
    ("state_changed", Set::Watch),
    ("delivered", Set::Flow),
    ("asked", Set::Watch),
    ("answered", Set::Watch),
    ("uring_began", Set::Bridge),
    ("uring_done", Set::Ends),
    ("entered", Set::Bridge),
    ("returned", Set::Ends),
    ("reap", Set::Agent),
    ("seed", Set::Agent),
    ("share", Set::Agent),
    ("hold", Set::Agent),
];

/// All its programs, each with its set: the first of its own sees each call before the others do.
pub fn rows() -> Vec<(&'static Hook, Set)> {
    let (first, rest) = HOOKS.split_at(1);
    let set = |hook: &Hook| SHARED.iter().find(|(program, _)| *program == hook.program).map(|(_, set)| *set);
    let shared = tracepoint::HOOKS.iter().filter_map(|hook| Some((hook, set(hook)?)));
    let own = |hooks: &'static [Hook]| hooks.iter().map(|hook| (hook, hook.set));
    own(first).chain(shared).chain(own(rest)).collect()
}
