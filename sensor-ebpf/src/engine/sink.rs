//! Sinks: where marked bytes go. The mark is set before they move.

use sensor_abi::{
    fault::Fault,
    flow::{Move, Via},
    key::{CarrierKey, EndpointKey, PairKey, class},
    mark::{MarkSet, Stash},
};

use super::{Op, marks, report};
use crate::{
    emit::Draft,
    kernel::{
        file::{File, Inode, Kind},
        now,
        sock::{Family, Sock, named_endpoint},
        task::pid_tgid,
    },
    maps::STASH,
    stats,
};

const IPPROTO_TCP: u16 = 6;

/// Marks the sink of an operation with `set`, which comes from `from`.
#[inline(always)]
pub fn mark(op: &Op, from: &CarrierKey, set: &MarkSet, direction: Move) {
    if op.sink.0 == 0 {
        return;
    }
    let inode = op.sink.inode();
    let mut draft = Draft {
        pair: PairKey { from: *from, to: *from },
        set: *set,
        writer: CarrierKey::default(),
        bytes_before: 0,
        bytes: 0,
        file: op.sink,
        sock: 0,
        name: 0,
        via: op.via as u8,
        direction: direction as u8,
    };
    match inode.kind() {
        Kind::Regular if inode.is_pseudo() => {}
        Kind::Regular => regular(inode.real(), &mut draft),
        Kind::Pipe => pipe(inode, &mut draft),
        Kind::Socket => socket(op, inode, &mut draft),
        Kind::Other => {}
    }
}

#[inline(always)]
fn regular(inode: Inode, draft: &mut Draft) {
    draft.pair.to = inode.own_key();
    let (to, set) = (draft.pair.to, draft.set);
    finish(draft, 0, 0);
    marks::file(&to, inode, &set);
}

#[inline(always)]
fn pipe(inode: Inode, draft: &mut Draft) {
    draft.pair.to = inode.own_key();
    if draft.via == Via::File as u8 {
        draft.via = Via::Pipe as u8;
    }
    let (to, set) = (draft.pair.to, draft.set);
    let object = marks::Object { address: inode.0, fingerprint: inode.number(), writer: draft.pair.from };
    finish(draft, 0, 0);
    marks::object(&to, &object, &set);
}

#[inline(always)]
fn socket(op: &Op, inode: Inode, draft: &mut Draft) {
    let sock = Sock(op.sink.sock());
    draft.file = File(0);
    draft.sock = sock.0;
    match sock.family() {
        Family::Unix => unix(sock, inode, draft),
        Family::Inet => inet(sock, inode, op.name, draft),
        Family::Other => {}
    }
}

/// To the connected peer; an unconnected receiver is met when the data reaches it (`delivered`).
#[inline(always)]
fn unix(sock: Sock, inode: Inode, draft: &mut Draft) {
    draft.pair.to = CarrierKey { id: inode.number(), dev: class::SOCK, generation: 0 };
    if draft.via == Via::File as u8 {
        draft.via = Via::Unix as u8;
    }
    let set = draft.set;
    let peer = sock.unix_peer();
    let object = marks::Object { address: peer.0, fingerprint: peer.fingerprint(), writer: draft.pair.to };
    finish(draft, 0, 0);
    if peer.0 != 0 {
        marks::object(&peer.object_key(), &object, &set);
    }
}

/// To an address. Whether the receiver is on this kernel is not known here; if it is, it finds its mark by endpoint.
#[inline(always)]
fn inet(sock: Sock, inode: Inode, name: u64, draft: &mut Draft) {
    let mut endpoint = EndpointKey::default();
    sock.peer_endpoint(&mut endpoint);
    draft.name = name;
    if name != 0 {
        named_endpoint(&mut endpoint, name);
    }
    let protocol = sock.protocol();
    let tcp = protocol == IPPROTO_TCP;
    if draft.via == Via::File as u8 {
        draft.via = if tcp { Via::Tcp } else { Via::Udp } as u8;
    }
    draft.pair.to = flow_key(&endpoint, protocol, inode.number());
    let set = draft.set;
    let object = marks::Object { address: sock.0, fingerprint: sock.fingerprint(), writer: draft.pair.to };
    finish(draft, endpoint.remote_port, endpoint.local_port);
    if tcp {
        marks::endpoint(&endpoint, &object, &set);
    }
}

/// One destination of one socket.
#[inline(always)]
fn flow_key(endpoint: &EndpointKey, protocol: u16, ino: u64) -> CarrierKey {
    let mut words = [0u64; 4];
    for i in 0..4 {
        words[i] = u64::from(endpoint.local[i]);
    }
    words[0] ^= u64::from(endpoint.local_port) << 32 | u64::from(protocol) << 48;
    CarrierKey { id: MarkSet { words }.digest(), dev: class::FLOW, generation: ino as u32 }
}

/// Reports, and remembers the pair until the call returns.
#[inline(always)]
fn finish(draft: &mut Draft, local_port: u16, remote_port: u16) {
    let stash = Stash { pair: draft.pair, time_ns: now(), set: draft.set, nr: 0, local_port, remote_port };
    report(draft);
    if STASH.insert(&pid_tgid(), &stash, 0).is_err() {
        stats::fault(Fault::StashMapFull);
    }
}

/// The pair of the marked call that the current thread is in, once.
#[inline(always)]
pub fn take_stash() -> Option<PairKey> {
    let id = pid_tgid();
    // SAFETY: only this thread uses its entry.
    let pair = unsafe { STASH.get(&id) }?.pair;
    let _ = STASH.remove(&id);
    Some(pair)
}

/// Data has reached a socket of this kernel in the context of its sender: exact for unix, and proof against NAT for
/// inet, where an interrupt may bring foreign packets, so that one of the ports has to fit.
#[inline(always)]
pub fn delivered(receiver: Sock) {
    // SAFETY: only this thread uses its entry.
    let Some(stash) = (unsafe { STASH.get(&pid_tgid()) }) else { return };
    let family = receiver.family();
    if family == Family::Other || receiver.is_listening() {
        return;
    }
    if family == Family::Inet
        && receiver.local_port() != stash.remote_port
        && receiver.remote_port() != stash.local_port
    {
        return;
    }
    let set = stash.set;
    let object =
        marks::Object { address: receiver.0, fingerprint: receiver.fingerprint(), writer: stash.pair.to };
    marks::object(&receiver.object_key(), &object, &set);
}
