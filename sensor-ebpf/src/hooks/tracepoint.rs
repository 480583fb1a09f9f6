//! Raw tracepoints: for every kernel with BTF, also where it allows no trampolines.

mod agent;
mod bridge;
mod dump;
mod fuse;
mod net;
mod syscalls;
mod task;
mod uring;
