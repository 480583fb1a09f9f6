//! Sockets. Flow hooks.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    engine::{below, sink},
    hooks::slots,
    kernel::sock::{Sock, Socket, kernel_name},
};

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
    below::written(slots::SENT_INET, i64::from(ctx.arg::<i32>(3)));
    0
}

/// `inet6_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)`
#[fexit]
fn sent_inet6(ctx: FExitContext) -> i32 {
    below::written(slots::SENT_INET6, i64::from(ctx.arg::<i32>(3)));
    0
}

/// `unix_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`
#[fexit]
fn sent_stream(ctx: FExitContext) -> i32 {
    below::written(slots::SENT_STREAM, i64::from(ctx.arg::<i32>(3)));
    0
}

/// `unix_dgram_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, for packets in order as well.
#[fexit]
fn sent_datagram(ctx: FExitContext) -> i32 {
    below::written(slots::SENT_DATAGRAM, i64::from(ctx.arg::<i32>(3)));
    0
}

/// `sock_recvmsg(struct socket *sock, struct msghdr *msg, int flags)`: read(2), recv(2) and their families, io_uring.
#[fexit]
fn received(ctx: FExitContext) -> i32 {
    below::received(slots::RECEIVED, Socket(ctx.arg(0)).file(), i64::from(ctx.arg::<i32>(3)));
    0
}

/// `sock_def_readable(struct sock *sk)`: data has reached a socket, where the tracepoint `sk_data_ready` is missing.
#[fentry]
fn readable(ctx: FEntryContext) -> i32 {
    sink::delivered(slots::READABLE, Sock(ctx.arg(0)));
    0
}
