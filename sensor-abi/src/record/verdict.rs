use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Actor, Header, SockInfo};
use crate::{key::PairKey, mark::MarkSet};

/// A movement was refused, or would have been: told once for each pair of carriers and set of colours. It is put together
/// in the ring itself, without strings: the programs that decide may be preempted by themselves and have no slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Verdict {
    /// Kind, time, length.
    pub header: Header,
    /// The two ends.
    pub pair: PairKey,
    /// The colours that may not go there.
    pub set: MarkSet,
    /// The socket end, when there is one.
    pub sock: SockInfo,
    /// The process.
    pub actor: Actor,
    /// A [`crate::flow::Via`].
    pub via: u8,
    /// A [`crate::flow::Move`].
    pub direction: u8,
    /// 1 when the call got EPERM.
    pub refused: u8,
    /// Number of the zone that it comes from.
    pub from: u8,
    /// Number of the zone that it goes to.
    pub to: u8,
    /// Keeps the layout free of implicit padding.
    pub reserved: [u8; 3],
}
