//! Sources: which colours an object holds, and where dumps come from.

use aya_log_ebpf as log;
use sensor_abi::{
    fault::Fault,
    flow::{Move, Via},
    key::{CarrierKey, EndpointKey, class},
    mark::{Dump, Dumping, FileMark, MANY, MarkSet, ObjectMark},
    record::Kind as Record,
};

use super::{
    EEXIST, NOEXIST, Op, fuse, marks, memory, opening,
    work::{Slot, Work, target},
};
use crate::{
    emit::{self, Newborn},
    kernel::{
        file::{File, Inode, Kind, Layer, Place, TypedInode},
        sock::{Family, Sock},
        stamp,
        task::{Task, current_file, may_be_dumping, tgid},
    },
    maps::{COLOUR, DUMP, DUMPING, ENDPOINT, FILE, OBJECT, REASONS, TASK, is_crashing},
    stats,
};

/// Looks the source of an operation up. `None`, as fast as can be, for what holds nothing.
#[inline(always)]
pub fn of_file(slot: Slot, op: &Op, direction: Move) -> Option<&'static mut Work> {
    of_op(slot, op, |file| file.inode().kind(), direction)
}

/// The same, faster, where the file's address is a number to the verifier, not a pointer.
#[inline(always)]
pub fn of_number(slot: Slot, op: &Op, direction: Move) -> Option<&'static mut Work> {
    of_op(slot, op, |file| Kind::of_number(dumptrail_sift(file.0)), direction)
}

#[inline(always)]
fn of_op(slot: Slot, op: &Op, kind: impl FnOnce(File) -> Kind, direction: Move) -> Option<&'static mut Work> {
    if op.queue.0 != 0 {
        return of_object(slot, op, op.queue.key(), op.queue.fingerprint(), direction);
    }
    if op.source.0 == 0 {
        return None;
    }
    let inode = || op.source.inode();
    match kind(op.source) {
        Kind::Regular => of_regular(slot, op, inode(), inode().place(), direction),
        Kind::Pipe => of_pipe(slot, op, inode().plain_key(), direction),
        Kind::Socket => of_sock(slot, op, Sock(op.source.sock()), direction),
        // A loop device is the file behind it.
        Kind::Block => behind_loop(slot, op, direction),
        Kind::Tty => of_tty(slot, op, direction),
        Kind::Fuse => {
            fuse::serves(slot, op.source);
            None
        }
        Kind::Other => None,
    }
}

/// The [`Kind`] of an open file, `Other` also for a regular one that has no mark: most files of most processes end here.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_sift(file: u64) -> u32 {
    let file = File(file);
    let (kind, place) = file.glance();
    let holds = match place {
        Some((place, Layer::Plain)) => marks::may_be_marked(place),
        Some((_, Layer::Overlay)) => overlaid(file.inode()),
        _ => true,
    };
    if holds { kind as u32 } else { Kind::Other as u32 }
}

/// False when neither of the files has a mark that overlayfs has put an inode on.
#[inline(always)]
fn overlaid(inode: Inode) -> bool {
    let lower = inode.lower();
    marks::may_be_marked(inode.real().place().0) || lower.0 != 0 && marks::may_be_marked(lower.place().0)
}

/// The same for a file of which a function tells, with bytes that have moved. One of /proc is left to its own.
#[inline(always)]
pub fn of_typed(slot: Slot, op: &Op, inode: TypedInode, direction: Move) -> Option<&'static mut Work> {
    match inode.kind() {
        Kind::Regular => of_regular(slot, op, inode.any(), inode.place(), direction),
        Kind::Pipe => of_pipe(slot, op, inode.plain_key(), direction),
        Kind::Socket => of_sock(slot, op, Sock(op.source.sock()), direction),
        Kind::Block => behind_loop(slot, op, direction),
        Kind::Tty => of_tty(slot, op, direction),
        Kind::Fuse | Kind::Other => None,
    }
}

#[inline(always)]
fn of_tty(slot: Slot, op: &Op, direction: Move) -> Option<&'static mut Work> {
    let tty = op.source.tty();
    of_object(slot, &Op { via: Via::Tty, ..*op }, tty.key(), tty.fingerprint(), direction)
}

/// An object of the kernel that has no file of its own, and whose address another one may get.
#[inline(always)]
fn of_object(slot: Slot, op: &Op, key: CarrierKey, fingerprint: u64, direction: Move) -> Option<&'static mut Work> {
    // SAFETY: values are only added to.
    let mark = unsafe { OBJECT.get(&key) }?;
    if !marks::is_of(mark, fingerprint, 0) {
        let _ = OBJECT.remove(&key);
        return None;
    }
    let work = Work::begin(slot, op.via, direction)?;
    work.pair.from = key;
    work.set = mark.set;
    work.writer = mark.writer;
    Some(work)
}

#[inline(always)]
fn behind_loop(slot: Slot, op: &Op, direction: Move) -> Option<&'static mut Work> {
    let inode = op.source.behind_loop()?;
    of_regular(slot, op, inode, inode.place(), direction)
}

#[inline(always)]
pub fn of_regular(
    slot: Slot,
    op: &Op,
    inode: Inode,
    (place, layer): (Place, Layer),
    direction: Move,
) -> Option<&'static mut Work> {
    if layer == Layer::Proc {
        // VERIFIER: where nothing was read, this is gone at compile time, and with it the stack that it needs.
        return if op.bytes == 0 { None } else { memory::of_file(slot, op, inode) };
    }
    let (key, mark) = of_inode(inode, place, layer)?;
    // The agent looks into every dump once it is written: that must not cost a colour.
    if super::is_exempt() {
        return None;
    }
    let work = Work::begin(slot, op.via, direction)?;
    work.pair.from = key;
    work.file = op.source.0;
    work.set = mark.set;
    if mark.dump != 0 {
        let colour = colour_of(mark.dump);
        marks::colour_file(&key, colour);
        work.set.join(&MarkSet::one(colour));
    }
    Some(work)
}

/// The mark of a file; on overlayfs also that of the file below, which the kernel copies up without a system call.
#[inline(always)]
pub fn of_inode(inode: Inode, place: Place, layer: Layer) -> Option<(CarrierKey, &'static FileMark)> {
    let overlay = layer == Layer::Overlay;
    if !overlay && !marks::may_be_marked(place) {
        return None;
    }
    let key = if overlay { inode.real().own_key() } else { place.key(inode.generation()) };
    // SAFETY: values are only added to.
    if let Some(mark) = unsafe { FILE.get(&key) } {
        return Some((key, mark));
    }
    if !overlay {
        return None;
    }
    let lower = inode.lower();
    if lower.0 == 0 {
        return None;
    }
    let key = lower.own_key();
    // SAFETY: as above.
    unsafe { FILE.get(&key) }.map(|mark| (key, mark))
}

#[inline(always)]
fn of_pipe(slot: Slot, op: &Op, key: CarrierKey, direction: Move) -> Option<&'static mut Work> {
    // SAFETY: values are only added to.
    let mark = unsafe { OBJECT.get(&key) }?;
    let work = Work::begin(slot, op.via, direction)?;
    work.by(Via::Pipe);
    work.pair.from = key;
    work.file = op.source.0;
    work.set = mark.set;
    work.writer = mark.writer;
    Some(work)
}

/// A receiving socket: the sender is the source.
#[inline(always)]
fn of_sock(slot: Slot, op: &Op, sock: Sock, direction: Move) -> Option<&'static mut Work> {
    let family = sock.family();
    let mark = match of_known(sock) {
        Some(mark) => mark,
        None if family == Family::Inet => of_endpoint(slot, sock)?,
        None => return None,
    };
    let work = Work::begin(slot, op.via, direction)?;
    work.by(sock.via());
    work.pair.from = mark.writer;
    work.writer = mark.writer;
    work.set = mark.set;
    work.sock = sock.0;
    Some(work)
}

#[inline(always)]
fn of_known(sock: Sock) -> Option<&'static ObjectMark> {
    let key = sock.object_key();
    // SAFETY: values are only added to.
    let mark = unsafe { OBJECT.get(&key) }?;
    if marks::is_of(mark, sock.fingerprint(), sock.number()) {
        return Some(mark);
    }
    let _ = OBJECT.remove(&key);
    None
}

/// A receiver that is known by its address only: from now on it is known by itself, and outlives its sender.
#[inline(always)]
fn of_endpoint(slot: Slot, sock: Sock) -> Option<&'static ObjectMark> {
    let mut endpoint = EndpointKey::default();
    sock.own_endpoint(&mut endpoint);
    // SAFETY: values are only added to.
    let mark = unsafe { ENDPOINT.get(&endpoint) }?;
    // SAFETY: points into a map value that others add to.
    if unsafe { core::ptr::read_volatile(&raw const mark.sends) } == 0 {
        return None;
    }
    let work = Work::slot(slot)?;
    work.target = target::OBJECT;
    work.set = mark.set;
    work.object_key = sock.object_key();
    (work.object, work.fingerprint, work.ino) = (sock.0, sock.fingerprint(), sock.number());
    work.writer = mark.writer;
    marks::dumptrail_mark(slot.number());
    Some(mark)
}

/// The colour of a dump. It gets one when it is first read; two readers at once agree on one.
#[inline(never)]
pub fn colour_of(dump: u64) -> u32 {
    // SAFETY: values are only added to.
    if let Some(known) = unsafe { DUMP.get(&dump) } {
        return known.colour as u32;
    }
    let colour = COLOUR.pop().ok().flatten().unwrap_or_else(|| {
        stats::fault(Fault::ColoursExhausted);
        log::warn!((), "no colour is free for dump {}: it shares \"many\"", dump);
        MANY
    });
    match DUMP.insert(&dump, &Dump { colour: u64::from(colour) }, NOEXIST) {
        Ok(()) => colour,
        Err(EEXIST) => {
            if colour != MANY {
                let _ = COLOUR.push(&colour, 0);
            }
            // SAFETY: values are only added to.
            unsafe { DUMP.get(&dump) }.map_or(MANY, |d| d.colour as u32)
        }
        Err(_) => {
            stats::fault(Fault::DumpMapFull);
            MANY
        }
    }
}

/// The current process opens a file; the kernel opens a core for the process that it is of. Where no file has got a
/// mark there is none to be looked at.
// VERIFIER: `files` is the same one twice, the second by an address that is a number, which exported functions take.
#[inline(always)]
pub fn opened(slot: Slot, files: impl FnOnce() -> [File; 2]) {
    if REASONS.get() != 0 {
        look_at_opened(slot, files);
    }
}

/// The same, where it may matter.
// Not inlined: what this saves to the stack would cost each opening as much as the look.
#[inline(never)]
fn look_at_opened(slot: Slot, files: impl FnOnce() -> [File; 2]) {
    let [typed, file] = files();
    if may_be_dumping() && Task::current().is_dumping() {
        touched(slot, file.inode().real());
    } else if may_hold(typed.typed_inode()) {
        opening::opens(slot, file);
    }
}

/// False for what is no regular file, or has no mark, as fast as can be.
#[inline(always)]
pub fn may_hold(inode: TypedInode) -> bool {
    if inode.kind() != Kind::Regular {
        return false;
    }
    let (place, layer) = inode.place();
    layer != Layer::Plain || marks::may_be_marked(place)
}

/// The current process writes a piece of its core.
#[inline(always)]
pub fn dumped(slot: Slot, file: File) {
    if file.inode().kind() == Kind::Socket {
        core_sent(slot, Sock(file.sock()));
    }
}

/// The current process, which dumps core, touched an inode. The first empty regular file that it touches is the core:
/// the kernel creates it anew, and unlinks an older one of the name first (which is not empty).
#[inline(always)]
pub fn touched(slot: Slot, inode: Inode) {
    if inode.kind() != Kind::Regular {
        return;
    }
    if let Some(dumping) = DUMPING.get_ptr_mut(&tgid()) {
        // SAFETY: points into a map value that only the dumping thread uses.
        unsafe { refresh(&mut *dumping, inode) };
        return;
    }
    if inode.size() != 0 || inode.links() == 0 {
        return;
    }
    let dumping = Dumping { dump: stamp(), inode: inode.0, key: inode.own_key() };
    if DUMPING.insert(&tgid(), &dumping, NOEXIST).is_err() {
        stats::fault(Fault::DumpMapFull);
        return;
    }
    at_rest(&dumping.key, dumping.dump, inode);
    emit::birth(slot, newborn(Record::Birth, &dumping, 0));
}

/// Number and generation of a new inode are not set at its first event; the mark follows them.
#[inline(always)]
fn refresh(dumping: &mut Dumping, inode: Inode) {
    if dumping.inode != inode.0 {
        return;
    }
    let key = inode.own_key();
    if key.id == dumping.key.id && key.generation == dumping.key.generation && key.dev == dumping.key.dev {
        return;
    }
    at_rest(&key, dumping.dump, inode);
    let _ = FILE.remove(&dumping.key);
    dumping.key = key;
}

/// The core lies in this file, and in it whatever other dumps its process held.
#[inline(always)]
fn at_rest(key: &CarrierKey, dump: u64, inode: Inode) {
    let set = marks::of_task(tgid()).map_or(MarkSet::default(), |held| held.set);
    let mark = FileMark { dump, set, object: inode.0, sb: inode.sb(), id: stamp() };
    if marks::set_file(key, &mark, 0).is_err() {
        stats::fault(Fault::FileMapFull);
    }
}

#[inline(always)]
fn newborn(kind: Record, dumping: &Dumping, dentry: u64) -> Newborn {
    let path = (dentry, 0);
    Newborn { dump: dumping.dump, object: dumping.key, inode: dumping.inode, path, ..Newborn::of(kind) }
}

/// The dumping thread ends: key, size and path of its core are final.
#[inline(always)]
pub fn written(slot: Slot) {
    let Some(dumping) = DUMPING.get_ptr_mut(&tgid()) else { return };
    // SAFETY: points into a map value that only the dumping thread uses.
    let dumping = unsafe { &mut *dumping };
    if dumping.key.dev == class::SOCK {
        let _ = DUMPING.remove(&tgid());
        return;
    }
    refresh(dumping, Inode(dumping.inode));
    let dumping = *dumping;
    emit::birth(slot, newborn(Record::Born, &dumping, Inode(dumping.inode).dentry()));
    let _ = DUMPING.remove(&tgid());
}

/// A program was started by the kernel. With a pipe on descriptor 0, while some process dumps core, it is the handler.
#[inline(always)]
pub fn handler_started(slot: Slot) -> bool {
    if !Task::current().parent().is_kernel() || !is_crashing() {
        return false;
    }
    let inode = current_file(0).inode();
    if inode.kind() != Kind::Pipe {
        return false;
    }
    let (dump, object) = (stamp(), inode.plain_key());
    // A handler that executes another program has been born already.
    // SAFETY: values are only added to.
    if unsafe { OBJECT.get(&object) }.is_some_and(|m| m.fingerprint == inode.number()) {
        return false;
    }
    let colour = colour_of(dump);
    let set = MarkSet::one(colour);
    let mark =
        ObjectMark { set, writer: object, object: inode.0, fingerprint: inode.number(), ino: 0, id: stamp(), sends: 0 };
    if OBJECT.insert(&object, &mark, 0).is_err() {
        stats::fault(Fault::ObjectMapFull);
    }
    let colour = u64::from(colour);
    emit::birth(slot, Newborn { dump, object, colour, inode: inode.0, sink: 1, ..Newborn::of(Record::Birth) });
    log::info!((), "core handler {} reads pipe {}", tgid(), object.id);
    let _ = TASK.remove(&tgid());
    mark_current(slot, &set);
    true
}

/// Marks the current process without a movement.
#[inline(always)]
pub fn mark_current(slot: Slot, set: &MarkSet) {
    let Some(work) = Work::slot(slot) else { return };
    work.reach(Task::current());
    work.set = *set;
    marks::dumptrail_mark(slot.number());
}

/// The dumping process sends its core to a coredump socket.
#[inline(always)]
pub fn core_sent(slot: Slot, sock: Sock) {
    let peer = sock.unix_peer();
    if !Task::current().is_dumping() || sock.family() != Family::Unix || peer.0 == 0 {
        return;
    }
    let writer = CarrierKey { id: sock.0, dev: class::SOCK, generation: tgid() };
    let dumping = Dumping { dump: stamp(), inode: sock.0, key: writer };
    if DUMPING.insert(&tgid(), &dumping, NOEXIST).is_err() {
        return;
    }
    let colour = colour_of(dumping.dump);
    let (set, fingerprint) = (MarkSet::one(colour), peer.fingerprint());
    let mark = ObjectMark { set, writer, object: peer.0, fingerprint, ino: peer.number(), id: stamp(), sends: 0 };
    if OBJECT.insert(&peer.object_key(), &mark, 0).is_err() {
        stats::fault(Fault::ObjectMapFull);
    }
    let (dump, colour) = (dumping.dump, u64::from(colour));
    emit::birth(slot, Newborn { dump, object: writer, colour, sink: 2, ..Newborn::of(Record::Birth) });
}
