//! One operation in progress. It lies in a per-CPU slot, not on the stack (512 bytes), and what is loaded from a map is
//! an unknown number to the verifier, so that paths which differ only in values are one path.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use sensor_abi::{
    flow::{Move, Via},
    key::{CarrierKey, EdgeKey, EndpointKey, PairKey},
    magic::WORDS,
    mark::{FileMark, MarkSet, ObjectMark, Server, Stash, TaskMark},
};

use super::{handover, marks::Adding};
use crate::{
    emit::Newborn,
    kernel::{sock::Name, task::Task},
};

/// Which slot of a CPU a program uses: each has its own. Programs may be preempted (those on functions from 5.12 on, those
/// on raw tracepoints from 7.2 on) or interrupted by a softirq, and then another program runs on the same CPU. Never the
/// same one: the kernel skips a run of a program that is on the CPU already, and counts it.
#[derive(Clone, Copy)]
pub struct Slot(u32);

/// What a program looks at. While two layers are attached, each call is counted by one of them (`handover.rs`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Something that no other program sees.
    Alone = 0,
    /// System calls.
    Calls = 1,
    /// Functions below them.
    Functions = 2,
    /// Requests of io_uring, as tracepoints tell of them.
    Rings = 3,
}

impl Slot {
    /// One of [`SLOTS`].
    pub const fn new(index: u32, layer: Layer) -> Self {
        Self(index | (layer as u32) << 8)
    }
    /// What a slot is to the exported functions, which take numbers only.
    #[inline(always)]
    pub const fn of(number: u32) -> Self {
        Self(number)
    }
    /// See [`Self::of`].
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0
    }
    /// Its place in a map.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 & 0xff
    }
    /// True for a program of this layer.
    #[inline(always)]
    pub const fn is_of(self, layer: Layer) -> bool {
        self.0 >> 8 == layer as u32
    }
}

/// Slots of a CPU; `hooks/slots.rs` deals them out.
pub const SLOTS: u32 = 72;

#[map]
static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(SLOTS, 0);

/// What gets a mark.
pub mod target {
    /// There is no movement.
    pub const NONE: u8 = 0;
    /// A process: `pair.to`, `object`.
    pub const TASK: u8 = 1;
    /// A regular file: `inode`, `pair.to`.
    pub const FILE: u8 = 2;
    /// A pipe or a receiving socket: `object_key`, `object`, `fingerprint`.
    pub const OBJECT: u8 = 3;
    /// A receiver known by its address: `endpoint`.
    pub const ENDPOINT: u8 = 4;
    /// Nothing here: the receiver is met when the data reaches it. The movement is reported all the same.
    pub const NOTHING_YET: u8 = 5;
}

/// See the module.
#[repr(C)]
pub struct Work {
    /// From where to where.
    pub pair: PairKey,
    /// The colours that move.
    pub set: MarkSet,
    /// For a receiver: the sender.
    pub writer: CarrierKey,
    /// Where what a call has written goes on to, see `Stash::server`; set by `sink::take_stash`.
    pub server: CarrierKey,
    /// Key in `OBJECT` of what gets the mark.
    pub object_key: CarrierKey,
    /// Key in `ENDPOINT` of what gets the mark.
    pub endpoint: EndpointKey,
    /// Address of the pipe's inode, of the `struct sock` or of the `struct task_struct`.
    pub object: u64,
    /// See `ObjectMark::fingerprint`.
    pub fingerprint: u64,
    /// See `ObjectMark::ino`.
    pub ino: u64,
    /// Address of the inode that gets the mark.
    pub inode: u64,
    /// Address of the file that the record tells of, or 0.
    pub file: u64,
    /// Address of the socket that the record tells of, or 0.
    pub sock: u64,
    /// A destination given with the message.
    pub name: Name,
    /// Bytes of this operation, when known.
    pub bytes: u64,
    /// A [`Via`].
    pub via: u8,
    /// A [`Move`].
    pub direction: u8,
    /// One of [`target`].
    pub target: u8,
    /// 1 when the bytes are counted when the call returns.
    pub pending: u8,
    /// Unused.
    pub reserved: u32,
    /// Room for what is inserted into maps: up to 6.12 all frames of a call chain share the 512 bytes.
    pub room: Room,
}

/// Keys and values that are being put together.
#[repr(C)]
pub struct Room {
    pub edge: EdgeKey,
    pub task: TaskMark,
    pub file: FileMark,
    pub object: ObjectMark,
    pub after: MarkSet,
    pub stash: Stash,
    pub server: Server,
    pub newborn: Newborn,
    pub adding: Adding,
    pub head: [u64; 2 * WORDS],
}

impl Work {
    /// The slot, with no record ends and no target. `None` when the other layer counts what is looked at.
    #[inline(always)]
    pub fn begin(slot: Slot, via: Via, direction: Move) -> Option<&'static mut Self> {
        if !slot.is_of(Layer::Alone) && handover::dumptrail_duty(slot.number()) == 0 {
            return None;
        }
        let work = Self::slot(slot)?;
        work.writer = CarrierKey::default();
        (work.file, work.sock, work.name, work.bytes) = (0, 0, Name::NONE, 0);
        (work.via, work.direction, work.target, work.pending) = (via as u8, direction as u8, target::NONE, 0);
        Some(work)
    }
    /// The slot as it is.
    #[inline(always)]
    pub fn slot(slot: Slot) -> Option<&'static mut Self> {
        let work = WORK.get_ptr_mut(slot.index())?;
        // SAFETY: a slot that one program uses, once at a time on a CPU, see `Slot`; all fields are plain numbers.
        Some(unsafe { &mut *work })
    }
    /// The call that moves what is in the slot has returned: it is not remembered any more.
    #[inline(always)]
    pub fn is_over(slot: Slot) {
        if let Some(work) = Self::slot(slot) {
            work.pending = 0;
        }
    }
    /// A process takes the bytes.
    #[inline(always)]
    pub fn reach(&mut self, task: Task) {
        self.pair.to = task.key();
        self.object = task.0;
        self.target = target::TASK;
    }
    /// Tells the means more exactly, when only a descriptor said.
    #[inline(always)]
    pub fn by(&mut self, via: Via) {
        if self.via == Via::File as u8 {
            self.via = via as u8;
        }
    }
}
