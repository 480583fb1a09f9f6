//! BPF LSM: answers, not observations. Attached while some rule blocks, all of them or none. They have no slot, see
//! `engine::verdict`.

use aya_ebpf::{macros::lsm, programs::LsmContext};

use crate::{
    engine::verdict,
    kernel::{
        file::File,
        sock::{Name, Socket, kernel_name},
    },
};

/// `socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`; the address is the kernel's copy.
#[lsm(hook = "socket_connect")]
fn fence_connect(ctx: LsmContext) -> i32 {
    verdict::connects(Socket(ctx.arg(0)), Name::kernel(ctx.arg(1)))
}

/// `socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`: every send, and from 6.5 on what sendfile(2) and
/// splice(2) put into a socket.
#[lsm(hook = "socket_sendmsg")]
fn fence_send(ctx: LsmContext) -> i32 {
    verdict::sends_by(Socket(ctx.arg(0)), kernel_name(ctx.arg(1)))
}

/// `file_permission(struct file *file, int mask)`: reads and writes of what is open, and before 6.5 the only one that sees
/// sendfile(2) and splice(2) put something into a socket.
#[lsm(hook = "file_permission")]
fn fence_use(ctx: LsmContext) -> i32 {
    verdict::permits(File(ctx.arg(0)), ctx.arg(1))
}

/// `mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`: by a descriptor that was
/// there before.
#[lsm(hook = "mmap_file")]
fn fence_map(ctx: LsmContext) -> i32 {
    verdict::mapping(File(ctx.arg(0)))
}

/// `file_open(struct file *file)`
#[lsm(hook = "file_open")]
fn fence_open(ctx: LsmContext) -> i32 {
    verdict::opens(File(ctx.arg(0)))
}
