//! `dumptrail check`: all findings of a configuration, at once.

use std::net::IpAddr;

use super::{CheckArgs, Failure, Form, count, print};
use crate::{
    clock,
    config::{Diagnostic, diagnostic},
    host,
    probe::features::active_lsms,
    rules::{self, Loaded},
    zones::{self, Zones},
};

/// Where the OpenTelemetry standard looks for the collector, the most specific first.
const ENDPOINTS: &[&str] =
    &["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Prints the findings; fails when one is an error.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let findings = match rules::load(&args.paths) {
        Ok(loaded) => warnings(loaded),
        Err(findings) => findings,
    };
    let errors = findings.iter().filter(|f| f.is_error()).count();
    let warnings = findings.len() - errors;
    let mut text: String = findings.iter().map(|f| shown(f, args.output)).collect();
    if args.output == Form::Text {
        let verdict = match (errors, warnings) {
            (0, 0) => "ok\n".to_owned(),
            (0, _) => format!("ok, {}\n", count(warnings, "warning")),
            _ => format!("{}, {}\n", count(errors, "error"), count(warnings, "warning")),
        };
        text.push_str(&verdict);
    }
    print(&text)?;
    if errors > 0 {
        return Err(Failure::Invalid(format!("{} in the configuration", count(errors, "error"))));
    }
    Ok(())
}

fn shown(finding: &Diagnostic, form: Form) -> String {
    match form {
        Form::Text => format!("{finding}\n"),
        Form::Json => serde_json::to_string(finding).map(|j| j + "\n").unwrap_or_default(),
    }
}

/// Everything that is allowed, but probably not meant.
fn warnings(loaded: Loaded) -> Vec<Diagnostic> {
    let mut found = loaded.warnings;
    found.extend(zones::private_on_the_internet(&loaded.config));
    found.extend(loaded.ruleset.expired(clock::now()));
    found.extend(rules::block::lint(&loaded.config, &active_lsms()));
    let zones = host::zones(&loaded.config);
    let set = ENDPOINTS.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?)));
    found.extend(set.filter_map(|(name, value)| exposed_endpoint(&zones, name, &value)));
    diagnostic::sort(&mut found);
    found
}

/// Alerts tell much about a host; they should not go to where dumps must not go.
fn exposed_endpoint(zones: &Zones, name: &str, value: &str) -> Option<Diagnostic> {
    let (address, port) = endpoint(value)?;
    let (home, there) = (zones.host(), zones.address(address, port, &zones.host()).place);
    if there.exposure.rank() <= home.exposure.rank() {
        return None;
    }
    let message = format!(
        "the OTLP endpoint {value} is in zone `{}` ({}), the host in `{}` ({})",
        there.zone, there.exposure, home.zone, home.exposure
    );
    let hint = "send telemetry to a collector inside, or list the collector's address in a zone";
    Some(Diagnostic::about_file(format!("environment {name}"), message).hint(hint).warning())
}

/// Address and port of a URL, when its host is an address; names are not resolved here.
fn endpoint(url: &str) -> Option<(IpAddr, u16)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, 4317),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_outside_is_worth_a_word() {
        let zones = Zones::new(&crate::config::Config::embedded(), &|_| None, &zones::HostFacts::default());
        let outside = |url| exposed_endpoint(&zones, "X", url).is_some();
        assert!(outside("http://203.0.113.9:4317"));
        assert!(outside("https://[2001:db8::1]/v1/logs"));
        assert!(!outside("http://127.0.0.1:4317"));
        assert!(!outside("http://[::1]:4318/v1"));
        assert!(!outside("http://collector:4317"));
    }
}
