//! An OpenTelemetry receiver that this project did not write: `oteltap` from PyPI prints what it understood as JSON.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use super::world::{SOON, listening};
use crate::cmd::{self, within};
use crate::setup::python;

const WHEELS: [&str; 1] = ["oteltap==1.0.0"];

/// Its Python, installed the first time.
pub(super) fn install() -> Result<PathBuf> {
    Ok(python::environment("otel-receiver", &WHEELS)?.join("bin/python"))
}

/// The running receiver.
pub(super) struct Receiver {
    child: Child,
    pub(super) endpoint: String,
    records: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    pub(super) fn start(python: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = cmd::leashed("KILL");
        command.arg(python).args(["-u", "-m", "oteltap", "--port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start oteltap")?;
        let out = BufReader::new(child.stdout.take().context("oteltap has no stdout")?);
        let records: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (seen, endpoint) = (Arc::clone(&records), format!("http://127.0.0.1:{port}"));
        let receiver = Self { child, endpoint, records };
        thread::spawn(move || {
            let parsed = out.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            parsed.for_each(|record| seen.lock().unwrap_or_else(PoisonError::into_inner).push(record));
        });
        listening(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(receiver)
    }

    /// The record of the alert of this rule and severity about this dump.
    pub(super) fn alert(&self, rule: &str, severity: &str, dump: &str) -> Result<Value> {
        within(SOON * 2, "the alert at the OpenTelemetry receiver", || {
            let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = |record: &&Value| {
                record["severityText"] == severity
                    && attribute(record, "dumptrail.rule.id") == Some(rule)
                    && attribute(record, "dumptrail.dump.id") == Some(dump)
            };
            Ok(records.iter().filter_map(log_record).find(wanted).cloned())
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of what was printed that is a log record: how deep it lies, is the receiver's choice.
fn log_record(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(map) if map.get("eventName").is_some_and(|name| name == "dumptrail.alert") => Some(value),
        Value::Object(map) => map.values().find_map(log_record),
        Value::Array(list) => list.iter().find_map(log_record),
        _ => None,
    }
}

/// An attribute of a log record that is text.
pub(super) fn attribute<'a>(record: &'a Value, key: &str) -> Option<&'a str> {
    record["attributes"].as_array()?.iter().find(|pair| pair["key"] == key)?["value"]["stringValue"].as_str()
}
