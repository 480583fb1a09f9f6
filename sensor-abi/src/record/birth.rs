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
    /// 0 file, 1 pipe handler, 2 socket; 3 file, by a program: the actor is the process that writes it; 4 the
    /// actor's own memory, into which it read that of `traced` (generation 0: the kernel's); 5 a file that a program begins
    /// and whose header may come later: no mark, no dump yet.
    pub sink: u64,
    /// Whose memory it is, where a program makes the dump: the process that the writing thread traces, or that is read.
    pub traced: CarrierKey,
    /// For a dump that a program writes: a [`crate::magic::Format`], else 0.
    pub format: u64,
}
