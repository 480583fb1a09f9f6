//! The trail of a dump for people: a list of dumps, and one dump's graph as a tree, JSON or dot.
//!
//! Built from the NDJSON objects of steps, alerts, gaps and notices, in any order and with any repetition: the journal
//! delivers at least once, and a flow is reported again as it grows. The result depends on the set of objects only.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::step::Severity;

pub mod dot;
pub mod list;
pub mod tree;

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
    let moved = drafts.into_iter().filter(|(_, draft)| !draft.edges.is_empty());
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

/// Two ends by id, kind, flow.
type EdgeKey = (String, String, String, String);

/// A trail in the making: sets and maps, so that neither order nor repetition of the objects counts.
#[derive(Debug, Default)]
struct Draft {
    dump: Dump,
    /// When the fields of the dump that may change were said last.
    dump_said: String,
    /// What its content was said to be, and when.
    content: Option<(String, String)>,
    origin: Option<Origin>,
    /// Nodes with the time of the last word about them.
    nodes: BTreeMap<String, (String, Node)>,
    edges: BTreeMap<EdgeKey, Edge>,
    alerts: BTreeMap<String, (Alert, EdgeKey)>,
    superseded: BTreeSet<String>,
    gaps: BTreeSet<Gap>,
}

impl Draft {
    fn add(&mut self, kind: &str, object: &Object) {
        self.content(object);
        if kind == "notice" {
            return;
        }
        self.dump(object);
        let Some(key) = edge_key(object) else { return };
        self.node(object, "from");
        self.node(object, "to");
        merge(self.edges.entry(key.clone()).or_default(), object);
        if kind == "alert" {
            self.alert(object, key);
        }
    }

    fn content(&mut self, object: &Object) {
        let said = || text(object, "time").unwrap_or_default().to_owned();
        self.content = self.content.take().max(text(object, "dump.content").map(|c| (said(), c.to_owned())));
    }

    fn dump(&mut self, object: &Object) {
        let said = text(object, "time").unwrap_or_default();
        if said >= self.dump_said.as_str() {
            said.clone_into(&mut self.dump_said);
            let word = |key| text(object, key).unwrap_or_default().to_owned();
            self.dump.kind = word("dump.kind");
            self.dump.created = word("dump.created");
            self.dump.size = number(object, "dump.size").or(self.dump.size);
            self.origin = Some(origin(object));
        }
    }

    fn node(&mut self, object: &Object, end: &str) {
        let word = |key: &str| text(object, &format!("{end}.{key}")).unwrap_or_default().to_owned();
        let said = text(object, "time").unwrap_or_default().to_owned();
        let mut node = Node {
            id: word("id"),
            name: word("carrier"),
            zone: word("zone"),
            exposure: word("exposure"),
            ..Node::default()
        };
        let pid = number(object, "process.pid").map(|pid| format!("[{pid}]"));
        if pid.is_some_and(|pid| node.name.ends_with(&pid)) {
            node.command_line = text(object, "process.command_line").map(ToOwned::to_owned);
            node.user = text(object, "user.name").map(ToOwned::to_owned);
        }
        let (at, known) = self.nodes.entry(node.id.clone()).or_insert_with(|| (said.clone(), node.clone()));
        if (&said, &node.name, &node.zone) >= (at, &known.name, &known.zone) {
            node.command_line = node.command_line.or(known.command_line.take());
            node.user = node.user.or(known.user.take());
            *known = node;
            *at = said;
        } else {
            known.command_line = known.command_line.take().or(node.command_line);
            known.user = known.user.take().or(node.user);
        }
    }

    fn alert(&mut self, object: &Object, key: EdgeKey) {
        let word = |key| text(object, key).unwrap_or_default().to_owned();
        self.superseded.extend(text(object, "alert.supersedes").map(ToOwned::to_owned));
        let alert = Alert {
            id: word("alert.id"),
            time: word("time"),
            rule: word("rule.id"),
            severity: word("severity"),
            summary: word("summary"),
            superseded: false,
        };
        self.alerts.insert(alert.id.clone(), (alert, key));
    }

    fn finish(self, id: String) -> Trail {
        let index: BTreeMap<String, usize> = self.nodes.keys().cloned().zip(0..).collect();
        let mut edges: Vec<(EdgeKey, Edge)> = self.edges.into_iter().collect();
        edges.sort_by(|(ka, a), (kb, b)| (&a.started, ka).cmp(&(&b.started, kb)));
        let mut alerts: Vec<_> = self.alerts.into_values().collect();
        alerts.sort_by(|(a, _), (b, _)| (&a.time, &a.id).cmp(&(&b.time, &b.id)));
        let mut by_edge: BTreeMap<&EdgeKey, Vec<usize>> = BTreeMap::new();
        for (place, (_, key)) in alerts.iter().enumerate() {
            by_edge.entry(key).or_default().push(place);
        }
        let edges = edges
            .into_iter()
            .map(|(key, mut edge)| {
                (edge.from, edge.to) = (index[&key.0], index[&key.1]);
                edge.alerts = by_edge.remove(&key).unwrap_or_default();
                edge
            })
            .collect();
        let superseded = self.superseded;
        let said = |(alert, _): (Alert, EdgeKey)| Alert { superseded: superseded.contains(&alert.id), ..alert };
        Trail {
            dump: Dump { id, content: self.content.map(|(_, content)| content), ..self.dump },
            origin: self.origin.unwrap_or_default(),
            nodes: self.nodes.into_values().map(|(_, node)| node).collect(),
            edges,
            alerts: alerts.into_iter().map(said).collect(),
            gaps: self.gaps.into_iter().collect(),
        }
    }
}

fn edge_key(object: &Object) -> Option<EdgeKey> {
    let word = |key| text(object, key).map(ToOwned::to_owned);
    Some((word("from.id")?, word("to.id")?, word("step.kind")?, word("flow.id").unwrap_or_default()))
}

fn origin(object: &Object) -> Origin {
    let word = |key| text(object, key).unwrap_or_default().to_owned();
    let who = object.iter().filter_map(|(key, value)| {
        let key = key.strip_prefix("origin.")?;
        let of_process = ["process.", "user.", "container.", "k8s."].iter().any(|p| key.starts_with(p));
        of_process.then(|| (key.to_owned(), value.clone()))
    });
    Origin {
        zone: word("origin.zone"),
        exposure: word("origin.exposure"),
        host: word("origin.host"),
        inferred: object.get("origin.inferred").and_then(Value::as_bool).unwrap_or_default(),
        who: who.collect(),
    }
}

/// Bytes of a flow only grow, so the most is the latest.
fn merge(edge: &mut Edge, object: &Object) {
    let word = |key| text(object, key).unwrap_or_default().to_owned();
    let time = word("time");
    let started = text(object, "step.started").map_or_else(|| time.clone(), ToOwned::to_owned);
    if edge.started.is_empty() || started < edge.started {
        edge.started = started;
    }
    edge.bytes = edge.bytes.max(number(object, "step.bytes").unwrap_or_default());
    edge.crossing |= object.get("step.crossing").and_then(Value::as_bool).unwrap_or_default();
    edge.ended = edge.ended.take().max(text(object, "step.ended").map(ToOwned::to_owned));
    let new = (&time, word("step.confidence"), word("step.via"), word("from.zone"), word("to.zone"));
    if (new.0, &new.1, &new.2, &new.3, &new.4)
        >= (&edge.last, &edge.confidence, &edge.via, &edge.from_zone, &edge.to_zone)
    {
        (edge.confidence, edge.via, edge.from_zone, edge.to_zone) = (new.1, new.2, new.3, new.4);
        edge.last = time;
        edge.kind = word("step.kind");
        edge.flow = word("flow.id");
    }
}

/// `581.3 KiB`
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
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
