//! Records: what the kernel says. One payload a file. A record is its fixed part, then (for those with a [`Tail`]) up to
//! three strings: the path of the file concerned, the path of the executable, and the start of argv.
//!
//! Times are `CLOCK_BOOTTIME` ns. Every record starts with a [`Header`]; the agent checks length and kind before it
//! reads anything else.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

mod birth;
mod edge;
mod life;
mod verdict;

pub use birth::Birth;
pub use edge::{Connect, Edge, Grow};
pub use life::{CARRIES, CARRIES_ON, Crash, Exec, Exit, Fork, Truncate};
pub use verdict::Verdict;

/// Size of the ring for what wakes the agent at once, in bytes.
pub const URGENT_BYTES: u32 = 1024 * 1024;
/// Size of the ring for everything else, in bytes.
pub const FLOW_BYTES: u32 = 8 * 1024 * 1024;

/// Raised whenever the meaning of a field changes without its size.
pub const FORMAT: u32 = 1;

/// Which payload follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Kind {
    /// [`Birth`]: a dump began to be written.
    Birth = 1,
    /// [`Birth`] again, with final key, size and path: its writer died.
    Born = 2,
    /// [`Edge`]: bytes of a marked carrier moved to a carrier for the first time.
    Edge = 3,
    /// [`Grow`]: a pair's byte count passed a threshold. A hint; the map is the truth.
    Grow = 4,
    /// [`Exec`]: a marked process executed a program.
    Exec = 5,
    /// [`Fork`]: a marked process forked.
    Fork = 6,
    /// [`Exit`]: a marked process ended.
    Exit = 7,
    /// [`Connect`]: a marked process opened a TCP connection.
    Connect = 8,
    /// [`Crash`]: a process is about to dump core.
    Crash = 9,
    /// [`Truncate`]: a file that held dump bytes was emptied.
    Truncate = 10,
    /// [`Verdict`]: a movement was refused, or would have been.
    Verdict = 11,
}

impl Kind {
    /// The kind with this number.
    pub const fn from_u16(n: u16) -> Option<Self> {
        Some(match n {
            1 => Self::Birth,
            2 => Self::Born,
            3 => Self::Edge,
            4 => Self::Grow,
            5 => Self::Exec,
            6 => Self::Fork,
            7 => Self::Exit,
            8 => Self::Connect,
            9 => Self::Crash,
            10 => Self::Truncate,
            11 => Self::Verdict,
            _ => return None,
        })
    }
}

/// Start of every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// When, ns since boot (suspend included).
    pub time_ns: u64,
    /// A [`Kind`].
    pub kind: u16,
    /// Length of the whole record in bytes, tail included.
    pub len: u16,
    /// CPU on which it happened.
    pub cpu: u32,
}

/// Who did it: what cannot be looked up once the process is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Actor {
    /// Start time of the group leader, ns since boot.
    pub start_ns: u64,
    /// Start time of the parent's group leader.
    pub parent_start_ns: u64,
    /// cgroup v2 id.
    pub cgroup: u64,
    /// Inode number of the executable.
    pub exe_ino: u64,
    /// Device of the executable.
    pub exe_dev: u32,
    /// Process id, initial namespace.
    pub tgid: u32,
    /// Thread id, initial namespace.
    pub tid: u32,
    /// Process id of the parent.
    pub parent_tgid: u32,
    /// Real user id, initial user namespace.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Login user id; `u32::MAX` when never set.
    pub login_uid: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the mount namespace.
    pub mntns: u32,
    /// `task_struct.flags`.
    pub flags: u32,
    /// `task_struct.self_exec_id`.
    pub exec_id: u32,
    /// Keeps the layout free of implicit padding.
    pub reserved: u32,
    /// Name of the thread, NUL-padded.
    pub comm: [u8; 16],
}

/// The file end of a movement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileInfo {
    /// Address of the inode, to find it again while it is cached.
    pub object: u64,
    /// `i_size` in bytes.
    pub size: u64,
    /// `super_block.s_magic`.
    pub magic: u64,
    /// `i_mode`.
    pub mode: u32,
    /// `i_nlink`.
    pub nlink: u32,
    /// `i_readcount`, or `u32::MAX` when this kernel does not keep it: descriptors and mappings open for reading.
    pub readers: u32,
    /// `i_writecount`: writers when positive.
    pub writers: u32,
}

/// The socket end of a movement. Addresses are v6, v4 ones mapped, network order; ports in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SockInfo {
    /// Own address.
    pub local: [u8; 16],
    /// Peer's address, or the address given with the message.
    pub remote: [u8; 16],
    /// Inode number of the socket in sockfs; 0 before accept(2).
    pub ino: u64,
    /// Address of the peer's `struct sock` for a connected unix socket, else 0.
    pub peer: u64,
    /// Inode number of the peer's socket in sockfs for a connected unix socket; 0 before accept(2).
    pub peer_ino: u64,
    /// Network namespace of the socket.
    pub netns: u32,
    /// Own port.
    pub local_port: u16,
    /// Peer's port, as the socket or the message names it: see [`port_of`].
    pub remote_port: u16,
    /// `AF_*`.
    pub family: u16,
    /// `IPPROTO_*`.
    pub protocol: u16,
    /// `SOCK_*`.
    pub kind: u16,
    /// `TCP_*` state.
    pub state: u16,
}

/// The port that a send to this one goes to. What raw sockets and those of ICMP send has none, whatever number an address
/// names.
#[inline(always)]
pub const fn port_of(named: u16, protocol: u16, kind: u16) -> u16 {
    const SOCK_RAW: u16 = 3;
    const IPPROTO_ICMP: u16 = 1;
    const IPPROTO_ICMPV6: u16 = 58;
    if kind == SOCK_RAW || matches!(protocol, IPPROTO_ICMP | IPPROTO_ICMPV6) { 0 } else { named }
}

/// Lengths of the three strings behind the fixed part, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tail {
    /// Path of the file concerned: NUL-terminated components, leaf first.
    pub path: u16,
    /// Path of the executable, same form.
    pub exe: u16,
    /// argv, NUL-separated, cut at [`ARGV_MAX`].
    pub argv: u16,
    /// 1 when `path` is relative to the root of its file system, not to the root directory: its mount was not known.
    pub path_in_fs: u16,
}

/// Longest argv prefix in a record, bytes.
pub const ARGV_MAX: usize = 256;
/// Longest path in a record, bytes; deeper leaves are kept, upper directories are cut.
pub const PATH_MAX: usize = 1024;

/// Where the strings begin in a record that has a [`Tail`]; no fixed part is longer.
pub const STRINGS: usize = 512;
