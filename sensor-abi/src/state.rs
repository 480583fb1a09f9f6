//! The array `STATE`: words that both sides read, or one writes for the other.

/// 1 while the flow hooks are attached; the agent writes it.
pub const ARMED: u32 = 0;
/// One of [`duty`]; the agent writes it.
pub const DUTY: u32 = 1;
/// Runs of the program `trial`.
pub const TRIALS: u32 = 2;
/// 1 when the system calls' layer sees requests of io_uring end; the agent writes it.
pub const RINGS: u32 = 3;
/// 1 when the programs on system calls have twins, which run where the kernel has skipped the first: it does not run a
/// program again on a CPU where it was preempted. The agent writes it.
pub const TWINS: u32 = 4;
/// Number of entries.
pub const COUNT: u32 = 5;

/// Which layers stand.
pub mod duty {
    /// System calls, alone or with functions that are being attached.
    pub const CALLS: u64 = 0;
    /// All functions, and the ends of system calls that began before.
    pub const BOTH: u64 = 1;
    /// Functions alone.
    pub const FUNCTIONS: u64 = 2;
}
