use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Actor, Header, Tail};
use crate::{key::CarrierKey, mark::MarkSet};

/// Arguments and environment that are longer by this than those of the process whose memory got the mark may hold what was
/// in it. Options and paths are shorter; the agent weighs the bytes.
pub const CARRIES: u64 = 256;
/// And over any number of programs when they are longer by this: less is what build tools add to an environment, and would
/// mark all that they start.
pub const CARRIES_ON: u64 = 4096;

/// A marked process executed a program; its memory is gone, its descriptors are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exec {
    /// Kind, time, length.
    pub header: Header,
    /// Lengths of the strings: no path, the new executable, its argv.
    pub tail: Tail,
    /// The process as it was before.
    pub old: CarrierKey,
    /// Colours before.
    pub before: MarkSet,
    /// Colours after: what inherited descriptors lead to.
    pub after: MarkSet,
    /// Length of argv plus environment when the mark was set, before any exec that handed bytes on.
    pub arg_len_before: u64,
    /// And now.
    pub arg_len: u64,
    /// The process.
    pub actor: Actor,
}

/// A marked process forked: the child has its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fork {
    /// Kind, time, length.
    pub header: Header,
    /// The parent.
    pub parent: CarrierKey,
    /// The child.
    pub child: CarrierKey,
    /// Colours of both.
    pub set: MarkSet,
}

/// A marked process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exit {
    /// Kind, time, length.
    pub header: Header,
    /// The process.
    pub task: CarrierKey,
    /// `signal_struct.group_exit_code`.
    pub code: u64,
}

/// A process got a signal whose default action is to dump core, and does not catch it: a dump may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Crash {
    /// Kind, time, length.
    pub header: Header,
    /// Lengths of the strings: no path, the executable, argv.
    pub tail: Tail,
    /// The process.
    pub actor: Actor,
    /// Signal number.
    pub signal: u64,
}

/// A file that held dump bytes was emptied: it holds none any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Truncate {
    /// Kind, time, length.
    pub header: Header,
    /// Lengths of the strings: no path, the executable, argv.
    pub tail: Tail,
    /// The file.
    pub file: CarrierKey,
    /// The process.
    pub actor: Actor,
}
