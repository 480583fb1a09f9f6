//! Counting what was lost, and words that programs share.

use core::{
    cell::UnsafeCell,
    intrinsics::{AtomicOrdering, atomic_xadd},
};

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

/// Reads a shared word.
#[inline(always)]
pub fn state(index: u32) -> u64 {
    STATE.get(index).copied().unwrap_or(0)
}

/// A word of the programs alone, for hooks on common events: the verifier puts its address into the program, so that a look
/// costs three instructions and not the fifteen of a lookup (`BPF_PSEUDO_MAP_VALUE`, 5.2).
#[repr(transparent)]
pub struct Word(UnsafeCell<u64>);

// SAFETY: read whole, and only added to atomically.
unsafe impl Sync for Word {}

impl Word {
    /// As it is when the programs are loaded.
    pub const fn zero() -> Self {
        Self(UnsafeCell::new(0))
    }
    /// Reads it.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        // SAFETY: points into the data of this ELF.
        unsafe { core::ptr::read_volatile(self.0.get()) }
    }
    /// Adds to it; `u64::MAX` takes one away.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        add(self.0.get(), n);
    }
}
