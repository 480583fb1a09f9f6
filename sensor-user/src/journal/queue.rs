//! The bounded queue in front of the writer. Steps may fill half of it; the rest is for alerts, gaps and notices.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::ack::Pending;
use crate::{
    alert::Alert,
    step::{Gap, Notice, Step},
};

/// What waits to be written.
#[derive(Debug)]
pub(super) enum Entry {
    Step(Arc<Step>),
    Alert(Arc<Alert>, Arc<Pending>),
    Gap(Gap),
    Notice(Notice),
}

impl Entry {
    const fn is_step(&self) -> bool {
        matches!(self, Self::Step(_))
    }
}

/// Records that may wait, and how many of them may be steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All records.
    pub total: usize,
    /// Steps.
    pub steps: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: 32_768, steps: 16_384 }
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, inner: Mutex::default(), filled: Condvar::new() }
    }

    /// Takes the entry, or gives it back when there is no room for its kind or the queue is closed.
    pub(super) fn push(&self, entry: Entry) -> Result<(), Entry> {
        let mut inner = self.lock();
        let bound = if entry.is_step() { self.bounds.steps } else { self.bounds.total };
        if inner.closed || inner.entries.len() >= bound {
            return Err(entry);
        }
        inner.entries.push_back(entry);
        self.filled.notify_one();
        Ok(())
    }

    /// The next group: what comes within `window` of its first entry, at most `most`. None once closed and empty.
    pub(super) fn group(&self, most: usize, window: Duration) -> Option<Vec<Entry>> {
        let mut inner = self
            .filled
            .wait_while(self.lock(), |i| i.entries.is_empty() && !i.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + window;
        while inner.entries.len() < most && !inner.closed {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            inner = self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = inner.entries.len().min(most);
        (count > 0).then(|| inner.entries.drain(..count).collect())
    }

    /// Refuses entries from now on; what waits is still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn step() -> Entry {
        Entry::Step(Arc::new(samples::sent()))
    }

    #[test]
    fn steps_leave_room_for_what_matters_more() {
        let queue = Queue::new(Bounds { total: 4, steps: 2 });
        assert!(queue.push(step()).is_ok() && queue.push(step()).is_ok());
        assert!(queue.push(step()).is_err());
        assert!(queue.push(Entry::Gap(samples::gap())).is_ok() && queue.push(Entry::Gap(samples::gap())).is_ok());
        assert!(queue.push(Entry::Gap(samples::gap())).is_err());
        assert_eq!(queue.len(), 4);
    }

    #[test]
    fn a_group_is_bounded_and_a_closed_queue_drains() {
        let queue = Queue::new(Bounds::default());
        for _ in 0..5 {
            queue.push(step()).unwrap();
        }
        assert_eq!(queue.group(3, Duration::ZERO).unwrap().len(), 3);
        queue.close();
        assert!(queue.push(step()).is_err());
        assert_eq!(queue.group(3, Duration::from_secs(9)).unwrap().len(), 2);
        assert!(queue.group(3, Duration::from_secs(9)).is_none());
    }
}
