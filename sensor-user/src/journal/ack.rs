//! Acknowledgements of alerts: each is given once, by the writer after the sync or by the watchdog when that takes too
//! long.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::loss::Losses;
use crate::{clock, step::Id};

/// Called once with whether the alert is durable. Runs on a thread of the journal: it must not block.
pub type Ack = Box<dyn FnOnce(bool) + Send>;

/// An acknowledgement that is still owed.
pub(super) struct Pending {
    ack: Mutex<Option<Ack>>,
    dump: Option<Id>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("dump", &self.dump).finish_non_exhaustive()
    }
}

impl Pending {
    pub(super) fn new(ack: Ack, dump: Option<Id>) -> Self {
        Self { ack: Mutex::new(Some(ack)), dump }
    }

    /// Gives the acknowledgement, unless it was given before; false then.
    pub(super) fn give(&self, journaled: bool) -> bool {
        let ack = self.ack.lock().unwrap_or_else(PoisonError::into_inner).take();
        ack.map(|ack| ack(journaled)).is_some()
    }

    fn owed(&self) -> bool {
        self.ack.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// Alerts in order of their deadline.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<(Instant, Arc<Pending>)>,
    closed: bool,
}

impl Deadlines {
    /// Watches `pending`. All callers use the same `patience`, so the order of the calls is the order of the deadlines.
    pub(super) fn watch(&self, pending: &Arc<Pending>, patience: Duration) {
        let mut inner = self.lock();
        inner.waiting.push_back((Instant::now() + patience, Arc::clone(pending)));
        if inner.waiting.len() == 1 {
            self.changed.notify_all();
        }
    }

    /// Ends [`Self::tick`] for good; whatever is still owed is given as not journaled.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until a deadline or for `at_most`, gives what is overdue; false once closed.
    pub(super) fn tick(&self, at_most: Duration, losses: &Losses) -> bool {
        let mut inner = self.lock();
        while inner.waiting.front().is_some_and(|(_, p)| !p.owed()) {
            inner.waiting.pop_front();
        }
        let next = inner.waiting.front().map_or(at_most, |(at, _)| at.saturating_duration_since(Instant::now()));
        if !inner.closed && !next.is_zero() {
            inner = self.changed.wait_timeout(inner, next.min(at_most)).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (now, closed) = (Instant::now(), inner.closed);
        let mut overdue = Vec::new();
        while inner.waiting.front().is_some_and(|(at, _)| closed || *at <= now) {
            overdue.extend(inner.waiting.pop_front());
        }
        drop(inner);
        for (_, pending) in overdue {
            if pending.give(false) {
                losses.add("journal_late", 1, pending.dump, clock::now());
            }
        }
        !closed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
