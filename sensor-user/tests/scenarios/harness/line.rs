//! The agent's NDJSON as types. A name that the product does not define is an error, not a string.

use std::net::IpAddr;

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, DumpKind, Exposure, Severity, StepKind, Verdict};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A value with a name in the product's vocabulary.
trait Named: Sized {
    fn named(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($kind:ident)*) => { $(impl Named for $kind {
        fn named(name: &str) -> Option<Self> { Self::ALL.iter().copied().find(|v| v.name() == name) }
    })* };
}

named!(Via StepKind Confidence DumpKind Exposure Severity Verdict);

fn name<'de, D: Deserializer<'de>, T: Named>(from: D) -> Result<T, D::Error> {
    let name = String::deserialize(from)?;
    T::named(&name).ok_or_else(|| D::Error::custom(format!("`{name}` is no {}", std::any::type_name::<T>())))
}

fn perhaps<'de, D: Deserializer<'de>, T: Named>(from: D) -> Result<Option<T>, D::Error> {
    name(from).map(Some)
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Ready(Ready),
    Step(Box<Step>),
    Alert(Box<Alert>),
    Gap(Gap),
    Notice(Notice),
    Stopped(Stopped),
}

impl Line {
    /// Reads one, and checks what every line has.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if value["v"] != 1 || !value["host.id"].is_string() || !value["time"].is_string() {
            return Err("v, time or host.id is missing".to_owned());
        }
        let event = value["event"].as_str().unwrap_or_default().to_owned();
        let line = match event.as_str() {
            "ready" => serde_json::from_value(value).map(Self::Ready),
            "step" => serde_json::from_value(value).map(Self::Step),
            "alert" => serde_json::from_value(value).map(Self::Alert),
            "gap" => serde_json::from_value(value).map(Self::Gap),
            "notice" => serde_json::from_value(value).map(Self::Notice),
            "stopped" => serde_json::from_value(value).map(Self::Stopped),
            other => return Err(format!("`{other}` is no event")),
        };
        line.map_err(|e| format!("{event}: {e}"))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Ready {
    pub(crate) backend: String,
    pub(crate) ok: bool,
    pub(crate) problems: Vec<String>,
    pub(crate) missing: Vec<Value>,
    pub(crate) blocking: String,
    #[serde(rename = "blocking.why")]
    pub(crate) why: Option<String>,
    #[serde(rename = "config.hash")]
    pub(crate) config_hash: String,
    pub(crate) pid: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stopped {
    pub(crate) reason: String,
    pub(crate) steps: u64,
    #[expect(dead_code, reason = "that it is there, and its type, is the contract")]
    pub(crate) alerts: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Gap {
    pub(crate) cause: String,
    pub(crate) count: u64,
    pub(crate) dumps: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Notice {
    pub(crate) kind: String,
    pub(crate) text: String,
    #[serde(rename = "dump.id")]
    pub(crate) dump: Option<String>,
    #[serde(rename = "dump.content")]
    pub(crate) content: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) time: String,
    #[serde(rename = "step.kind", deserialize_with = "name")]
    pub(crate) kind: StepKind,
    #[serde(rename = "step.via", deserialize_with = "name")]
    pub(crate) via: Via,
    #[serde(rename = "dump.id")]
    pub(crate) dump: Option<String>,
    #[serde(rename = "dump.content")]
    pub(crate) content: Option<String>,
    #[serde(rename = "dump.kind", default, deserialize_with = "perhaps")]
    pub(crate) dump_kind: Option<DumpKind>,
    #[serde(rename = "dump.size")]
    pub(crate) dump_size: Option<u64>,
    #[serde(rename = "dump.candidates", default)]
    pub(crate) dump_candidates: Vec<String>,
    #[serde(rename = "origin.zone")]
    pub(crate) origin_zone: Option<String>,
    #[serde(rename = "origin.inferred", default)]
    pub(crate) origin_inferred: bool,
    #[serde(rename = "origin.candidates", default)]
    pub(crate) suspects: Vec<String>,
    #[serde(rename = "origin.process.pid")]
    pub(crate) victim: Option<u32>,
    #[serde(rename = "from.zone")]
    pub(crate) from_zone: String,
    #[serde(rename = "from.carrier")]
    pub(crate) from: String,
    #[serde(rename = "from.id")]
    pub(crate) from_id: String,
    #[serde(rename = "to.zone")]
    pub(crate) to_zone: String,
    #[expect(dead_code, reason = "that it is there, and its type, is the contract")]
    #[serde(rename = "to.exposure", deserialize_with = "name")]
    pub(crate) to_exposure: Exposure,
    #[serde(rename = "to.carrier")]
    pub(crate) to: String,
    #[serde(rename = "to.id")]
    pub(crate) to_id: String,
    #[expect(dead_code, reason = "that it is there, and its type, is the contract")]
    #[serde(rename = "step.crossing")]
    pub(crate) crossing: bool,
    #[serde(rename = "step.bytes")]
    pub(crate) bytes: u64,
    #[serde(rename = "step.confidence", deserialize_with = "name")]
    pub(crate) confidence: Confidence,
    #[serde(rename = "step.hops")]
    pub(crate) hops: u32,
    #[serde(rename = "step.ended")]
    pub(crate) ended: Option<String>,
    #[serde(rename = "step.verdict", default, deserialize_with = "perhaps")]
    pub(crate) verdict: Option<Verdict>,
    #[serde(rename = "step.detail")]
    pub(crate) detail: Option<String>,
    #[expect(dead_code, reason = "that it is there, and its type, is the contract")]
    #[serde(rename = "flow.id")]
    pub(crate) flow: String,
    #[serde(rename = "process.pid")]
    pub(crate) pid: Option<u32>,
    #[serde(rename = "process.executable.path")]
    pub(crate) executable: Option<String>,
    #[serde(rename = "process.command_line")]
    pub(crate) command_line: Option<String>,
    #[serde(rename = "process.dump_handler", default)]
    pub(crate) handler: bool,
    #[serde(rename = "file.path")]
    pub(crate) file: Option<String>,
    #[serde(rename = "mount.fstype")]
    pub(crate) fstype: Option<String>,
    #[serde(rename = "destination.address")]
    pub(crate) address: Option<IpAddr>,
    #[serde(rename = "destination.port")]
    pub(crate) port: Option<u16>,
    #[serde(rename = "network.transport")]
    pub(crate) transport: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Alert {
    #[serde(flatten)]
    pub(crate) step: Step,
    #[serde(rename = "rule.id")]
    pub(crate) rule: String,
    #[serde(rename = "severity", deserialize_with = "name")]
    pub(crate) severity: Severity,
    pub(crate) summary: String,
    pub(crate) journaled: bool,
    #[serde(rename = "alert.key")]
    pub(crate) key: String,
    #[serde(rename = "alert.id")]
    pub(crate) id: String,
}

impl Step {
    /// One line for a failure's table.
    pub(crate) fn told(&self) -> String {
        format!(
            "{} {:<9} {:<15} {} -> {} | {} -> {} | {} B {} hops {}{}",
            &self.time[11..23.min(self.time.len())],
            self.kind.name(),
            self.via.name(),
            self.from,
            self.to,
            self.from_zone,
            self.to_zone,
            self.bytes,
            self.confidence.name(),
            self.hops,
            if self.ended.is_some() { " ended" } else { "" },
        )
    }
}
