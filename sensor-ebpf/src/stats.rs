//! Counting what was lost.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use sensor_abi::fault::Fault;

use crate::maps::{FAULT, STATE};

/// Adds to a word of a map value: `XADD` without fetch, the only atomic that 5.10 has.
#[inline(always)]
pub fn add(word: *mut u64, n: u64) {
    // SAFETY: `word` points into a map value, which outlives the program run and is only added to, or written whole.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(word, n) };
}

/// Counts a loss.
#[inline(always)]
pub fn fault(cause: Fault) {
    if let Some(count) = FAULT.get_ptr_mut(cause as u32) {
        add(count, 1);
    }
}

/// Adds to a shared counter; `u64::MAX` takes one away.
#[inline(always)]
pub fn state_add(index: u32, n: u64) {
    if let Some(word) = STATE.get_ptr_mut(index) {
        add(word, n);
    }
}

/// Writes a shared word.
#[inline(always)]
pub fn state_set(index: u32, n: u64) {
    if let Some(word) = STATE.get_ptr_mut(index) {
        // SAFETY: points into a map value; the word is written whole.
        unsafe { core::ptr::write_volatile(word, n) };
    }
}

/// Reads a shared word.
#[inline(always)]
pub fn state(index: u32) -> u64 {
    STATE.get(index).copied().unwrap_or(0)
}
