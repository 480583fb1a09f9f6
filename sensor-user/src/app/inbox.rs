//! The way of workers to the core loop.

use std::sync::mpsc;

use crate::{
    bell::Bell,
    core::Input,
    event::Edge,
    probe::sweep::{Holder, Mapping},
};

/// What workers tell.
#[expect(clippy::large_enum_variant, reason = "as `Input`")]
pub(super) enum Answer {
    /// Something for the core.
    Input(Input),
    /// Processes that may hold a dump, as (dump, pid).
    Holders(Vec<Holder>),
    /// Files that a process has mapped shared and writable which got hold of dumps by this movement.
    Mapped(Box<Edge>, Vec<Mapping>),
    /// The search for dumps that were there before the agent is over.
    Searched,
}

/// Of one worker.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) queue: mpsc::SyncSender<Answer>,
    pub(super) bell: Bell,
}

impl Sender {
    /// Waits for room; false when the loop is gone.
    pub(super) fn send(&self, answer: Answer) -> bool {
        let sent = self.queue.send(answer).is_ok();
        self.bell.ring();
        sent
    }
}
