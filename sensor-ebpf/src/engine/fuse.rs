//! File systems in user space: what is written to a file of one goes on to its server, and what the server answers is the
//! content of a file.

use sensor_abi::{
    fault::Fault,
    flow::{Move, Via},
    key::CarrierKey,
    mark::Server,
    state::{self, duty},
};

use super::{
    dumptrail_count, dumptrail_move, is_exempt, is_trusted, marks,
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
    let (connection, task) = (Connection::of_private(device), Task::current().leader());
    let Some(work) = Work::slot(Slot::of(slot)) else { return 0 };
    let server = &mut work.room.server;
    (server.key, server.task) = (task.key(), task.0);
    server.written.words = [0; 4];
    if connection.0 == 0 || of(connection).is_some_and(|known| known.key == server.key) {
        return 0;
    }
    if SERVER.insert(&connection.0, &*server, 0).is_err() {
        stats::fault(Fault::ServerMapFull);
    }
    0
}

#[inline(always)]
fn of(connection: Connection) -> Option<&'static Server> {
    // SAFETY: key and address are written whole, with the entry.
    unsafe { SERVER.get(&connection.0) }
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
    let connection = Inode(work.inode).connection();
    let Some(server) = SERVER.get_ptr_mut(&connection.0) else { return 0 };
    // SAFETY: points into a map value.
    let (key, task) = unsafe { ((*server).key, Task((*server).task)) };
    if key.generation == tgid() || task.key() != key {
        return 0;
    }
    // SAFETY: as above; plain writes, see `Server::written`.
    unsafe { (*server).written.join(&work.set) };
    work.reach(task);
    // Of a transfer the other half has been told.
    (work.via, work.direction, work.file, work.pending) = (Via::Fuse as u8, Move::Write as u8, 0, 0);
    if let Some(stash) = STASH.get_ptr_mut(&pid_tgid()) {
        // SAFETY: only this thread uses its entry.
        unsafe { (*stash).server = key };
    }
    1
}

/// The current process has answered a request. What it holds, but for what came to it from files of its own, may now be the
/// content of a file; or in the memory of who asked, when no page was filled, or when that was the first: who waits in a read
/// was looked at when it began, if functions do that.
#[inline(always)]
pub fn answered(slot: Slot, request: Request) {
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
