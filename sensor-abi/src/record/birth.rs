use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Actor, FileInfo, Header, Tail};
use crate::key::CarrierKey;

/// A dump began to be written (`Kind::Birth`), or its writer ended (`Kind::Born`: key, size and path are final).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Birth {
    /// Kind, time, length.
    pub header: Header,
    /// Lengths of the strings: path of the dump, of the victim's executable, its argv.
    pub tail: Tail,
    /// Number of the dump: unique until reboot.
    pub dump: u64,
    /// The carrier that it is written to: file, pipe or socket.
    pub object: CarrierKey,
    /// Colour, when the dump already has one (pipes and sockets); `u64::MAX` for a dump at rest.
    pub colour: u64,
    /// The file or pipe.
    pub file: FileInfo,
    /// The dying process; for a pipe its handler, which is not the victim.
    pub actor: Actor,
    /// 0 file, 1 pipe handler, 2 socket.
    pub sink: u64,
}
