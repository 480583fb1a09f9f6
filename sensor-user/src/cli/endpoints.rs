//! Where telemetry goes: alerts tell much about a host, and should not go to where dumps must not go.

use std::net::IpAddr;

use reqwest::Url;

use crate::{
    config::Diagnostic,
    sinks::otlp::{ExporterConfig, Signal, Target},
    zones::Zones,
};

/// Variables that `run` would refuse, as an error; else a warning for each endpoint in a zone of higher exposure than the
/// host's. Names are not resolved.
pub fn findings(zones: &Zones, env: impl Fn(&str) -> Option<String>) -> Vec<Diagnostic> {
    let config = match ExporterConfig::from_env(&env) {
        Ok(config) => config,
        Err(error) => {
            let found = Diagnostic::about_file(format!("environment {}", error.variable), error.reason);
            return vec![found.hint("docs/telemetry.md lists the variables and their values")];
        }
    };
    let targets = [(Signal::Logs, config.logs), (Signal::Traces, config.traces), (Signal::Metrics, config.metrics)];
    let targets = targets.into_iter().filter_map(|(signal, target)| Some((variable(signal, &env), target?)));
    let mut found: Vec<_> = targets.filter_map(|(variable, target)| exposed(zones, &variable, &target)).collect();
    // What signals share is said once.
    found.dedup();
    found
}

/// The variable that names the endpoint.
fn variable(signal: Signal, env: impl Fn(&str) -> Option<String>) -> String {
    let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name().to_uppercase());
    let set = env(&own).is_some_and(|v| !v.trim().is_empty());
    if set { own } else { "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned() }
}

fn exposed(zones: &Zones, variable: &str, target: &Target) -> Option<Diagnostic> {
    let (address, port) = endpoint(&target.endpoint)?;
    let (home, there) = (zones.host(), zones.address(address, port, &zones.host()).place);
    if there.exposure.rank() <= home.exposure.rank() {
        return None;
    }
    let message = format!(
        "the OTLP endpoint {} is in zone `{}` ({}), the host in `{}` ({})",
        std::net::SocketAddr::new(address, port),
        there.zone,
        there.exposure,
        home.zone,
        home.exposure
    );
    let hint = "send telemetry to a collector inside, or list the collector's address in a zone";
    Some(Diagnostic::about_file(format!("environment {variable}"), message).hint(hint).warning())
}

/// Address and port of a URL, when its host is an address.
fn endpoint(url: &str) -> Option<(IpAddr, u16)> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.parse().ok()?, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, zones::HostFacts};

    fn found(env: &[(&str, &str)]) -> Vec<Diagnostic> {
        let zones = Zones::new(&Config::embedded(), &|_| None, &HostFacts::default());
        findings(&zones, |key| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn an_endpoint_outside_is_worth_a_word() {
        let outside = |url| found(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]).len();
        assert_eq!(outside("http://203.0.113.9:4317"), 1, "once for all signals");
        assert_eq!(outside("https://[2001:db8::1]/otlp"), 1);
        for inside in ["http://127.0.0.1:4317", "http://[::1]:4318/v1", "http://collector:4317"] {
            assert_eq!(outside(inside), 0, "{inside}");
        }
    }

    #[test]
    fn each_signal_is_looked_at() {
        let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://203.0.113.9:4318/v1/metrics");
        let found = found(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"), own]);
        assert_eq!(found.len(), 1);
        assert_eq!(&*found[0].file, "environment OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        assert!(!found[0].is_error());
    }

    #[test]
    fn what_run_would_refuse_is_wrong() {
        let found = found(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")]);
        assert!(found[0].is_error() && found[0].message.starts_with("not a URL"), "{}", found[0]);
    }
}
