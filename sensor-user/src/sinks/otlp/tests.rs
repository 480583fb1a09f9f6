//! A real journal, a real exporter, and a real receiver on loopback that can be told to misbehave.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::Mutex,
    time::Instant,
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::any_value::Value,
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status, codec::CompressionEncoding, transport::Server};

mod http;

use super::*;
use crate::{
    alert::Alert,
    journal::{Journal, Options, Reporter},
    otlp::{Attributes, Encoder, Identity},
    samples,
    step::{Id, Step, StepKind},
};

/// What the receiver does with the next requests.
#[derive(Clone, Debug)]
enum Answer {
    Fail(Code),
    Reject(i64),
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    answers: VecDeque<Answer>,
    /// Refuses every request that has the record with this uid.
    poison: Option<String>,
    uids: HashMap<String, u32>,
    spans: HashSet<Vec<u8>>,
    tenants: HashSet<String>,
    requests: u32,
}

/// The alerts of a request. A gap that the journal tells, of a busy machine, is none.
fn uids(request: &ExportLogsServiceRequest) -> Vec<String> {
    let records = request.resource_logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
    let records = records.filter(|r| r.event_name == "dumptrail.alert");
    let uid = |value: &Value| match value {
        Value::StringValue(uid) => Some(uid.clone()),
        _ => None,
    };
    records
        .filter_map(|r| r.attributes.iter().find(|a| a.key == "log.record.uid")?.value.as_ref()?.value.as_ref())
        .filter_map(uid)
        .collect()
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let mut seen = self.0.lock().unwrap();
        seen.requests += 1;
        let tenant = request.metadata().get("x-tenant").map(|t| t.to_str().unwrap().to_owned());
        seen.tenants.extend(tenant);
        let uids = uids(request.get_ref());
        if seen.poison.as_ref().is_some_and(|p| uids.contains(p)) {
            return Err(Status::invalid_argument("poison"));
        }
        let rejected = match seen.answers.pop_front() {
            Some(Answer::Fail(code)) => return Err(Status::new(code, "as told")),
            Some(Answer::Reject(count)) => count,
            None => 0,
        };
        for uid in uids {
            *seen.uids.entry(uid).or_default() += 1;
        }
        let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: "as told".into() };
        Ok(Response::new(ExportLogsServiceResponse { partial_success: (rejected > 0).then_some(partial) }))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        self.0.lock().unwrap().spans.extend(spans.map(|s| s.span_id));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector's process, as it were: dropped, it dies with its connections.
struct Serving {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Collector {
    /// Serves on `address` until dropped.
    fn serve(&self, address: SocketAddr) -> Serving {
        self.serve_by(Server::builder(), address)
    }
    fn serve_by(&self, mut server: Server, address: SocketAddr) -> Serving {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let context = runtime.enter();
        let listener = TcpListener::from_std(listener).unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let logs = LogsServiceServer::new(self.clone()).accept_compressed(CompressionEncoding::Gzip);
        let router = server.add_service(logs).add_service(TraceServiceServer::new(self.clone()));
        runtime.spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
        drop(context);
        Serving { address, runtime: Some(runtime) }
    }
    fn told(answers: &[Answer]) -> Self {
        let collector = Self::default();
        collector.0.lock().unwrap().answers.extend(answers.iter().cloned());
        collector
    }
    fn distinct(&self) -> usize {
        self.0.lock().unwrap().uids.len()
    }
}

struct Bench {
    base: tempfile::TempDir,
    notices: Arc<Mutex<Vec<Notice>>>,
}

fn encoder() -> Encoder {
    let identity = Identity { host_id: "h1".into(), host_name: "host".into(), version: "0.1.0".into() };
    Encoder::new(&Attributes::new(&identity, |_| None), "0.1.0")
}

impl Bench {
    fn new() -> Self {
        Self { base: tempfile::tempdir().unwrap(), notices: Arc::default() }
    }
    fn journal(&self) -> Journal {
        let report: Reporter = Arc::new(|_| {});
        Journal::open(Options::new(&self.base.path().join("journal"), "h1", encoder(), report)).unwrap().0
    }
    fn sink(&self, journal: &Journal, env: &[(&str, &str)]) -> OtlpSink {
        let get = |key: &str| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
        let config = ExporterConfig::from_env(get).unwrap();
        let notices = Arc::clone(&self.notices);
        let notices: Notices = Arc::new(move |n| notices.lock().unwrap().push(n));
        OtlpSink::spawn(&Handle::current(), &config, &journal.exports(), &notices).unwrap()
    }
    fn grpc(&self, journal: &Journal, address: SocketAddr) -> OtlpSink {
        let endpoint = format!("http://{address}");
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=t1"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ];
        self.sink(journal, &env)
    }
    fn noticed(&self, kind: &str) -> usize {
        self.notices.lock().unwrap().iter().filter(|n| n.kind == kind).count()
    }
}

/// Alert number `n`: its own flow, so its own uid.
fn alert(n: u32) -> Arc<Alert> {
    Arc::new(samples::alert_on(Step { flow: Id::of(&[&n.to_le_bytes()]), ..samples::sent() }))
}

fn raise(journal: &Journal, numbers: std::ops::Range<u32>) {
    for n in numbers {
        journal.handle().alert(alert(n), |_| {});
    }
}

async fn until(what: &str, within: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A deadline for a machine that is busy with other things, not a measure.
const LONG: Duration = Duration::from_mins(5);
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test(flavor = "multi_thread")]
async fn faults_cost_time_and_no_record() {
    let bench = Bench::new();
    let collector = Collector::told(&[Answer::Fail(Code::Unavailable), Answer::Fail(Code::Internal)]);
    let server = collector.serve(ANY);
    let journal = bench.journal();
    let sink = bench.grpc(&journal, server.address);
    raise(&journal, 0..100);
    until("100 alerts", LONG, || collector.distinct() == 100).await;
    let stats = sink.stop(LONG).await;
    assert_eq!((stats.sent, stats.failures, stats.refused, stats.rejected), (100, 2, 0, 0));
    assert!(collector.0.lock().unwrap().tenants.contains("t1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_dies_and_returns_gets_everything() {
    let bench = Bench::new();
    let collector = Collector::default();
    let server = collector.serve(ANY);
    let journal = bench.journal();
    let sink = bench.grpc(&journal, server.address);
    raise(&journal, 0..50);
    until("the first 50", LONG, || collector.distinct() == 50).await;
    let address = server.address;
    drop(server);
    raise(&journal, 50..150);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(collector.distinct(), 50);
    let _server = collector.serve(address);
    until("all 150", LONG, || collector.distinct() == 150).await;
    assert!(sink.stop(LONG).await.failures > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_5000_reaches_a_collector_that_is_away_for_seconds() {
    let bench = Bench::new();
    let collector = Collector::default();
    // A port that nobody listens on yet.
    let address = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let journal = bench.journal();
    let sink = bench.grpc(&journal, address);
    raise(&journal, 0..5000);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _server = collector.serve(address);
    until("5000 of 5000", LONG, || collector.distinct() == 5000).await;
    let stats = sink.stop(LONG).await;
    assert!(stats.sent >= 5000 && stats.lost == 0, "{stats:?}");
    assert_eq!(journal.close(LONG).lost_records, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_success_is_counted_and_said() {
    let bench = Bench::new();
    let collector = Collector::told(&[Answer::Reject(3)]);
    let server = collector.serve(ANY);
    let journal = bench.journal();
    raise(&journal, 0..10);
    let durable = journal.exports().durable();
    until("durable", LONG, || journal.stats().records == 10 && durable.borrow().offset > 0).await;
    let sink = bench.grpc(&journal, server.address);
    until("sent", LONG, || collector.distinct() == 10).await;
    let stats = sink.stop(LONG).await;
    assert_eq!((stats.sent, stats.rejected), (7, 3));
    assert_eq!(bench.noticed("export-rejected"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poisonous_record_is_found_and_passed_over() {
    let bench = Bench::new();
    let collector = Collector::default();
    collector.0.lock().unwrap().poison = Some(alert(77).id.to_string());
    let server = collector.serve(ANY);
    let journal = bench.journal();
    raise(&journal, 0..200);
    until("durable", LONG, || journal.stats().records == 200).await;
    let sink = bench.grpc(&journal, server.address);
    until("199 alerts", LONG, || collector.distinct() == 199).await;
    let stats = sink.stop(LONG).await;
    assert_eq!((stats.sent, stats.refused), (199, 1));
    assert_eq!(bench.noticed("export-refused"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_gives_nothing_up() {
    let bench = Bench::new();
    let collector = Collector::told(&[Answer::Fail(Code::Unauthenticated), Answer::Fail(Code::Unauthenticated)]);
    let server = collector.serve(ANY);
    let journal = bench.journal();
    let sink = bench.grpc(&journal, server.address);
    raise(&journal, 0..5);
    until("all 5", LONG, || collector.distinct() == 5).await;
    assert_eq!(bench.noticed("export-held"), 1, "said once an outage");
    assert_eq!(sink.stop(LONG).await.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_cursor_and_a_lost_cursor_repeats() {
    let bench = Bench::new();
    let collector = Collector::default();
    let server = collector.serve(ANY);
    let journal = bench.journal();
    raise(&journal, 0..30);
    let sink = bench.grpc(&journal, server.address);
    until("30", LONG, || collector.distinct() == 30).await;
    sink.stop(LONG).await;
    raise(&journal, 30..60);
    journal.close(LONG);

    let journal = bench.journal();
    let sink = bench.grpc(&journal, server.address);
    until("60", LONG, || collector.distinct() == 60).await;
    sink.stop(LONG).await;
    let twice = |c: &Collector| c.0.lock().unwrap().uids.values().filter(|n| **n > 1).count();
    assert_eq!(twice(&collector), 0);
    // As after a crash between the answer and the cursor: the records come again, none is missing.
    cursor::store(journal.exports().dir(), "logs", Position::default()).unwrap();
    let sink = bench.grpc(&journal, server.address);
    until("again", LONG, || twice(&collector) == 60).await;
    sink.stop(LONG).await;
    assert_eq!(collector.distinct(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_not_journaled_goes_to_the_collector_all_the_same() {
    let bench = Bench::new();
    let collector = Collector::default();
    let server = collector.serve(ANY);
    let journal = bench.journal();
    let sink = bench.grpc(&journal, server.address);
    sink.unjournaled(encoder().alert(&alert(1), false));
    until("the alert", LONG, || collector.distinct() == 1).await;
    sink.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_travel_on_their_own() {
    let bench = Bench::new();
    let collector = Collector::told(&vec![Answer::Fail(Code::Unavailable); 100]);
    let server = collector.serve(ANY);
    let journal = bench.journal();
    let sink = bench.grpc(&journal, server.address);
    raise(&journal, 0..1);
    journal.handle().step(Arc::new(samples::step(StepKind::Created, "app[7]", "curl[812]", "birth")));
    journal.handle().step(Arc::new(samples::sent()));
    until("two spans while logs fail", LONG, || collector.0.lock().unwrap().spans.len() == 2).await;
    assert_eq!(collector.distinct(), 0);
    sink.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_with_a_dead_collector_ends_at_the_deadline_and_keeps_the_records() {
    let bench = Bench::new();
    let address = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let journal = bench.journal();
    let sink = bench.grpc(&journal, address);
    raise(&journal, 0..10);
    let begun = Instant::now();
    sink.stop(Duration::from_millis(700)).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    let collector = Collector::default();
    let _server = collector.serve(address);
    let sink = bench.grpc(&journal, address);
    until("10", LONG, || collector.distinct() == 10).await;
    sink.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_runs() {
    let bench = Bench::new();
    let journal = bench.journal();
    let sink = bench.sink(&journal, &[]);
    assert!(!sink.is_on());
    sink.unjournaled(vec![]);
    assert_eq!(sink.stop(LONG).await, ExportStats::default());
}
