//! System V shared memory.

use sensor_abi::offsets::MISSING;

use super::{file::File, offset, read, task::Task, tree};

/// A namespace has semaphores, messages and shared memory, in this order.
const SEGMENTS: u64 = 2;
const KINDS: u64 = 3;
/// The low bits of an id are its number (`IPCMNI`), those above say how often it was given out.
const NUMBER: u64 = 0x7fff;

/// The file that a segment of the current process's namespace lies in; address 0 when there is none.
#[inline(always)]
pub fn segment(id: u64) -> File {
    if offset!(shm_file) == MISSING || offset!(ipc_tree) == MISSING || offset!(node_slots) == MISSING {
        return File(0);
    }
    let namespace: u64 = read(read(Task::current().0, offset!(task_nsproxy)), offset!(nsproxy_ipc));
    let size = offset!(ipc_after_ids).wrapping_sub(offset!(ipc_ids)) / KINDS;
    let ids = namespace.wrapping_add(offset!(ipc_ids)).wrapping_add(SEGMENTS * size);
    let segment = tree::entry(read(ids, offset!(ipc_tree)), id & NUMBER);
    File(if segment == 0 { 0 } else { read(segment, offset!(shm_file)) })
}
