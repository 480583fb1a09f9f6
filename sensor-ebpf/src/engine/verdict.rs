//! Verdicts: may these colours go there? Decided here, by what the agent has written down for two zones; it is never asked.
//!
//! The programs that call this have no slot: from 6.1 on the kernel runs one of them again on a CPU where it was preempted
//! (`bpf_prog_check_recur` is false for programs of the kind LSM), where it would overwrite its own work. All that they need
//! lies on the stack.

use aya_ebpf::maps::lpm_trie;
use sensor_abi::{
    fault::Fault,
    flow::{self, Move, Via},
    key::{CarrierKey, EdgeKey, EndpointKey, PairKey},
    mark::{MANY, MarkSet},
    policy::{
        ClassKey, GENERATION_BITS, NetworkKey, PORTS, PlaceKey, SENDER, class, denied_index,
        fence::{EPOCH, GENERATION, MODE, TEST},
        mode::{ENFORCE, OFF},
    },
};

use super::{EEXIST, NOEXIST, ahead, is_exempt, is_trusted, marks, sink, source};
use crate::{
    emit,
    kernel::{
        cgroup::Cgroup,
        file::{File, Inode, Kind, Layer},
        regs::Call,
        sock::{Family, Name, Sock, Socket},
        task::{Task, is_compat, is_kernel_thread, is_transferring, is_uring, may_be_dumping, pid_tgid, tgid, uid},
    },
    maps::{CLASS, DENIED, DUMP, EDGE, FENCE, NETWORK, OBJECT, PLACE, STASH, TRANSFER, VERDICT},
    stats,
};

/// `-EPERM`, the only answer but 0.
const REFUSED: i32 = -1;
/// What `file_permission` is asked for.
const MAY_WRITE: u32 = 2;
const MAY_READ: u32 = 4;
/// Control groups above a process's own that are looked at.
const DEPTH: u32 = 8;
/// Tells a verdict in `EDGE` from the movement itself.
const SALT: u64 = 0x6a09_e667_f3bc_c908;

/// One question.
pub struct Ask {
    /// From where to where.
    pub pair: PairKey,
    /// The colours that want to go; in the end those that may not.
    pub set: MarkSet,
    /// The socket, or 0.
    pub sock: u64,
    /// A destination given with the call.
    pub name: Name,
    /// Numbers of the zones.
    pub from: u32,
    pub to: u32,
    /// By which means.
    pub via: Via,
    /// Which ends.
    pub direction: Move,
}

/// The current process connects, or sends, to the socket's peer or to an address that it names.
#[inline(always)]
fn sends(sock: Sock, name: Name) -> i32 {
    if is_exempt() {
        return tested();
    }
    if fence(MODE) == OFF || sock.family() != Family::Inet {
        return 0;
    }
    let mut ask = Ask {
        pair: PairKey::default(),
        set: MarkSet::default(),
        sock: sock.0,
        name: sock.heeded(name),
        from: 0,
        to: 0,
        via: sock.via(),
        direction: Move::Write,
    };
    leaving(&mut ask);
    if ask.set.is_empty() || is_trusted() {
        return 0;
    }
    let set = ask.set;
    destined(&mut ask, sock);
    // A name that is not heeded now may be when the kernel looks: for the next message of sendmmsg(2), or when another thread
    // has ended the connection, or what was gathered.
    if ask.set.is_empty() && name.is_given() && !ask.name.is_given() {
        (ask.set, ask.name) = (set, name);
        destined(&mut ask, sock);
    }
    judge(&ask)
}

/// Finds out where it would go by the socket, or the name, and leaves of the colours those that may not.
// STACK: not inlined, so that the address is not there beside what comes before and after.
#[inline(never)]
fn destined(ask: &mut Ask, sock: Sock) {
    let generation = fence(GENERATION) as u32;
    let mut end = EndpointKey::default();
    sock.destination(ask.name, &mut end);
    ask.pair.to = sink::flow_key(&end, sock.protocol(), sock.number());
    ask.from = zone_of_current(generation);
    ask.to = zone_of_address(generation, &end, ask.from);
    match DENIED.get(denied_index(generation, ask.from, ask.to)) {
        Some(denied) => meet(&mut ask.set, &denied.send),
        None => ask.set = MarkSet::default(),
    }
}

/// The same by a socket that may be the kernel's own: one without a file, by which a network file system talks to its server
/// for whoever looks there (`xprt_sendmsg`). What such file systems write is told, not refused.
#[inline(always)]
pub fn sends_by(socket: Socket, name: Name) -> i32 {
    if socket.file().0 == 0 { 0 } else { sends(socket.sock(), name) }
}

/// The current process connects a socket, or ends its connection: by an address without a family.
#[inline(always)]
pub fn connects(socket: Socket, name: Name) -> i32 {
    if name.family() == 0 { 0 } else { sends_by(socket, name) }
}

/// A file or socket is about to be read or written: the way into a socket that is no send (before 6.5, and by descriptors
/// that were there before).
#[inline(always)]
pub fn permits(file: File, mask: u32) -> i32 {
    let inode = file.typed_inode();
    match inode.kind() {
        Kind::Socket if mask & MAY_WRITE != 0 => sends(Sock(file.sock()), Name::NONE),
        Kind::Regular if is_exempt() => tested(),
        Kind::Regular if mask & MAY_READ != 0 && source::may_hold(inode) => takes(file),
        _ => 0,
    }
}

/// The current process opens a file.
#[inline(always)]
pub fn opens(file: File) -> i32 {
    if is_exempt() {
        return tested();
    }
    if source::may_hold(file.typed_inode()) && file.is_for_reading() { takes(file) } else { 0 }
}

/// The current process maps a file, or nothing.
#[inline(always)]
pub fn mapping(file: File) -> i32 {
    if file.0 == 0 { 0 } else { permits(file, MAY_READ) }
}

/// True when what a file holds will be refused to the current process: nothing comes to it then. Asked by the hooks that run
/// before those which answer.
#[inline(always)]
pub fn refuses(file: u64) -> bool {
    fence(MODE) == ENFORCE && file != 0 && dumptrail_refuses(file) != 0
}

/// As a number.
// STACK: not inlined, so that its frame is only there when it is needed.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_refuses(file: u64) -> i32 {
    withheld(File(file)).is_some_and(|(_, set, _)| !set.is_empty()).into()
}

/// What a file holds that the current process may not have, and the process's zone. The kernel itself may have all, and so may
/// the process whose core it is.
#[inline(always)]
fn withheld(file: File) -> Option<(CarrierKey, MarkSet, u32)> {
    let (key, mut set) = of_regular(file.inode())?;
    if is_kernel_thread() || may_be_dumping() {
        return None;
    }
    let generation = fence(GENERATION) as u32;
    let zone = zone_of_current(generation);
    meet(&mut set, &DENIED.get(denied_index(generation, 0, zone))?.open);
    Some((key, set, zone))
}

/// The current process is about to get at what a file holds.
#[inline(always)]
fn takes(file: File) -> i32 {
    if fence(MODE) == OFF {
        return 0;
    }
    let Some((key, set, to)) = withheld(file) else { return 0 };
    let pair = PairKey { from: key, to: Task::current().key() };
    judge(&Ask { pair, set, sock: 0, name: Name::NONE, from: 0, to, via: Via::File, direction: Move::Read })
}

/// The self-test of the agent is refused: that these programs are attached does not say that they run.
#[inline(always)]
fn tested() -> i32 {
    if fence(TEST) == u64::from(pid_tgid() as u32) { REFUSED } else { 0 }
}

/// What is about to leave the current process: what it holds, and what a call from object to object takes from elsewhere.
#[inline(always)]
fn leaving(ask: &mut Ask) {
    if let Some(mark) = marks::of_task(tgid()) {
        ask.set = mark.set;
        ask.pair.from = CarrierKey::task(tgid(), mark.carrier);
    }
    let ahead = ahead::held();
    if ahead != 0
        && let Some((key, set)) = of_regular(Inode(ahead))
    {
        if ask.set.is_empty() {
            (ask.pair.from, ask.direction) = (key, Move::Transfer);
        }
        ask.set.join(&set);
    }
    passing(ask);
}

/// What the current call takes from an object.
// STACK: not inlined, so that the call's arguments are not there beside a verdict's record.
#[inline(never)]
fn passing(ask: &mut Ask) {
    let transfers = is_transferring();
    if transfers {
        let call = Call::current();
        let row = flow::syscall(call.number);
        if let Some((key, set)) = of_source(call.file(row.source)) {
            ask.pair.from = key;
            (ask.direction, ask.via) = (Move::Transfer, row.via);
            ask.set.join(&set);
        }
    }
    if transfers || is_uring() || is_compat() {
        // That it began was seen. A ring names its ends otherwise, and another thread may have changed what a descriptor is.
        // SAFETY: only this thread uses its entry.
        if let Some(stash) = unsafe { STASH.get(&pid_tgid()) } {
            ask.set.join(&stash.set);
        }
        // It may have waited for a source that nobody had marked when it began.
        // SAFETY: as above.
        if let Some(file) = unsafe { TRANSFER.get(&pid_tgid()) }
            && let Some((key, set)) = of_source(File(*file))
        {
            if ask.set.is_empty() {
                (ask.pair.from, ask.direction, ask.via) = (key, Move::Transfer, Via::Splice);
            }
            ask.set.join(&set);
        }
    }
}

/// A transfer from object to object begins. What it takes from is only kept while sockets are guarded.
#[inline(always)]
pub fn transfer_begins(source: File, sink: File) {
    if fence(MODE) != OFF && sink.inode().kind() == Kind::Socket && TRANSFER.insert(&pid_tgid(), &source.0, 0).is_err()
    {
        stats::fault(Fault::TransferMapFull);
    }
}

/// It is over.
#[inline(always)]
pub fn transfer_ends() {
    if fence(MODE) != OFF {
        let _ = TRANSFER.remove(&pid_tgid());
    }
}

/// The colours of an object from which bytes are taken.
#[inline(always)]
fn of_source(file: File) -> Option<(CarrierKey, MarkSet)> {
    let inode = file.inode();
    match inode.kind() {
        Kind::Regular => of_regular(inode),
        Kind::Pipe => {
            let key = inode.plain_key();
            // SAFETY: values are only added to.
            unsafe { OBJECT.get(&key) }.map(|mark| (key, mark.set))
        }
        _ => None,
    }
}

/// The colours of a file. A dump that has none yet counts as "many": nothing has said what it may.
#[inline(always)]
fn of_regular(inode: Inode) -> Option<(CarrierKey, MarkSet)> {
    let (place, layer) = inode.place();
    if layer == Layer::Proc {
        return None;
    }
    let (key, mark) = source::of_inode(inode, place, layer)?;
    let mut set = mark.set;
    if mark.dump != 0 {
        // SAFETY: values are only added to.
        let colour = unsafe { DUMP.get(&mark.dump) }.map_or(MANY, |dump| dump.colour as u32);
        set.join(&MarkSet::one(colour));
    }
    Some((key, set))
}

/// Leaves of a set what is in the other one, too.
#[inline(always)]
fn meet(set: &mut MarkSet, other: &MarkSet) {
    for i in 0..4 {
        set.words[i] &= other.words[i];
    }
}

/// The answer, told and counted.
#[inline(always)]
fn judge(ask: &Ask) -> i32 {
    if ask.set.is_empty() {
        return 0;
    }
    let refuse = fence(MODE) == ENFORCE;
    if let Some(count) = VERDICT.get_ptr_mut(u32::from(refuse)) {
        stats::add(count, 1);
    }
    tell(ask, refuse, fence(EPOCH));
    if refuse {
        sink::refused();
        return REFUSED;
    }
    0
}

/// Once for each pair and set, as a movement; again when others are in force.
// VERIFIER: not inlined, so that its frame is only there when it is needed.
#[inline(never)]
fn tell(ask: &Ask, refused: bool, epoch: u64) {
    let digest = ask.set.digest() ^ SALT.wrapping_add(epoch << 1 | u64::from(refused));
    let edge = EdgeKey { pair: ask.pair, digest };
    match EDGE.insert(&edge, &0, NOEXIST) {
        Ok(()) if !emit::verdict(ask, refused) => {
            let _ = EDGE.remove(&edge);
        }
        Ok(()) | Err(EEXIST) => {}
        Err(_) => stats::fault(Fault::EdgeMapFull),
    }
}

#[inline(always)]
fn fence(index: u32) -> u64 {
    FENCE.get(index).copied().unwrap_or(0)
}

/// The zone of an address, to somebody in the zone `own`.
#[inline(always)]
fn zone_of_address(generation: u32, end: &EndpointKey, own: u32) -> u32 {
    let key = NetworkKey { generation, address: end.local };
    let Some(network) = NETWORK.get(lpm_trie::Key::new(GENERATION_BITS + 128, key)) else { return 0 };
    let mut zone = network.zone;
    // What has no ports goes where the network is.
    for i in 0..PORTS {
        if network.ports[i] == end.local_port && end.local_port != 0 {
            zone = network.zones[i];
            break;
        }
    }
    if zone == SENDER { own } else { u32::from(zone) }
}

/// The zone of the current process.
#[inline(always)]
fn zone_of_current(generation: u32) -> u32 {
    let class = |kind, id| {
        // SAFETY: the agent replaces entries as a whole.
        unsafe { CLASS.get(&ClassKey { id, kind, generation }) }.copied().unwrap_or(0)
    };
    let mut group = Cgroup::current();
    let mut cgroup = 0;
    for _ in 0..DEPTH {
        if cgroup != 0 || !group.is_there() {
            break;
        }
        cgroup = class(class::CGROUP, group.id());
        group = group.parent();
    }
    let netns = class(class::NETNS, u64::from(Task::current().netns()));
    let user = class(class::USER, u64::from(uid()));
    // SAFETY: as above.
    unsafe { PLACE.get(&PlaceKey { cgroup, netns, user, generation }) }.copied().unwrap_or(0)
}
