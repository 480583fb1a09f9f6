//! A real journal, a real exporter, and a real receiver on loopback that can be told to misbehave.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io::{Read as _, Write as _},
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

#[tokio::test(flavor = "multi_thread")]
async fn http_retries_when_told_later_and_gives_up_what_is_refused() {
    let bench = Bench::new();
    let listener = std::net::TcpListener::bind(ANY).unwrap();
    let endpoint = format!("http://{}/otlp/", listener.local_addr().unwrap());
    let answers = ["503 Busy\r\nRetry-After: 1", "400 Bad", "200 OK"];
    let server = std::thread::spawn(move || answers.map(|answer| answer_http(&listener, answer)));
    let journal = bench.journal();
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t"),
    ];
    let sink = bench.sink(&journal, &env);
    let begun = Instant::now();
    raise(&journal, 0..1);
    until("refused", LONG, || sink.stats().refused == 1).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After counts");
    raise(&journal, 1..2);
    until("sent", LONG, || sink.stats().sent == 1).await;
    let [first, second, third] = server.join().unwrap();
    assert_eq!(first.1, second.1, "the same bytes again");
    assert_eq!(third.1, encoder().alert(&alert(1), true), "byte for byte what the journal holds");
    assert!(third.0.starts_with("POST /otlp/v1/logs HTTP/1.1\r\n"), "{}", third.0);
    assert!(third.0.to_lowercase().contains("authorization: bearer t\r\n"), "{}", third.0);
    assert!(third.0.to_lowercase().contains("content-type: application/x-protobuf\r\n"), "{}", third.0);
    sink.stop(LONG).await;
}

/// Answers one request on a connection of its own; gives its head and body.
fn answer_http(listener: &std::net::TcpListener, answer: &str) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut block = [0; 4096];
        let got = stream.read(&mut block).unwrap();
        assert!(got > 0, "the client went away");
        bytes.extend_from_slice(&block[..got]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end + 4].to_vec()).unwrap();
        let lower = head.to_lowercase();
        let length = lower.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
        break (head, length.parse::<usize>().unwrap());
    };
    let mut body = bytes.split_off(head.len());
    let got = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[got..]).unwrap();
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    (head, body)
}

/// A certificate authority, and what it signed for 127.0.0.1, in files.
struct Authority {
    dir: tempfile::TempDir,
    certificate: String,
}

impl Authority {
    fn new() -> (Self, rcgen::Issuer<'static, rcgen::KeyPair>) {
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(params.clone(), rcgen::KeyPair::generate().unwrap()).unwrap();
        let authority = Self { dir: tempfile::tempdir().unwrap(), certificate: issuer.pem() };
        std::fs::write(authority.path("ca.pem"), issuer.pem()).unwrap();
        let key = rcgen::KeyPair::from_pem(&issuer.key().serialize_pem()).unwrap();
        (authority, rcgen::Issuer::new(params, key))
    }
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_by_the_standard_variables() {
    use tonic::transport::{Certificate, Identity, ServerTlsConfig};
    let (authority, issuer) = Authority::new();
    let leaf = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    let (certificate, key) = leaf();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(&authority.certificate));
    let collector = Collector::default();
    let server = collector.serve_by(Server::builder().tls_config(tls).unwrap(), ANY);
    let (certificate, key) = leaf();
    std::fs::write(authority.path("cert.pem"), certificate).unwrap();
    std::fs::write(authority.path("key.pem"), key).unwrap();

    let endpoint = format!("https://{}", server.address);
    let (ca, cert, key) = (authority.path("ca.pem"), authority.path("cert.pem"), authority.path("key.pem"));
    let mut env = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str()),
    ];
    let bench = Bench::new();
    let journal = bench.journal();
    raise(&journal, 0..3);
    let sink = bench.sink(&journal, &env);
    until("a failure without a client certificate", LONG, || sink.stats().failures > 0).await;
    sink.stop(Duration::ZERO).await;
    assert_eq!(collector.distinct(), 0);
    env.extend([
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert.as_str()),
    ]);
    let sink = bench.sink(&journal, &env);
    until("3 alerts", LONG, || collector.distinct() == 3).await;
    sink.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_https_are_read_at_the_start() {
    let (authority, _) = Authority::new();
    let bench = Bench::new();
    let journal = bench.journal();
    let spawn = |certificate: &str| {
        let env =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)];
        let get = |key: &str| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
        let config = ExporterConfig::from_env(get).unwrap();
        let notices: Notices = Arc::new(|_| {});
        OtlpSink::spawn(&Handle::current(), &config, &journal.exports(), &notices).map(drop)
    };
    spawn(&authority.path("ca.pem")).unwrap();
    let error = spawn("/nowhere/ca.pem").unwrap_err().to_string();
    assert!(error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /nowhere/ca.pem"), "{error}");
}
