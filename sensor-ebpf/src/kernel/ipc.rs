//! System V shared memory and message queues.

use sensor_abi::{
    key::{CarrierKey, class},
    offsets::MISSING,
};

use super::{file::File, offset, read, task::Task, tree};

/// A namespace has semaphores, messages and shared memory, in this order.
const MESSAGES: u64 = 1;
const SEGMENTS: u64 = 2;
const KINDS: u64 = 3;
/// The low bits of an id are its number (`IPCMNI`), those above say how often it was given out.
const NUMBER: u64 = 0x7fff;

/// The object of a kind that has this id in the current process's namespace, by address; 0 when there is none.
#[inline(always)]
fn object(kind: u64, id: u64) -> u64 {
    if offset!(ipc_tree) == MISSING || offset!(node_slots) == MISSING {
        return 0;
    }
    let namespace: u64 = read(read(Task::current().0, offset!(task_nsproxy)), offset!(nsproxy_ipc));
    let size = offset!(ipc_after_ids).wrapping_sub(offset!(ipc_ids)) / KINDS;
    let ids = namespace.wrapping_add(offset!(ipc_ids)).wrapping_add(kind * size);
    tree::entry(read(ids, offset!(ipc_tree)), id & NUMBER)
}

/// The file that a segment lies in; address 0 when there is none.
#[inline(always)]
pub fn segment(id: u64) -> File {
    let segment = if offset!(shm_file) == MISSING { 0 } else { object(SEGMENTS, id) };
    File(if segment == 0 { 0 } else { read(segment, offset!(shm_file)) })
}

/// A message queue, by the address of its `struct kern_ipc_perm`.
#[derive(Clone, Copy)]
pub struct Queue(pub u64);

impl Queue {
    /// The one with this id; address 0 when there is none.
    #[inline(always)]
    pub fn seen(id: u64) -> Self {
        Self(if offset!(ipc_deleted) == MISSING { 0 } else { object(MESSAGES, id) })
    }
    /// Key in `OBJECT`.
    #[inline(always)]
    pub fn key(self) -> CarrierKey {
        CarrierKey { id: self.0, dev: class::QUEUE, generation: read(self.0, offset!(ipc_id)) }
    }
    /// Something that another queue at its address has not.
    #[inline(always)]
    pub fn fingerprint(self) -> u64 {
        read::<u64>(self.0, offset!(ipc_seq)) << 32 | u64::from(read::<u32>(self.0, offset!(ipc_id)))
    }
    /// True when it was removed.
    #[inline(always)]
    pub fn is_dead(self) -> bool {
        read::<u8>(self.0, offset!(ipc_deleted)) != 0
    }
}
