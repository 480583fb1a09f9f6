//! Births: dumps that the kernel writes, and dumps that were there before.

use std::sync::Arc;

use sensor_abi::{
    flow::Via,
    key::{CarrierKey, PairKey},
    mark::stamp_time,
};

use super::{CANDIDATES, Context, Dump, Hold, Looked, Node, Trail};
use crate::{
    clock::Time,
    dump::format,
    event::{Actor, Birth, CoreSink},
    step::{Carrier, Confidence, DumpKind, DumpRef, FileRef, Id, Origin, Place, Process, Step, StepKind},
};

/// A birth step waits this long for its path and size, unless the dump moves first; then it is told without, and again.
const PATIENCE_NS: u64 = 1_000_000_000;
/// A crash is forgotten after this time: a dump of that size is written by then, or its handler has started.
const CRASH_NS: u64 = 600_000_000_000;
/// Crashes that are remembered: more than wait for their handler at one time.
const CRASHES: usize = 1024;

/// A process that got a core-dumping signal.
#[derive(Clone, Debug)]
pub(super) struct Crash {
    tgid: u32,
    /// The thread that got it.
    thread: u32,
    time_ns: u64,
    name: String,
    process: Option<Arc<Process>>,
}

/// A dump that was there before the agent, or that came from elsewhere.
#[derive(Clone, Debug)]
pub struct Found {
    /// Number given to it.
    pub dump: u64,
    /// Its file.
    pub object: CarrierKey,
    /// The file, as a step tells it.
    pub file: FileRef,
    /// What is mounted there.
    pub mount_source: Option<String>,
    /// By its content.
    pub kind: DumpKind,
    /// Size in bytes.
    pub size: u64,
    /// When it was made, as far as the file tells.
    pub created: Time,
    /// What an agent before has said of it.
    pub known: Option<Box<Known>>,
}

/// What is known of a dump that a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The dump.
    pub dump: DumpRef,
    /// Where it was born.
    pub origin: Origin,
    /// How sure it is that it is in the file.
    pub confidence: Confidence,
    /// Bytes of it that are there.
    pub bytes: u64,
}

/// The pid of the victim, or of its thread, that a pipe handler was told on its command line, by the pattern that started it.
/// Numbers of the first namespace come before those of the victim's own.
pub fn core_victim(core_pattern: &str, argv: &[u8]) -> Option<u32> {
    let words: Vec<&[u8]> = argv.split(|b| *b == 0).collect();
    let pattern = core_pattern.trim_start_matches('|').split_ascii_whitespace();
    // A script's interpreter, and its option, come before the script.
    let handler = pattern.clone().next()?.as_bytes();
    let start = words.iter().take(3).position(|word| *word == handler).unwrap_or(0);
    ["%P", "%I", "%p", "%i"].iter().find_map(|specifier| {
        pattern.clone().zip(&words[start..]).find_map(|(template, word)| {
            let (before, after) = template.split_once(specifier)?;
            std::str::from_utf8(word).ok()?.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
        })
    })
}

impl Dump {
    /// The birth step as far as it is known, once.
    fn announce(&mut self) -> Option<Step> {
        let first = !std::mem::replace(&mut self.told, true);
        self.birth.clone().filter(|_| first)
    }
}

impl Trail {
    /// A process is about to dump core.
    pub fn crashed(&mut self, actor: &Actor, looked: &Looked, time_ns: u64) {
        self.crashes.retain(|c| time_ns.saturating_sub(c.time_ns) < CRASH_NS && c.tgid != actor.base.tgid);
        let (tgid, thread, process) = (actor.base.tgid, actor.base.tid, looked.process.clone());
        let name = format!("{}[{tgid}]", actor.comm());
        self.crashes.push_back(Crash { tgid, thread, time_ns, name, process });
        if self.crashes.len() > CRASHES {
            self.crashes.pop_front();
        }
    }

    /// A dump began to be written. Its step is held back until the path is known, or the dump moves.
    pub fn born(&mut self, context: Context<'_>, birth: &Birth, looked: &Looked, core_pattern: &str) -> Vec<Step> {
        let (victim, candidates) = self.victim(birth, looked, core_pattern);
        let now_ns = stamp_time(birth.dump);
        let actor = self.task(context, &birth.actor, looked, now_ns);
        let from = match &victim {
            None if birth.sink == CoreSink::Memory && birth.traced.is_none() => context.zones.host(),
            Some(process) => context.zones.process(process).place,
            None if candidates.is_empty() => self.nodes[&actor].place.clone(),
            None => Place::unknown(),
        };
        let to = match (birth.sink, &looked.file) {
            (CoreSink::File, _) => from.clone(),
            (CoreSink::Program(_), Some(file)) => Self::file_place(context, file, looked, &self.nodes[&actor].place),
            _ => self.nodes[&actor].place.clone(),
        };
        let origin = Origin {
            place: from.clone(),
            host: self.host.id.clone(),
            // A program that traces nobody may dump itself, or take in what was made elsewhere.
            inferred: matches!(birth.sink, CoreSink::Program(_)) && birth.traced.is_none(),
            process: victim.clone(),
            candidates,
        };
        let about = self.about(context, birth);
        let name = self.name_at_birth(birth, looked, &actor);
        let source = self.victim_carrier(birth, victim.as_deref(), actor);
        let sink = Carrier { id: self.carrier_id(&birth.object), name };
        let file = looked.file.clone().filter(|_| matches!(birth.sink, CoreSink::Program(_)));
        let maker = self.nodes[&actor].place.clone();
        let fresh = || Node { file: file.clone(), maker: maker.clone(), ..Node::new(sink.clone(), to.clone(), now_ns) };
        let pair = PairKey { from: actor, to: birth.object };
        // Of memory the reader, which is known, is the carrier; and what its writer holds of others is in a file as well,
        // as other data when that has ended.
        if birth.sink != CoreSink::Memory && self.flows.get(&pair).is_empty() {
            let before = self.nodes.remove(&birth.object).map(|node| node.holds).unwrap_or_default();
            let weak = before.into_iter().filter(|(_, hold)| hold.confidence == Confidence::Weak);
            self.nodes.insert(birth.object, Node { holds: weak.collect(), ..fresh() });
        }
        let node = self.nodes.entry(birth.object).or_insert_with(fresh);
        node.holds.insert(birth.dump, Hold { hops: 0, ..Hold::direct(now_ns) });
        if birth.sink == CoreSink::File {
            self.held_by_victim(&actor, &birth.object, now_ns);
        }
        let time = context.clock.wall(stamp_time(birth.dump));
        let via = match birth.sink {
            CoreSink::Program(_) => Via::File,
            CoreSink::Memory => Via::Memory,
            _ => Via::Core,
        };
        let mut step = Step::new(StepKind::Created, via, time, (source, from), (sink, to));
        step.flow = self.flow_id(&pair, birth.dump, "birth");
        step.dump = Some(about.clone());
        step.origin = Some(origin.clone());
        step.process = match birth.sink {
            CoreSink::Program(_) | CoreSink::Memory => looked.process.clone(),
            _ => victim.or_else(|| (birth.sink == CoreSink::File).then(|| looked.process.clone()).flatten()),
        };
        step.file = file;
        if matches!(birth.sink, CoreSink::Pipe | CoreSink::Socket) {
            step.file = Some(FileRef { path: None, inode: birth.object.id, fstype: None });
        }
        let dump = Dump {
            about,
            origin,
            object: birth.object,
            since_ns: stamp_time(birth.dump),
            birth: birth.sink.is_file().then(|| step.clone()),
            told: !birth.sink.is_file(),
            aged: time,
        };
        self.dumps.insert(birth.dump, dump);
        if let Some(colour) = birth.colour {
            self.coloured(birth.dump, colour);
        }
        if birth.sink.is_file() {
            return Vec::new();
        }
        if birth.sink != CoreSink::Memory {
            self.handler(&birth.actor);
            self.handled(birth, actor);
        }
        vec![step]
    }

    /// What a person reads for a dump's first carrier, until its path is known.
    fn name_at_birth(&self, birth: &Birth, looked: &Looked, actor: &CarrierKey) -> String {
        let path = looked.file.as_ref().and_then(|f| f.path.clone());
        let actor = &self.nodes[actor].carrier.name;
        match birth.sink {
            CoreSink::File => "core".to_owned(),
            CoreSink::Program(_) | CoreSink::Perhaps => path.unwrap_or_else(|| format!("inode {}", birth.object.id)),
            CoreSink::Memory => actor.clone(),
            CoreSink::Pipe => format!("pipe:[{}]", birth.object.id),
            CoreSink::Socket => format!("coredump socket of {actor}"),
        }
    }

    /// Other dumps that a process held are somewhere in its core, unless what it had of them was other data by then.
    fn held_by_victim(&mut self, victim: &CarrierKey, core: &CarrierKey, now_ns: u64) {
        let others = self.nodes.get(victim).map(|node| node.holds.clone()).unwrap_or_default();
        for (dump, hold) in others {
            let gone = hold.confidence == Confidence::Weak || hold.is_spent() || self.is_asleep(victim, dump, now_ns);
            let confidence = if gone { Confidence::Weak } else { Confidence::Swept };
            let next = Hold { hops: hold.hops + 1, confidence, ..Hold::direct(now_ns) };
            if let Some(node) = self.nodes.get_mut(core) {
                node.holds.entry(dump).or_insert(next);
            }
        }
    }

    /// The handler holds the dump from its first instruction.
    fn handled(&mut self, birth: &Birth, actor: CarrierKey) {
        if let Some(node) = self.nodes.get_mut(&actor) {
            node.holds.insert(birth.dump, Hold { hops: 1, given: true, ..Hold::direct(stamp_time(birth.dump)) });
            node.handler = true;
            if let Some(process) = &mut node.process {
                Arc::make_mut(process).dump_handler = true;
            }
        }
    }

    /// The writer of a dump has ended: key, size and path are final.
    pub fn written(&mut self, context: Context<'_>, birth: &Birth, looked: &Looked) -> Vec<Step> {
        let Some(dump) = self.dumps.get_mut(&birth.dump) else { return Vec::new() };
        let old = std::mem::replace(&mut dump.object, birth.object);
        dump.about.size = Some(birth.file.base.size);
        let id = self.carrier_id(&birth.object);
        let mut node = self.nodes.remove(&old).unwrap_or_else(|| {
            Node::new(Carrier { id, name: "core".to_owned() }, Place::unknown(), stamp_time(birth.dump))
        });
        node.carrier.id = id;
        node.file.clone_from(&looked.file);
        if let Some(file) = &looked.file {
            if let Some(path) = &file.path {
                node.carrier.name.clone_from(path);
            }
            node.place = Self::file_place(context, file, looked, &node.place);
        }
        let (carrier, place) = (node.carrier.clone(), node.place.clone());
        self.nodes.insert(birth.object, node);
        let Some(dump) = self.dumps.get_mut(&birth.dump) else { return Vec::new() };
        let about = dump.about.clone();
        let Some(mut step) = dump.birth.take() else { return Vec::new() };
        dump.told = true;
        step.dump = Some(about);
        step.sink = carrier;
        step.to = place;
        step.bytes = birth.file.base.size;
        step.file.clone_from(&looked.file);
        step.ended = Some(step.time);
        vec![step]
    }

    /// The file in which a dump was born.
    pub fn file_of(&self, dump: u64) -> Option<(CarrierKey, FileRef)> {
        let object = self.dumps.get(&dump)?.object;
        Some((object, self.nodes.get(&object)?.file.clone()?))
    }

    /// True when a process may hold a dump of this kind, so that what looks like one may be its copy.
    pub fn may_copy(&self, task: &CarrierKey, kind: DumpKind) -> bool {
        let held = self.nodes.get(task).into_iter().flat_map(|node| node.holds.keys());
        let kinds = held.filter_map(|dump| self.dumps.get(dump)).map(|dump| dump.about.kind);
        let vague = |kind: DumpKind| matches!(kind, DumpKind::Unknown | DumpKind::Derived | DumpKind::MemoryRead);
        vague(kind) || kinds.into_iter().any(|held| held == kind || vague(held))
    }

    /// A program has written its dump to the end.
    pub fn finished(&mut self, dump: u64, size: u64) -> Option<Step> {
        let dump = self.dumps.get_mut(&dump)?;
        dump.about.size = Some(size);
        let mut step = dump.birth.take()?;
        dump.told = true;
        step.dump = Some(dump.about.clone());
        step.bytes = size;
        step.ended = Some(step.time);
        Some(step)
    }

    /// A dump that was there before the agent.
    pub fn found(&mut self, context: Context<'_>, found: &Found, now: Time) -> Step {
        let looked = Looked { mount_source: found.mount_source.clone(), ..Looked::default() };
        let place = Self::file_place(context, &found.file, &looked, &context.zones.host());
        let Known { dump: about, origin, confidence, bytes } = self.known(found, &place);
        let name = found.file.path.clone().unwrap_or_else(|| format!("inode {}", found.file.inode));
        let carrier = Carrier { id: self.carrier_id(&found.object), name };
        let mut node = Node::new(carrier.clone(), place.clone(), stamp_time(found.dump));
        (node.file, node.maker) = (Some(found.file.clone()), context.zones.host());
        // Of what was once put there by others no more can be taken out; a copy may lack what is zero.
        let whole = about.size.is_some_and(|size| bytes >= size);
        let read = if whole { 0 } else { bytes };
        node.holds.insert(found.dump, Hold { confidence, read, whole, ..Hold::direct(stamp_time(found.dump)) });
        self.nodes.insert(found.object, node);
        let mut step = Step::new(StepKind::Found, Via::Scan, now, (carrier.clone(), place.clone()), (carrier, place));
        step.flow = self.flow_id(&PairKey { from: found.object, to: found.object }, found.dump, "found");
        step.dump = Some(about.clone());
        step.origin = Some(origin.clone());
        step.file = Some(found.file.clone());
        step.ended = Some(now);
        (step.confidence, step.bytes) = (confidence, bytes);
        let since_ns = stamp_time(found.dump);
        self.dumps.insert(
            found.dump,
            Dump { about, origin, object: found.object, since_ns, birth: None, told: true, aged: now },
        );
        step
    }

    /// What the agent before knew of it, or what the file tells.
    fn known(&self, found: &Found, place: &Place) -> Known {
        let told = || {
            let dump = DumpRef {
                id: self.dump_id(&found.object, &found.created.0.to_le_bytes()),
                content: None,
                kind: found.kind,
                size: Some(found.size),
                created: found.created,
                candidates: Vec::new(),
            };
            let (place, host) = (place.clone(), self.host.id.clone());
            let origin = Origin { place, host, inferred: true, process: None, candidates: Vec::new() };
            Known { dump, origin, confidence: Confidence::Direct, bytes: found.size }
        };
        found.known.as_deref().cloned().unwrap_or_else(told)
    }

    /// Birth steps whose path has not come in time. They are told again when it comes.
    pub(super) fn overdue(&mut self, now_ns: u64) -> Vec<Step> {
        let late = |d: &&mut Dump| now_ns.saturating_sub(d.since_ns) > PATIENCE_NS;
        self.dumps.values_mut().filter(late).filter_map(Dump::announce).collect()
    }

    /// The birth step of a dump that moves before its path is known goes out first, and again when it is.
    pub(super) fn announce(&mut self, dump: u64) -> Option<Step> {
        self.dumps.get_mut(&dump)?.announce()
    }

    fn about(&self, context: Context<'_>, birth: &Birth) -> DumpRef {
        DumpRef {
            id: self.dump_id(&birth.object, &birth.dump.to_le_bytes()),
            content: None,
            kind: match birth.sink {
                CoreSink::Program(format) => format::kind(format),
                CoreSink::Memory => DumpKind::MemoryRead,
                _ => DumpKind::KernelCore,
            },
            size: None,
            created: context.clock.wall(stamp_time(birth.dump)),
            candidates: Vec::new(),
        }
    }

    /// `dump.id`: over host, boot, device and inode or task, and the time of birth, so that a replay repeats it.
    fn dump_id(&self, object: &CarrierKey, birth: &[u8]) -> Id {
        Id::of(&[
            b"dump",
            self.host.id.as_bytes(),
            self.host.boot.as_bytes(),
            &object.dev.to_le_bytes(),
            &object.id.to_le_bytes(),
            &object.generation.to_le_bytes(),
            birth,
        ])
    }

    /// Whose memory it is. For a file the actor, or the process that it traces; for a handler the crash that its command
    /// line names, or the only one.
    fn victim(&mut self, birth: &Birth, looked: &Looked, pattern: &str) -> (Option<Arc<Process>>, Vec<String>) {
        if let CoreSink::Program(_) = birth.sink {
            return (looked.other.clone().or_else(|| looked.process.clone()), Vec::new());
        }
        if birth.sink == CoreSink::Memory {
            return (looked.other.clone(), Vec::new());
        }
        // Of a number that was given out twice the last.
        let by_pid = |pid: u32| self.crashes.iter().rposition(|c| [c.tgid, c.thread].contains(&pid));
        if birth.sink != CoreSink::Pipe {
            // It waits for no handler any more.
            by_pid(birth.actor.base.tgid).and_then(|at| self.crashes.remove(at));
            return (looked.process.clone(), Vec::new());
        }
        let told = birth.actor.argv.as_deref().and_then(|argv| core_victim(pattern, argv));
        let chosen = told.and_then(by_pid).or_else(|| (self.crashes.len() == 1).then_some(0));
        match chosen.and_then(|at| self.crashes.remove(at)) {
            Some(crash) => (crash.process, Vec::new()),
            // A handler starts right after its crash.
            None => (None, self.crashes.iter().rev().take(CANDIDATES).map(|c| c.name.clone()).collect()),
        }
    }

    fn victim_carrier(&self, birth: &Birth, victim: Option<&Process>, actor: CarrierKey) -> Carrier {
        match victim {
            Some(p) if birth.sink == CoreSink::Pipe || birth.traced.is_some() => Carrier {
                id: self.carrier_id(&CarrierKey::task(p.pid, CarrierKey::task_id(p.start_ns, p.exec_id))),
                name: format!("{}[{}]", p.comm, p.pid),
            },
            None if birth.sink == CoreSink::Pipe => {
                Carrier { id: self.carrier_id(&CarrierKey::default()), name: "a crashed process".to_owned() }
            }
            None if birth.sink == CoreSink::Memory => {
                let key = birth.traced.unwrap_or_default();
                let name = birth.traced.map_or_else(|| "the kernel".to_owned(), |key| format!("[{}]", key.generation));
                Carrier { id: self.carrier_id(&key), name }
            }
            _ => self.nodes[&actor].carrier.clone(),
        }
    }

    /// A file's zone: its mount's, else that of the process that made it.
    pub(super) fn file_place(context: Context<'_>, file: &FileRef, looked: &Looked, maker: &Place) -> Place {
        let (Some(path), Some(fstype)) = (&file.path, &file.fstype) else { return maker.clone() };
        context.zones.file(path, fstype, looked.mount_source.as_deref()).map_or_else(|| maker.clone(), |d| d.place)
    }
}

impl Hold {
    pub(super) const fn direct(now_ns: u64) -> Self {
        Self {
            hops: 0,
            confidence: Confidence::Direct,
            read: 0,
            whole: true,
            given: false,
            passed: 0,
            last_read_ns: now_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::File, trail::Host};

    /// A trail in which processes 1 to `crashes` have crashed.
    fn trail(crashes: u32) -> Trail {
        let mut trail = Trail::new(Host { id: "host".into(), boot: "boot".into() });
        for tgid in 1..=crashes {
            let mut actor = Actor::default();
            (actor.base.tgid, actor.base.tid) = (tgid, 10_000 + tgid);
            let process = Some(Arc::new(Process { pid: tgid, ..Process::default() }));
            trail.crashed(&actor, &Looked { process, ..Looked::default() }, u64::from(tgid));
        }
        trail
    }

    /// The handler's command line.
    fn handled(argv: &str) -> Birth {
        let actor = Actor { argv: Some(argv.replace(' ', "\0").into_bytes()), ..Actor::default() };
        let (object, file) = (CarrierKey::default(), File::default());
        Birth { dump: 1, object, colour: None, sink: CoreSink::Pipe, file, actor, traced: None }
    }

    #[test]
    fn of_many_crashes_the_last_are_remembered_and_few_are_named() {
        let mut trail = trail(3000);
        assert_eq!(trail.crashes.len(), CRASHES);
        let mut victim = |argv: &str| trail.victim(&handled(argv), &Looked::default(), "|/h %P");
        let (process, names) = victim("/h");
        assert_eq!((process, names.len()), (None, CANDIDATES));
        assert_eq!((names[0].as_str(), names[15].as_str()), ("[3000]", "[2985]"));
        let (process, names) = victim("/h 2500");
        assert_eq!((process.map(|p| p.pid), names.len()), (Some(2500), 0));
        assert_eq!(victim("/h 2500").0, None, "its dump is born");
        assert_eq!(victim("/h 1976").0, None, "the oldest go first");
    }

    #[test]
    fn a_thread_names_its_process() {
        let (process, names) = trail(2).victim(&handled("/h 10002"), &Looked::default(), "|/h %I");
        assert_eq!((process.map(|p| p.pid), names.len()), (Some(2), 0));
    }

    #[test]
    fn a_handler_is_told_its_victim_by_the_pattern() {
        assert_eq!(core_victim("|/usr/lib/handler %P %e", b"/usr/lib/handler\x00123\0sh\0"), Some(123));
        assert_eq!(core_victim("|/usr/lib/handler --pid=%p.x", b"/usr/lib/handler\0--pid=77.x\0"), Some(77));
        assert_eq!(core_victim("|/x/script.sh %P %s", b"/bin/sh\0-e\0/x/script.sh\x00123\x0011\0"), Some(123));
        assert_eq!(core_victim("|/usr/lib/handler %e", b"/usr/lib/handler\x00123\0"), None);
        assert_eq!(core_victim("|/usr/lib/handler %P", b"/usr/lib/handler\0abc\0"), None);
        let apport = "|/usr/share/apport/apport -p%p -s%s -c%c -d%d -P%P -u%u -g%g -F%F -- %E";
        let argv = b"/usr/bin/python3\0/usr/share/apport/apport\0-p7\0-s11\0-c0\0-d1\0-P4711\0-u0\0-g0\0-F-1\0--\0!x\0";
        assert_eq!(core_victim(apport, argv), Some(4711), "in a container it has another pid");
        assert_eq!(core_victim("|/h %i %p %I", b"/h\x008\x007\x004712\0"), Some(4712));
        assert_eq!(core_victim("|/h %i %p", b"/h\x008\x007\0"), Some(7));
    }
}
