//! Map keys. Every key survives reuse of the number it is made of: files carry their generation, tasks their start
//! time; pipes and sockets are numbered by the kernel's never-repeating inode counter or by address plus a stored
//! object pointer that retirement checks.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Classes of carrier that are not inodes live in `dev` values that no block or anonymous device has (major 4095).
pub mod class {
    /// A process running one program: `id` is [`super::CarrierKey::task_id`], `generation` its tgid.
    pub const TASK: u32 = 0xffff_ff01;
    /// A socket. As the end of a movement `id` is its inode number in sockfs, which never repeats; as a key of `OBJECT`
    /// it is the address of its `struct sock`, because a receiver has no inode before accept(2).
    pub const SOCK: u32 = 0xffff_ff02;
    /// A network flow: `id` is a hash over destination and protocol, `generation` the low half of the socket's inode.
    pub const FLOW: u32 = 0xffff_ff03;
    /// The same for datagrams: no receiver's mark tells when it is over.
    pub const DATAGRAM: u32 = 0xffff_ff04;
    /// A System V message queue: `id` is the address of its `struct kern_ipc_perm`, `generation` its id.
    pub const QUEUE: u32 = 0xffff_ff05;
    /// The end of a terminal that reads: `id` is the address of its `struct tty_struct`, `generation` its index.
    pub const TTY: u32 = 0xffff_ff06;
    /// First value of the range; everything below is a real device number.
    pub const FIRST: u32 = 0xffff_ff00;
}

/// The kernel's own encoding of a device number (`super_block.s_dev`), which differs from `st_dev`'s.
pub const fn s_dev(major: u32, minor: u32) -> u32 {
    major << 20 | minor & 0xf_ffff
}

/// Any kernel object that can hold dump bytes. Inodes: `dev` is `super_block.s_dev`, `id` the inode number,
/// `generation` `inode.i_generation` (0 for pipes). Other classes: see [`class`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CarrierKey {
    /// Inode number, start time or address, by class.
    pub id: u64,
    /// Device number or class.
    pub dev: u32,
    /// Inode generation, tgid or zero, by class.
    pub generation: u32,
}

impl CarrierKey {
    /// The carrier of a process, by [`Self::task_id`].
    pub const fn task(tgid: u32, id: u64) -> Self {
        Self { id, dev: class::TASK, generation: tgid }
    }
    /// Start time of the leader (ns since boot, 56 bits are 2.3 years) and how often it has executed a program (mod 256):
    /// its memory is another one after each, so it is another carrier.
    pub const fn task_id(start_ns: u64, exec_id: u32) -> u64 {
        start_ns & ((1 << 56) - 1) | (exec_id as u64) << 56
    }
    /// The two parts of [`Self::task_id`], of the carrier of a process.
    pub const fn task_parts(&self) -> (u64, u32) {
        (self.id & ((1 << 56) - 1), (self.id >> 56) as u32)
    }
    /// True for network flows.
    pub const fn is_flow(&self) -> bool {
        matches!(self.dev, class::FLOW | class::DATAGRAM)
    }
    /// True for what bytes only pass through and that has no file: queues and terminals.
    pub const fn is_channel(&self) -> bool {
        matches!(self.dev, class::QUEUE | class::TTY)
    }
    /// True for files, pipes and FIFOs.
    pub const fn is_inode(&self) -> bool {
        self.dev < class::FIRST
    }
}

/// Two carriers between which bytes moved.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PairKey {
    /// Where the bytes came from.
    pub from: CarrierKey,
    /// Where they went.
    pub to: CarrierKey,
}

/// A set of colours that moved between two carriers: the unit that is reported once. A digest in place of the set keeps
/// the key small; one operation needs one look-up, however many colours it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EdgeKey {
    /// The two ends.
    pub pair: PairKey,
    /// [`crate::mark::MarkSet::digest`] of the set.
    pub digest: u64,
}

/// "This mark has this colour": its insertion elects the one writer that may add the bit (no atomic OR on 5.10).
/// `mark` names one incarnation of a mark, so nothing stale survives exec or the reuse of an address. Colours that a
/// mark began with have no entry: nobody adds them again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MemberKey {
    /// The mark's `id`.
    pub mark: u64,
    /// Index of the word in its set.
    pub word: u64,
    /// The one bit of that word.
    pub bit: u64,
}

/// A TCP or UDP endpoint as its receiver sees it: how the same-kernel peer of a send is found when no hook shows it.
/// Addresses are v6, v4 ones mapped; ports in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EndpointKey {
    /// The receiver's own address.
    pub local: [u32; 4],
    /// The sender's address.
    pub remote: [u32; 4],
    /// The receiver's port.
    pub local_port: u16,
    /// The sender's port.
    pub remote_port: u16,
    /// Inode number of the network namespace for loopback addresses, which repeat in each; else 0.
    pub netns: u32,
}
