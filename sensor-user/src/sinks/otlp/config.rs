//! The standard `OTEL_*` variables, as one pure function.
//!
//! One difference from the SDKs: without an endpoint nothing is exported. A sensor does not talk to `localhost:4318`
//! because nobody told it where to.

use std::{fmt, path::PathBuf, time::Duration};

use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};

use crate::otlp::decode;

/// A signal of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Alerts and gaps.
    Logs,
    /// Births, crossings and their paths.
    Traces,
    /// The agent's health.
    Metrics,
}

impl Signal {
    /// `logs`, `traces` or `metrics`: name of the cursor and last part of the URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`, the default.
    Http,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        })
    }
}

/// Headers of every request. Printed without their values: those are secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name.as_str())).finish()
    }
}

/// Where one signal goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// URL: with the path for HTTP, without it for gRPC.
    pub endpoint: String,
    /// How.
    pub protocol: Protocol,
    /// Headers of every request.
    pub headers: Headers,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Compress requests.
    pub gzip: bool,
    /// CA certificates to trust instead of the system's (PEM).
    pub certificate: Option<PathBuf>,
    /// Own key and certificate for mutual TLS (PEM).
    pub client: Option<ClientFiles>,
}

/// Own key and certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The key.
    pub key: PathBuf,
    /// The certificate chain.
    pub certificate: PathBuf,
}

/// What is exported. A signal without a target is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterConfig {
    /// Alerts and gaps.
    pub logs: Option<Target>,
    /// Spans.
    pub traces: Option<Target>,
    /// Metrics.
    pub metrics: Option<Target>,
}

/// A variable that makes no sense. Values of header variables are never in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct ConfigError {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl ExporterConfig {
    /// Reads the variables through `env`.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env(&env);
        if env.flag("OTEL_SDK_DISABLED")?.unwrap_or(false) {
            return Ok(Self::default());
        }
        Ok(Self {
            logs: env.target(Signal::Logs)?,
            traces: env.target(Signal::Traces)?,
            metrics: env.target(Signal::Metrics)?,
        })
    }
}

/// Reads variables; an empty one counts as unset, as the specification wants.
struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

/// A value and the variable that it came from.
type Found = Option<(String, String)>;

impl Env<'_> {
    fn get(&self, variable: &str) -> Found {
        (self.0)(variable).filter(|v| !v.trim().is_empty()).map(|v| (variable.to_owned(), v.trim().to_owned()))
    }

    /// The signal's own variable, else the general one.
    fn either(&self, signal: Signal, name: &str) -> Found {
        self.get(&own(signal, name)).or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    fn flag(&self, variable: &str) -> Result<Option<bool>, ConfigError> {
        self.get(variable).map(truth).transpose()
    }

    fn target(&self, signal: Signal) -> Result<Option<Target>, ConfigError> {
        if self.off(signal)? {
            return Ok(None);
        }
        let protocol = self.either(signal, "PROTOCOL").map_or(Ok(Protocol::Http), protocol)?;
        let Some(endpoint) = self.endpoint(signal, protocol)? else { return Ok(None) };
        Ok(Some(Target {
            endpoint,
            protocol,
            headers: self.either(signal, "HEADERS").map_or(Ok(Headers::default()), headers)?,
            timeout: self.either(signal, "TIMEOUT").map_or(Ok(Duration::from_secs(10)), timeout)?,
            gzip: self.either(signal, "COMPRESSION").map_or(Ok(false), gzip)?,
            certificate: self.either(signal, "CERTIFICATE").map(|(_, path)| path.into()),
            client: self.client(signal)?,
        }))
    }

    fn off(&self, signal: Signal) -> Result<bool, ConfigError> {
        let variable = format!("OTEL_{}_EXPORTER", signal.name().to_uppercase());
        match self.get(&variable) {
            None => Ok(false),
            Some((_, value)) if value == "otlp" => Ok(false),
            Some((_, value)) if value == "none" => Ok(true),
            Some((variable, value)) => wrong(variable, format!("`{value}` is not known here; use `otlp` or `none`")),
        }
    }

    /// The signal's own endpoint is used as it is; to the general one HTTP adds the signal's path.
    fn endpoint(&self, signal: Signal, protocol: Protocol) -> Result<Option<String>, ConfigError> {
        let found = self.either(signal, "ENDPOINT");
        let Some((variable, text)) = found else { return Ok(None) };
        let insecure = self.either(signal, "INSECURE").map(truth).transpose()?.unwrap_or(false);
        let scheme = if insecure { "http" } else { "https" };
        let text = if text.contains("://") { text } else { format!("{scheme}://{text}") };
        let mut url = match Url::parse(&text) {
            Ok(url) => url,
            Err(e) => return wrong(variable, format!("not a URL: {e}; write for instance http://collector:4318")),
        };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return wrong(variable, "the URL must begin with http:// or https:// and have a host".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(variable, "credentials do not belong into the URL: use OTEL_EXPORTER_OTLP_HEADERS".into());
        }
        if protocol == Protocol::Http && variable != own(signal, "ENDPOINT") {
            let path = format!("{}/v1/{signal}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(Some(url.to_string()))
    }

    fn client(&self, signal: Signal) -> Result<Option<ClientFiles>, ConfigError> {
        match (self.either(signal, "CLIENT_KEY"), self.either(signal, "CLIENT_CERTIFICATE")) {
            (None, None) => Ok(None),
            (Some((_, key)), Some((_, certificate))) => {
                Ok(Some(ClientFiles { key: key.into(), certificate: certificate.into() }))
            }
            (Some((variable, _)), None) => wrong(variable, "needs OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE too".into()),
            (None, Some((variable, _))) => wrong(variable, "needs OTEL_EXPORTER_OTLP_CLIENT_KEY too".into()),
        }
    }
}

fn own(signal: Signal, name: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.name().to_uppercase())
}

fn wrong<T>(variable: String, reason: String) -> Result<T, ConfigError> {
    Err(ConfigError { variable, reason })
}

fn truth((variable, value): (String, String)) -> Result<bool, ConfigError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => wrong(variable, format!("`{value}` is neither `true` nor `false`")),
    }
}

fn protocol((variable, value): (String, String)) -> Result<Protocol, ConfigError> {
    match value.as_str() {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::Http),
        _ => wrong(variable, format!("`{value}` is not supported; use `grpc` or `http/protobuf`")),
    }
}

fn timeout((variable, value): (String, String)) -> Result<Duration, ConfigError> {
    match value.parse::<u64>() {
        Ok(ms @ 1..) => Ok(Duration::from_millis(ms)),
        _ => wrong(variable, format!("`{value}` is no number of milliseconds above 0")),
    }
}

fn gzip((variable, value): (String, String)) -> Result<bool, ConfigError> {
    match value.as_str() {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => wrong(variable, format!("`{value}` is not supported; use `gzip` or `none`")),
    }
}

/// `name=value,name=value`, values percent-encoded. Errors name the position or the header, never a value.
fn headers((variable, text): (String, String)) -> Result<Headers, ConfigError> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty()).enumerate();
    let headers = parts.map(|(index, part)| header(index + 1, part)).collect::<Result<_, _>>();
    headers.map(Headers).or_else(|reason| wrong(variable, reason))
}

fn header(number: usize, part: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = part.split_once('=').ok_or_else(|| format!("entry {number} has no `=`"))?;
    let name: HeaderName =
        name.trim().parse().map_err(|_| format!("the name of entry {number} is no name of a header"))?;
    let value = decode(value.trim()).ok_or_else(|| format!("the value of `{name}` is not percent-encoded UTF-8"))?;
    let mut value = HeaderValue::from_str(&value).map_err(|_| format!("the value of `{name}` cannot be sent"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(env: &[(&str, &str)]) -> Result<ExporterConfig, ConfigError> {
        ExporterConfig::from_env(|key| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    fn logs(env: &[(&str, &str)]) -> Target {
        config(env).unwrap().logs.unwrap()
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");

    #[test]
    fn nothing_is_exported_unasked() {
        assert_eq!(config(&[]).unwrap(), ExporterConfig::default());
        assert_eq!(config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap(), ExporterConfig::default());
        assert_eq!(config(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap(), ExporterConfig::default());
        let config = config(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap();
        assert!(config.traces.is_none() && config.logs.is_some() && config.metrics.is_some());
    }

    #[test]
    fn http_adds_the_path_to_the_general_endpoint_only() {
        assert_eq!(logs(&[ENDPOINT]).endpoint, "http://c:4318/v1/logs");
        assert_eq!(logs(&[ENDPOINT]).protocol, Protocol::Http);
        assert_eq!(logs(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/a/")]).endpoint, "https://c/a/v1/logs");
        let own = [ENDPOINT, ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://d/x")];
        assert_eq!(logs(&own).endpoint, "http://d/x");
        assert_eq!(config(&own).unwrap().traces.unwrap().endpoint, "http://c:4318/v1/traces");
        let grpc = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert_eq!((logs(&grpc).endpoint.as_str(), logs(&grpc).protocol), ("http://c:4317/", Protocol::Grpc));
    }

    #[test]
    fn an_endpoint_without_scheme_is_https_unless_insecure() {
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317");
        assert_eq!(logs(&[bare]).endpoint, "https://c:4317/v1/logs");
        assert_eq!(logs(&[bare, ("OTEL_EXPORTER_OTLP_INSECURE", "true")]).endpoint, "http://c:4317/v1/logs");
    }

    #[test]
    fn a_signal_s_own_variable_wins() {
        let target = logs(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/other.pem"),
            ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/cert.pem"),
        ]);
        assert_eq!((target.timeout, target.gzip), (Duration::from_millis(250), true));
        assert_eq!(target.certificate, Some("/ca.pem".into()));
        assert_eq!(target.client, Some(ClientFiles { key: "/key.pem".into(), certificate: "/cert.pem".into() }));
    }

    #[test]
    fn headers_are_decoded_and_never_printed() {
        let target = logs(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret, x-tenant = t,")]);
        let headers: Vec<_> = target.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(headers, [("authorization", "Bearer s3cret"), ("x-tenant", "t")]);
        assert!(!format!("{target:?}").contains("s3cret"));
    }

    #[test]
    fn errors_name_the_variable_and_no_secret() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:s3cret@c"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0a"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%f"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
            ("OTEL_LOGS_EXPORTER", "console"),
            ("OTEL_SDK_DISABLED", "1"),
        ] {
            let error = config(&[(variable, value), ENDPOINT]).unwrap_err();
            assert_eq!(error.variable, variable, "{value}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
