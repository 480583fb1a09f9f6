//! `struct xarray`, in which the kernel keeps what has a number.

use super::{offset, read};

/// Levels of 64 slots each that hold every number up to 2^24.
const LEVELS: u32 = 4;
/// Bits of an index that one node takes, and what tells a node from an entry.
const SLOT: u64 = 63;
const TAG: u64 = 3;
const NODE: u64 = 2;

/// What has this number, by address; 0 when nothing has.
#[inline(always)]
pub fn entry(head: u64, number: u64) -> u64 {
    let mut entry = head;
    for _ in 0..LEVELS {
        if entry & TAG != NODE {
            break;
        }
        let node = entry.wrapping_sub(NODE);
        let index = number >> (read::<u8>(node, offset!(node_shift)) & 63) & SLOT;
        entry = read(node, offset!(node_slots).wrapping_add(index * 8));
    }
    if entry & TAG == 0 { entry } else { 0 }
}
