//! Sockets, beside what system calls show.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    engine::{life, sink},
    hooks::slots,
    kernel::sock::{Sock, is_connecting},
};

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, 5.10 to 7.2. Watch hook.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn state_changed(ctx: RawTracePointContext) -> i32 {
    is_connecting(ctx.arg(2)).then(|| life::connecting(slots::STATE_CHANGED, Sock(ctx.arg(0))));
    0
}

/// `sk_data_ready(const struct sock *sk)`, 6.4 and later. Flow hook.
#[raw_tracepoint(tracepoint = "sk_data_ready")]
fn delivered(ctx: RawTracePointContext) -> i32 {
    sink::delivered(slots::DELIVERED, Sock(ctx.arg(0)));
    0
}
