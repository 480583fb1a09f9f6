//! One JSON object a line: what `--output json` prints and the journal keeps of steps and alerts.
//!
//! Every line begins with `v`, `event`, `time` and `host.id`; keys are flat dotted names, absent fields are left out.
//! Within version 1 fields are only added. No line ends with a newline: who writes it adds one.

use serde::{Serialize, Serializer};

use crate::{
    alert::Alert,
    clock::Time,
    fields::{self, Value, View},
    step::{Gap, Notice, Step},
};

/// Version of the lines (`v`).
pub const VERSION: u32 = 1;

/// What the agent can do from now on: the first line of every run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// When the hooks stood.
    pub time: Time,
    /// `fentry` or `tracepoint`.
    pub backend: String,
    /// `auto` or `always`.
    pub arming: String,
    /// `observe` or `enforce`.
    pub enforcement: String,
    /// What rules of action `block` do: `off` without one, `observe`, `enforce`, or `alert-only`.
    pub blocking: &'static str,
    /// Why they only alert.
    pub blocking_why: Option<String>,
    /// Why the agent is not fit; nothing when it is.
    pub problems: Vec<String>,
    /// Hooks that this kernel does not offer, and what else is missing.
    pub missing: Vec<Missing>,
    /// `config.hash`.
    pub config_hash: String,
    /// Version of the agent.
    pub version: String,
    /// Process id of the agent.
    pub pid: u32,
}

/// A hook that could not be attached or a capability that is missing, and what is not seen without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Name of the hook, or of the capability.
    pub hook: String,
    /// What is blind.
    pub blind: String,
}

/// The last line of a run that stopped cleanly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// When.
    pub time: Time,
    /// Why: the name of a signal, or a sentence.
    pub reason: String,
    /// Steps seen in this run.
    pub steps: u64,
    /// Alerts raised in this run.
    pub alerts: u64,
}

/// `event: ready`.
pub fn ready_line(ready: &Ready, host: &str) -> String {
    let mut line = Line::new("ready", ready.time, host);
    line.put("backend", &ready.backend);
    line.put("arming", &ready.arming);
    line.put("enforcement", &ready.enforcement);
    line.put("blocking", ready.blocking);
    if let Some(why) = &ready.blocking_why {
        line.put("blocking.why", why);
    }
    line.put("ok", &ready.problems.is_empty());
    line.put("problems", &ready.problems);
    line.put("missing", &ready.missing);
    line.put("config.hash", &ready.config_hash);
    line.put("version", &ready.version);
    line.put("pid", &ready.pid);
    line.end()
}

/// `event: step`: every field of the step that is present.
pub fn step_line(step: &Step, host: &str) -> String {
    let mut line = Line::new("step", step.time, host);
    line.fields(View { step, alert: None });
    line.end()
}

/// `event: alert`: the fields of the step that raised it, then those of the alert. `journaled` is false for an alert
/// that could not be made durable in time.
pub fn alert_line(alert: &Alert, host: &str, journaled: bool) -> String {
    let mut line = Line::new("alert", alert.time, host);
    line.put("journaled", &journaled);
    line.fields(View { step: &alert.step, alert: Some(alert) });
    line.end()
}

/// `event: gap`: something was lost.
pub fn gap_line(gap: &Gap, host: &str) -> String {
    let mut line = Line::new("gap", gap.to, host);
    line.put("from", &gap.from.rfc3339());
    line.put("to", &gap.to.rfc3339());
    line.put("cause", gap.cause);
    line.put("count", &gap.count);
    line.put("dumps", &gap.dumps.iter().map(ToString::to_string).collect::<Vec<_>>());
    line.end()
}

/// `event: notice`: worth a person's attention, and no alert.
pub fn notice_line(notice: &Notice, host: &str) -> String {
    let mut line = Line::new("notice", notice.time, host);
    line.put("kind", notice.kind);
    line.put("text", &notice.text);
    if let Some(dump) = notice.dump {
        line.put("dump.id", &dump.to_string());
    }
    if let Some(content) = notice.content {
        line.put("dump.content", &content.to_string());
    }
    line.end()
}

/// `event: stopped`: the last line.
pub fn stopped_line(stopped: &Stopped, host: &str) -> String {
    let mut line = Line::new("stopped", stopped.time, host);
    line.put("reason", &stopped.reason);
    line.put("steps", &stopped.steps);
    line.put("alerts", &stopped.alerts);
    line.end()
}

/// A JSON object under construction; keys keep the order in which they are put.
struct Line(Vec<u8>);

impl Line {
    fn new(event: &str, time: Time, host: &str) -> Self {
        let mut line = Self(Vec::with_capacity(1024));
        line.put("v", &VERSION);
        line.put("event", event);
        line.put("time", &time.rfc3339());
        line.put("host.id", host);
        line
    }

    fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.json(key);
        self.0.push(b':');
        self.json(value);
    }

    fn fields(&mut self, view: View<'_>) {
        for field in fields::all() {
            if let Some(value) = (field.get)(&view) {
                self.put(field.json_key(), &Json(&value));
            }
        }
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        serde_json::to_writer(&mut self.0, value).expect("text, numbers, lists and maps with text keys are JSON");
    }

    fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("serde_json writes UTF-8")
    }
}

/// A field's value as JSON.
struct Json<'a>(&'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Str(text) => serializer.serialize_str(text),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::List(list) => list.serialize(serializer),
            Value::Map(map) => map.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn parse(line: &str) -> serde_json::Value {
        assert!(!line.contains('\n'));
        assert!(line.starts_with(r#"{"v":1,"event":""#), "{line}");
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_step_has_every_present_field_and_no_absent_one() {
        let step = samples::sent();
        let json = parse(&step_line(&step, "h1"));
        let view = View { step: &step, alert: None };
        for field in fields::all() {
            assert_eq!(json.get(field.json_key()).is_some(), (field.get)(&view).is_some(), "{}", field.name);
        }
        assert_eq!(json["event"], "step");
        assert_eq!(json["host.id"], "h1");
        assert_eq!(json["time"], "2026-11-22T10:00:00.000000007Z");
        assert_eq!(json["step.bytes"], 600_000);
        assert_eq!(json["step.crossing"], true);
        assert_eq!(json["k8s.pod.labels"]["tier"], "signing");
    }

    #[test]
    fn an_alert_line_is_the_step_and_the_alert() {
        let alert = samples::alert();
        let json = parse(&alert_line(&alert, "h1", true));
        let step = parse(&step_line(&alert.step, "h1"));
        for (key, value) in step.as_object().unwrap() {
            if !["event", "time"].contains(&key.as_str()) {
                assert_eq!(&json[key], value, "{key}");
            }
        }
        assert_eq!(json["severity"], "critical");
        assert_eq!(json["alert.id"], alert.id.to_string());
        assert_eq!(json["journaled"], true);
        assert_eq!(parse(&alert_line(&alert, "h1", false))["journaled"], false);
    }

    #[test]
    fn hostile_text_stays_one_line_of_json() {
        let mut step = samples::sent();
        step.detail = Some("a\nb\"c\u{1b}[31m\\\u{0}".into());
        assert_eq!(parse(&step_line(&step, "h\n1"))["step.detail"], "a\nb\"c\u{1b}[31m\\\u{0}");
    }

    #[test]
    fn gap_notice_ready_and_stopped() {
        let gap = parse(&gap_line(&samples::gap(), "h"));
        assert_eq!((&gap["cause"], &gap["count"]), (&"flow_ring_full".into(), &7.into()));
        assert_eq!(gap["dumps"][0], samples::dump().id.to_string());
        let notice = parse(&notice_line(&samples::identified(), "h"));
        assert_eq!(notice["kind"], "identified");
        assert_eq!(notice["dump.content"], samples::content().to_string());
        let ready = Ready {
            blocking: "alert-only",
            blocking_why: Some("no LSM".into()),
            problems: vec!["no cgroup v2 mount".into()],
            ..samples::ready()
        };
        let json = parse(&ready_line(&ready, "h"));
        assert_eq!(json["missing"][0]["blind"], "reads by io_uring");
        assert_eq!((&json["blocking"], &json["blocking.why"]), (&"alert-only".into(), &"no LSM".into()));
        assert_eq!(json["config.hash"], "0123456789abcdef");
        assert_eq!((&json["ok"], &json["problems"][0]), (&false.into(), &"no cgroup v2 mount".into()));
        let stopped = Stopped { time: Time(1), reason: "SIGTERM".into(), steps: 3, alerts: 1 };
        assert_eq!(parse(&stopped_line(&stopped, "h"))["reason"], "SIGTERM");
    }
}
