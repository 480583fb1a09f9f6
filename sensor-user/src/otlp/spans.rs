//! Steps as spans: the birth, the crossings, and the path that led to each crossing.
//!
//! A view for people, no record: what is cut here (more than 1,000 spans a dump, the oldest dumps when many are live)
//! is in the journal all the same. Ids are derived from dump, sink and flow, so a replay repeats them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use opentelemetry_proto::tonic::trace::v1::{Span, span};

use super::{Encoder, attributes, pair, string, trace_id};
use crate::{
    fields::View,
    step::{Id, Step, StepKind},
};

/// Spans of one dump, the summary not counted.
pub(super) const SPANS_A_DUMP: usize = 1000;
/// Nodes kept over all dumps; beyond it the dump that was born first is forgotten.
const NODES: usize = 65_536;
/// Edges from a crossing back towards the birth that are sent with it.
const PATH: usize = 64;

type SpanId = [u8; 8];

/// What was seen of the live dumps, as far as spans need it.
#[derive(Debug, Default)]
pub struct Spans {
    dumps: HashMap<Id, Dump>,
    order: VecDeque<Id>,
    nodes: usize,
}

#[derive(Debug, Default)]
struct Dump {
    nodes: HashMap<SpanId, Node>,
    /// The last node that put bytes into a carrier.
    latest: HashMap<Id, SpanId>,
    /// Spans sent, by trace, with the bytes that they said. The trace changes when the content becomes known: then the
    /// path is sent again, so that each trace is whole.
    sent: HashMap<(Id, SpanId), u64>,
    summarised: bool,
}

#[derive(Debug)]
struct Node {
    step: Arc<Step>,
    parent: Option<SpanId>,
}

impl Spans {
    /// Takes a step; gives the bytes of an `ExportTraceServiceRequest` when it is a birth or a crossing that has not
    /// been sent yet.
    pub fn step(&mut self, encoder: &Encoder, step: &Arc<Step>) -> Option<Vec<u8>> {
        let id = step.dump.as_ref()?.id;
        let key = span_id(step)?;
        let trace = trace_id(step)?;
        self.make_room(id);
        let dump = self.dumps.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Dump::default()
        });
        self.nodes += usize::from(dump.add(key, step));
        if !(step.crossing() || step.kind == StepKind::Created) {
            return None;
        }
        let mut spans = dump.path(trace, key);
        spans.extend(dump.end(trace, key));
        (!spans.is_empty()).then(|| encoder.spans(spans))
    }

    fn make_room(&mut self, keep: Id) {
        while self.nodes >= NODES {
            let Some(oldest) = self.order.pop_front() else { return };
            if oldest == keep && self.order.is_empty() {
                // One dump with more nodes than the bound: begin again with it.
                self.dumps.clear();
                self.nodes = 0;
                return;
            }
            if oldest == keep {
                self.order.push_back(oldest);
            } else if let Some(dump) = self.dumps.remove(&oldest) {
                self.nodes -= dump.nodes.len();
            }
        }
    }
}

impl Dump {
    /// Remembers the step; true when its node is new. A growth report updates the node and keeps its parent.
    fn add(&mut self, key: SpanId, step: &Arc<Step>) -> bool {
        if let Some(node) = self.nodes.get_mut(&key) {
            node.step = Arc::clone(step);
            return false;
        }
        let parent = self.latest.get(&step.source.id).copied();
        self.latest.insert(step.sink.id, key);
        self.nodes.insert(key, Node { step: Arc::clone(step), parent });
        true
    }

    /// The spans from the birth to `key` that this trace does not have yet, birth first.
    fn path(&mut self, trace: Id, key: SpanId) -> Vec<Span> {
        let mut path = Vec::new();
        let mut next = Some(key);
        while let Some(key) = next.filter(|k| path.len() < PATH && !self.sent.contains_key(&(trace, *k))) {
            let Some(node) = self.nodes.get(&key) else { break };
            path.push(key);
            next = node.parent;
        }
        path.into_iter().rev().filter_map(|key| self.send(trace, key)).collect()
    }

    fn send(&mut self, trace: Id, key: SpanId) -> Option<Span> {
        if self.sent.len() >= SPANS_A_DUMP {
            return self.summary(trace, key);
        }
        let node = self.nodes.get(&key)?;
        self.sent.insert((trace, key), node.step.bytes);
        Some(span(trace, key, node))
    }

    /// Once, instead of the span that would be one too many.
    fn summary(&mut self, trace: Id, key: SpanId) -> Option<Span> {
        let node = self.nodes.get(&key).filter(|_| !self.summarised)?;
        self.summarised = true;
        let mut summary = span(trace, derived(key, b"summary"), node);
        summary.name = "dump spans cut".into();
        summary.attributes.push(pair(
            "dumptrail.spans.cut",
            string(&format!("more than {SPANS_A_DUMP} spans: see the journal for the rest of this dump's trail")),
        ));
        Some(summary)
    }

    /// A crossing is sent when it is first seen. When its flow ends with more bytes, a second span says so, since one
    /// span cannot be sent twice.
    fn end(&mut self, trace: Id, key: SpanId) -> Option<Span> {
        let node = self.nodes.get(&key).filter(|n| n.step.ended.is_some())?;
        let end = (trace, derived(key, b"end"));
        let said = *self.sent.get(&(trace, key))?;
        if said >= node.step.bytes || self.sent.contains_key(&end) || self.sent.len() >= SPANS_A_DUMP {
            return None;
        }
        self.sent.insert(end, node.step.bytes);
        let mut span = span(trace, end.1, node);
        span.name.push_str(" (end)");
        span.parent_span_id = key.to_vec();
        Some(span)
    }
}

fn span(trace: Id, key: SpanId, node: &Node) -> Span {
    let step = &node.step;
    let end = step.ended.unwrap_or(step.time).max(step.started);
    Span {
        trace_id: trace.0.to_vec(),
        span_id: key.to_vec(),
        parent_span_id: node.parent.map_or_else(Vec::new, |p| p.to_vec()),
        name: format!("dump {}", step.kind),
        kind: span::SpanKind::Internal.into(),
        start_time_unix_nano: step.started.0,
        end_time_unix_nano: end.0,
        attributes: attributes(View { step, alert: None }),
        links: links(trace, key, step),
        ..Span::default()
    }
}

/// Once the content names the trace, a link leads back to the trace that the birth began.
fn links(trace: Id, key: SpanId, step: &Step) -> Vec<span::Link> {
    let dump = step.dump.as_ref().map(|d| d.id).filter(|id| *id != trace);
    let link = |id: Id| span::Link { trace_id: id.0.to_vec(), span_id: key.to_vec(), ..span::Link::default() };
    dump.map(link).into_iter().collect()
}

fn derived(key: SpanId, what: &[u8]) -> SpanId {
    first(Id::of(&[what, &key]))
}

fn first(id: Id) -> SpanId {
    *id.0.first_chunk().expect("16 bytes have 8")
}

/// Span id of a step: the same for all growth reports of one flow into one sink.
pub(super) fn span_id(step: &Step) -> Option<SpanId> {
    let dump = step.dump.as_ref()?.id;
    Some(first(Id::of(&[b"span", &dump.0, &step.sink.id.0, &step.flow.0])))
}
