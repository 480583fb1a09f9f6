//! File systems in user space: what is written to a file of one goes on to its server, and what the server answers is the
//! content of a file.

use sensor_abi::{
    fault::Fault,
    flow::{Move, Via},
    key::CarrierKey,
    mark::{MarkSet, Server},
    state::{self, duty},
};

use super::{
    dumptrail_count, dumptrail_move, is_exempt, is_trusted, marks,
    source::colour_of,
    work::{Slot, Work, target},
};
use crate::{
    kernel::{
        file::{File, Inode},
        fuse::{Answer, Connection, Request},
        pid::Pid,
        task::{Task, pid_tgid, tgid},
    },
    maps::{FILE, SERVER, STASH},
    stats,
};

/// The current process takes requests by `/dev/fuse`: it is the server.
#[inline(always)]
pub fn serves(slot: Slot, device: File) {
    dumptrail_serves(slot.number(), device.private());
}

// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_serves(slot: u32, device: u64) -> i32 {
    let connection = Connection::of_private(device);
    if connection.0 != 0 {
        remember(Slot::of(slot), connection);
    }
    0
}

/// The current process is the server of a connection.
#[inline(always)]
fn remember(slot: Slot, connection: Connection) {
    let task = Task::current().leader();
    let Some(work) = Work::slot(slot) else { return };
    let server = &mut work.room.server;
    (server.key, server.task) = (task.key(), task.0);
    server.written.words = [0; 4];
    if of(connection).is_some_and(|known| known.key == server.key) {
        return;
    }
    if SERVER.insert(&connection.0, &*server, 0).is_err() {
        stats::fault(Fault::ServerMapFull);
    }
}

#[inline(always)]
fn of(connection: Connection) -> Option<&'static Server> {
    // SAFETY: key and address are written whole, with the entry.
    unsafe { SERVER.get(&connection.0) }
}

/// The current process asks a server. What it writes may be a birth, of which no other event tells; and of a dump that is
/// being born there, the server gets it.
#[inline(always)]
pub fn asked(slot: Slot, request: Request) {
    let Some(asked) = request.write() else { return };
    super::touched(slot, asked.inode);
    if dumptrail_born_there(slot.number(), asked.inode.0) != 0 {
        dumptrail_move(slot.number());
        dumptrail_count(slot.number(), asked.bytes);
    }
}

/// Fills the slot with the movement of a dump at rest from its file to the file's server; 0 when that is not known, or when
/// who writes holds a dump: its own movement is told. A transfer, since the writer gets no mark by it.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_born_there(slot: u32, inode: u64) -> i32 {
    let inode = Inode(inode);
    if marks::of_task(tgid()).is_some() || is_exempt() {
        return 0;
    }
    let Some(work) = Work::begin(Slot::of(slot), Via::Fuse, Move::Transfer) else { return 0 };
    work.pair.from = inode.own_key();
    // SAFETY: values are only added to.
    let dump = unsafe { FILE.get(&work.pair.from) }.map_or(0, |mark| mark.dump);
    if dump == 0 {
        return 0;
    }
    let colour = colour_of(dump);
    marks::colour_file(&work.pair.from, colour);
    work.set = MarkSet::one(colour);
    i32::from(to_server(work, inode))
}

/// Lets the movement in a slot end at the server of a file. False when that is not known, or the current process itself.
#[inline(always)]
fn to_server(work: &mut Work, inode: Inode) -> bool {
    let connection = inode.connection();
    let Some(server) = SERVER.get_ptr_mut(&connection.0) else { return false };
    // SAFETY: points into a map value.
    let (key, task) = unsafe { ((*server).key, Task((*server).task)) };
    if key.generation == tgid() || task.key() != key {
        return false;
    }
    // SAFETY: as above; plain writes, see `Server::written`.
    unsafe { (*server).written.join(&work.set) };
    work.reach(task);
    true
}

/// Turns the movement in a slot, which ends at a file, into the one that goes on to the file's server. 0 when it has none, or
/// when the server itself writes.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_serve(slot: u32) -> i32 {
    let Some(work) = Work::slot(Slot::of(slot)) else { return 0 };
    if work.target != target::FILE {
        return 0;
    }
    if !to_server(work, Inode(work.inode)) {
        return 0;
    }
    // Of a transfer the other half has been told.
    (work.via, work.direction, work.file, work.pending) = (Via::Fuse as u8, Move::Write as u8, 0, 0);
    if let Some(stash) = STASH.get_ptr_mut(&pid_tgid()) {
        // SAFETY: only this thread uses its entry.
        unsafe { (*stash).server = work.pair.to };
    }
    1
}

/// The current process has answered a request. What it holds, but for what came to it from files of its own, may now be the
/// content of a file; or in the memory of who asked, when no page was filled, or when that was the first: who waits in a read
/// was looked at when it began, if functions do that.
#[inline(always)]
pub fn answered(slot: Slot, request: Request) {
    dumptrail_answers(slot.number(), request.0);
    let Some(mark) = marks::of_task(tgid()) else { return };
    let Some(answer) = request.read() else { return };
    if is_exempt() || is_trusted() {
        return;
    }
    let Some(work) = Work::begin(slot, Via::Fuse, Move::Write) else { return };
    work.set = mark.set;
    if let Some(server) = of(answer.connection) {
        work.set.remove(&server.written);
    }
    if work.set.is_empty() {
        return;
    }
    work.pair.from = CarrierKey::task(tgid(), mark.carrier);
    let known = answer.inode.0 != 0 && fills(slot, work, &answer);
    if known || answer.inode.0 != 0 && stats::state(state::DUTY) != duty::FUNCTIONS {
        return;
    }
    let reader = Pid::seen(answer.reader.into()).task();
    if reader.0 != 0 && reader.tgid() != tgid() {
        work.reach(reader);
        dumptrail_move(slot.number());
        dumptrail_count(slot.number(), answer.bytes);
    }
}

/// Who answers is the server, unless it is the kernel.
// VERIFIER: see `dumptrail_move`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn dumptrail_answers(slot: u32, request: u64) -> i32 {
    if let (false, Some(connection)) = (Task::current().is_kernel(), Request(request).answered()) {
        remember(Slot::of(slot), connection);
    }
    0
}

/// Marks the file that an answer is of. True when it was marked before.
#[inline(always)]
fn fills(slot: Slot, work: &mut Work, answer: &Answer) -> bool {
    work.pair.to = answer.inode.own_key();
    (work.inode, work.target) = (answer.inode.0, target::FILE);
    // SAFETY: the value is not used.
    let known = unsafe { FILE.get(&work.pair.to) }.is_some();
    dumptrail_move(slot.number());
    dumptrail_count(slot.number(), answer.bytes);
    known
}
