//! The agent's metrics, by the OpenTelemetry SDK. They may be lost; alerts may not, and do not go this way.
//!
//! Labels come from closed sets: kinds, causes, rings, and the zones and rules of the configuration. Never a dump id, a
//! path, a pod, an address or a user.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter, MeterProvider},
};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, MetricExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use tokio::runtime::Handle;

use crate::{
    journal,
    otlp::{Attributes, SCOPE},
    sinks::otlp::{
        ExportError, ExportStats, Protocol, Signal, Target,
        transport::{chain, channel, client_error, http_builder, metadata},
    },
    step::DumpKind,
};

/// Instruments, or nothing at all while export is off.
#[derive(Clone)]
pub struct Metrics(Option<Inner>);

#[derive(Clone)]
struct Inner {
    provider: SdkMeterProvider,
    dumps: Counter<u64>,
    crossings: Counter<u64>,
    moved: Counter<u64>,
    alerts: Counter<u64>,
    verdicts: Counter<u64>,
    live: Gauge<u64>,
    heartbeats: Counter<u64>,
    lost: Counter<u64>,
    gaps: Counter<u64>,
    ring: Gauge<f64>,
    rule: Histogram<f64>,
    undecided: Total,
    queue: Gauge<u64>,
    exported: Total,
    sync: Gauge<f64>,
    arm: Histogram<f64>,
}

impl Metrics {
    /// Metrics that go nowhere.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Metrics that go to `target`; [`Self::off`] without one. `interval` overrides `OTEL_METRIC_EXPORT_INTERVAL`.
    pub fn start(
        runtime: &Handle,
        target: Option<&Target>,
        attributes: &Attributes,
        interval: Option<Duration>,
    ) -> Result<Self, ExportError> {
        let Some(target) = target else { return Ok(Self::off()) };
        let exporter = exporter(runtime, target)?;
        let mut reader = PeriodicReader::builder(exporter);
        if let Some(interval) = interval {
            reader = reader.with_interval(interval);
        }
        let pairs = attributes.pairs().map(|(k, v)| KeyValue::new(k.to_owned(), v.to_owned()));
        let provider = SdkMeterProvider::builder()
            .with_resource(Resource::builder_empty().with_attributes(pairs).build())
            .with_reader(reader.build())
            .build();
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION"));
        let meter = provider.meter_with_scope(scope.with_schema_url(SCHEMA_URL).build());
        Ok(Self(Some(Inner::new(provider, &meter))))
    }

    /// A dump was born, arrived or was found in this zone.
    pub fn dump(&self, kind: DumpKind, zone: &str) {
        self.with(|m| m.dumps.add(1, &[KeyValue::new("dump.kind", kind.name()), label("zone", zone)]));
    }
    /// A new crossing, once a flow.
    pub fn crossing(&self, from: &str, to: &str) {
        self.with(|m| m.crossings.add(1, &[label("from.zone", from), label("to.zone", to)]));
    }
    /// So many more bytes of dumps moved from zone to zone.
    pub fn moved(&self, from: &str, to: &str, bytes: u64) {
        self.with(|m| m.moved.add(bytes, &[label("from.zone", from), label("to.zone", to)]));
    }
    /// An alert of this severity was raised by this rule.
    pub fn alert(&self, rule: &str, severity: crate::step::Severity) {
        self.with(|m| m.alerts.add(1, &[label("rule.id", rule), KeyValue::new("severity", severity.name())]));
    }
    /// So many calls were refused, or would have been.
    pub fn verdicts(&self, verdict: &'static str, calls: u64) {
        if calls > 0 {
            self.with(|m| m.verdicts.add(calls, &[KeyValue::new("verdict", verdict)]));
        }
    }
    /// So many dumps are live in this zone.
    pub fn live(&self, zone: &str, dumps: u64) {
        self.with(|m| m.live.record(dumps, &[label("zone", zone)]));
    }
    /// The core loop is alive. A collector that misses it has reason to worry.
    pub fn heartbeat(&self) {
        self.with(|m| m.heartbeats.add(1, &[]));
    }
    /// Records were lost for this cause.
    pub fn lost(&self, cause: &'static str, records: u64) {
        self.with(|m| m.lost.add(records, &[KeyValue::new("cause", cause)]));
    }
    /// A gap was reported for this cause.
    pub fn gap(&self, cause: &'static str) {
        self.with(|m| m.gaps.add(1, &[KeyValue::new("cause", cause)]));
    }
    /// How full a ring was at most, in the last second, when it was emptied: 0 to 1.
    pub fn ring(&self, ring: &'static str, used: f64) {
        self.with(|m| m.ring.record(used, &[KeyValue::new("ring", ring)]));
    }
    /// How long this rule took on one step.
    pub fn rule_time(&self, rule: &str, took: Duration) {
        self.with(|m| m.rule.record(took.as_secs_f64(), &[label("rule.id", rule)]));
    }
    /// So many conditions of this rule could not be decided since the start.
    pub fn rule_errors(&self, rule: &str, count: u64) {
        self.with(|m| m.undecided.reach(count, label("rule.id", rule)));
    }
    /// How long it took from a birth until the flow hooks stood.
    pub fn armed(&self, took: Duration) {
        self.with(|m| m.arm.record(took.as_secs_f64(), &[]));
    }
    /// State of the journal.
    pub fn journal(&self, stats: &journal::Stats) {
        self.with(|m| {
            m.queue.record(stats.queued as u64, &[KeyValue::new("queue", "journal")]);
            m.sync.record(Duration::from_nanos(stats.slowest_sync_ns).as_secs_f64(), &[]);
        });
    }
    /// True when somebody may read them.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// State of the exporters; `waiting` is what is durable and not shipped, in bytes.
    pub fn export(&self, stats: &ExportStats, waiting: u64) {
        let outcomes = [
            ("sent", stats.sent),
            ("rejected", stats.rejected),
            ("refused", stats.refused),
            ("failed", stats.failures),
            ("lost", stats.lost),
        ];
        self.with(|m| {
            m.queue.record(waiting, &[KeyValue::new("queue", "export")]);
            for (outcome, count) in outcomes {
                m.exported.reach(count, KeyValue::new("outcome", outcome));
            }
        });
    }

    /// Exports the last values and stops. Blocks for as long as the exporter's timeout allows: never call it on a
    /// thread of the runtime.
    pub fn stop(&self) {
        if let Some(inner) = &self.0
            && let Err(error) = inner.provider.shutdown()
        {
            tracing::warn!(%error, "the last metrics were not exported");
        }
    }

    fn with(&self, record: impl FnOnce(&Inner)) {
        if let Some(inner) = &self.0 {
            record(inner);
        }
    }
}

impl Inner {
    fn new(provider: SdkMeterProvider, meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, doc: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(doc).build()
        };
        let gauge = |name: &'static str, unit: &'static str, doc: &'static str| {
            meter.u64_gauge(name).with_unit(unit).with_description(doc).build()
        };
        let ratio = |name: &'static str, unit: &'static str, doc: &'static str| {
            meter.f64_gauge(name).with_unit(unit).with_description(doc).build()
        };
        let seconds = |name: &'static str, bounds: Vec<f64>, doc: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(bounds).with_description(doc).build()
        };
        Self {
            dumps: counter("dumptrail.dumps", "{dump}", "Dumps born, arrived or found."),
            crossings: counter("dumptrail.crossings", "{crossing}", "Flows of a dump from one zone into another."),
            moved: counter("dumptrail.moved", "By", "Bytes of dumps moved."),
            alerts: counter("dumptrail.alerts", "{alert}", "Alerts raised."),
            verdicts: counter("dumptrail.verdicts", "{call}", "Calls that a rule forbids: refused, or only told."),
            live: gauge("dumptrail.dumps.live", "{dump}", "Dumps that some carrier holds."),
            heartbeats: counter("dumptrail.heartbeats", "{beat}", "Rounds of the core loop's timer."),
            lost: counter("dumptrail.records.lost", "{record}", "Records lost."),
            gaps: counter("dumptrail.gaps", "{gap}", "Gaps reported."),
            ring: ratio("dumptrail.ring.use", "1", "Share of a ring that was in use when it was emptied."),
            rule: seconds("dumptrail.rule.duration", vec![1e-6, 1e-5, 1e-4, 1e-3, 1e-2], "Time of a rule on a step."),
            undecided: Total::of(counter(
                "dumptrail.rule.undecided",
                "{condition}",
                "Conditions that could not be decided, most often for an absent field.",
            )),
            queue: gauge("dumptrail.queue", "1", "What waits: records for the journal, bytes for the collector."),
            exported: Total::of(counter("dumptrail.export.records", "{record}", "Records, by what became of them.")),
            sync: ratio("dumptrail.journal.sync.max", "s", "The slowest write to disk since the start."),
            arm: seconds(
                "dumptrail.arm.duration",
                vec![1e-4, 1e-3, 1e-2, 0.1, 1.0],
                "From a birth until flow hooks stand.",
            ),
            provider,
        }
    }
}

/// A counter of what is counted elsewhere, since the start.
#[derive(Clone)]
struct Total {
    counter: Counter<u64>,
    /// What it has counted, by label.
    reached: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Total {
    fn of(counter: Counter<u64>) -> Self {
        Self { counter, reached: Arc::default() }
    }

    fn reach(&self, count: u64, label: KeyValue) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reached.entry(label.value.to_string()).or_default();
        let more = count.saturating_sub(std::mem::replace(before, count));
        drop(reached);
        // With nothing to add it is told all the same: a collector sees that it is there.
        self.counter.add(more, &[label]);
    }
}

fn label(key: &'static str, value: &str) -> KeyValue {
    KeyValue::new(key, value.to_owned())
}

fn exporter(runtime: &Handle, target: &Target) -> Result<MetricExporter, ExportError> {
    let failed = |error: ExporterBuildError| client_error(Signal::Metrics, target, chain(&error));
    if target.protocol == Protocol::Grpc {
        let _context = runtime.enter();
        let mut builder = MetricExporter::builder()
            .with_tonic()
            .with_channel(channel(Signal::Metrics, target)?)
            .with_metadata(metadata(target))
            .with_timeout(target.timeout);
        if target.gzip {
            builder = builder.with_compression(Compression::Gzip);
        }
        return builder.build().map_err(failed);
    }
    let headers = target.headers.iter();
    let headers = headers.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let mut builder = MetricExporter::builder()
        .with_http()
        .with_http_client(blocking_client(target)?)
        .with_endpoint(&target.endpoint)
        .with_headers(headers.collect())
        .with_timeout(target.timeout);
    if target.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder.build().map_err(failed)
}

/// The SDK exports from a thread of its own, outside any runtime, so it needs a blocking client; and such a client
/// may not be made inside a runtime.
fn blocking_client(target: &Target) -> Result<reqwest::blocking::Client, ExportError> {
    let builder = http_builder(Signal::Metrics, target)?;
    let made = thread::spawn(move || reqwest::blocking::ClientBuilder::from(builder).build()).join();
    match made {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(client_error(Signal::Metrics, target, chain(&error.without_url()))),
        Err(_) => Err(client_error(Signal::Metrics, target, "its thread ended early".into())),
    }
}
