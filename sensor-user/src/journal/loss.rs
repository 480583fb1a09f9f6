//! What the journal lost: counted by cause, and turned into one gap per cause and window.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use crate::{
    clock::Time,
    step::{Gap, Id},
};

/// Causes of the journal's own gaps.
pub const CAUSES: &[&str] = &[
    "journal_cap",
    "journal_corrupt",
    "journal_failed",
    "journal_full",
    "journal_late",
    "journal_queue_full",
    "journal_too_large",
];

#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<BTreeMap<&'static str, Loss>>);

#[derive(Debug)]
struct Loss {
    from: Time,
    to: Time,
    count: u64,
    dumps: BTreeSet<Id>,
}

impl Losses {
    pub(super) fn add(&self, cause: &'static str, count: u64, dump: Option<Id>, now: Time) {
        let mut losses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let loss = losses.entry(cause).or_insert_with(|| Loss { from: now, to: now, count: 0, dumps: BTreeSet::new() });
        loss.to = now;
        loss.count += count;
        if loss.dumps.len() < Gap::DUMPS {
            loss.dumps.extend(dump);
        }
    }

    /// One gap per cause, and begins the next window.
    pub(super) fn take(&self) -> Vec<Gap> {
        let losses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let gap = |(cause, loss): (&'static str, Loss)| Gap {
            from: loss.from,
            to: loss.to,
            cause,
            count: loss.count,
            dumps: loss.dumps.into_iter().collect(),
        };
        losses.into_iter().map(gap).collect()
    }
}
