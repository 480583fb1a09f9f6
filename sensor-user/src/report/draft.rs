//! A trail in the making: sets and maps, so that neither order nor repetition of the objects counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Alert, Dump, Edge, Gap, Node, Object, Origin, Trail, number, text};

/// One flow, or, without one, two ends; and the kind. The sink of a flow may become known better after its first
/// report (an address, then the process that took the bytes), so its ends are no part of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EdgeKey {
    Flow(String, String),
    Ends(String, String, String),
}

impl EdgeKey {
    fn of(object: &Object) -> Option<Self> {
        let word = |key| text(object, key).map(ToOwned::to_owned);
        let (from, to, kind) = (word("from.id")?, word("to.id")?, word("step.kind")?);
        Some(match word("flow.id") {
            Some(flow) => Self::Flow(flow, kind),
            None => Self::Ends(from, to, kind),
        })
    }
}

/// What one report says of a movement. Of two reports the greater one holds: a step's before an alert's, which repeats
/// the step that it was made of, then the later one; the rest only makes the choice certain.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    step: bool,
    time: String,
    from: String,
    to: String,
    confidence: String,
    via: String,
    from_zone: String,
    to_zone: String,
    crossing: bool,
    destination: Option<String>,
}

impl Said {
    fn of(object: &Object, step: bool) -> Self {
        let word = |key| text(object, key).unwrap_or_default().to_owned();
        Self {
            step,
            time: word("time"),
            from: word("from.id"),
            to: word("to.id"),
            confidence: word("step.confidence"),
            via: word("step.via"),
            from_zone: word("from.zone"),
            to_zone: word("to.zone"),
            crossing: object.get("step.crossing").and_then(Value::as_bool).unwrap_or_default(),
            destination: destination(object),
        }
    }
}

/// `address:port` that a send went to.
fn destination(object: &Object) -> Option<String> {
    let address = text(object, "destination.address").filter(|_| text(object, "step.kind") == Some("sent"))?;
    let bare = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    Some(number(object, "destination.port").map_or_else(|| bare.clone(), |port| format!("{bare}:{port}")))
}

/// A movement in the making.
#[derive(Debug, Default)]
struct Movement {
    said: Said,
    flow: String,
    kind: String,
    bytes: u64,
    started: String,
    last: String,
    ended: Option<String>,
}

impl Movement {
    /// Bytes of a flow only grow, so the most is the latest.
    fn merge(&mut self, object: &Object, step: bool) {
        let word = |key| text(object, key).unwrap_or_default().to_owned();
        let time = word("time");
        let started = text(object, "step.started").map_or_else(|| time.clone(), ToOwned::to_owned);
        if self.started.is_empty() || started < self.started {
            self.started = started;
        }
        self.bytes = self.bytes.max(number(object, "step.bytes").unwrap_or_default());
        self.ended = self.ended.take().max(text(object, "step.ended").map(ToOwned::to_owned));
        self.last = std::mem::take(&mut self.last).max(time);
        (self.kind, self.flow) = (word("step.kind"), word("flow.id"));
        self.said = std::mem::take(&mut self.said).max(Said::of(object, step));
    }

    fn finish(self, nodes: &BTreeMap<String, usize>, alerts: Vec<usize>) -> Edge {
        let said = self.said;
        Edge {
            from: nodes[&said.from],
            to: nodes[&said.to],
            kind: self.kind,
            via: said.via,
            flow: self.flow,
            bytes: self.bytes,
            started: self.started,
            last: self.last,
            ended: self.ended,
            crossing: said.crossing,
            from_zone: said.from_zone,
            to_zone: said.to_zone,
            confidence: said.confidence,
            destination: said.destination,
            alerts,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Draft {
    dump: Dump,
    /// When the fields of the dump that may change were said last.
    dump_said: String,
    /// What its content was said to be, and when.
    content: Option<(String, String)>,
    origin: Option<Origin>,
    /// Nodes with the time of the last word about them.
    nodes: BTreeMap<String, (String, Node)>,
    edges: BTreeMap<EdgeKey, Movement>,
    alerts: BTreeMap<String, (Alert, EdgeKey)>,
    superseded: BTreeSet<String>,
    pub(super) gaps: BTreeSet<Gap>,
}

impl Draft {
    /// Takes a step, an alert or a notice.
    pub(super) fn add(&mut self, kind: &str, object: &Object) {
        self.content(object);
        if kind == "notice" {
            return;
        }
        self.dump(object);
        let Some(key) = EdgeKey::of(object) else { return };
        self.node(object, "from");
        self.node(object, "to");
        self.edges.entry(key.clone()).or_default().merge(object, kind == "step");
        if kind == "alert" {
            self.alert(object, key);
        }
    }

    /// Nothing moved.
    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty()
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

    /// The trail. Ends that a later report replaced are in it no more.
    pub(super) fn finish(self, id: String) -> Trail {
        let ends: BTreeSet<&String> = self.edges.values().flat_map(|m| [&m.said.from, &m.said.to]).collect();
        let index: BTreeMap<String, usize> = ends.into_iter().cloned().zip(0..).collect();
        let nodes = self.nodes.into_iter().filter(|(id, _)| index.contains_key(id));
        let nodes = nodes.map(|(_, (_, node))| node).collect();
        let mut alerts: Vec<_> = self.alerts.into_values().collect();
        alerts.sort_by(|(a, _), (b, _)| (&a.time, &a.id).cmp(&(&b.time, &b.id)));
        let superseded = self.superseded;
        let said =
            |(alert, _): &(Alert, EdgeKey)| Alert { superseded: superseded.contains(&alert.id), ..alert.clone() };
        Trail {
            dump: Dump { id, content: self.content.map(|(_, content)| content), ..self.dump },
            origin: self.origin.unwrap_or_default(),
            nodes,
            edges: edges(self.edges, &index, &alerts),
            alerts: alerts.iter().map(said).collect(),
            gaps: self.gaps.into_iter().collect(),
        }
    }
}

/// The movements by time, each with its alerts.
fn edges(all: BTreeMap<EdgeKey, Movement>, nodes: &BTreeMap<String, usize>, alerts: &[(Alert, EdgeKey)]) -> Vec<Edge> {
    let mut by_edge: BTreeMap<&EdgeKey, Vec<usize>> = BTreeMap::new();
    for (place, (_, key)) in alerts.iter().enumerate() {
        by_edge.entry(key).or_default().push(place);
    }
    let mut sorted: Vec<(EdgeKey, Movement)> = all.into_iter().collect();
    sorted.sort_by(|(ka, a), (kb, b)| (&a.started, ka).cmp(&(&b.started, kb)));
    sorted.into_iter().map(|(key, m)| m.finish(nodes, by_edge.remove(&key).unwrap_or_default())).collect()
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
