//! The field table: every field of a step and of an alert, once. Rule conditions are checked against it, CEL reads
//! through it, NDJSON and OTLP are written from it, and docs/fields.md is generated from it.

use std::collections::BTreeMap;

use crate::{
    alert::Alert,
    step::{Confidence, DumpKind, Exposure, Process, Severity, Step, StepKind, Verdict},
};

/// Type of a field in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Str,
    /// Whole number.
    Int,
    /// Number with a fraction.
    Float,
    /// true or false.
    Bool,
    /// List of text.
    List,
    /// Map from text to text.
    Map,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// [`Type::Str`]
    Str(String),
    /// [`Type::Int`]
    Int(i64),
    /// [`Type::Float`]
    Float(f64),
    /// [`Type::Bool`]
    Bool(bool),
    /// [`Type::List`]
    List(Vec<String>),
    /// [`Type::Map`]
    Map(BTreeMap<String, String>),
}

/// One field.
pub struct Field {
    /// Name in YAML and CEL.
    pub name: &'static str,
    /// OpenTelemetry name where there is one: used in NDJSON and OTLP. Otherwise NDJSON has `name`, OTLP
    /// `dumptrail.` + `name`.
    pub otel: Option<&'static str>,
    /// Type.
    pub ty: Type,
    /// May be absent.
    pub optional: bool,
    /// Closed set of values; empty when open.
    pub values: &'static [&'static str],
    /// Unit, empty when none.
    pub unit: &'static str,
    /// One line: what it is, and when present.
    pub doc: &'static str,
    /// Reads it.
    pub get: fn(&View<'_>) -> Option<Value>,
}

impl Field {
    /// Key in NDJSON.
    pub fn json_key(&self) -> &'static str {
        self.otel.unwrap_or(self.name)
    }
    /// Key in OTLP attributes.
    pub fn otlp_key(&self) -> String {
        self.otel.map_or_else(|| format!("dumptrail.{}", self.name), str::to_owned)
    }
}

/// What fields are read from: a step, and the alert that it raised, if any.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The step.
    pub step: &'a Step,
    /// The alert, for the fields of the group `alert`.
    pub alert: Option<&'a Alert>,
}

/// All fields, in the order of docs/fields.md.
pub fn all() -> &'static [Field] {
    FIELDS
}

/// True for a field whose value is the name of a zone.
pub fn is_zone(name: &str) -> bool {
    matches!(name, "origin.zone" | "from.zone" | "to.zone")
}

/// The field with this short name.
pub fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|f| f.name == name)
}

macro_rules! field {
    ($name:literal, $ty:ident $(, otel $otel:literal)? $(, unit $unit:literal)? $(, values $values:expr)?, $doc:literal, $opt:ident, $get:expr) => {
        Field {
            name: $name,
            otel: { let o: Option<&'static str> = None; $(let o = { let _ = o; Some($otel) };)? o },
            ty: Type::$ty,
            optional: field!(@opt $opt),
            values: { let v: &'static [&'static str] = &[]; $(let v = { let _ = v; $values };)? v },
            unit: { let u = ""; $(let u = { let _ = u; $unit };)? u },
            doc: $doc,
            get: $get,
        }
    };
    (@opt always) => { false };
    (@opt optional) => { true };
}

#[expect(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "made for the bodies of the table below")]
fn text(s: impl ToString) -> Option<Value> {
    Some(Value::Str(s.to_string()))
}
fn opt(s: Option<&String>) -> Option<Value> {
    s.cloned().map(Value::Str)
}
#[expect(clippy::unnecessary_wraps, reason = "made for the bodies of the table below")]
fn int(n: u64) -> Option<Value> {
    Some(Value::Int(i64::try_from(n).unwrap_or(i64::MAX)))
}
fn process<'a>(v: &View<'a>) -> Option<&'a Process> {
    v.step.process.as_deref()
}
fn victim<'a>(v: &View<'a>) -> Option<&'a Process> {
    v.step.origin.as_ref()?.process.as_deref()
}
/// The last component of a path.
fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}
const SECOND: u64 = 1_000_000_000;

/// Values of `step.via`.
pub const VIA: &[&str] = &[
    "file",
    "pipe",
    "unix",
    "tcp",
    "udp",
    "sendfile",
    "splice",
    "copy_file_range",
    "mmap",
    "io_uring",
    "fork",
    "exec",
    "core",
    "descriptor",
    "memory",
    "socket",
    "device",
    "name",
    "scan",
    "queue",
    "tty",
    "fuse",
];

#[rustfmt::skip]
static FIELDS: &[Field] = &[
    field!("dump.id", Str, "Given at birth, never changes (32 hex digits); absent on host events.", optional, |v| text(v.step.dump.as_ref()?.id)),
    field!("dump.content", Str, "Names the content, once known (32 hex digits).", optional, |v| text(v.step.dump.as_ref()?.content?)),
    field!("dump.kind", Str, values DumpKind::NAMES, "What kind of dump.", optional, |v| text(v.step.dump.as_ref()?.kind)),
    field!("dump.size", Int, unit "By", "Size of the dump, once known.", optional, |v| int(v.step.dump.as_ref()?.size?)),
    field!("dump.created", Str, "Time of birth, RFC 3339.", optional, |v| text(v.step.dump.as_ref()?.created.rfc3339())),
    field!("dump.age", Int, unit "s", "Time since birth.", optional, |v| int(v.step.time.since(v.step.dump.as_ref()?.created) / SECOND)),
    field!("dump.candidates", List, "Other dumps that it may be, when the mark cannot tell.", optional, |v| { let c = &v.step.dump.as_ref()?.candidates; (!c.is_empty()).then(|| Value::List(c.iter().map(ToString::to_string).collect())) }),
    field!("origin.zone", Str, "Zone of the birth.", optional, |v| text(&v.step.origin.as_ref()?.place.zone)),
    field!("origin.exposure", Str, values Exposure::NAMES, "Its exposure.", optional, |v| text(v.step.origin.as_ref()?.place.exposure)),
    field!("origin.rank", Int, "isolated 0, internal 1, internet-facing 2, unknown 3.", optional, |v| Some(Value::Int(v.step.origin.as_ref()?.place.exposure.rank()))),
    field!("origin.host", Str, "host.id of the birth.", optional, |v| text(&v.step.origin.as_ref()?.host)),
    field!("origin.inferred", Bool, "Whose memory it is was not seen: the dump was found at rest, or written by a program that traces nobody (its own memory, or a dump that arrived).", optional, |v| Some(Value::Bool(v.step.origin.as_ref()?.inferred))),
    field!("origin.process.pid", Int, "Process whose memory it is, when known.", optional, |v| int(u64::from(victim(v)?.pid))),
    field!("origin.process.executable.path", Str, "Its executable.", optional, |v| opt(victim(v)?.executable.as_ref())),
    field!("origin.process.command", Str, "Name of its thread.", optional, |v| text(&victim(v)?.comm)),
    field!("origin.user.id", Int, "Its real user id.", optional, |v| int(u64::from(victim(v)?.user_id))),
    field!("origin.container.id", Str, "Its container.", optional, |v| opt(victim(v)?.container_id.as_ref())),
    field!("origin.candidates", List, "Processes whose memory it may be, `name[pid]`, when several crashed at once.", optional, |v| { let c = &v.step.origin.as_ref()?.candidates; (!c.is_empty()).then(|| Value::List(c.clone())) }),
    field!("origin.k8s.namespace.name", Str, "Its Kubernetes namespace.", optional, |v| text(&victim(v)?.k8s.as_ref()?.namespace)),
    field!("origin.k8s.pod.name", Str, "Its pod.", optional, |v| text(&victim(v)?.k8s.as_ref()?.name)),
    field!("from.zone", Str, "Zone of the source end.", always, |v| text(&v.step.from.zone)),
    field!("from.exposure", Str, values Exposure::NAMES, "Its exposure.", always, |v| text(v.step.from.exposure)),
    field!("from.rank", Int, "Its rank.", always, |v| Some(Value::Int(v.step.from.exposure.rank()))),
    field!("from.carrier", Str, "The source end, as a person reads it: a path, `name[pid]`, `pipe:[n]`, `address:port`.", always, |v| text(&v.step.source.name)),
    field!("from.id", Str, "The source end; the same for the same object on every step of this boot.", always, |v| text(v.step.source.id)),
    field!("to.carrier", Str, "The sink end, as a person reads it.", always, |v| text(&v.step.sink.name)),
    field!("to.id", Str, "The sink end; see from.id.", always, |v| text(v.step.sink.id)),
    field!("to.zone", Str, "Zone of the sink end.", always, |v| text(&v.step.to.zone)),
    field!("to.exposure", Str, values Exposure::NAMES, "Its exposure.", always, |v| text(v.step.to.exposure)),
    field!("to.rank", Int, "Its rank.", always, |v| Some(Value::Int(v.step.to.exposure.rank()))),
    field!("step.kind", Str, values StepKind::NAMES, "What happened; `passed` is not made yet.", always, |v| text(v.step.kind)),
    field!("step.via", Str, values VIA, "By which means.", always, |v| text(v.step.via.name())),
    field!("step.crossing", Bool, "The two ends are in different zones.", always, |v| Some(Value::Bool(v.step.crossing()))),
    field!("step.bytes", Int, unit "By", "Bytes moved so far in this flow.", always, |v| int(v.step.bytes)),
    field!("step.read_bytes", Int, unit "By", "Bytes of the dump that the process had read before.", always, |v| int(v.step.read_bytes)),
    field!("step.ratio", Float, "step.bytes / step.read_bytes; absent when nothing was read.", optional, |v| v.step.ratio().map(Value::Float)),
    field!("step.age", Int, unit "s", "Time since the process last read the dump; absent when it never did.", optional, |v| int(v.step.age_ns? / SECOND)),
    field!("step.confidence", Str, values Confidence::NAMES, "How sure it is that the bytes are the dump's. What is weak is told where it crosses zones, with what led there.", always, |v| text(v.step.confidence)),
    field!("step.hops", Int, "Movements from the birth to here.", always, |v| int(u64::from(v.step.hops))),
    field!("step.started", Str, "When the flow began, RFC 3339.", always, |v| text(v.step.started.rfc3339())),
    field!("step.ended", Str, "When the flow ended, RFC 3339; absent while it goes on.", optional, |v| text(v.step.ended?.rfc3339())),
    field!("step.verdict", Str, values Verdict::NAMES, "What the kernel decided, where a rule of action `block` forbids the movement: `blocked`, the call got EPERM; `would-block`, `enforcement` is `observe`.", optional, |v| text(v.step.verdict?)),
    field!("step.detail", Str, "Words on a host event, or on what is not certain.", optional, |v| opt(v.step.detail.as_ref())),
    field!("flow.id", Str, "The flow (32 hex digits).", always, |v| text(v.step.flow)),
    field!("process.pid", Int, otel "process.pid", "The actor.", optional, |v| int(u64::from(process(v)?.pid))),
    field!("process.parent_pid", Int, otel "process.parent_pid", "Its parent.", optional, |v| int(u64::from(process(v)?.parent_pid))),
    field!("process.command", Str, otel "process.command", "Name of the thread that acted.", optional, |v| text(&process(v)?.comm)),
    field!("process.executable.path", Str, otel "process.executable.path", "Its executable.", optional, |v| opt(process(v)?.executable.as_ref())),
    field!("process.executable.name", Str, otel "process.executable.name", "Last component of that path.", optional, |v| text(base(process(v)?.executable.as_ref()?))),
    field!("process.executable.sha256", Str, "SHA-256 of the executable, when a rule asks for it.", optional, |v| opt(process(v)?.executable_sha256.as_ref())),
    field!("process.command_line", Str, otel "process.command_line", "Command line, masked and cut as `privacy` says.", optional, |v| opt(process(v)?.command_line.as_ref())),
    field!("process.args_count", Int, otel "process.args_count", "Number of arguments.", optional, |v| int(u64::from(process(v)?.args_count?))),
    field!("process.working_directory", Str, otel "process.working_directory", "Its working directory.", optional, |v| opt(process(v)?.working_directory.as_ref())),
    field!("process.ancestors", List, "Executables of its ancestors, parent first.", optional, |v| Some(Value::List(process(v)?.ancestors.clone()))),
    field!("process.dump_handler", Bool, "The kernel started it, or an ancestor of it, to take a core from a pipe.", optional, |v| Some(Value::Bool(process(v)?.dump_handler))),
    field!("process.linux.cgroup", Str, otel "process.linux.cgroup", "Its cgroup v2 path.", optional, |v| opt(process(v)?.cgroup.as_ref())),
    field!("process.netns", Int, "Inode number of its network namespace.", optional, |v| int(u64::from(process(v)?.netns))),
    field!("user.id", Int, otel "user.id", "Its real user id.", optional, |v| int(u64::from(process(v)?.user_id))),
    field!("user.name", Str, otel "user.name", "Name of that user on this host.", optional, |v| opt(process(v)?.user_name.as_ref())),
    field!("user.login_id", Int, "Login user id (audit), when set.", optional, |v| int(u64::from(process(v)?.login_user_id?))),
    field!("container.id", Str, otel "container.id", "Its container.", optional, |v| opt(process(v)?.container_id.as_ref())),
    field!("k8s.namespace.name", Str, otel "k8s.namespace.name", "Its Kubernetes namespace.", optional, |v| text(&process(v)?.k8s.as_ref()?.namespace)),
    field!("k8s.pod.name", Str, otel "k8s.pod.name", "Its pod.", optional, |v| text(&process(v)?.k8s.as_ref()?.name)),
    field!("k8s.pod.uid", Str, otel "k8s.pod.uid", "Its pod's uid.", optional, |v| text(&process(v)?.k8s.as_ref()?.uid)),
    field!("k8s.pod.labels", Map, "Its pod's labels.", optional, |v| Some(Value::Map(process(v)?.k8s.as_ref()?.labels.clone()))),
    field!("file.path", Str, otel "file.path", "The file concerned.", optional, |v| opt(v.step.file.as_ref()?.path.as_ref())),
    field!("file.inode", Int, "Its inode number.", optional, |v| int(v.step.file.as_ref()?.inode)),
    field!("mount.fstype", Str, "Type of its file system.", optional, |v| opt(v.step.file.as_ref()?.fstype.as_ref())),
    field!("destination.address", Str, otel "destination.address", "The far end's address.", optional, |v| text(v.step.peer.as_ref()?.address)),
    field!("destination.port", Int, otel "destination.port", "Its port.", optional, |v| int(u64::from(v.step.peer.as_ref()?.port))),
    field!("destination.via_relay", Bool, "The address is a relay: the zone is what it reaches.", optional, |v| Some(Value::Bool(v.step.peer.as_ref()?.via_relay))),
    field!("network.transport", Str, otel "network.transport", values &["tcp", "udp"], "tcp or udp.", optional, |v| text(v.step.peer.as_ref()?.transport)),
    field!("rule.id", Str, "The rule that fired.", optional, |v| text(&v.alert?.rule)),
    field!("rule.title", Str, "Its title.", optional, |v| text(&v.alert?.title)),
    field!("severity", Str, values Severity::NAMES, "How bad.", optional, |v| text(v.alert?.severity)),
    field!("summary", Str, "A sentence.", optional, |v| text(&v.alert?.summary)),
    field!("alert.key", Str, "The incident: rule, dump, flow.", optional, |v| text(v.alert?.key)),
    field!("alert.id", Str, "The record: key and severity, of a repetition its time as well; also `log.record.uid`.", optional, |v| text(v.alert?.id)),
    field!("alert.supersedes", Str, "The record of the same incident at the severity before.", optional, |v| text(v.alert?.supersedes?)),
    field!("alert.suppressed", Int, "Alerts that the throttle held back since the last.", optional, |v| int(v.alert?.suppressed)),
    field!("config.hash", Str, "The configuration that decided.", optional, |v| text(&v.alert?.config_hash)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_values_belong_to_text() {
        let mut seen = std::collections::BTreeSet::new();
        for f in all() {
            assert!(seen.insert(f.name), "{} twice", f.name);
            assert!(f.values.is_empty() || f.ty == Type::Str, "{}", f.name);
        }
    }

    #[test]
    fn via_lists_every_means() {
        let names: Vec<_> = sensor_abi::flow::Via::ALL.iter().map(|v| v.name()).collect();
        assert_eq!(names, VIA);
    }
}
