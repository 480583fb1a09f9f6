//! One request to one collector, over gRPC or HTTP.

use std::{fs, io::Write, path::Path, time::Duration};

use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse, logs_service_client::LogsServiceClient},
    trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse, trace_service_client::TraceServiceClient},
};
use prost::Message;
use reqwest::{Client, header};
use tonic::{
    Request,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    ExportError,
    config::{Protocol, Signal, Target},
    outcome::{Outcome, of_http, of_status},
};
use crate::clock;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

pub(super) enum Transport {
    Logs(LogsServiceClient<Channel>, MetadataMap),
    Traces(TraceServiceClient<Channel>, MetadataMap),
    Http(Box<Http>),
}

pub(super) struct Http {
    signal: Signal,
    client: Client,
    target: Target,
}

impl Transport {
    /// Makes the client; connects only when something is sent. Needs the context of a runtime.
    pub(super) fn new(signal: Signal, target: &Target) -> Result<Self, ExportError> {
        if target.protocol == Protocol::Http {
            let client = http_builder(signal, target)?.build().map_err(|e| client_error(signal, target, chain(&e)))?;
            return Ok(Self::Http(Box::new(Http { signal, client, target: target.clone() })));
        }
        let channel = channel(signal, target)?;
        let metadata = metadata(target);
        Ok(if signal == Signal::Logs {
            let client = LogsServiceClient::new(channel);
            let client = if target.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client };
            Self::Logs(client.accept_compressed(CompressionEncoding::Gzip), metadata)
        } else {
            let client = TraceServiceClient::new(channel);
            let client = if target.gzip { client.send_compressed(CompressionEncoding::Gzip) } else { client };
            Self::Traces(client.accept_compressed(CompressionEncoding::Gzip), metadata)
        })
    }

    /// Sends the bytes of one request.
    pub(super) async fn send(&mut self, body: Vec<u8>) -> Outcome {
        match self {
            Self::Http(http) => http.send(body).await,
            Self::Logs(client, metadata) => match ExportLogsServiceRequest::decode(&body[..]) {
                Err(error) => not_otlp(&error),
                Ok(message) => match client.export(request(message, metadata)).await {
                    Ok(answer) => sent_logs(&answer.into_inner()),
                    Err(status) => of_status(&status),
                },
            },
            Self::Traces(client, metadata) => match ExportTraceServiceRequest::decode(&body[..]) {
                Err(error) => not_otlp(&error),
                Ok(message) => match client.export(request(message, metadata)).await {
                    Ok(answer) => sent_spans(&answer.into_inner()),
                    Err(status) => of_status(&status),
                },
            },
        }
    }
}

impl Http {
    async fn send(&self, body: Vec<u8>) -> Outcome {
        let mut request =
            self.client.post(&self.target.endpoint).header(header::CONTENT_TYPE, "application/x-protobuf");
        let body = if self.target.gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
            compress(&body)
        } else {
            body
        };
        for (name, value) in self.target.headers.iter() {
            request = request.header(name, value);
        }
        match request.body(body).send().await {
            Ok(answer) => self.answered(answer).await,
            Err(error) => Outcome::Retry { after: None, why: chain(&error.without_url()) },
        }
    }

    async fn answered(&self, mut answer: reqwest::Response) -> Outcome {
        let status = answer.status();
        if !status.is_success() {
            let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
            return of_http(status.as_u16(), retry_after, clock::now());
        }
        let mut body = Vec::new();
        // Taken is taken: an answer that breaks off or makes no sense changes nothing about it.
        while let Ok(Some(chunk)) = answer.chunk().await {
            if body.len() + chunk.len() > ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        match self.signal {
            Signal::Logs => sent_logs(&ExportLogsServiceResponse::decode(&body[..]).unwrap_or_default()),
            _ => sent_spans(&ExportTraceServiceResponse::decode(&body[..]).unwrap_or_default()),
        }
    }
}

/// The headers, as gRPC carries them.
pub(crate) fn metadata(target: &Target) -> MetadataMap {
    MetadataMap::from_headers(target.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect())
}

fn request<T>(message: T, metadata: &MetadataMap) -> Request<T> {
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata.clone();
    request
}

fn sent_logs(answer: &ExportLogsServiceResponse) -> Outcome {
    let partial = answer.partial_success.clone().unwrap_or_default();
    sent(partial.rejected_log_records, partial.error_message)
}

fn sent_spans(answer: &ExportTraceServiceResponse) -> Outcome {
    let partial = answer.partial_success.clone().unwrap_or_default();
    sent(partial.rejected_spans, partial.error_message)
}

fn sent(rejected: i64, message: String) -> Outcome {
    Outcome::Sent { rejected: u64::try_from(rejected).unwrap_or(0), message }
}

fn not_otlp(error: &prost::DecodeError) -> Outcome {
    Outcome::Refused { why: format!("the journal's bytes are no request: {error}") }
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("writing to memory cannot fail")
}

/// An error with its causes: reqwest's own text only says that sending failed.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A channel that connects when it is used. Needs the context of a runtime.
pub(crate) fn channel(signal: Signal, target: &Target) -> Result<Channel, ExportError> {
    choose_provider();
    let failed = |error: tonic::transport::Error| client_error(signal, target, chain(&error));
    let mut endpoint = Endpoint::from_shared(target.endpoint.clone())
        .map_err(failed)?
        .timeout(target.timeout)
        .connect_timeout(CONNECT)
        .user_agent(concat!("dumptrail/", env!("CARGO_PKG_VERSION")))
        .map_err(failed)?;
    if target.endpoint.starts_with("https:") {
        endpoint = endpoint.tls_config(tls(target)?).map_err(failed)?;
    }
    Ok(endpoint.connect_lazy())
}

/// Names rustls's cryptography for the process. Left to itself rustls panics as soon as any dependency enables a
/// second one.
fn choose_provider() {
    // An error means that it was chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn tls(target: &Target) -> Result<ClientTlsConfig, ExportError> {
    let mut tls = ClientTlsConfig::new();
    tls = match &target.certificate {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read("OTEL_EXPORTER_OTLP_CERTIFICATE", path)?)),
        None => tls.with_native_roots(),
    };
    if let Some(client) = &target.client {
        let certificate = read("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &client.certificate)?;
        tls = tls.identity(Identity::from_pem(certificate, read("OTEL_EXPORTER_OTLP_CLIENT_KEY", &client.key)?));
    }
    Ok(tls)
}

/// What both kinds of client, this exporter's and the SDK's blocking one, are made of.
pub(crate) fn http_builder(signal: Signal, target: &Target) -> Result<reqwest::ClientBuilder, ExportError> {
    choose_provider();
    let failed = |error: reqwest::Error| client_error(signal, target, chain(&error.without_url()));
    let mut builder = Client::builder()
        .timeout(target.timeout)
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("dumptrail/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &target.certificate {
        let pem = read("OTEL_EXPORTER_OTLP_CERTIFICATE", path)?;
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).map_err(failed)?);
    } else if !target.endpoint.starts_with("https:") {
        // What is not encrypted needs no authorities, and a host may have none.
        builder = builder.tls_certs_only([]);
    }
    if let Some(client) = &target.client {
        let mut pem = read("OTEL_EXPORTER_OTLP_CLIENT_KEY", &client.key)?;
        pem.push(b'\n');
        pem.extend(read("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &client.certificate)?);
        builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(failed)?);
    }
    Ok(builder)
}

fn read(variable: &'static str, path: &Path) -> Result<Vec<u8>, ExportError> {
    fs::read(path).map_err(|source| ExportError::File { variable, path: path.to_owned(), source })
}

pub(crate) fn client_error(signal: Signal, target: &Target, reason: String) -> ExportError {
    ExportError::Client { signal, endpoint: target.endpoint.clone(), reason }
}
