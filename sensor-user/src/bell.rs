//! What wakes a thread that waits for descriptors.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::event::{EventfdFlags, eventfd};

/// Rung by any thread, for one that listens.
#[derive(Clone, Debug)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Silent.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes the listener.
    pub fn ring(&self) {
        // It fails only when nobody has listened for 2^64 - 2 rings: then it rings still.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Silent again: what rings from now on wakes anew.
    pub fn silence(&self) {
        // Nothing to read: it was silent.
        let _ = rustix::io::read(&*self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
