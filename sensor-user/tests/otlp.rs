//! Export against receivers that this project did not write: `oteltap` over HTTP and the collector `rotel` over gRPC.
//! Both print what they understood. They come from PyPI into a virtual environment under
//! `target/tools`. Without Python or PyPI these tests fail; `DUMPTRAIL_SKIP_OTEL=1` skips them, loudly.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use sensor_abi::flow::Via;
use sensor_user::{
    alert::Alert,
    clock::Time,
    journal::{Journal, Options},
    otlp::{Attributes, Encoder, Identity},
    sinks::otlp::{ExporterConfig, OtlpSink},
    step::{Carrier, DumpKind, DumpRef, Exposure, Gap, Id, Origin, Place, Process, Severity, Step, StepKind},
    telemetry::Metrics,
};

#[path = "otlp/receiver.rs"]
mod receiver;

use receiver::{Collector, Tap, attribute, find, text, tools};

const LONG: Duration = Duration::from_mins(1);
const NOW: Time = Time(1_795_341_600_000_000_007);

#[test]
fn http_reaches_an_independent_receiver() {
    let Some(tools) = tools() else { return };
    let tap = Tap::start(&tools);
    let endpoint = format!("http://127.0.0.1:{}", tap.port);
    run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    check(&tap);
}

#[test]
fn grpc_reaches_an_independent_collector() {
    let Some(tools) = tools() else { return };
    let collector = Collector::start(&tools);
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]);
    for what in [
        "EventName: dumptrail.alert".to_owned(),
        "EventName: dumptrail.gap".to_owned(),
        "SeverityNumber: SEVERITY_NUMBER_FATAL(21)".to_owned(),
        "SeverityText: critical".to_owned(),
        format!("-> log.record.uid: Str({})", alert().id),
        "-> dumptrail.to.zone: Str(internet)".to_owned(),
        "-> service.name: Str(dumptrail)".to_owned(),
        "-> host.id: Str(host-1)".to_owned(),
        format!("Trace ID       : {}", dump()),
        "dump sent".to_owned(),
        "dumptrail.crossings".to_owned(),
    ] {
        collector.wait(&what);
    }
}

/// The whole way: journal, exporter, metrics; then a clean stop.
fn run(env: &[(&str, &str)]) {
    let get = |key: &str| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
    let config = ExporterConfig::from_env(get).unwrap();
    let identity = Identity { host_id: "host-1".into(), host_name: "signer".into(), version: "0.1.0".into() };
    let attributes = Attributes::new(&identity, |_| None);
    let base = tempfile::tempdir().unwrap();
    let encoder = Encoder::new(&attributes, "0.1.0");
    let options = Options::new(&base.path().join("journal"), "host-1", encoder, Arc::new(|_| {}));
    let (journal, _) = Journal::open(options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let quiet: sensor_user::sinks::otlp::Notices = Arc::new(|notice| eprintln!("{}", notice.text));
    let sink = OtlpSink::spawn(runtime.handle(), &config, &journal.exports(), &quiet).unwrap();
    let metrics = Metrics::start(runtime.handle(), config.metrics.as_ref(), &attributes, None).unwrap();
    let handle = journal.handle();
    handle.step(Arc::new(step(StepKind::Created, "app[7]", "core.7", "birth")));
    handle.step(Arc::new(step(StepKind::Read, "core.7", "curl[812]", "read")));
    handle.step(Arc::new(sent()));
    handle.alert(Arc::new(alert()), |_| {});
    handle.gap(&Gap { from: Time(NOW.0 - 5), to: NOW, cause: "flow_ring_full", count: 3, dumps: vec![dump()] });
    metrics.crossing("production", "internet");
    metrics.heartbeat();
    journal.close(LONG);
    let stats = runtime.block_on(sink.stop(LONG));
    assert_eq!((stats.rejected, stats.refused, stats.lost), (0, 0, 0), "{stats:?}");
    metrics.stop();
}

/// What `run` sent is what the receiver has understood. (It prints records, not their resource.)
fn check(tap: &Tap) {
    let record = tap.wait("the alert", |line| find(line, "eventName", "dumptrail.alert"));
    let alert = alert();
    assert_eq!(record["severityText"], "critical");
    assert!(["SEVERITY_NUMBER_FATAL", "21"].contains(&text(&record["severityNumber"]).as_str()), "{record}");
    assert_eq!(record["body"]["stringValue"], alert.summary);
    assert_eq!(attribute(&record, "log.record.uid"), alert.id.to_string());
    assert_eq!(attribute(&record, "dumptrail.rule.id"), "dump-left-isolation");
    assert_eq!(attribute(&record, "dumptrail.to.zone"), "internet");
    assert_eq!(attribute(&record, "dumptrail.step.bytes"), "600000");
    assert_eq!(attribute(&record, "process.executable.path"), "/usr/bin/curl");
    assert_eq!(text(&record["traceId"]), dump().to_string());
    let gap = tap.wait("the gap", |line| find(line, "eventName", "dumptrail.gap"));
    assert_eq!(attribute(&gap, "dumptrail.gap.cause"), "flow_ring_full");
    let span = |name: &'static str| tap.wait(name, move |line| find(line, "name", name));
    let (born, read, sent) = (span("dump created"), span("dump read"), span("dump sent"));
    assert_eq!(text(&sent["parentSpanId"]), text(&read["spanId"]));
    assert_eq!(text(&read["parentSpanId"]), text(&born["spanId"]));
    assert_eq!(text(&sent["spanId"]), text(&record["spanId"]), "the alert points at its span");
    assert_eq!(text(&sent["traceId"]), dump().to_string());
    assert_eq!(text(&sent["startTimeUnixNano"]), (NOW.0 - 1_000_000).to_string());
    let crossings = tap.wait("the metric", |line| find(line, "name", "dumptrail.crossings"));
    let point = &crossings["sum"]["dataPoints"][0];
    assert_eq!((text(&point["asInt"]).as_str(), attribute(point, "to.zone").as_str()), ("1", "internet"));
}

fn dump() -> Id {
    Id::of(&[b"dump"])
}

fn step(kind: StepKind, source: &str, sink: &str, flow: &str) -> Step {
    let production = Place { zone: "production".into(), exposure: Exposure::Isolated };
    let end = |name: &str| (Carrier { id: Id::of(&[name.as_bytes()]), name: name.into() }, production.clone());
    let process =
        Process { pid: 812, comm: "curl".into(), executable: Some("/usr/bin/curl".into()), ..Process::default() };
    let kernel_core = DumpKind::KernelCore;
    Step {
        dump: Some(DumpRef {
            id: dump(),
            content: None,
            kind: kernel_core,
            size: None,
            created: NOW,
            candidates: vec![],
        }),
        origin: Some(Origin {
            place: production.clone(),
            host: "host-1".into(),
            inferred: false,
            process: None,
            candidates: vec![],
        }),
        flow: Id::of(&[flow.as_bytes()]),
        bytes: 600_000,
        hops: 1,
        started: Time(NOW.0 - 1_000_000),
        process: Some(Arc::new(process)),
        ..Step::new(kind, Via::File, NOW, end(source), end(sink))
    }
}

fn sent() -> Step {
    let internet = Place { zone: "internet".into(), exposure: Exposure::InternetFacing };
    Step { to: internet, via: Via::Tcp, ..step(StepKind::Sent, "curl[812]", "203.0.113.9:443", "send") }
}

fn alert() -> Alert {
    let step = sent();
    let key = Alert::key_of("dump-left-isolation", &step);
    Alert {
        time: NOW,
        rule: "dump-left-isolation".into(),
        title: "A dump moved".into(),
        severity: Severity::Critical,
        summary: "curl[812] sent a kernel-core from production to internet".into(),
        key,
        id: Alert::id_of(key, Severity::Critical),
        supersedes: None,
        suppressed: 0,
        config_hash: "c0".into(),
        step: Arc::new(step),
    }
}
