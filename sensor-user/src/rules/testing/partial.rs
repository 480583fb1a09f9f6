//! From a partial step in YAML to a whole one: what is not given is what a plain step of that kind would have.

use std::sync::Arc;

use sensor_abi::flow::Via;

use crate::{
    clock::Time,
    config::{
        Config, Diagnostic, Errors,
        diagnostic::meant,
        read::wrong,
        schema::{TestDef, TestStep},
        spans::{Key, Node, Value as Yaml},
    },
    fields::{self, Type, Value},
    rules::check::{undefined_zone, words},
    step::{
        Carrier, Confidence, DumpKind, DumpRef, Exposure, FileRef, Id, Origin, Peer, Place, Pod, Process, Step,
        StepKind, Verdict,
    },
};

/// What the keys of a partial step say, before it is a step.
struct Draft {
    step: Step,
    dump: DumpRef,
    host: Arc<str>,
    inferred: bool,
    /// `origin`, `from`, `to`: zone and exposure as given.
    ends: [(Option<Arc<str>>, Option<Exposure>); 3],
    victim: Option<Process>,
    victim_pod: Option<Pod>,
    process: Option<Process>,
    pod: Option<Pod>,
}

/// The step that `def` stands for, at `now`; what is wrong with it goes to `errors`.
pub(super) fn step(config: &Config, test: &TestDef, def: &TestStep, now: Time, errors: &mut Errors) -> Option<Step> {
    let before = errors.len();
    let mut draft = Draft::new(&test.name.value, now);
    for (key, node) in &def.fields {
        draft.read(config, key, node, errors);
    }
    if !def.fields.iter().any(|(k, _)| &*k.name == "step.kind") {
        errors.push(def.at.error("a step without `step.kind`").hint("for example `step.kind: sent`"));
    }
    (errors.len() == before).then(|| draft.finish(config))
}

/// The value of `node` as the type of a field.
fn value(field: &fields::Field, node: &Node, errors: &mut Errors) -> Option<Value> {
    let text = |n: &Node| match &n.value {
        Yaml::Text(t) => Some(t.value.to_string()),
        _ => None,
    };
    let found = match (field.ty, &node.value) {
        (Type::Str, _) => text(node).map(Value::Str),
        (Type::Int, Yaml::Int(n)) if *n >= 0 => Some(Value::Int(*n)),
        (Type::Float, Yaml::Float(x)) => Some(Value::Float(*x)),
        (Type::Bool, Yaml::Bool(b)) => Some(Value::Bool(*b)),
        (Type::List, Yaml::List(items)) => items.iter().map(text).collect::<Option<_>>().map(Value::List),
        (Type::Map, Yaml::Map(entries)) => {
            let pair = |(k, n): &(Key, Node)| Some((k.name.to_string(), text(n)?));
            entries.iter().map(pair).collect::<Option<_>>().map(Value::Map)
        }
        _ => None,
    };
    match (&found, &node.value) {
        (None, Yaml::Int(n)) if field.ty == Type::Int => {
            errors.push(node.at.error(format!("{n} is out of range")).hint("use 0 or more"));
        }
        (None, _) => wrong(node, words(field.ty), errors),
        _ => {}
    }
    found
}

impl Draft {
    fn new(test: &str, now: Time) -> Self {
        let id = |what: &str| Id::of(&[b"test", test.as_bytes(), what.as_bytes()]);
        let dump = DumpRef {
            id: id("dump"),
            content: None,
            kind: DumpKind::KernelCore,
            size: None,
            created: now,
            candidates: Vec::new(),
        };
        let end = |what: &str| (Carrier { id: id(what), name: what.to_owned() }, Place::unknown());
        let blank = Step::new(StepKind::Sent, Via::File, now, end("source"), end("sink"));
        let step = Step { flow: id("flow"), hops: 1, ..blank };
        Self {
            step,
            dump,
            host: "test".into(),
            inferred: false,
            ends: Default::default(),
            victim: None,
            victim_pod: None,
            process: None,
            pod: None,
        }
    }

    fn read(&mut self, config: &Config, key: &Key, node: &Node, errors: &mut Errors) {
        let Some(field) = fields::find(&key.name) else {
            let known = fields::all().iter().map(|f| f.name);
            let hint = meant(&key.name, known)
                .map_or_else(|| "docs/fields.md lists all fields".to_owned(), |near| format!("did you mean `{near}`?"));
            errors.push(key.at.error(format!("unknown field `{}`", key.name)).hint(hint));
            return;
        };
        let Some(value) = value(field, node, errors) else { return };
        if let Value::Str(text) = &value
            && !field.values.is_empty()
            && !field.values.contains(&text.as_str())
        {
            let found = node.at.error(format!("`{}` is never `{text}`", field.name));
            errors.push(found.hint(format!("values are: {}", field.values.join(", "))));
            return;
        }
        if let Value::Str(zone) = &value
            && fields::is_zone(field.name)
            && let Some((message, hint)) = undefined_zone(zone, &config.zones)
        {
            let group = field.name.trim_end_matches(".zone");
            errors.push(node.at.error(message).hint(format!("{hint}; or set `{group}.exposure` alone")));
            return;
        }
        if !self.set(field.name, value) {
            errors.push(self.refused(field, key, node));
        }
    }

    /// Why a field cannot be set: this value of it, or none at all.
    fn refused(&mut self, field: &fields::Field, key: &Key, node: &Node) -> Diagnostic {
        let name = field.name;
        if field.ty == Type::Int && self.set(name, Value::Int(0)) {
            return node.at.error(format!("too large for `{name}`")).hint("use a smaller number");
        }
        if field.ty == Type::Str && self.set(name, Value::Str("0.0.0.0".into())) {
            return node.at.error(format!("not an address, as `{name}` is")).hint("for example 203.0.113.9");
        }
        key.at.error(format!("`{name}` cannot be set")).hint("it follows from other fields: set those")
    }

    /// Sets a field; false when it is derived from others, or the value has no meaning.
    fn set(&mut self, name: &str, value: Value) -> bool {
        if let Some((end, rest)) = name.split_once('.')
            && let Some(n) = ["origin", "from", "to"].iter().position(|e| *e == end)
            && ["zone", "exposure"].contains(&rest)
        {
            return self.set_end(n, rest, value);
        }
        match value {
            Value::Str(text) => self.set_text(name, text).is_some(),
            Value::Int(n) => self.set_number(name, n.unsigned_abs()).is_some(),
            Value::Bool(b) => self.set_bool(name, b).is_some(),
            Value::List(list) if name == "process.ancestors" => {
                self.actor().ancestors = list;
                true
            }
            Value::Map(map) if name == "k8s.pod.labels" => {
                self.pod().labels = map;
                true
            }
            _ => false,
        }
    }

    fn set_end(&mut self, end: usize, what: &str, value: Value) -> bool {
        let Value::Str(text) = value else { return false };
        if what == "zone" {
            self.ends[end].0 = Some(text.into());
        } else {
            self.ends[end].1 = Exposure::from_name(&text);
        }
        true
    }

    fn actor(&mut self) -> &mut Process {
        self.process.get_or_insert_default()
    }
    fn pod(&mut self) -> &mut Pod {
        self.actor();
        self.pod.get_or_insert_default()
    }
    fn victim(&mut self) -> &mut Process {
        self.victim.get_or_insert_default()
    }
    fn victim_pod(&mut self) -> &mut Pod {
        self.victim();
        self.victim_pod.get_or_insert_default()
    }
    fn file(&mut self) -> &mut FileRef {
        self.step.file.get_or_insert_default()
    }
    fn peer(&mut self) -> &mut Peer {
        let address = std::net::Ipv4Addr::UNSPECIFIED.into();
        self.step.peer.get_or_insert(Peer { address, port: 0, transport: "tcp", via_relay: false })
    }

    #[rustfmt::skip]
    fn set_text(&mut self, name: &str, text: String) -> Option<()> {
        match name {
            "dump.id" => self.dump.id = id(&text),
            "dump.content" => self.dump.content = Some(id(&text)),
            "dump.kind" => self.dump.kind = DumpKind::from_name(&text)?,
            "origin.host" => self.host = text.into(),
            "origin.process.executable.path" => self.victim().executable = Some(text),
            "origin.process.command" => self.victim().comm = text,
            "origin.container.id" => self.victim().container_id = Some(text),
            "origin.k8s.namespace.name" => self.victim_pod().namespace = text,
            "origin.k8s.pod.name" => self.victim_pod().name = text,
            "from.carrier" => self.step.source.name = text,
            "from.id" => self.step.source.id = id(&text),
            "to.carrier" => self.step.sink.name = text,
            "to.id" => self.step.sink.id = id(&text),
            "step.kind" => self.step.kind = StepKind::from_name(&text)?,
            "step.via" => self.step.via = *Via::ALL.iter().find(|v| v.name() == text)?,
            "step.confidence" => self.step.confidence = Confidence::from_name(&text)?,
            "step.detail" => self.step.detail = Some(text),
            "step.verdict" => self.step.verdict = Some(Verdict::from_name(&text)?),
            "flow.id" => self.step.flow = id(&text),
            "process.command" => self.actor().comm = text,
            "process.executable.path" => self.actor().executable = Some(text),
            "process.executable.sha256" => self.actor().executable_sha256 = Some(text),
            "process.command_line" => self.actor().command_line = Some(text),
            "process.working_directory" => self.actor().working_directory = Some(text),
            "process.linux.cgroup" => self.actor().cgroup = Some(text),
            "user.name" => self.actor().user_name = Some(text),
            "container.id" => self.actor().container_id = Some(text),
            "k8s.namespace.name" => self.pod().namespace = text,
            "k8s.pod.name" => self.pod().name = text,
            "k8s.pod.uid" => self.pod().uid = text,
            "file.path" => self.file().path = Some(text),
            "mount.fstype" => self.file().fstype = Some(text),
            "destination.address" => self.peer().address = text.parse().ok()?,
            "network.transport" => self.peer().transport = if text == "udp" { "udp" } else { "tcp" },
            _ => return None,
        }
        Some(())
    }

    #[rustfmt::skip]
    fn set_number(&mut self, name: &str, n: u64) -> Option<()> {
        const SECOND: u64 = 1_000_000_000;
        let small = u32::try_from(n);
        match name {
            "dump.size" => self.dump.size = Some(n),
            "dump.age" => self.dump.created = Time(self.step.time.0.saturating_sub(n.saturating_mul(SECOND))),
            "origin.process.pid" => self.victim().pid = small.ok()?,
            "origin.user.id" => self.victim().user_id = small.ok()?,
            "step.bytes" => self.step.bytes = n,
            "step.read_bytes" => self.step.read_bytes = n,
            "step.age" => self.step.age_ns = Some(n.saturating_mul(SECOND)),
            "step.hops" => self.step.hops = small.ok()?,
            "process.pid" => self.actor().pid = small.ok()?,
            "process.parent_pid" => self.actor().parent_pid = small.ok()?,
            "process.args_count" => self.actor().args_count = Some(small.ok()?),
            "process.netns" => self.actor().netns = small.ok()?,
            "user.id" => self.actor().user_id = small.ok()?,
            "user.login_id" => self.actor().login_user_id = Some(small.ok()?),
            "file.inode" => self.file().inode = n,
            "destination.port" => self.peer().port = u16::try_from(n).ok()?,
            _ => return None,
        }
        Some(())
    }

    fn set_bool(&mut self, name: &str, b: bool) -> Option<()> {
        match name {
            "origin.inferred" => self.inferred = b,
            "process.dump_handler" => self.actor().dump_handler = b,
            "destination.via_relay" => self.peer().via_relay = b,
            _ => return None,
        }
        Some(())
    }

    /// Fills in what was not given: `from` is the origin, `to` is `from`.
    fn finish(self, config: &Config) -> Step {
        let Self { mut step, dump, host, inferred, ends: [origin, from, to], .. } = self;
        let origin = place(config, origin).unwrap_or_else(Place::unknown);
        step.from = place(config, from).unwrap_or_else(|| origin.clone());
        step.to = place(config, to).unwrap_or_else(|| step.from.clone());
        step.process = joined(self.process, self.pod);
        if !step.kind.is_host_event() {
            step.dump = Some(dump);
            let process = joined(self.victim, self.victim_pod);
            step.origin = Some(Origin { place: origin, host, inferred, process, candidates: Vec::new() });
        }
        if step.via == Via::File && step.kind == StepKind::Sent {
            step.via = Via::Tcp;
        }
        step
    }
}

fn joined(process: Option<Process>, pod: Option<Pod>) -> Option<Arc<Process>> {
    process.map(|p| Arc::new(Process { k8s: pod.map(Arc::new), ..p }))
}

/// An id is 32 hex digits, or any word that stands for one.
fn id(text: &str) -> Id {
    Id::parse(text).unwrap_or_else(|| Id::of(&[b"test", text.as_bytes()]))
}

/// A zone by name, or one that only has an exposure.
fn place(config: &Config, (zone, exposure): (Option<Arc<str>>, Option<Exposure>)) -> Option<Place> {
    match (zone, exposure) {
        (Some(zone), given) => {
            let known = config.zone(&zone).map_or(Exposure::Unknown, |z| z.exposure);
            Some(Place { zone, exposure: given.unwrap_or(known) })
        }
        (None, Some(Exposure::Unknown)) => Some(Place::unknown()),
        (None, Some(exposure)) => Some(Place { zone: format!("any-{exposure}").into(), exposure }),
        (None, None) => None,
    }
}
