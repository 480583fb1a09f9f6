//! Everything that leaves: journal, console, exporters, metrics. An alert is printed when the journal has said whether it
//! is durable; what the journal could not take goes to the collector directly.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::runtime::Runtime;

use crate::{
    alert::Alert,
    clock::Time,
    core::State,
    journal::{Handle, Journal, STARTED},
    ndjson::{Ready, Stopped},
    otlp::Encoder,
    ring::Rings,
    sinks::{console::Console, otlp::OtlpSink},
    step::{Gap, Id, Notice, Step, StepKind, Verdict},
    telemetry::Metrics,
};

/// How long a stop may take, stage by stage.
const LAST: Duration = Duration::from_secs(5);

/// See the module.
pub struct Outputs {
    journal: Option<Journal>,
    handle: Handle,
    console: Console,
    exporter: Arc<OnceLock<OtlpSink>>,
    encoder: Encoder,
    runtime: Runtime,
    /// The agent's own health.
    pub metrics: Metrics,
    crossings: HashSet<Id>,
    moved: BTreeMap<Id, u64>,
    live: BTreeMap<Arc<str>, u64>,
    /// Since when nobody has watched, because the agent before did not stop cleanly.
    unwatched: Option<Time>,
}

impl Outputs {
    /// Puts the parts together.
    pub fn new(
        journal: Journal,
        console: Console,
        exporter: Arc<OnceLock<OtlpSink>>,
        encoder: Encoder,
        runtime: Runtime,
        metrics: Metrics,
        unwatched: Option<Time>,
    ) -> Self {
        let handle = journal.handle();
        Self {
            journal: Some(journal),
            handle,
            console,
            exporter,
            encoder,
            runtime,
            metrics,
            crossings: HashSet::new(),
            moved: BTreeMap::new(),
            live: BTreeMap::new(),
            unwatched,
        }
    }

    /// The first line, and what the journal should know of it. Which dumps were live when nobody watched is not known.
    pub fn ready(&mut self, ready: &Ready) {
        self.console.ready(ready);
        if let Some(since) = self.unwatched.take() {
            let (from, to) = (since.min(ready.time), ready.time);
            self.gap(&Gap { from, to, cause: Gap::AGENT_KILLED, count: 1, dumps: Vec::new() });
        }
        let text = format!("dumptrail {} watches, with configuration {}", ready.version, ready.config_hash);
        self.handle.notice(&Notice { time: ready.time, kind: STARTED, text, dump: None, content: None });
    }

    /// A step.
    pub fn step(&mut self, step: &Arc<Step>) {
        self.handle.step(Arc::clone(step));
        self.console.step(step);
        self.count(step);
    }

    /// Metrics of a step: births once, crossings once a flow, bytes by what is new.
    fn count(&mut self, step: &Step) {
        if let (StepKind::Created | StepKind::Found | StepKind::Received, Some(dump)) = (step.kind, &step.dump) {
            self.metrics.dump(dump.kind, &step.to.zone);
        }
        // Nothing has crossed where the call was refused.
        if step.verdict != Some(Verdict::Blocked) && step.crossing() && self.crossings.insert(step.flow) {
            self.metrics.crossing(&step.from.zone, &step.to.zone);
        }
        if matches!(step.kind, StepKind::Sent | StepKind::Written) {
            let before = self.moved.entry(step.flow).or_default();
            self.metrics.moved(&step.from.zone, &step.to.zone, step.bytes.saturating_sub(*before));
            // It is less once a part turns out to be another dump's.
            *before = step.bytes.max(*before);
        }
        if step.ended.is_some() {
            self.crossings.remove(&step.flow);
            self.moved.remove(&step.flow);
        }
    }

    /// An alert.
    pub fn alert(&self, alert: &Arc<Alert>) {
        self.metrics.alert(&alert.rule, alert.severity);
        let (console, printed) = (self.console.clone(), Arc::clone(alert));
        let (exporter, encoder) = (Arc::clone(&self.exporter), self.encoder.clone());
        self.handle.alert(Arc::clone(alert), move |journaled| {
            console.alert(&printed, journaled);
            if let (false, Some(exporter)) = (journaled, exporter.get()) {
                exporter.unjournaled(encoder.alert(&printed, false));
            }
        });
    }

    /// A gap.
    pub fn gap(&self, gap: &Gap) {
        self.metrics.gap(gap.cause);
        self.handle.gap(gap);
        self.console.gap(gap);
    }

    /// A notice.
    pub fn notice(&self, notice: &Notice) {
        self.handle.notice(notice);
        self.console.notice(notice);
    }

    /// Once a second.
    pub fn tick(&mut self, core: &mut State, rings: &mut Rings) {
        self.metrics.heartbeat();
        self.count_live(core);
        for (ring, used) in rings.take_use() {
            self.metrics.ring(ring, used);
        }
        for (rule, took_ns) in core.rules.take_times() {
            self.metrics.rule_time(&rule, Duration::from_nanos(took_ns));
        }
        for (rule, count) in core.rules.erroring() {
            self.metrics.rule_errors(rule, count);
        }
        let Some(journal) = &self.journal else { return };
        let stats = journal.stats();
        self.metrics.journal(&stats);
        if let Some(exporter) = self.exporter.get() {
            self.metrics.export(&exporter.stats(), journal.exports().waiting());
        }
    }

    /// A zone whose last dump is gone has none: that is said once.
    fn count_live(&mut self, core: &State) {
        self.live.values_mut().for_each(|dumps| *dumps = 0);
        for (place, _) in core.trail.census() {
            *self.live.entry(Arc::clone(&place.zone)).or_default() += 1;
        }
        for (zone, dumps) in &self.live {
            self.metrics.live(zone, *dumps);
        }
        self.live.retain(|_, dumps| *dumps > 0);
    }

    /// Flushes everything, in the order in which it flows.
    pub fn stop(&mut self, stopped: &Stopped) {
        if let Some(journal) = self.journal.take() {
            let left = journal.close(LAST).queued;
            if left > 0 {
                tracing::error!(left, "records were not journaled before the deadline");
            }
        }
        if let Some(exporter) = Arc::get_mut(&mut self.exporter).and_then(OnceLock::take) {
            self.runtime.block_on(exporter.stop(LAST));
        }
        self.metrics.stop();
        self.console.stopped(stopped);
        self.console.close(LAST);
    }
}
