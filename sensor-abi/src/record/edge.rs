use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Actor, FileInfo, Header, SockInfo, Tail};
use crate::{
    key::{CarrierKey, PairKey},
    mark::MarkSet,
};

/// Bytes of a marked carrier moved to another carrier for the first time with this set of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Edge {
    /// Kind, time, length.
    pub header: Header,
    /// Lengths of the strings: path of the file end, of the actor's executable, its argv.
    pub tail: Tail,
    /// The two ends.
    pub pair: PairKey,
    /// All colours that moved: an orphan can be anchored by them.
    pub set: MarkSet,
    /// Bytes that the pair had moved before this set of colours came.
    pub bytes_before: u64,
    /// Bytes of this operation, when known (0 at entry).
    pub bytes: u64,
    /// For a receiver known by its endpoint: the carrier that sent.
    pub writer: CarrierKey,
    /// The file end, when there is one.
    pub file: FileInfo,
    /// The socket end, when there is one.
    pub sock: SockInfo,
    /// The process that moved the bytes.
    pub actor: Actor,
    /// A [`crate::flow::Via`].
    pub via: u8,
    /// A [`crate::flow::Move`].
    pub direction: u8,
    /// 1 when the destination address was read from user memory after the check (may be raced).
    pub raced: u8,
    /// Keeps the layout free of implicit padding.
    pub reserved: [u8; 5],
}

/// A pair's byte count passed a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Grow {
    /// Kind, time, length.
    pub header: Header,
    /// The two ends.
    pub pair: PairKey,
    /// Bytes so far.
    pub bytes: u64,
    /// Operations so far.
    pub ops: u64,
}

/// A marked process opened a TCP connection: a step even before the flow hooks are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Connect {
    /// Kind, time, length.
    pub header: Header,
    /// Lengths of the strings: no path, the executable, argv.
    pub tail: Tail,
    /// Colours of the process.
    pub set: MarkSet,
    /// The connection.
    pub sock: SockInfo,
    /// The process.
    pub actor: Actor,
}
