//! OTLP over HTTP, and TLS by the standard variables.

use std::io::{Read as _, Write as _};

use super::*;

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
