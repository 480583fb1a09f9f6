//! The graph of where every dump is: carriers that hold it, and the flows between them. Events come in, steps go out.
//! Pure: time, zones and what was looked up come with the call.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use sensor_abi::{
    key::{CarrierKey, PairKey},
    mark::{COLOURS, MANY, MarkSet, PairBytes},
};

use crate::{
    clock::{Clock, Time},
    event::Actor,
    step::{Carrier, Confidence, DumpRef, FileRef, Id, Origin, Place, Process, Step},
    zones::Zones,
};

mod birth;
mod book;
mod flow;
mod life;
mod moves;
mod names;
mod opening;
mod share;
mod verdict;

pub use birth::{Found, Known, core_victim};
pub use flow::FEW_NS;
pub use life::Executed;
pub use names::Change;

/// Others that are named where the mark cannot tell which dump it is.
const CANDIDATES: usize = 16;
/// Handlers that are remembered: more than run at one time.
const HANDLERS: usize = 1024;

/// What the trail needs to know to judge one event.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Turns kernel time into wall-clock time.
    pub clock: Clock,
    /// Zones as configured now.
    pub zones: &'a Zones,
}

/// An event's looked-up parts.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The actor, completed.
    pub process: Option<Arc<Process>>,
    /// The other process, completed: the one that the actor traces, or whose memory it reads or writes.
    pub other: Option<Arc<Process>>,
    /// The file, completed.
    pub file: Option<FileRef>,
    /// What is mounted there (`source`), for zones.
    pub mount_source: Option<String>,
}

/// Names of this host that identities are made of.
#[derive(Clone, Debug)]
pub struct Host {
    /// `host.id`.
    pub id: Arc<str>,
    /// Boot id.
    pub boot: Arc<str>,
}

/// A dump that is alive: some carrier holds it.
#[derive(Clone, Debug)]
struct Dump {
    about: DumpRef,
    origin: Origin,
    /// Where it was born.
    object: CarrierKey,
    /// Born at this kernel time.
    since_ns: u64,
    /// The birth step of one at rest, until its path and size are known.
    birth: Option<Step>,
    /// Its birth has been told.
    told: bool,
    /// Last daily step.
    aged: Time,
}

/// How a carrier holds a dump.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// Movements from the birth.
    hops: u32,
    /// The best way by which it came.
    confidence: Confidence,
    /// Bytes of it that came in: less than all that came in, where others put in theirs as well.
    read: u64,
    /// It is the dump, or how much of it came in is not counted.
    whole: bool,
    /// The kernel started it to take the dump from a pipe; whether it does is seen by its reads.
    given: bool,
    /// Bytes that went out since.
    passed: u64,
    /// When it last came in, ns since boot.
    last_read_ns: u64,
}

/// A carrier.
#[derive(Clone, Debug)]
struct Node {
    carrier: Carrier,
    place: Place,
    /// Where it was made: a file's place when it lies on no mount that has a zone.
    maker: Place,
    process: Option<Arc<Process>>,
    file: Option<FileRef>,
    holds: BTreeMap<u64, Hold>,
    /// When it was first heard of, ns since boot.
    since_ns: u64,
    /// For pipes and sockets: the process that wrote last.
    writer: Option<Writer>,
    /// The kernel started it, or an ancestor, to take a core from a pipe.
    handler: bool,
    /// It has gone elsewhere with what it holds: its place is where it got that.
    moved: bool,
}

/// Who wrote into a pipe or socket, as it was then: a reader may come when it is gone.
#[derive(Clone, Debug)]
struct Writer {
    key: CarrierKey,
    carrier: Carrier,
    place: Place,
    process: Option<Arc<Process>>,
}

impl Writer {
    fn of(key: CarrierKey, node: &Node) -> Self {
        let (carrier, place, process) = (node.carrier.clone(), node.place.clone(), node.process.clone());
        Self { key, carrier, place, process }
    }
}

/// What bytes come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A process that passes on what it has read.
    Process(CarrierKey),
    /// An object, or the memory of a process.
    Object(CarrierKey),
    /// A pipe, FIFO, socket, queue or terminal: what is read is taken out.
    Channel(CarrierKey),
}

impl Source {
    const fn key(&self) -> &CarrierKey {
        match self {
            Self::Process(key) | Self::Object(key) | Self::Channel(key) => key,
        }
    }

    const fn is_process(&self) -> bool {
        matches!(self, Self::Process(_))
    }
}

/// What a pair has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes.
    pub bytes: u64,
    /// When the last of them moved, ns since boot.
    pub last_ns: u64,
}

impl From<PairBytes> for Moved {
    fn from(PairBytes { bytes, last_ns, .. }: PairBytes) -> Self {
        Self { bytes, last_ns }
    }
}

/// One dump's movement between two carriers.
#[derive(Clone, Debug)]
struct Flow {
    dump: u64,
    /// As last reported, or as it would be.
    step: Step,
    /// Bytes of the pair before this dump joined, and since then.
    base: u64,
    moved: u64,
    /// When it began, and its last change, ns since boot.
    begun_ns: u64,
    last_ns: u64,
    /// Bytes of the last report; 0 as long as there was none.
    said: u64,
    /// How sure it was then.
    said_confidence: Confidence,
    /// The sender had passed on what it held when this began, and has not read it anew since: the count before the last growth.
    asleep: Option<Moved>,
    /// See [`Hold::is_spent`].
    spent: bool,
    /// What the source had of the dump when last asked: how sure, and how many bytes; 0 when they are not known.
    held: Confidence,
    had: u64,
    /// Where other dumps go the same way: how much this one can account for, no bound when that is not known, and how much they
    /// can.
    fair: u64,
    others: u64,
    /// How many dumps go that way.
    crowd: usize,
    /// Bytes that count as the dump's for the sink.
    credited: u64,
    /// Of a channel: bytes of the dump that this has taken out.
    took: u64,
    /// The file that it went to was emptied since.
    emptied: bool,
    /// Both ends are known elsewhere: only counted, never reported.
    hidden: bool,
    /// Where the bytes come from, and the carrier that then has them.
    source: Source,
    sink: Option<CarrierKey>,
    /// The process that moved them; in a transfer it is no end of the pair.
    actor: CarrierKey,
}

/// The graph.
pub struct Trail {
    host: Host,
    dumps: BTreeMap<u64, Dump>,
    colours: Vec<Option<u64>>,
    /// Dumps that share the colour "many".
    many: BTreeSet<u64>,
    nodes: BTreeMap<CarrierKey, Node>,
    flows: book::Book,
    /// Hops of the credit that is being handed on.
    onward: u8,
    /// Those whose dump is still to be born; the oldest first.
    crashes: VecDeque<birth::Crash>,
    /// Those that may be read in a moment.
    opened: Vec<opening::Opening>,
    /// Openings that were told, and when, ns since boot.
    looked: BTreeMap<(PairKey, u64), u64>,
    /// Dump handlers and their descendants, as (pid, start time); the oldest first.
    handlers: VecDeque<(u32, u64)>,
}

impl Trail {
    /// An empty graph.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            dumps: BTreeMap::new(),
            colours: vec![None; COLOURS as usize],
            many: BTreeSet::new(),
            nodes: BTreeMap::new(),
            flows: book::Book::default(),
            onward: 0,
            crashes: VecDeque::new(),
            opened: Vec::new(),
            looked: BTreeMap::new(),
            handlers: VecDeque::new(),
        }
    }

    /// The kernel gave a dump its colour.
    pub fn coloured(&mut self, dump: u64, colour: u32) {
        if colour == MANY {
            self.many.insert(dump);
        } else if let Some(slot) = self.colours.get_mut(colour as usize) {
            *slot = Some(dump);
        }
    }

    /// Colours of a set whose dump is not known yet.
    pub fn unknown_colours(&self, set: MarkSet) -> bool {
        set.colours().any(|c| if c == MANY { self.many.is_empty() } else { self.colours[c as usize].is_none() })
    }

    /// Identity of a dump, by its number in the kernel.
    pub fn id_of(&self, dump: u64) -> Option<Id> {
        self.dumps.get(&dump).map(|d| d.about.id)
    }

    /// Identities of the dumps that are alive, at most `most`: the last that were born.
    pub fn live(&self, most: usize) -> Vec<Id> {
        self.dumps.values().rev().take(most).map(|d| d.about.id).collect()
    }

    /// Number of carriers and flows that are kept.
    pub fn size(&self) -> (usize, usize) {
        (self.nodes.len(), self.flows.len())
    }

    /// Live dumps by zone of birth and kind, for metrics.
    pub fn census(&self) -> impl Iterator<Item = (&Place, crate::step::DumpKind)> {
        self.dumps.values().map(|d| (&d.origin.place, d.about.kind))
    }

    /// A dump's content is known.
    pub fn identified(&mut self, dump: u64, content: Id, size: u64) -> Option<DumpRef> {
        let dump = self.dumps.get_mut(&dump)?;
        dump.about.content = Some(content);
        dump.about.size = Some(size);
        Some(dump.about.clone())
    }

    /// Dumps that a set of colours stands for. The colour "many" stands for every live dump that shares it: the first is
    /// named, the others are its candidates.
    fn dumps_of(&self, set: MarkSet, from: Option<&CarrierKey>) -> Vec<u64> {
        let mut dumps: Vec<u64> = set.colours().filter_map(|c| self.colours[c as usize]).collect();
        if set.has(MANY) {
            dumps.extend(self.one_of_many(from));
        }
        dumps
    }

    /// The dump that the source is, or holds, among those that share the colour "many"; else the first of them.
    fn one_of_many(&self, from: Option<&CarrierKey>) -> Option<u64> {
        let born = |n: &&u64| self.dumps.get(n).is_some_and(|d| Some(&d.object) == from);
        let held = from.and_then(|key| self.nodes.get(key)).map(|n| &n.holds);
        let holds = |n: &&u64| held.is_some_and(|h| h.contains_key(n));
        let mut many = self.many.iter();
        many.clone().find(born).or_else(|| many.clone().find(holds)).or_else(|| many.next()).copied()
    }

    /// The dump as a step names it.
    fn dump_ref(&self, dump: u64, set: MarkSet) -> Option<DumpRef> {
        let mut about = self.dumps.get(&dump)?.about.clone();
        if set.has(MANY) {
            let others = self.dumps.iter().filter(|(n, _)| **n != dump).map(|(_, d)| d.about.id);
            about.candidates = others.take(CANDIDATES).collect();
        }
        Some(about)
    }

    /// The node of the acting process, renewed with what is known of it now.
    fn task(&mut self, context: Context<'_>, actor: &Actor, looked: &Looked, now_ns: u64) -> CarrierKey {
        let key = actor.key();
        let name = format!("{}[{}]", actor.comm(), actor.base.tgid);
        let place = looked.process.as_ref().map_or_else(|| context.zones.host(), |p| context.zones.process(p).place);
        let id = self.carrier_id(&key);
        let handler = self.is_handler(actor);
        let new = || Node::new(Carrier { id, name: name.clone() }, place.clone(), now_ns);
        let node = self.nodes.entry(key).or_insert_with(new);
        node.handler |= handler;
        node.carrier.name = name;
        // Of whom nothing new is known it stays where it is.
        if let Some(process) = &looked.process {
            node.moved |= node.is_elsewhere(process);
            if !node.moved {
                node.place = place;
            }
            let handler = node.handler;
            node.process = Some(if handler {
                Arc::new(Process { dump_handler: true, ..Process::clone(process) })
            } else {
                Arc::clone(process)
            });
        }
        key
    }

    /// True for a handler, for what it executes, and for what it starts: between two programs it may hold nothing, and
    /// then no record tells of it.
    fn is_handler(&mut self, actor: &Actor) -> bool {
        let known = |tgid: u32, start: u64| self.handlers.contains(&(tgid, start));
        let it_is = known(actor.base.tgid, actor.base.start_ns);
        let child = !it_is && known(actor.base.parent_tgid, actor.base.parent_start_ns);
        if child {
            self.handler(actor);
        }
        it_is || child
    }

    /// Remembers a handler.
    fn handler(&mut self, actor: &Actor) {
        self.handlers.push_back((actor.base.tgid, actor.base.start_ns));
        if self.handlers.len() > HANDLERS {
            self.handlers.pop_front();
        }
    }

    /// `from.id` and `to.id`.
    fn carrier_id(&self, key: &CarrierKey) -> Id {
        Id::of(&[
            b"carrier",
            self.host.id.as_bytes(),
            self.host.boot.as_bytes(),
            &key.id.to_le_bytes(),
            &key.dev.to_le_bytes(),
            &key.generation.to_le_bytes(),
        ])
    }

    /// `flow.id`.
    fn flow_id(&self, pair: &PairKey, dump: u64, part: &str) -> Id {
        let (from, to) = (self.carrier_id(&pair.from), self.carrier_id(&pair.to));
        Id::of(&[b"flow", &from.0, &to.0, &dump.to_le_bytes(), part.as_bytes()])
    }
}

impl Node {
    fn new(carrier: Carrier, place: Place, since_ns: u64) -> Self {
        let (maker, process, file, holds) = (place.clone(), None, None, BTreeMap::new());
        Self { carrier, place, maker, process, file, holds, since_ns, writer: None, handler: false, moved: false }
    }

    /// A process that holds a dump has changed what zones go by: its network namespace, its cgroup or its user. Zones that
    /// are configured anew move nobody.
    fn is_elsewhere(&self, now: &Process) -> bool {
        let of = |p: &Process| (p.netns, p.cgroup_id, p.user_id);
        !self.holds.is_empty() && self.process.as_ref().is_some_and(|before| of(before) != of(now))
    }
}
