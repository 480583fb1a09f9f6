//! Map values: what a carrier's mark is made of.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::key::CarrierKey;

/// Colours at most alive at one time; colour [`MANY`] stands for "one of several, not told apart".
pub const COLOURS: u32 = 256;
/// The colour that is never refused: its alerts carry candidates.
pub const MANY: u32 = 0;

/// A set of colours as 4 × 64 bits. In a map value each word is only ever added to, once per bit, by the winner of the
/// `MEMBER` insertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MarkSet {
    /// Bit `c % 64` of word `c / 64` is colour `c`.
    pub words: [u64; 4],
}

impl MarkSet {
    /// The set of one colour.
    pub const fn one(colour: u32) -> Self {
        let mut words = [0; 4];
        words[(colour / 64 % 4) as usize] = 1 << (colour % 64);
        Self { words }
    }
    /// True when no colour is in the set.
    pub const fn is_empty(&self) -> bool {
        self.words[0] | self.words[1] | self.words[2] | self.words[3] == 0
    }
    /// True when `colour` is in the set.
    pub const fn has(&self, colour: u32) -> bool {
        self.words[(colour / 64 % 4) as usize] >> (colour % 64) & 1 == 1
    }
    /// Adds the colours of another set.
    #[inline(always)]
    pub fn join(&mut self, more: &Self) {
        for i in 0..4 {
            self.words[i] |= more.words[i];
        }
    }
    /// Takes away the colours of another set.
    #[inline(always)]
    pub fn remove(&mut self, others: &Self) {
        for i in 0..4 {
            self.words[i] &= !others.words[i];
        }
    }
    /// 64 bits that tell sets apart; of a set of one colour exactly, of larger sets as well as a hash does.
    #[inline(always)]
    pub const fn digest(&self) -> u64 {
        let mut hash: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut i = 0;
        while i < 4 {
            hash = (hash ^ self.words[i]).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
            i += 1;
        }
        hash
    }
    /// The colours of the set, ascending.
    pub fn colours(self) -> impl Iterator<Item = u32> {
        (0..COLOURS).filter(move |c| self.has(*c))
    }
}

/// Value of `FILE`: a regular file that holds dump bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileMark {
    /// Number of the dump that this file is at rest (its birth file), or 0.
    pub dump: u64,
    /// Colours that were written into it, or that its dump got at its first read.
    pub set: MarkSet,
    /// Address of the inode when the mark was set: what `reap` looks at.
    pub object: u64,
    /// Address of its super block: without that, what is on no device is gone.
    pub sb: u64,
    /// Names this incarnation of the mark: ns since boot and CPU (see [`stamp`]).
    pub id: u64,
}

/// Value of `OBJECT` (pipes, FIFOs and sockets) and of `ENDPOINT` (receivers known by address only).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ObjectMark {
    /// Colours that were written into it.
    pub set: MarkSet,
    /// The carrier that wrote first: a receiver known only by its endpoint is joined to its sender by this.
    pub writer: CarrierKey,
    /// Address of the inode or `struct sock`: what `reap` looks at. For `ENDPOINT` the sender's.
    pub object: u64,
    /// What that object looked like: inode number of a pipe, hash of a socket's endpoints. Something else there means
    /// that the object is gone.
    pub fingerprint: u64,
    /// Inode number in sockfs of a receiving socket, 0 when it was not accepted yet; addresses are reused in pairs.
    pub ino: u64,
    /// Names this incarnation of the mark.
    pub id: u64,
    /// Of `ENDPOINT`: calls that are about to send there, or have sent. With none all were refused, and what comes is not the
    /// dump's.
    pub sends: u64,
}

/// Value of `TASK`, keyed by tgid: a process that may hold dump bytes in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskMark {
    /// `id` of the process's carrier.
    pub carrier: u64,
    /// Colours that it read, received or inherited.
    pub set: MarkSet,
    /// Length of argv plus environment when memory got the mark, kept over exec for as long as what is longer may carry
    /// bytes: these are then still the ones without a dump.
    pub arg_len: u64,
    /// Names this incarnation of the mark.
    pub id: u64,
}

/// Value of `PAIR`: what moved between two carriers. Only ever added to by the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PairBytes {
    /// Bytes moved.
    pub bytes: u64,
    /// Operations that moved them.
    pub ops: u64,
    /// Time of the last one, ns since boot. Written plainly: a lost race costs microseconds, not truth.
    pub last_ns: u64,
    /// 1 when they have reached a socket of this kernel, whatever the address says. Written plainly.
    pub local: u64,
}

/// Value of `DUMP`, keyed by dump number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Dump {
    /// The colour that it got when it was first read.
    pub colour: u64,
}

/// Value of `DUMPING`, keyed by tgid: the core file that a dying process is writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Dumping {
    /// Number of the dump.
    pub dump: u64,
    /// Address of the inode.
    pub inode: u64,
    /// Key under which the mark stands now: at creation generation and number may still be unset.
    pub key: CarrierKey,
}

/// Value of `STASH`, keyed by pid_tgid: the sink that a system call in progress was found to write to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stash {
    /// The pair whose bytes the result is added to.
    pub pair: crate::key::PairKey,
    /// When, ns since boot: a stash whose thread died inside the call is swept by age.
    pub time_ns: u64,
    /// Colours that the call carries.
    pub set: MarkSet,
    /// 1 for no movement but a word to the twin of the program that ran: the call has been counted.
    pub told: u32,
    /// Own port of a socket sink.
    pub local_port: u16,
    /// Peer's port of a socket sink.
    pub remote_port: u16,
    /// Address of the sending socket when its receiver is marked in `ENDPOINT`, else 0.
    pub object: u64,
    /// Key there.
    pub endpoint: crate::key::EndpointKey,
    /// The server of the file system in user space that the sink is on; zero for any other sink.
    pub server: CarrierKey,
}

/// Value of `SERVER`, keyed by the address of a FUSE connection: the process that takes its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Server {
    /// The process.
    pub key: CarrierKey,
    /// Address of the `struct task_struct` of its first thread.
    pub task: u64,
    /// Colours that were written to files of this connection: they are no news in what it reads from them. Written plainly:
    /// a lost race makes a mark too many.
    pub written: MarkSet,
}

/// Value of `CALL`, keyed by pid_tgid: a system call in progress while both layers stand, so that its bytes are counted by
/// one of them, and so that the bridge stays until it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Call {
    /// Key in `OBJECT` of the pipe or socket that it reads; zero when it reads none.
    pub object: CarrierKey,
    /// One of [`counted`].
    pub counted: u64,
}

/// By which layer a call's bytes are counted.
pub mod counted {
    /// By none yet: by the system call's end, if no function sees it first.
    pub const NOT_YET: u64 = 0;
    /// By the functions.
    pub const BELOW: u64 = 1;
    /// By the system call, when it began.
    pub const AT_ENTRY: u64 = 2;
}

/// A number that nothing else has until reboot: ns since boot, CPU in the low byte.
#[inline(always)]
pub const fn stamp(boottime_ns: u64, cpu: u32) -> u64 {
    boottime_ns << 8 | (cpu & 0xff) as u64
}

/// The time inside a [`stamp`], ns since boot.
pub const fn stamp_time(stamp: u64) -> u64 {
    stamp >> 8
}

#[cfg(feature = "user")]
mod pod {
    use super::{Call, Dump, Dumping, FileMark, MarkSet, ObjectMark, PairBytes, Server, Stash, TaskMark};
    use crate::{
        key::{CarrierKey, EdgeKey, EndpointKey, MemberKey, PairKey},
        offsets::Offsets,
        settings::Settings,
    };

    macro_rules! pod {
        ($($t:ty),*) => {$(
            // SAFETY: `repr(C)`, Copy, 'static, and zerocopy's IntoBytes proves that there is no padding.
            unsafe impl aya::Pod for $t {}
        )*};
    }
    pod!(CarrierKey, PairKey, EdgeKey, MemberKey, EndpointKey, FileMark, ObjectMark, TaskMark, PairBytes, Dump);
    pod!(Call, Dumping, Server, Stash, MarkSet, Offsets, Settings);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_one_has_that_colour_only() {
        for c in [0, 1, 63, 64, 127, 128, 255] {
            assert_eq!(MarkSet::one(c).colours().collect::<Vec<_>>(), [c]);
        }
        assert!(MarkSet::default().is_empty());
    }

    #[test]
    fn sets_are_joined_and_taken_apart() {
        let mut set = MarkSet::one(3);
        set.join(&MarkSet::one(200));
        assert_eq!(set.colours().collect::<Vec<_>>(), [3, 200]);
        set.remove(&MarkSet::one(3));
        set.remove(&MarkSet::one(64));
        assert_eq!(set, MarkSet::one(200));
    }

    extern crate std;
    use std::vec::Vec;
}
