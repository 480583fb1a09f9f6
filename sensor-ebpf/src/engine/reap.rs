//! Retirement: the agent asks, key by key, whether the object behind a mark is still there.

use super::{ahead, life};
use crate::kernel::{
    file::{Inode, is_in_memory, is_unmounted},
    ipc::Queue,
    sock::Sock,
    tty::Tty,
};

/// The question.
pub struct Question {
    /// 0 regular file, 1 pipe or FIFO, 2 socket, 4 System V queue, 5 end of a terminal; 3 and 6 regular file, of which "dead"
    /// says that nobody has it open for writing, or mapped; 7 super block; 8 process. For 0 the file's generation is in the
    /// upper half.
    pub class: u64,
    /// Address of the inode, `struct sock`, `struct kern_ipc_perm`, `struct tty_struct` or `struct super_block`; a pid.
    pub object: u64,
    /// Inode number, device number of a super block, or the object's fingerprint.
    pub fingerprint: u64,
    /// Inode number of the socket in sockfs, 0 when it had none; for class 0 the address of the file's super block.
    pub ino: u64,
}

/// The answer.
const ALIVE: i32 = 0;
const DEAD: i32 = 1;
const UNKNOWN: i32 = 2;

/// Is the object still what it was? A regular file is dead only when the inode is seen torn down without links; one
/// that is merely not cached any more may come back.
#[inline(always)]
pub fn ask(question: &Question) -> i32 {
    let inode = Inode(question.object);
    let sock = Sock(question.object);
    match question.class as u32 {
        // A new file may get the number and the memory of one that was deleted. In memory there is no other place for it.
        0 if !is_same(inode, question) => {
            if is_in_memory(question.ino) {
                DEAD
            } else {
                UNKNOWN
            }
        }
        3 | 6 if inode.number() != question.fingerprint => UNKNOWN,
        0 if inode.is_gone() && inode.links() == 0 => DEAD,
        3 if (inode.writers() as i32) <= 0 => DEAD,
        6 if !inode.is_mapped() => DEAD,
        8 => {
            over(question.object as u32);
            DEAD
        }
        7 if is_unmounted(question.object, question.fingerprint as u32) => DEAD,
        1 if inode.number() != question.fingerprint || inode.is_gone() || inode.pipe() == 0 => DEAD,
        2 if sock.fingerprint() != question.fingerprint || sock.is_dead() => DEAD,
        4 if Queue(question.object).fingerprint() != question.fingerprint || Queue(question.object).is_dead() => DEAD,
        5 if Tty(question.object).fingerprint() != question.fingerprint || Tty(question.object).is_dead() => DEAD,
        2 if question.ino != 0 && sock.number() != question.ino => DEAD,
        _ => ALIVE,
    }
}

#[inline(always)]
fn is_same(inode: Inode, question: &Question) -> bool {
    let generation = u64::from(inode.generation()) == question.class >> 32;
    generation && inode.number() == question.fingerprint && inode.sb() == question.ino
}

/// A process is over whose end was not seen.
#[inline(always)]
pub fn over(tgid: u32) {
    ahead::forget_of(tgid);
    life::survived(tgid);
}
