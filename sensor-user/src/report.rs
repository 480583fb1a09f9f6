//! The trail of a dump for people: a list of dumps, and one dump's graph as a tree, JSON or dot.
//!
//! Built from the NDJSON objects of steps, alerts, gaps and notices, in any order and with any repetition: the journal
//! delivers at least once, and a flow is reported again as it grows. The result depends on the set of objects only.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::step::Severity;

pub mod dot;
mod draft;
pub mod list;
pub mod tree;

use draft::Draft;

/// One NDJSON line.
pub type Object = Map<String, Value>;

/// A dump and all that is known of its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// The dump.
    pub dump: Dump,
    /// Where it was born.
    pub origin: Origin,
    /// What held its bytes, by id.
    pub nodes: Vec<Node>,
    /// How they moved, by time.
    pub edges: Vec<Edge>,
    /// What was said about it, by time.
    pub alerts: Vec<Alert>,
    /// When something was lost while it was active.
    pub gaps: Vec<Gap>,
}

/// The dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dump {
    /// `dump.id`
    pub id: String,
    /// `dump.content`, once known.
    pub content: Option<String>,
    /// `dump.kind`
    pub kind: String,
    /// `dump.size`, bytes.
    pub size: Option<u64>,
    /// `dump.created`, RFC 3339.
    pub created: String,
}

/// Where a dump was born.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Zone.
    pub zone: String,
    /// Its exposure.
    pub exposure: String,
    /// `host.id`
    pub host: String,
    /// The birth was not seen.
    pub inferred: bool,
    /// `origin.process.*`, `origin.container.id` and `origin.k8s.*`, without the prefix.
    pub who: BTreeMap<String, Value>,
}

/// Something that held bytes of the dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// `from.id`, `to.id`
    pub id: String,
    /// What a person reads.
    pub name: String,
    /// Zone it was in last.
    pub zone: String,
    /// Its exposure.
    pub exposure: String,
    /// Masked command line, for a process.
    pub command_line: Option<String>,
    /// User, for a process.
    pub user: Option<String>,
}

/// One movement; all growth reports of one flow are one edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Index into the nodes.
    pub from: usize,
    /// Index into the nodes.
    pub to: usize,
    /// `step.kind`
    pub kind: String,
    /// `step.via`
    pub via: String,
    /// `flow.id`
    pub flow: String,
    /// Most bytes reported.
    pub bytes: u64,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it was seen last.
    pub last: String,
    /// When it ended.
    pub ended: Option<String>,
    /// The two ends are in different zones.
    pub crossing: bool,
    /// Zone of the source at that time.
    pub from_zone: String,
    /// Zone of the sink at that time.
    pub to_zone: String,
    /// `step.confidence`
    pub confidence: String,
    /// `address:port` that bytes were sent to, also when the process behind it is known.
    pub destination: Option<String>,
    /// Indices into the alerts.
    pub alerts: Vec<usize>,
}

/// What a rule said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// `alert.id`
    pub id: String,
    /// When.
    pub time: String,
    /// `rule.id`
    pub rule: String,
    /// How bad.
    pub severity: String,
    /// A sentence.
    pub summary: String,
    /// A later alert of the same incident is more severe.
    pub superseded: bool,
}

impl Alert {
    fn rank(&self) -> Option<Severity> {
        Severity::from_name(&self.severity)
    }
}

/// Something was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// Start.
    pub from: String,
    /// End.
    pub to: String,
    /// Why.
    pub cause: String,
    /// How many.
    pub count: u64,
}

impl Trail {
    /// The graph as JSON: `{dump, origin, nodes, edges, alerts, gaps}`.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Movements between zones.
    pub fn crossings(&self) -> usize {
        self.edges.iter().filter(|e| e.crossing).count()
    }

    /// The worst alert's severity.
    pub fn worst(&self) -> Option<Severity> {
        self.alerts.iter().filter_map(Alert::rank).max()
    }
}

/// The trails of all dumps, oldest birth first.
pub fn trails(objects: impl IntoIterator<Item = Object>) -> Vec<Trail> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for object in objects {
        match (kind_of(&object), text(&object, "dump.id")) {
            ("gap", _) => gap(&object, &mut drafts),
            (kind @ ("step" | "alert" | "notice"), Some(id)) => {
                drafts.entry(id.to_owned()).or_default().add(kind, &object);
            }
            _ => {}
        }
    }
    let moved = drafts.into_iter().filter(|(_, draft)| !draft.is_empty());
    let mut trails: Vec<_> = moved.map(|(id, draft)| draft.finish(id)).collect();
    trails.sort_by(|a, b| (&a.dump.created, &a.dump.id).cmp(&(&b.dump.created, &b.dump.id)));
    trails
}

/// The trails of the dumps whose id or content begins with `prefix`: one, unless the prefix is too short.
pub fn trails_of(prefix: &str, objects: impl IntoIterator<Item = Object>) -> Vec<Trail> {
    let mut all = trails(objects);
    all.retain(|t| t.dump.id.starts_with(prefix) || t.dump.content.as_ref().is_some_and(|c| c.starts_with(prefix)));
    all
}

/// `event`; an object without one is an alert when a rule made it.
fn kind_of(object: &Object) -> &str {
    text(object, "event").unwrap_or(if object.contains_key("rule.id") { "alert" } else { "step" })
}

fn gap(object: &Object, drafts: &mut BTreeMap<String, Draft>) {
    let dumps = object.get("dumps").and_then(Value::as_array).into_iter().flatten();
    for dump in dumps.filter_map(Value::as_str) {
        let word = |key| text(object, key).unwrap_or_default().to_owned();
        let count = number(object, "count").unwrap_or_default();
        let gap = Gap { from: word("from"), to: word("to"), cause: word("cause"), count };
        drafts.entry(dump.to_owned()).or_default().gaps.insert(gap);
    }
}

fn text<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

fn number(object: &Object, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

/// `2026-11-22 02:05:34 UTC` out of RFC 3339; other text as it is.
pub(crate) fn time_text(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%F %T UTC").to_string(),
        Err(_) => crate::enrich::mask::escape(time),
    }
}

#[cfg(test)]
mod tests;
