//! Retirement: the agent asks, key by key, whether the object behind a mark is still there.

use sensor_abi::reap::{ALIVE, DEAD, FILE, MAPPED, MOUNT, PIPE, PROCESS, QUEUE, SOCKET, TERMINAL, UNKNOWN, WRITTEN};

use super::life;
use crate::kernel::{
    file::{Inode, is_in_memory, is_unmounted},
    ipc::Queue,
    sock::Sock,
    tty::Tty,
};

/// The question.
pub struct Question {
    /// One of `sensor_abi::reap`; of a file the generation is in the upper half.
    pub class: u64,
    /// Address of the inode, `struct sock`, `struct kern_ipc_perm`, `struct tty_struct` or `struct super_block`; a pid.
    pub object: u64,
    /// Inode number, device number of a super block, or the object's fingerprint.
    pub fingerprint: u64,
    /// Inode number of the socket in sockfs, 0 when it had none; of a file the address of its super block.
    pub ino: u64,
}

/// Is the object still what it was? A regular file is dead only when the inode is seen torn down without links; one
/// that is merely not cached any more may come back.
#[inline(always)]
pub fn ask(question: &Question) -> u32 {
    let inode = Inode(question.object);
    let sock = Sock(question.object);
    match question.class as u32 {
        // A new file may get the number and the memory of one that was deleted.
        FILE if !is_same(inode, question) => elsewhere(question.ino),
        WRITTEN | MAPPED if inode.number() != question.fingerprint => UNKNOWN,
        FILE if inode.is_gone() && inode.links() == 0 => DEAD,
        WRITTEN if (inode.writers() as i32) <= 0 => DEAD,
        MAPPED if !inode.is_mapped() => DEAD,
        PROCESS => {
            life::over(question.object as u32);
            DEAD
        }
        MOUNT if is_unmounted(question.object, question.fingerprint as u32) => DEAD,
        PIPE if inode.number() != question.fingerprint || inode.is_gone() || inode.pipe() == 0 => DEAD,
        SOCKET if sock.fingerprint() != question.fingerprint || sock.is_dead() => DEAD,
        QUEUE if Queue(question.object).fingerprint() != question.fingerprint || Queue(question.object).is_dead() => {
            DEAD
        }
        TERMINAL if Tty(question.object).fingerprint() != question.fingerprint || Tty(question.object).is_dead() => {
            DEAD
        }
        SOCKET if question.ino != 0 && sock.number() != question.ino => DEAD,
        _ => ALIVE,
    }
}

#[inline(always)]
fn is_same(inode: Inode, question: &Question) -> bool {
    let generation = u64::from(inode.generation()) == question.class >> 32;
    generation && inode.number() == question.fingerprint && inode.sb() == question.ino
}

/// Of a file whose inode is not where it was: in memory there is no other place for it.
#[inline(always)]
fn elsewhere(sb: u64) -> u32 {
    if is_in_memory(sb) { DEAD } else { UNKNOWN }
}
