//! Sources: which colours an object holds, and where dumps come from.

use sensor_abi::{
    fault::Fault,
    flow::Via,
    key::{CarrierKey, EndpointKey, class},
    mark::{Dump, Dumping, FileMark, MANY, MarkSet, ObjectMark},
    record::Kind as Record,
};

use super::{EEXIST, NOEXIST, marks};
use crate::{
    emit::{self, Newborn},
    kernel::{
        file::{File, Inode, Kind},
        sock::{Family, Sock},
        stamp,
        task::{Task, current_file, tgid},
    },
    maps::{COLOUR, DUMP, DUMPING, ENDPOINT, FILE, OBJECT, TASK, state},
    stats,
};

/// The marked source of an operation.
pub struct Source {
    /// Where the bytes came from, as the trail names it.
    pub key: CarrierKey,
    /// The colours.
    pub set: MarkSet,
    /// For a socket: the sender.
    pub writer: CarrierKey,
    /// The file end, or address 0.
    pub file: File,
    /// The socket end, or 0.
    pub sock: u64,
    /// 0 file, 1 pipe, 2 unix, 3 inet.
    kind: u8,
}

impl Source {
    /// No source.
    pub const EMPTY: Self = Self {
        key: CarrierKey { id: 0, dev: 0, generation: 0 },
        set: MarkSet { words: [0; 4] },
        writer: CarrierKey { id: 0, dev: 0, generation: 0 },
        file: File(0),
        sock: 0,
        kind: 0,
    };
    /// The means, told more exactly by what the source is.
    #[inline(always)]
    pub fn via(&self, via: Via) -> Via {
        match (via, self.kind) {
            (Via::File, 1) => Via::Pipe,
            (Via::File, 2) => Via::Unix,
            (Via::File, 3) => Via::Tcp,
            (via, _) => via,
        }
    }
}

/// Looks a file up. False, as fast as can be, for what holds nothing.
#[inline(always)]
pub fn of_file(file: File, source: &mut Source) -> bool {
    if file.0 == 0 {
        return false;
    }
    let inode = file.inode();
    source.file = file;
    match inode.kind() {
        Kind::Regular => of_regular(inode.real(), source),
        Kind::Pipe => of_object(inode.own_key(), source),
        Kind::Socket => of_sock(Sock(file.sock()), source),
        Kind::Other => false,
    }
}

#[inline(always)]
fn of_regular(inode: Inode, source: &mut Source) -> bool {
    let key = inode.own_key();
    let Some(mark) = FILE.get_ptr_mut(&key) else { return false };
    source.key = key;
    // SAFETY: points into a map value.
    let (dump, set) = unsafe { ((*mark).dump, (*mark).set) };
    source.set = set;
    if dump != 0 {
        let own = MarkSet::one(colour_of(dump));
        // SAFETY: as above.
        unsafe { marks::add(&raw mut (*mark).set, (*mark).id, &own) };
        for i in 0..4 {
            source.set.words[i] |= own.words[i];
        }
    }
    true
}

#[inline(always)]
fn of_object(key: CarrierKey, source: &mut Source) -> bool {
    // SAFETY: values are only added to.
    let Some(mark) = (unsafe { OBJECT.get(&key) }) else { return false };
    source.key = key;
    source.set = mark.set;
    source.writer = mark.writer;
    source.kind = 1;
    true
}

#[inline(always)]
fn of_sock(sock: Sock, source: &mut Source) -> bool {
    let key = sock.object_key();
    source.sock = sock.0;
    let family = sock.family();
    source.kind = if family == Family::Unix { 2 } else { 3 };
    // SAFETY: values are only added to.
    if let Some(mark) = unsafe { OBJECT.get(&key) } {
        if mark.fingerprint == sock.fingerprint() {
            source.key = mark.writer;
            source.writer = mark.writer;
            source.set = mark.set;
            return true;
        }
        let _ = OBJECT.remove(&key);
    }
    family == Family::Inet && of_endpoint(sock, source)
}

/// A receiver that is known by its address only: from now on it is known by itself, and outlives its sender.
#[inline(always)]
fn of_endpoint(sock: Sock, source: &mut Source) -> bool {
    let mut endpoint = EndpointKey::default();
    sock.own_endpoint(&mut endpoint);
    // SAFETY: values are only added to.
    let Some(mark) = (unsafe { ENDPOINT.get(&endpoint) }) else { return false };
    source.key = mark.writer;
    source.writer = mark.writer;
    source.set = mark.set;
    let object = marks::Object { address: sock.0, fingerprint: sock.fingerprint(), writer: mark.writer };
    marks::object(&sock.object_key(), &object, &source.set);
    true
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

/// The current process touched an inode. While it dumps core, the first empty regular file that it touches is the core:
/// the kernel creates it anew, and unlinks an older one of the name first (which is not empty).
#[inline(always)]
pub fn touched(inode: Inode) {
    if !Task::current().is_dumping() || inode.kind() != Kind::Regular {
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
    emit::birth(&newborn(Record::Birth, &dumping, 0));
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

#[inline(always)]
fn at_rest(key: &CarrierKey, dump: u64, inode: Inode) {
    let mark = FileMark { dump, set: MarkSet::default(), object: inode.0, id: stamp() };
    if FILE.insert(key, &mark, 0).is_err() {
        stats::fault(Fault::FileMapFull);
    }
}

#[inline(always)]
fn newborn(kind: Record, dumping: &Dumping, dentry: u64) -> Newborn {
    let inode = Inode(dumping.inode);
    Newborn { kind, dump: dumping.dump, object: dumping.key, colour: u64::MAX, inode, sink: 0, dentry }
}

/// The dumping thread ends: key, size and path of its core are final.
#[inline(always)]
pub fn written() {
    let Some(dumping) = DUMPING.get_ptr_mut(&tgid()) else { return };
    // SAFETY: points into a map value that only the dumping thread uses.
    let dumping = unsafe {
        refresh(&mut *dumping, Inode((*dumping).inode));
        *dumping
    };
    emit::birth(&newborn(Record::Born, &dumping, Inode(dumping.inode).dentry()));
    let _ = DUMPING.remove(&tgid());
}

/// A program was started by the kernel. With a pipe on descriptor 0, while some process dumps core, it is the handler.
#[inline(always)]
pub fn handler_started() -> bool {
    if !Task::current().parent().is_kernel() || stats::state(state::CRASHES) == 0 {
        return false;
    }
    let inode = current_file(0).inode();
    if inode.kind() != Kind::Pipe {
        return false;
    }
    let (dump, object) = (stamp(), inode.own_key());
    let colour = colour_of(dump);
    let set = MarkSet::one(colour);
    let mark = ObjectMark { set, writer: object, object: inode.0, fingerprint: inode.number(), id: stamp() };
    if OBJECT.insert(&object, &mark, 0).is_err() {
        stats::fault(Fault::ObjectMapFull);
    }
    let colour = u64::from(colour);
    emit::birth(&Newborn { kind: Record::Birth, dump, object, colour, inode, sink: 1, dentry: 0 });
    let _ = TASK.remove(&tgid());
    marks::task(&Task::current().key(), &set);
    true
}

/// The dumping process sends its core to a coredump socket.
#[inline(always)]
pub fn core_sent(sock: Sock) {
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
    let object = marks::Object { address: peer.0, fingerprint: peer.fingerprint(), writer };
    marks::object(&peer.object_key(), &object, &MarkSet::one(colour));
    let (dump, colour) = (dumping.dump, u64::from(colour));
    emit::birth(&Newborn { kind: Record::Birth, dump, object: writer, colour, inode: Inode(0), sink: 2, dentry: 0 });
}
