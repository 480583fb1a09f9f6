//! Movements as the kernel's own functions show them, below the system call. What is part of a transfer from object to
//! object is left to that, which is looked at as a whole.

use sensor_abi::flow::{Move, SENDMMSG, Via};

use super::{
    Op, PROT_WRITE, ahead, fuse, handover, sink, source, take, verdict,
    work::{Slot, Work},
};
use crate::{
    engine,
    kernel::{
        file::{File, Inode, Kind, Layer, Mapping, TypedInode},
        pid::Pid,
        read,
        regs::Call,
        setting,
        sock::{Name, Sock, ZEROCOPY_RECEIVE, zero_copied},
        task::{is_kernel_thread, is_transferring, is_uring, may_be_dumping},
    },
    maps::is_crashing,
};

/// `READ`, the direction; the other one is `WRITE`.
const READ: u32 = 0;

/// The kernel has found that so many bytes of a file may be read or written at a position. As numbers, argument 1 is the
/// file, and argument 2 the address of the position, or 0 for none. Data of regular files moves now; that of pipes and
/// terminals is counted when it has moved, and sockets have their own.
#[inline(always)]
pub fn verified(slot: Slot, direction: u32, file: File, count: u64, number: impl Fn(u64) -> u64) {
    let inode = file.typed_inode();
    let kind = inode.kind();
    if direction == READ {
        match kind {
            Kind::Regular | Kind::Block => reading(slot, file, inode, count, number),
            Kind::Fuse => fuse::serves(slot, file),
            _ => {}
        }
    } else if matches!(kind, Kind::Regular | Kind::Block | Kind::Pipe | Kind::Tty) {
        let moved = writing(slot, file, Name::NONE);
        if moved && matches!(kind, Kind::Regular | Kind::Block) {
            engine::finish(slot, counted(inode.any(), count));
        }
    }
}

#[inline(always)]
fn reading(slot: Slot, file: File, inode: TypedInode, count: u64, number: impl Fn(u64) -> u64) {
    let Some(work) = source::of_typed(slot, &from(file), inode, Move::Read) else {
        // An empty one may become the core of one that is about to be dumped; unless the system call's end is looked at.
        if is_crashing() && is_empty(inode) && handover::dumptrail_duty(slot.number()) != 0 && !is_for_another() {
            ahead::dumptrail_begins(number(1), read(number(2), 0));
        }
        return;
    };
    // What is behind a loop device says how much is left; the device's own inode has no size.
    let inode = if inode.kind() == Kind::Block { file.behind_loop().unwrap_or(inode.any()) } else { inode.any() };
    let position = read(number(2), 0);
    let left = inode.size().saturating_sub(position);
    let bytes = if count < left { count } else { left };
    let before = ahead::before(number(1));
    if is_for_another() {
        return;
    }
    if left == 0 {
        ahead::dumptrail_begins(number(1), position);
    }
    if bytes + before != 0 {
        // What is refused brings nothing; what came before has come.
        let now = if verdict::refuses(number(1)) { 0 } else { counted(inode, bytes) };
        if now + before != 0 {
            by_ring(work);
            take(slot, work, now + before);
        }
    }
}

#[inline(always)]
fn is_empty(inode: TypedInode) -> bool {
    inode.kind() == Kind::Regular && inode.any().size() == 0 && inode.place().1 != Layer::Proc
}

/// What is read does not reach the current process.
#[inline(always)]
fn is_for_another() -> bool {
    is_kernel_thread() || is_transferring()
}

/// The current process is about to write to a file, or to send.
#[inline(always)]
pub fn writing(slot: Slot, file: File, name: Name) -> bool {
    ahead::look(slot);
    engine::write(slot, || {
        let sink = if is_transferring() { File(0) } else { file };
        let via = if is_uring() { Via::IoUring } else { Via::File };
        Op { sink, via, name, ..Op::EMPTY }
    })
}

/// The current process has got bytes from a queue, or pages from a pipe.
#[inline(always)]
pub fn got(slot: Slot, op: impl FnOnce() -> Op, result: i64) {
    if result > 0 {
        engine::read(slot, &Op { bytes: result as u64, ..op() });
    }
}

/// A read of a pipe has returned. Where FIFOs have functions of their own, these count them, whether they call those of
/// pipes or not.
#[inline(always)]
pub fn drained(slot: Slot, file: File, result: i64) {
    if setting!(fifos) == 0 || file.typed_inode().is_nameless() {
        received(slot, file, result);
    }
}

/// The current process is about to give pages of its memory to a pipe, unless it takes from it.
#[inline(always)]
pub fn giving_pages(slot: Slot, pipe: File) {
    let sink = if pipe.is_only_read() { File(0) } else { pipe };
    engine::write(slot, || Op { sink, via: Via::Splice, ..Op::EMPTY });
}

/// It has, or has taken bytes from it.
#[inline(always)]
pub fn moved_pages(slot: Slot, pipe: File, result: i64) {
    if pipe.is_only_read() {
        got(slot, || Op { via: Via::Splice, ..from(pipe) }, result);
    } else {
        ended(slot, result);
    }
}

/// The current process has got bytes from a pipe, socket or terminal.
#[inline(always)]
pub fn received(slot: Slot, file: File, result: i64) {
    if result <= 0 {
        return;
    }
    let Some(work) = source::of_typed(slot, &from(file), file.typed_inode(), Move::Read) else { return };
    if is_kernel_thread() {
        return;
    }
    by_ring(work);
    take(slot, work, result as u64);
}

/// The current process has read the memory of the process with this id, as it sees it.
#[inline(always)]
pub fn read_memory(slot: Slot, pid: u64, result: i64) {
    if result > 0 {
        engine::read_memory(slot, pid, result as u64);
    }
}

/// The current process is about to write to the memory of the process with this id, as it sees it.
#[inline(always)]
pub fn writing_memory(slot: Slot, pid: impl FnOnce() -> u64) {
    engine::write(slot, || Op { process: Pid::seen(pid()).task(), via: Via::Memory, ..Op::EMPTY });
}

/// The current process has got bytes from a file in /proc that is memory.
#[inline(always)]
pub fn read_memory_file(slot: Slot, file: File, result: i64) {
    if result <= 0 {
        return;
    }
    let op = Op { bytes: result as u64, ..from(file) };
    let inode = file.inode();
    let Some(work) = source::of_regular(slot, &op, inode, inode.place(), Move::Read) else { return };
    take(slot, work, op.bytes);
}

/// A message of so many bytes is in a queue, if the result is 0.
#[inline(always)]
pub fn queued(slot: Slot, length: u64, result: i32) {
    engine::finish(slot, if result == 0 { length } else { 0 });
}

/// What `writing` saw begin is done.
#[inline(always)]
pub fn written(slot: Slot, result: i64) {
    if sink::is_stashed() && !is_transferring() {
        engine::finish(slot, moved(result));
    }
}

/// A message was sent. Of several by one call those that go where the last one went pass no other function
/// (`___sys_sendmsg`): what is here is all that is seen of them.
#[inline(always)]
pub fn sent(slot: Slot, message: impl FnOnce() -> (File, Name), result: i64) {
    if sink::is_stashed() {
        written(slot, result);
    } else if Call::current().number == SENDMMSG {
        let (socket, name) = message();
        if writing(slot, socket, name) {
            engine::finish(slot, moved(result));
        }
    }
}

/// Several messages have come by one call, of which the first has been counted: of datagrams the others pass no function of
/// their own (`do_recvmmsg`).
#[inline(always)]
pub fn received_more(slot: Slot, count: i64) {
    if count > 1 {
        engine::received(slot, &Call::current(), 1, count as u64);
    }
}

/// getsockopt(2) has ended, and has received by it, or not.
#[inline(always)]
pub fn taken(slot: Slot, sock: Sock, option: (u32, u32), value: u64, result: i32) {
    if result == 0 && option == ZEROCOPY_RECEIVE {
        got(slot, || from(sock.file()), zero_copied(value) as i64);
    }
}

/// A mapping gets other rights; it may become writable.
#[inline(always)]
pub fn protecting(slot: Slot, mapping: Mapping, protection: u64) {
    if protection & PROT_WRITE == 0 {
        return;
    }
    let file = mapping.shared_file();
    if file.0 != 0 && engine::write(slot, || Op { sink: file, via: Via::Mmap, ..Op::EMPTY }) {
        engine::finish(slot, mapping.length());
    }
}

/// The current process is about to map a file, or nothing: address and number of it. How much is mapped is not known: the
/// whole file, then.
#[inline(always)]
pub fn mapping(slot: Slot, (file, number): (File, u64), protection: u64, flags: u64) {
    if !verdict::refuses(number) {
        engine::mapped(slot, file, file.inode().size(), protection, flags);
    }
}

/// A transfer is done.
#[inline(always)]
pub fn transferred(slot: Slot, op: &Op, result: i64) {
    verdict::transfer_ends();
    engine::transferred(slot, || *op, moved(result));
}

/// sendfile(2) is done. It waits for its source only where that is no file.
// KERNEL(5.12): to a pipe (`splice_file_to_pipe`).
#[inline(always)]
pub fn file_sent(slot: Slot, source: File, sink: impl FnOnce() -> File, result: i64) {
    if source.inode().kind() == Kind::Regular {
        verdict::transfer_ends();
        ended(slot, result);
    } else {
        transferred(slot, &Op { source, sink: sink(), via: Via::Sendfile, ..Op::EMPTY }, result);
    }
}

/// A transfer begins that may end at a socket, and may wait for its source.
#[inline(always)]
pub fn transferring(slot: Slot, op: &Op) {
    verdict::transfer_begins(op.source, op.sink);
    engine::transfer(slot, op);
}

/// A transfer is done that cannot block for its source.
#[inline(always)]
pub fn ended(slot: Slot, result: i64) {
    engine::finish(slot, moved(result));
}

/// A file was cut to a length, if the result is 0. The kernel does that to a new core before it writes it.
#[inline(always)]
pub fn truncated(slot: Slot, inode: Inode, length: u64, result: i32) {
    if length == 0 && result == 0 && !may_be_dumping() {
        engine::cleared(slot, inode.real());
    }
}

#[inline(always)]
fn from(file: File) -> Op {
    Op { source: file, ..Op::EMPTY }
}

#[inline(always)]
fn by_ring(work: &mut Work) {
    if is_uring() {
        work.via = Via::IoUring as u8;
    }
}

/// Overlayfs reads and writes the file below by the same function, for the same process: that is when bytes are counted.
#[inline(always)]
fn counted(inode: Inode, bytes: u64) -> u64 {
    if inode.layer() == Layer::Overlay { 0 } else { bytes }
}

#[inline(always)]
fn moved(result: i64) -> u64 {
    if result > 0 { result as u64 } else { 0 }
}
