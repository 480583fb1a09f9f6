//! Sinks: where marked bytes go. The mark is set before they move.

use sensor_abi::{
    fault::Fault,
    flow::Via,
    key::{CarrierKey, EndpointKey, PairKey, class},
    mark::{MarkSet, PairBytes, Stash},
    state,
};

use super::{
    NOEXIST, Op, marks,
    work::{Slot, Work, target},
};
use crate::{
    kernel::{
        file::{Inode, Kind},
        ipc::Queue,
        now,
        pid::{Memory, memory},
        sock::{Family, IPPROTO_TCP, Name, Sock},
        task::{Task, pid_tgid},
        tty::Tty,
    },
    maps::{PAIR, STASH},
    stats,
};

/// Finds out what the sink of an operation is: the pair's end, what the record tells of, and what gets the mark.
#[inline(always)]
pub fn of_file(op: &Op, work: &mut Work) {
    if op.process.0 != 0 {
        return process(op.process, work);
    }
    if op.queue.0 != 0 {
        return queue(op.queue, work);
    }
    if op.sink.0 == 0 {
        return;
    }
    let inode = op.sink.inode();
    match inode.kind() {
        Kind::Regular if !inode.is_pseudo() => regular(op, inode.real(), work),
        Kind::Regular => {
            if let Some(Memory::Of(task)) = memory(op.sink, inode) {
                process(task, work);
            }
        }
        Kind::Block => {
            if let Some(behind) = op.sink.behind_loop() {
                regular(op, behind.real(), work);
            }
        }
        Kind::Pipe => pipe(op, inode, work),
        Kind::Socket => socket(op, inode, work),
        Kind::Tty => tty(op.sink.tty().other(), work),
        Kind::Fuse | Kind::Other => {}
    }
}

#[inline(always)]
fn regular(op: &Op, inode: Inode, work: &mut Work) {
    work.pair.to = inode.own_key();
    work.file = op.sink.0;
    work.inode = inode.0;
    work.pending = 1;
    work.target = target::FILE;
}

/// Another process's memory.
#[inline(always)]
fn process(task: Task, work: &mut Work) {
    if task.0 != 0 && task.tgid() != work.pair.from.generation {
        work.by(Via::Memory);
        work.reach(task);
        work.pending = 1;
    }
}

#[inline(always)]
fn pipe(op: &Op, inode: Inode, work: &mut Work) {
    work.by(Via::Pipe);
    work.pair.to = inode.plain_key();
    work.file = op.sink.0;
    work.object_key = work.pair.to;
    (work.object, work.fingerprint, work.ino) = (inode.0, inode.number(), 0);
    work.writer = work.pair.from;
    work.pending = 1;
    work.target = target::OBJECT;
}

#[inline(always)]
fn queue(queue: Queue, work: &mut Work) {
    through(queue.key(), queue.fingerprint(), work);
}

/// To who reads at the other end.
#[inline(always)]
fn tty(other: Tty, work: &mut Work) {
    if other.0 != 0 {
        work.by(Via::Tty);
        through(other.key(), other.fingerprint(), work);
    }
}

/// An object of the kernel that has no file of its own.
#[inline(always)]
fn through(key: CarrierKey, fingerprint: u64, work: &mut Work) {
    (work.pair.to, work.object_key) = (key, key);
    (work.object, work.fingerprint, work.ino) = (key.id, fingerprint, 0);
    work.writer = work.pair.from;
    work.pending = 1;
    work.target = target::OBJECT;
}

#[inline(always)]
fn socket(op: &Op, inode: Inode, work: &mut Work) {
    let sock = Sock(op.sink.sock());
    work.file = 0;
    match sock.family() {
        Family::Unix => unix(sock, inode, work),
        Family::Inet => inet(sock, inode, op.name, work),
        Family::Other => {}
    }
}

/// To the connected peer. An unconnected receiver is met when the data reaches it (`delivered`).
#[inline(always)]
fn unix(sock: Sock, inode: Inode, work: &mut Work) {
    let peer = sock.unix_peer();
    work.by(Via::Unix);
    work.pair.to = CarrierKey { id: inode.number(), dev: class::SOCK, generation: 0 };
    work.sock = sock.0;
    work.object_key = peer.object_key();
    (work.object, work.fingerprint, work.ino) = (peer.0, peer.fingerprint(), peer.number());
    work.writer = work.pair.to;
    work.pending = 1;
    work.target = if peer.0 == 0 { target::NOTHING_YET } else { target::OBJECT };
}

/// To an address. Whether the receiver is on this kernel is not known here; if it is, it finds its mark by endpoint.
#[inline(always)]
fn inet(sock: Sock, inode: Inode, name: Name, work: &mut Work) {
    let name = sock.heeded(name);
    sock.destination(name, &mut work.endpoint);
    let protocol = sock.protocol();
    let tcp = protocol == IPPROTO_TCP;
    work.by(if tcp { Via::Tcp } else { Via::Udp });
    work.pair.to = flow_key(&work.endpoint, protocol, inode.number());
    (work.sock, work.name) = (sock.0, name);
    (work.object, work.fingerprint, work.ino) = (sock.0, sock.fingerprint(), inode.number());
    work.writer = work.pair.to;
    work.pending = 1;
    work.target = if tcp { target::ENDPOINT } else { target::NOTHING_YET };
}

/// One destination of one socket.
#[inline(always)]
pub fn flow_key(endpoint: &EndpointKey, protocol: u16, ino: u64) -> CarrierKey {
    let mut words = endpoint.local.map(u64::from);
    words[0] ^= u64::from(endpoint.local_port) << 32 | u64::from(protocol) << 48;
    let dev = if protocol == IPPROTO_TCP { class::FLOW } else { class::DATAGRAM };
    CarrierKey { id: MarkSet { words }.digest(), dev, generation: ino as u32 }
}

/// Remembers the movement until the call returns.
#[inline(always)]
pub fn stash(work: &mut Work) {
    let (local_port, remote_port) =
        if work.sock == 0 { (0, 0) } else { (Sock(work.sock).local_port(), work.endpoint.local_port) };
    let object = if work.target == target::ENDPOINT { work.sock } else { 0 };
    let stash = &mut work.room.stash;
    (stash.pair, stash.time_ns, stash.set, stash.told) = (work.pair, now(), work.set, 0);
    (stash.local_port, stash.remote_port) = (local_port, remote_port);
    (stash.object, stash.endpoint, stash.server) = (object, work.endpoint, CarrierKey::default());
    if STASH.insert(&pid_tgid(), stash, 0).is_err() {
        stats::fault(Fault::StashMapFull);
    }
}

/// Says to the twin of the program that runs that the current call has been counted.
#[inline(always)]
pub fn tell_twin(slot: Slot) {
    if stats::state(state::TWINS) == 0 {
        return;
    }
    let Some(work) = Work::slot(slot) else { return };
    let stash = &mut work.room.stash;
    (stash.time_ns, stash.told) = (now(), 1);
    if STASH.insert(&pid_tgid(), stash, 0).is_err() {
        stats::fault(Fault::StashMapFull);
    }
}

/// True when the program of which this is the twin has run, and has said so.
#[inline(always)]
pub fn was_told() -> bool {
    let id = pid_tgid();
    // SAFETY: only this thread uses its entry.
    let told = unsafe { STASH.get(&id) }.is_some_and(|stash| stash.told != 0);
    if told {
        let _ = STASH.remove(&id);
    }
    told
}

/// True when the current thread is in a call that `stash` remembers.
#[inline(always)]
pub fn is_stashed() -> bool {
    // SAFETY: the value is not used.
    unsafe { STASH.get(&pid_tgid()) }.is_some()
}

/// The call that the current thread is in ends here, refused: what it would have moved is not counted for the next one, and
/// has gone to no receiver.
#[inline(always)]
pub fn refused() {
    let id = pid_tgid();
    // SAFETY: only this thread uses its entry.
    let Some(stash) = (unsafe { STASH.get(&id) }) else { return };
    if stash.object != 0 {
        marks::unsent(&stash.endpoint, stash.object);
    }
    let _ = STASH.remove(&id);
}

/// Puts the pair of the marked call that the current thread is in into a slot, once. When that has not `moved` anything, its
/// receiver's mark counts one send less. False when there is none.
#[inline(always)]
pub fn take_stash(slot: Slot, moved: bool) -> bool {
    let id = pid_tgid();
    // SAFETY: only this thread uses its entry.
    let Some(stash) = (unsafe { STASH.get(&id) }) else { return false };
    let Some(work) = Work::slot(slot) else { return false };
    // Nobody took it: the twin was skipped.
    if stash.told != 0 {
        let _ = STASH.remove(&id);
        return false;
    }
    (work.pair, work.server) = (stash.pair, stash.server);
    if !moved && stash.object != 0 {
        marks::unsent(&stash.endpoint, stash.object);
    }
    let _ = STASH.remove(&id);
    true
}

/// Data has reached a socket of this kernel in the context of its sender: exact for unix, and proof against NAT for
/// inet, where an interrupt may bring foreign packets, so that one of the ports has to fit.
#[inline(always)]
pub fn delivered(slot: Slot, receiver: Sock) {
    // SAFETY: only this thread uses its entry.
    let Some(stash) = (unsafe { STASH.get(&pid_tgid()) }) else { return };
    let family = receiver.family();
    if stash.told != 0 || family == Family::Other || receiver.is_listening() {
        return;
    }
    if family == Family::Inet && !fits(receiver, stash) {
        return;
    }
    let Some(work) = Work::slot(slot) else { return };
    work.set = stash.set;
    work.object_key = receiver.object_key();
    (work.object, work.fingerprint, work.ino) = (receiver.0, receiver.fingerprint(), receiver.number());
    work.writer = stash.pair.to;
    work.target = target::OBJECT;
    marks::dumptrail_mark(slot.number());
    stay(&stash.pair);
}

/// By protocol and one of the ports; not the sender itself, which is told of what came while it was sending (`release_sock`)
/// and may have one port at both ends. What is no socket has none, and a datagram socket none of its own before its first send;
/// a receiver without a peer has none to compare.
#[inline(always)]
fn fits(receiver: Sock, stash: &Stash) -> bool {
    let tcp = receiver.protocol() == IPPROTO_TCP;
    let (own, peer) = (u32::from(stash.local_port), u32::from(stash.remote_port));
    receiver.0 != stash.object
        && (stash.pair.to.dev == if tcp { class::FLOW } else { class::DATAGRAM })
        && (same(peer, receiver.local_port()) || same(own, receiver.remote_port()))
}

#[inline(always)]
fn same(port: u32, other: u16) -> bool {
    port != 0 && port == u32::from(other)
}

/// What is sent does not leave this kernel.
#[inline(always)]
fn stay(pair: &PairKey) {
    let Some(value) = PAIR.get_ptr_mut(pair) else {
        let _ = PAIR.insert(pair, &PairBytes { local: 1, ..PairBytes::default() }, NOEXIST);
        return;
    };
    // SAFETY: points into a map value; the word is written whole.
    unsafe { (*value).local = 1 };
}
