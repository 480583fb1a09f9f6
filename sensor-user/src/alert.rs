//! Alerts: what a rule made of a step.

use std::sync::Arc;

use crate::{
    clock::Time,
    step::{Id, Severity, Step},
};

/// One alert record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// When it was raised.
    pub time: Time,
    /// `rule.id`.
    pub rule: Arc<str>,
    /// `rule.title`.
    pub title: Arc<str>,
    /// How bad.
    pub severity: Severity,
    /// A sentence: who moved which dump from where to where by what.
    pub summary: String,
    /// `alert.key`, the incident: rule, dump, flow.
    pub key: Id,
    /// `alert.id`, the record: key and severity, of a repetition its time as well. Also `log.record.uid`.
    pub id: Id,
    /// `alert.supersedes`: the record of the same incident with the severity before.
    pub supersedes: Option<Id>,
    /// `alert.suppressed`: how many alerts the throttle held back since the last one.
    pub suppressed: u64,
    /// `config.hash`: the configuration that decided.
    pub config_hash: Arc<str>,
    /// The step that raised it.
    pub step: Arc<Step>,
}

impl Alert {
    /// `alert.key` of a rule on a step.
    pub fn key_of(rule: &str, step: &Step) -> Id {
        let dump = step.dump.as_ref().map_or([0; 16], |d| d.id.0);
        Id::of(&[b"alert", rule.as_bytes(), &dump, &step.flow.0])
    }
    /// `alert.id` of a key at a severity.
    pub fn id_of(key: Id, severity: Severity) -> Id {
        Id::of(&[b"record", &key.0, severity.name().as_bytes()])
    }
    /// `alert.id` of one that repeats another at `time`: backends drop what has the id of the first.
    pub fn id_again(key: Id, severity: Severity, time: Time) -> Id {
        Id::of(&[b"again", &key.0, severity.name().as_bytes(), &time.0.to_le_bytes()])
    }
}
