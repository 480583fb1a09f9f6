//! What the kernel said, owned and checked. What it means is decided later.

use std::net::{IpAddr, Ipv6Addr};

use sensor_abi::{
    flow::{Move, Via},
    key::{CarrierKey, PairKey},
    magic::Format,
    mark::MarkSet,
    record,
};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, ns since boot.
    pub time_ns: u64,
    /// What.
    pub body: Body,
}

/// The payload of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A dump began to be written.
    Birth(Birth),
    /// Its writer ended: key, size and path are final.
    Born(Birth),
    /// Bytes moved between two carriers for the first time with this set of colours.
    Edge(Box<Edge>),
    /// A pair's byte count passed a threshold.
    Grow {
        /// The two ends.
        pair: PairKey,
        /// Bytes so far.
        bytes: u64,
    },
    /// A marked process executed a program.
    Exec {
        /// The process, with its new executable.
        actor: Actor,
        /// The process as it was before.
        old: CarrierKey,
        /// Colours before.
        before: MarkSet,
        /// Colours after.
        after: MarkSet,
        /// By how much argv and environment are longer than those of the process that got the mark.
        longer: u64,
    },
    /// A marked process forked.
    Fork {
        /// The parent.
        parent: CarrierKey,
        /// The child.
        child: CarrierKey,
        /// Colours of both.
        set: MarkSet,
    },
    /// A marked process ended.
    Exit {
        /// The process.
        task: CarrierKey,
    },
    /// A marked process opened a TCP connection.
    Connect {
        /// The process.
        actor: Actor,
        /// Its colours.
        set: MarkSet,
        /// The connection.
        socket: Socket,
    },
    /// A file that held dump bytes was emptied.
    Truncate {
        /// The process.
        actor: Actor,
        /// The file.
        key: CarrierKey,
    },
    /// A movement was refused, or would have been.
    Verdict {
        /// It, without bytes.
        edge: Box<Edge>,
        /// The call got EPERM.
        refused: bool,
    },
    /// A process is about to dump core, if limits allow.
    Crash {
        /// The process.
        actor: Actor,
        /// Signal number.
        signal: u64,
    },
}

/// Where a dump is written to, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreSink {
    /// A file, by the kernel.
    File,
    /// A file, by a program: the actor writes it, and `traced` is whose memory it is, when the actor traces somebody.
    Program(Format),
    /// A file whose header may still come: it becomes a dump when it begins like one.
    Perhaps,
    /// The memory of a program, which read that of `traced`, or of the kernel.
    Memory,
    /// A pipe handler: the actor is the handler, not the victim.
    Pipe,
    /// A coredump socket.
    Socket,
}

impl CoreSink {
    /// True when the dump is at rest from the beginning.
    pub const fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Program(_))
    }
}

/// A birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// Number of the dump in the kernel.
    pub dump: u64,
    /// What it is written to.
    pub object: CarrierKey,
    /// Colour, when it has one already.
    pub colour: Option<u32>,
    /// Where to.
    pub sink: CoreSink,
    /// The file, for a file.
    pub file: File,
    /// The victim, the handler, or the program that writes it.
    pub actor: Actor,
    /// The process that the program traces, or reads.
    pub traced: Option<CarrierKey>,
}

/// A movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The two ends.
    pub pair: PairKey,
    /// All colours that moved.
    pub set: MarkSet,
    /// Bytes that the pair had moved before this set came.
    pub bytes_before: u64,
    /// Bytes of the operation, when known.
    pub bytes: u64,
    /// The file end.
    pub file: Option<File>,
    /// The socket end.
    pub socket: Option<Socket>,
    /// Who.
    pub actor: Actor,
    /// By which means.
    pub via: Via,
    /// Which ends.
    pub direction: Move,
}

/// A process, as the kernel told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The fixed part.
    pub base: record::Actor,
    /// Path of the executable.
    pub executable: Option<String>,
    /// Start of argv, NUL-separated, as it lay in memory.
    pub argv: Option<Vec<u8>>,
}

impl Actor {
    /// The carrier that it is.
    pub const fn key(&self) -> CarrierKey {
        CarrierKey::task(self.base.tgid, CarrierKey::task_id(self.base.start_ns, self.base.exec_id))
    }
    /// Name of the thread.
    pub fn comm(&self) -> String {
        let end = self.base.comm.iter().position(|b| *b == 0).unwrap_or(self.base.comm.len());
        printable(&self.base.comm[..end])
    }
}

/// A file, as the kernel told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The fixed part.
    pub base: record::FileInfo,
    /// Path, when it could be walked.
    pub path: Option<String>,
    /// The path is relative to the root of its file system.
    pub path_in_fs: bool,
}

/// A socket, as the kernel told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// `AF_*`.
    pub family: u16,
    /// `IPPROTO_*`.
    pub protocol: u16,
    /// Own address; v4-mapped is v4.
    pub local: IpAddr,
    /// Own port.
    pub local_port: u16,
    /// Peer's address, or the one given with the message.
    pub remote: IpAddr,
    /// Its port.
    pub remote_port: u16,
    /// Inode number in sockfs.
    pub ino: u64,
    /// Network namespace.
    pub netns: u32,
    /// Inode number of a connected unix peer, or 0.
    pub peer_ino: u64,
}

impl From<&record::SockInfo> for Socket {
    fn from(s: &record::SockInfo) -> Self {
        let address = |bytes: [u8; 16]| Ipv6Addr::from(bytes).to_canonical();
        Self {
            family: s.family,
            protocol: s.protocol,
            local: address(s.local),
            local_port: s.local_port,
            remote: address(s.remote),
            remote_port: record::port_of(s.remote_port, s.protocol, s.kind),
            ino: s.ino,
            netns: s.netns,
            peer_ino: s.peer_ino,
        }
    }
}

impl Socket {
    /// `tcp` or `udp`, for internet sockets.
    pub const fn transport(&self) -> Option<&'static str> {
        match (self.family, self.protocol) {
            (2 | 10, 6) => Some("tcp"),
            (2 | 10, _) => Some("udp"),
            _ => None,
        }
    }
}

/// Bytes as text: not UTF-8 or not printable is escaped, so that no name can paint a terminal or break a line.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}
