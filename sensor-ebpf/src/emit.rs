//! Telling the agent. Records are built in a per-CPU scratch slot and copied to a ring in one go.
//!
//! Every program has a slot of its own, see `engine::work::Slot`.

use aya_ebpf::{
    bindings::BPF_RB_FORCE_WAKEUP,
    helpers::generated::{bpf_probe_read_user, bpf_ringbuf_output},
    maps::RingBuf,
};
use sensor_abi::{
    fault::Fault,
    key::{CarrierKey, PairKey},
    mark::MarkSet,
    record::{
        ARGV_MAX, Birth, Connect, Crash, Edge, Exec, Exit, FileInfo, Fork, Grow, Header, Kind, STRINGS, SockInfo, Tail,
        Truncate, Verdict,
    },
};

use crate::{
    engine::{
        verdict::Ask,
        work::{Slot, Work, target},
    },
    kernel::{
        cpu,
        file::{File, Inode},
        now,
        path::{self, STRING_MASK},
        setting,
        sock::{Name, Sock, name_peer},
        task::{self, Task},
    },
    maps::{FLOW, PAIR, SCRATCH, URGENT},
    stats,
};

const _: () = assert!(size_of::<Edge>() <= STRINGS && size_of::<Birth>() <= STRINGS);
/// Keeps the verifier sure of bounds.
const RECORD_MASK: u64 = 0xfff;

/// A scratch slot being filled.
struct Build {
    slot: Slot,
    base: *mut u8,
}

/// Writes a path into a scratch slot, `at` bytes after the beginning of its strings, and returns its length. See
/// [`path::begin`].
// VERIFIER: see `engine::dumptrail_move`. The body of the loop is a function of its own, which it looks at once, not forty
// times.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_path(slot: u32, at: u32, dentry: u64, mount: u64) -> u32 {
    let Some(room) = SCRATCH.get_ptr_mut(Slot::of(slot).index()) else { return 0 };
    // SAFETY: the slot is ours until the program ends.
    unsafe { path::begin(dentry, mount, room.cast(), at) };
    for _ in 0..path::DEPTH {
        if dumptrail_step(slot) == 0 {
            break;
        }
    }
    // SAFETY: as above.
    unsafe { path::length(room.cast()) }
}

/// See [`path::step`].
// VERIFIER: see `dumptrail_path`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_step(slot: u32) -> i32 {
    let Some(room) = SCRATCH.get_ptr_mut(Slot::of(slot).index()) else { return 0 };
    // SAFETY: as there.
    unsafe { path::step(room.cast()) }.into()
}

impl Build {
    #[inline(always)]
    fn begin(slot: Slot) -> Option<Self> {
        SCRATCH.get_ptr_mut(slot.index()).map(|p| Self { slot, base: p.cast() })
    }
    #[expect(clippy::mut_from_ref, reason = "record and strings are disjoint parts of the slot, filled side by side")]
    #[inline(always)]
    fn record<T>(&self) -> &mut T {
        // SAFETY: the slot is ours until the program ends, larger than any record, and all records are plain numbers.
        unsafe { &mut *self.base.cast::<T>() }
    }
    /// Appends the strings of an actor and of a file; returns their total length.
    #[inline(always)]
    fn strings(&self, tail: &mut Tail, dentry: u64, mount: u64, with_actor: bool) -> u32 {
        let mut at = 0;
        *tail = Tail::default();
        if dentry != 0 {
            at = dumptrail_path(self.slot.number(), 0, dentry, mount);
            tail.path = at as u16;
            tail.path_in_fs = u16::from(mount == 0);
        }
        if with_actor {
            let task = Task::current();
            let (dentry, mount) = task.executable().path();
            let n = dumptrail_path(self.slot.number(), at, dentry, mount);
            tail.exe = n as u16;
            at += n;
            let n = self.argv(at, task);
            tail.argv = n as u16;
            at += n;
        }
        at
    }
    #[inline(always)]
    fn argv(&self, at: u32, task: Task) -> u32 {
        if setting!(argv) == 0 {
            return 0;
        }
        let (start, len) = task.argv();
        let len = if len > ARGV_MAX as u64 { ARGV_MAX as u32 } else { len as u32 };
        // SAFETY: the destination has room for ARGV_MAX bytes, see `path`.
        let failed = unsafe {
            let out = self.base.add(STRINGS + (at & STRING_MASK) as usize);
            bpf_probe_read_user(out.cast(), len & 0x1ff, start as *const _)
        };
        if failed == 0 { len } else { 0 }
    }
    /// The strings begin at a fixed place, so that the verifier knows all bounds; the gap before them travels along.
    #[inline(always)]
    fn submit(&self, kind: Kind, urgent: bool, strings: u32) -> bool {
        let len = STRINGS as u64 + u64::from(strings);
        self.send(kind, urgent, len)
    }
    #[inline(always)]
    fn submit_fixed<T>(&self, kind: Kind, urgent: bool) -> bool {
        self.send(kind, urgent, size_of::<T>() as u64)
    }
    #[inline(always)]
    fn send(&self, kind: Kind, urgent: bool, len: u64) -> bool {
        let header = self.record::<Header>();
        header.time_ns = now();
        header.kind = kind as u16;
        header.len = len as u16;
        header.cpu = cpu();
        let sent = if urgent {
            output(&URGENT, self.base, len, u64::from(BPF_RB_FORCE_WAKEUP))
        } else {
            output(&FLOW, self.base, len, 0)
        };
        // Growth is a hint: the agent reads the map anyway.
        if !sent && kind as u16 != Kind::Grow as u16 {
            stats::fault(if urgent { Fault::UrgentRingFull } else { Fault::FlowRingFull });
        }
        sent
    }
}

#[inline(always)]
fn output(ring: &'static RingBuf, base: *mut u8, len: u64, flags: u64) -> bool {
    // SAFETY: the slot is 8 KiB and the length is masked below that.
    unsafe { bpf_ringbuf_output((&raw const *ring).cast_mut().cast(), base.cast(), len & RECORD_MASK, flags) == 0 }
}

/// A movement. True when the record is in a ring.
// VERIFIER: not inlined, so that its frame is gone when the mark is set.
#[inline(never)]
pub fn edge(slot: Slot, work: &Work) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let e = build.record::<Edge>();
    e.pair = work.pair;
    e.set = work.set;
    e.writer = work.writer;
    // SAFETY: values are only added to.
    e.bytes_before = unsafe { PAIR.get(&work.pair) }.map_or(0, |p| p.bytes);
    e.bytes = work.bytes;
    e.via = work.via;
    e.direction = work.direction;
    e.raced = u8::from(work.name.is_raced());
    e.reserved = [0; 5];
    e.file = FileInfo::default();
    let (mut dentry, mut mount) = (0, 0);
    if work.file != 0 {
        File(work.file).inode().real().describe(&mut e.file);
        (dentry, mount) = File(work.file).path();
    } else if work.target == target::FILE {
        Inode(work.inode).describe(&mut e.file);
        dentry = Inode(work.inode).dentry();
    }
    describe_sock(&mut e.sock, work.sock, work.name);
    task::describe(&mut e.actor);
    let strings = build.strings(&mut e.tail, dentry, mount, true);
    build.submit(Kind::Edge, work.sock != 0, strings)
}

#[inline(always)]
fn describe_sock(info: &mut SockInfo, sock: u64, name: Name) {
    *info = SockInfo::default();
    if sock != 0 {
        Sock(sock).describe(info);
    }
    if name.is_given() {
        name_peer(info, name);
    }
}

/// What a birth record says beside the actor. It lies in the slot: on the stack it is too much for `executed`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Newborn {
    /// A [`Kind`].
    pub kind: u64,
    pub dump: u64,
    pub object: CarrierKey,
    pub colour: u64,
    pub inode: u64,
    pub sink: u64,
    /// Where its path begins: a dentry, and a mount or 0.
    pub path: (u64, u64),
    pub traced: CarrierKey,
    pub format: u64,
}

impl Newborn {
    /// A dump at rest of which nothing is known yet.
    #[inline(always)]
    pub fn of(kind: Kind) -> Self {
        Self {
            kind: kind as u64,
            dump: 0,
            object: CarrierKey::default(),
            colour: u64::MAX,
            inode: 0,
            sink: 0,
            path: (0, 0),
            traced: CarrierKey::default(),
            format: 0,
        }
    }
}

/// A birth, or its end.
#[inline(always)]
pub fn birth(slot: Slot, newborn: Newborn) {
    let Some(work) = Work::slot(slot) else { return };
    work.room.newborn = newborn;
    announce(slot);
}

/// The birth in the slot.
#[inline(never)]
pub fn announce(slot: Slot) -> bool {
    let (Some(build), Some(work)) = (Build::begin(slot), Work::slot(slot)) else { return false };
    let newborn = &work.room.newborn;
    let b = build.record::<Birth>();
    b.dump = newborn.dump;
    b.object = newborn.object;
    b.colour = newborn.colour;
    b.sink = newborn.sink;
    b.traced = newborn.traced;
    b.format = newborn.format;
    b.file = FileInfo::default();
    if newborn.inode != 0 {
        Inode(newborn.inode).describe(&mut b.file);
    }
    task::describe(&mut b.actor);
    let strings = build.strings(&mut b.tail, newborn.path.0, newborn.path.1, true);
    let kind = if newborn.kind == Kind::Born as u64 { Kind::Born } else { Kind::Birth };
    // What may become a dump arms nothing.
    build.submit(kind, newborn.sink != 5, strings)
}

/// A marked process executed a program.
#[inline(never)]
pub fn exec(slot: Slot, old: &CarrierKey, before: &MarkSet, after: &MarkSet, arg_len: [u64; 2]) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let e = build.record::<Exec>();
    e.old = *old;
    e.before = *before;
    e.after = *after;
    e.arg_len_before = arg_len[0];
    e.arg_len = arg_len[1];
    task::describe(&mut e.actor);
    let strings = build.strings(&mut e.tail, 0, 0, true);
    build.submit(Kind::Exec, false, strings)
}

/// A process got a signal that dumps core.
#[inline(never)]
pub fn crash(slot: Slot, signal: u64) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let c = build.record::<Crash>();
    c.signal = signal;
    task::describe(&mut c.actor);
    let strings = build.strings(&mut c.tail, 0, 0, true);
    build.submit(Kind::Crash, true, strings)
}

/// A file that held dump bytes was emptied.
#[inline(never)]
pub fn truncate(slot: Slot, file: &CarrierKey) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let t = build.record::<Truncate>();
    t.file = *file;
    task::describe(&mut t.actor);
    let strings = build.strings(&mut t.tail, 0, 0, true);
    build.submit(Kind::Truncate, false, strings)
}

/// A marked process opened a TCP connection.
#[inline(never)]
pub fn connect(slot: Slot, set: &MarkSet, sock: u64) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let c = build.record::<Connect>();
    c.set = *set;
    describe_sock(&mut c.sock, sock, Name::NONE);
    task::describe(&mut c.actor);
    let strings = build.strings(&mut c.tail, 0, 0, true);
    build.submit(Kind::Connect, true, strings)
}

/// A movement was refused, or would have been. Built in the ring: see `engine::verdict`.
#[inline(always)]
pub fn verdict(ask: &Ask, refused: bool) -> bool {
    let Some(mut entry) = URGENT.reserve::<Verdict>(0) else {
        stats::fault(Fault::UrgentRingFull);
        return false;
    };
    // SAFETY: plain numbers, all of which are written below.
    let v = unsafe { &mut *entry.as_mut_ptr() };
    let len = size_of::<Verdict>() as u16;
    v.header = Header { time_ns: now(), kind: Kind::Verdict as u16, len, cpu: cpu() };
    v.pair = ask.pair;
    v.set = ask.set;
    describe_sock(&mut v.sock, ask.sock, ask.name);
    task::describe(&mut v.actor);
    (v.via, v.direction, v.refused) = (ask.via as u8, ask.direction as u8, u8::from(refused));
    (v.from, v.to, v.reserved) = (ask.from as u8, ask.to as u8, [0; 3]);
    entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
    true
}

/// A marked process forked.
#[inline(never)]
pub fn fork(slot: Slot, parent: &CarrierKey, child: &CarrierKey, set: &MarkSet) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let f = build.record::<Fork>();
    f.parent = *parent;
    f.child = *child;
    f.set = *set;
    build.submit_fixed::<Fork>(Kind::Fork, false)
}

/// A marked process ended.
#[inline(never)]
pub fn exit(slot: Slot, task: &CarrierKey, code: u64) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let e = build.record::<Exit>();
    e.task = *task;
    e.code = code;
    build.submit_fixed::<Exit>(Kind::Exit, false)
}

/// A pair's bytes passed a threshold. A hint: its loss is no loss.
#[inline(never)]
pub fn grow(slot: Slot, pair: &PairKey, bytes: u64, ops: u64) -> bool {
    let Some(build) = Build::begin(slot) else { return false };
    let g = build.record::<Grow>();
    g.pair = *pair;
    g.bytes = bytes;
    g.ops = ops;
    build.submit_fixed::<Grow>(Kind::Grow, false)
}
