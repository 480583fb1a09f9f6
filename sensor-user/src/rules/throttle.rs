//! What a rule remembers: how often it fired, and which incidents it has told of, so that it does not repeat itself.
//! Never held back: a higher severity, and a destination, user or executable not yet told of in the window.
//!
//! Bounded: what is forgotten may be told again, never the other way round.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::Ruleset;
use crate::{
    alert::Alert,
    clock::Time,
    step::{Id, Severity, Step},
};

/// Incidents remembered per rule.
const INCIDENTS: usize = 4096;
/// Destinations, users and executables remembered per incident, and records.
const SEEN: usize = 64;

/// Counts of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Alerts raised.
    pub fired: u64,
    /// Alerts held back as repetitions.
    pub suppressed: u64,
    /// Conditions that could not be decided, most often because a field was absent.
    pub erroring: u64,
}

/// Times kept between two calls of [`RuleState::take_times`]; further ones are not.
const TIMES: usize = 4096;

/// The memory of all rules, by rule id: it outlives a reload.
#[derive(Clone, Debug, Default)]
pub struct RuleState {
    rules: BTreeMap<Arc<str>, Memory>,
    stopwatch: Option<fn() -> u64>,
    times: Vec<(Arc<str>, u64)>,
}

impl RuleState {
    /// One that takes the time of each rule by this clock, in ns. No decision goes by it.
    pub fn timed(stopwatch: fn() -> u64) -> Self {
        Self { stopwatch: Some(stopwatch), ..Self::default() }
    }
    /// How long rules took on single steps, in ns, since this was asked last.
    pub fn take_times(&mut self) -> Vec<(Arc<str>, u64)> {
        std::mem::take(&mut self.times)
    }
    /// Does a rule's work on one step.
    pub(super) fn time<T>(&mut self, rule: &Arc<str>, work: impl FnOnce(&mut Memory) -> T) -> T {
        let began = self.stopwatch.map(|now| now());
        let done = work(self.of(rule));
        if let (Some(now), Some(began), true) = (self.stopwatch, began, self.times.len() < TIMES) {
            self.times.push((Arc::clone(rule), now().saturating_sub(began)));
        }
        done
    }
    /// Conditions of each rule that could not be decided, so far.
    pub fn erroring(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.iter().map(|(rule, memory)| (&**rule, memory.counters.erroring))
    }
    /// The memory of a rule.
    fn of(&mut self, rule: &Arc<str>) -> &mut Memory {
        self.rules.entry(Arc::clone(rule)).or_default()
    }
    /// The counts of a rule.
    pub fn counters(&self, rule: &str) -> Counters {
        self.rules.get(rule).map(|m| m.counters).unwrap_or_default()
    }
    /// Forgets rules that are gone: call it after a reload.
    pub fn retain(&mut self, set: &Ruleset) {
        self.rules.retain(|id, _| set.rules().iter().any(|r| r.id == *id));
    }
}

/// What one rule remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) counters: Counters,
    incidents: BTreeMap<Id, Incident>,
    /// Incidents, oldest first.
    order: VecDeque<Id>,
}

/// What was told of one incident.
#[derive(Clone, Debug)]
struct Incident {
    severity: Severity,
    /// The last record of that severity.
    highest: Id,
    /// When the window began: the first alert in it.
    since: Time,
    suppressed: u64,
    seen: BTreeMap<Id, Time>,
    /// Records that were sent and are no repetition.
    sent: BTreeSet<Id>,
}

/// Shall there be an alert?
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Raise { id: Id, supersedes: Option<Id>, suppressed: u64 },
    Hold,
}

impl Memory {
    /// Decides on an alert of `severity`. Without a window an incident is told once per severity, for good.
    pub(super) fn judge(
        &mut self,
        incident: Id,
        key: Id,
        severity: Severity,
        now: Time,
        window: Option<u64>,
        step: &Step,
    ) -> Verdict {
        let novel = novelties(step);
        let verdict = if let Some(known) = self.incidents.get_mut(&incident) {
            known.judge(key, severity, now, window, &novel)
        } else {
            let id = Alert::id_of(key, severity);
            self.remember(incident, Incident::new(id, severity, now, &novel));
            Verdict::Raise { id, supersedes: None, suppressed: 0 }
        };
        match verdict {
            Verdict::Raise { .. } => self.counters.fired += 1,
            Verdict::Hold => self.counters.suppressed += 1,
        }
        verdict
    }

    fn remember(&mut self, id: Id, incident: Incident) {
        if self.incidents.len() >= INCIDENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.incidents.remove(&oldest);
        }
        self.order.push_back(id);
        self.incidents.insert(id, incident);
    }
}

impl Incident {
    fn new(id: Id, severity: Severity, now: Time, novel: &[Id]) -> Self {
        let seen = novel.iter().map(|n| (*n, now)).collect();
        Self { severity, highest: id, since: now, suppressed: 0, seen, sent: [id].into() }
    }

    fn judge(&mut self, key: Id, severity: Severity, now: Time, window: Option<u64>, novel: &[Id]) -> Verdict {
        let rise = severity > self.severity;
        let over = window.is_some_and(|w| now.since(self.since) >= w);
        let new = novel.iter().any(|n| !self.seen.contains_key(n));
        if !(rise || over || new) {
            self.suppressed += 1;
            return Verdict::Hold;
        }
        let id = self.record(key, severity, now);
        let supersedes = rise.then_some(self.highest);
        let suppressed = std::mem::take(&mut self.suppressed);
        if over || severity >= self.severity {
            (self.severity, self.highest) = (severity, id);
        }
        if over {
            self.since = now;
            self.seen.clear();
        }
        self.see(novel, now);
        Verdict::Raise { id, supersedes, suppressed }
    }

    /// The record's id. When no more are remembered, each counts as a repetition.
    fn record(&mut self, key: Id, severity: Severity, now: Time) -> Id {
        let id = Alert::id_of(key, severity);
        let first = self.sent.len() < SEEN && self.sent.insert(id);
        if first { id } else { Alert::id_again(key, severity, now) }
    }

    fn see(&mut self, novel: &[Id], now: Time) {
        for id in novel {
            self.seen.entry(*id).or_insert(now);
        }
        while self.seen.len() > SEEN
            && let Some(oldest) = self.seen.iter().min_by_key(|(_, t)| **t).map(|(id, _)| *id)
        {
            self.seen.remove(&oldest);
        }
    }
}

/// What must not be hidden: destination, user and executable of a step.
fn novelties(step: &Step) -> Vec<Id> {
    let process = step.process.as_deref();
    let destination = step.peer.as_ref().map(|p| Id::of(&[b"destination", p.address.to_string().as_bytes()]));
    let user = process.map(|p| Id::of(&[b"user", &p.user_id.to_le_bytes()]));
    let executable = process.and_then(|p| p.executable.as_ref()).map(|e| Id::of(&[b"executable", e.as_bytes()]));
    [destination, user, executable].into_iter().flatten().collect()
}
