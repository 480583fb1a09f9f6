//! Sockets. Flow hooks.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    engine::{below, sink},
    hooks::slots,
    kernel::{
        file::File,
        sock::{Name, Sock, Socket, kernel_name},
    },
};

/// Where a message goes: the socket's file, and the name that it has.
#[inline(always)]
fn message(ctx: &FExitContext) -> (File, Name) {
    (Socket(ctx.arg(0)).file(), kernel_name(ctx.arg(1)))
}

/// `security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`: write(2), send(2) and their families, each
/// message of sendmmsg(2), io_uring. The name is the kernel's copy.
#[fentry]
fn sending(ctx: FEntryContext) -> i32 {
    below::writing(slots::SENDING, Socket(ctx.arg(0)).file(), kernel_name(ctx.arg(1)));
    0
}

/// `inet_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)`
#[fexit]
fn sent_inet(ctx: FExitContext) -> i32 {
    below::sent(slots::SENT_INET, || message(&ctx), i64::from(ctx.arg::<i32>(3)));
    0
}

/// `inet6_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)`
#[fexit]
fn sent_inet6(ctx: FExitContext) -> i32 {
    below::sent(slots::SENT_INET6, || message(&ctx), i64::from(ctx.arg::<i32>(3)));
    0
}

/// `unix_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`
#[fexit]
fn sent_stream(ctx: FExitContext) -> i32 {
    below::sent(slots::SENT_STREAM, || message(&ctx), i64::from(ctx.arg::<i32>(3)));
    0
}

/// `unix_dgram_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, for packets in order as well.
#[fexit]
fn sent_datagram(ctx: FExitContext) -> i32 {
    below::sent(slots::SENT_DATAGRAM, || message(&ctx), i64::from(ctx.arg::<i32>(3)));
    0
}

/// `sock_recvmsg(struct socket *sock, struct msghdr *msg, int flags)`: read(2), recv(2) and their families, io_uring.
#[fexit]
fn received(ctx: FExitContext) -> i32 {
    below::received(slots::RECEIVED, Socket(ctx.arg(0)).file(), i64::from(ctx.arg::<i32>(3)));
    0
}

/// `do_recvmmsg(int fd, struct mmsghdr __user *mmsg, unsigned int vlen, unsigned int flags, struct timespec64 *timeout)`
#[fexit]
fn received_more(ctx: FExitContext) -> i32 {
    below::received_more(slots::RECEIVED_MORE, i64::from(ctx.arg::<i32>(5)));
    0
}

/// `tcp_getsockopt(struct sock *sk, int level, int optname, char __user *optval, int __user *optlen)`
#[fexit]
fn option_taken(ctx: FExitContext) -> i32 {
    let option = (ctx.arg(1), ctx.arg(2));
    below::taken(slots::OPTION_TAKEN, Sock(ctx.arg(0)), option, ctx.arg(3), ctx.arg(5));
    0
}

/// `sock_def_readable(struct sock *sk)`: data has reached a socket, where the tracepoint `sk_data_ready` is missing.
#[fentry]
fn readable(ctx: FEntryContext) -> i32 {
    sink::delivered(slots::READABLE, Sock(ctx.arg(0)));
    0
}
