//! What the agent asks the program `reap` about an object, and what that answers.

/// A regular file: is it there? Its generation is in the upper half of the question's class.
pub const FILE: u32 = 0;
/// A pipe or FIFO: is it there?
pub const PIPE: u32 = 1;
/// A socket: is it there?
pub const SOCKET: u32 = 2;
/// A regular file: has anybody it open for writing?
pub const WRITTEN: u32 = 3;
/// A System V queue: is it there?
pub const QUEUE: u32 = 4;
/// An end of a terminal: is it there?
pub const TERMINAL: u32 = 5;
/// A regular file: has anybody it mapped?
pub const MAPPED: u32 = 6;
/// A super block: is it mounted?
pub const MOUNT: u32 = 7;
/// A process that is over, though nobody saw its end: what the kernel's side has of it goes.
pub const PROCESS: u32 = 8;

/// Yes.
pub const ALIVE: u32 = 0;
/// No.
pub const DEAD: u32 = 1;
/// Something else has its address.
pub const UNKNOWN: u32 = 2;
