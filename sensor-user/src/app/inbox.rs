//! The way of workers to the core loop.

use std::sync::mpsc;

use crate::{bell::Bell, core::Input};

/// Of one worker.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) queue: mpsc::SyncSender<Input>,
    pub(super) bell: Bell,
}

impl Sender {
    /// Waits for room; false when the loop is gone.
    pub(super) fn send(&self, input: Input) -> bool {
        let sent = self.queue.send(input).is_ok();
        self.bell.ring();
        sent
    }
}
