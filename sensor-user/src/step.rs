//! What an event means: one movement of one dump. Every later stage's currency.

use std::{fmt, net::IpAddr, sync::Arc};

use sensor_abi::flow::Via;

use crate::clock::Time;

mod gap;

pub use gap::Gap;

/// An enum whose values have names for people and files.
macro_rules! names {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum { $($(#[$doc])* $name,)* }

        impl $enum {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// All names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($text,)*];
            /// The name in YAML, NDJSON and OTLP.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::NAMES.iter().position(|n| *n == name).map(|i| Self::ALL[i])
            }
        }

        impl ::std::fmt::Display for $enum {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { f.write_str(self.name()) }
        }
    };
}

pub(crate) use names;

names! {
    /// `step.kind`.
    StepKind {
        /// process → file: a dump was born.
        Created = "created",
        /// – → process: a dump that was there before the agent.
        Found = "found",
        /// peer → process: a dump that came over the network.
        Received = "received",
        /// file → process, nothing read yet.
        Opened = "opened",
        /// file → process.
        Read = "read",
        /// file → process, by mmap(2).
        Mapped = "mapped",
        /// process → file.
        Written = "written",
        /// process → file: the dump's bytes are gone from it.
        Truncated = "truncated",
        /// process → peer.
        Sent = "sent",
        /// giver → taker: a descriptor.
        Passed = "passed",
        /// process → process: argv or environment may carry.
        Executed = "executed",
        /// old mount → new mount.
        Renamed = "renamed",
        /// old mount → new mount.
        Linked = "linked",
        /// file → file: the name is gone.
        Deleted = "deleted",
        /// file → file: daily, per live dump.
        Aged = "aged",
        /// Host event without a dump: `core_pattern` and friends.
        HandlerChanged = "handler-changed",
        /// Host event without a dump.
        AgentStopped = "agent-stopped",
        /// Host event without a dump: the configuration was refused, another one is in force.
        ConfigRejected = "config-rejected",
        /// Host event without a dump: the agent runs although something is missing.
        AgentDegraded = "agent-degraded",
    }
}

impl StepKind {
    /// Kinds that rules may name, and no step has yet.
    pub const NOT_YET: &'static [Self] = &[Self::Passed];

    /// It is about the host or the agent: there is no dump.
    pub const fn is_host_event(self) -> bool {
        matches!(self, Self::HandlerChanged | Self::AgentStopped | Self::ConfigRejected | Self::AgentDegraded)
    }
}

names! {
    /// `dump.kind`.
    DumpKind {
        /// Written by the kernel's core writer.
        KernelCore = "kernel-core",
        /// JVM hprof, V8 heap snapshot, Go heap dump.
        HeapDump = "heap-dump",
        /// Breakpad and crashpad minidump.
        Minidump = "minidump",
        /// The memory of a whole machine.
        Vmcore = "vmcore",
        /// Raw memory, known by provenance only.
        MemoryRead = "memory-read",
        /// Made from a dump; the dump itself is not known.
        Derived = "derived",
        /// Anything else, an ELF core of unknown writer included.
        Unknown = "unknown",
    }
}

names! {
    /// `step.confidence`: how sure it is that the bytes are the dump's.
    Confidence {
        /// Found by a sweep: what moved in between was not seen.
        Swept = "swept",
        /// The carrier had passed on what it held, or held it long ago.
        Weak = "weak",
        /// Bytes made from the dump: far fewer went out than came in.
        Derived = "derived",
        /// The bytes themselves, or as many.
        Direct = "direct",
    }
}

names! {
    /// A zone's exposure, from the most to the least trusted; the order is the rank.
    Exposure {
        /// Must not leave.
        Isolated = "isolated",
        /// Inside, but not isolated.
        Internal = "internal",
        /// Reachable from the Internet, or the Internet.
        InternetFacing = "internet-facing",
        /// No line says.
        Unknown = "unknown",
    }
}

impl Exposure {
    /// isolated 0, internal 1, internet-facing 2, unknown 3.
    pub const fn rank(self) -> i64 {
        self as i64
    }
}

names! {
    /// An alert's severity.
    Severity {
        /// Worth knowing.
        Info = "info",
        /// A trickle, or derived data.
        Low = "low",
        /// Look at it today.
        Medium = "medium",
        /// Look at it now.
        High = "high",
        /// A dump has left.
        Critical = "critical",
    }
}

names! {
    /// `step.verdict`: what the kernel decided on a movement that a rule forbids.
    Verdict {
        /// `enforcement: observe`: it was only said.
        WouldBlock = "would-block",
        /// The call got EPERM.
        Blocked = "blocked",
    }
}

impl Severity {
    /// The OpenTelemetry severity number.
    pub const fn otel(self) -> i32 {
        match self {
            Self::Info => 9,
            Self::Low => 10,
            Self::Medium => 13,
            Self::High => 17,
            Self::Critical => 21,
        }
    }
}

/// 128 bits, printed as 32 hex digits: `dump.id`, `dump.content`, `flow.id`, `alert.key`, `alert.id`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// The first 16 bytes of BLAKE3 over `parts`, each with its length in front, so that no two lists collide.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
    /// Reads 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One end of a step: the zone that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the zone; `unknown` when no line says.
    pub zone: Arc<str>,
    /// Its exposure.
    pub exposure: Exposure,
}

impl Place {
    /// The place about which nothing is known.
    pub fn unknown() -> Self {
        Self { zone: Arc::from("unknown"), exposure: Exposure::Unknown }
    }
}

/// A process, as far as it could be learnt. What is missing is missing: nothing is guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id, initial namespace.
    pub pid: u32,
    /// Start time of the leader, ns since boot: with `pid` it names the process for good.
    pub start_ns: u64,
    /// How often it had executed a program.
    pub exec_id: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Name of the thread that acted.
    pub comm: String,
    /// Path of the executable.
    pub executable: Option<String>,
    /// SHA-256 of the executable, hex, when some rule asks for it.
    pub executable_sha256: Option<String>,
    /// Command line, already masked and cut as `privacy` says.
    pub command_line: Option<String>,
    /// Number of arguments.
    pub args_count: Option<u32>,
    /// Working directory.
    pub working_directory: Option<String>,
    /// Real user id.
    pub user_id: u32,
    /// Name of that user on this host.
    pub user_name: Option<String>,
    /// Login user id (audit), when set.
    pub login_user_id: Option<u32>,
    /// cgroup v2 path.
    pub cgroup: Option<String>,
    /// cgroup v2 id.
    pub cgroup_id: u64,
    /// Container id, 64 hex digits or as the runtime names it.
    pub container_id: Option<String>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the mount namespace.
    pub mntns: u32,
    /// Executables of the ancestors, parent first.
    pub ancestors: Vec<String>,
    /// The kernel started it, or an ancestor of it, to take a core from a pipe.
    pub dump_handler: bool,
    /// Kubernetes, when the runtime told.
    pub k8s: Option<Arc<Pod>>,
}

/// The pod of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `k8s.namespace.name`.
    pub namespace: String,
    /// `k8s.pod.name`.
    pub name: String,
    /// `k8s.pod.uid`.
    pub uid: String,
    /// `k8s.pod.labels`.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// The dump that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpRef {
    /// Given at birth, never changes.
    pub id: Id,
    /// Names the content, once known.
    pub content: Option<Id>,
    /// What wrote it.
    pub kind: DumpKind,
    /// Size in bytes, once known.
    pub size: Option<u64>,
    /// When it was born.
    pub created: Time,
    /// Dumps that it may be instead, when the mark does not tell (colour "many", several crashes at one handler).
    pub candidates: Vec<Id>,
}

/// Where the dump was born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Zone of the birth.
    pub place: Place,
    /// `host.id` of the birth.
    pub host: Arc<str>,
    /// True when the birth was not seen: it arrived, or was found at rest.
    pub inferred: bool,
    /// The process whose memory it is, when known.
    pub process: Option<Arc<Process>>,
    /// Processes whose memory it may be, as `name[pid]`, when several crashed at once and nothing tells them apart.
    pub candidates: Vec<String>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRef {
    /// Path as seen by the actor, or within its file system when the mount is not known.
    pub path: Option<String>,
    /// Inode number.
    pub inode: u64,
    /// Type of the file system (`mount.fstype`).
    pub fstype: Option<String>,
}

/// The far end of a `sent` or `received` step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address, normalised: v4-mapped is v4.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// The address is a relay: the zone is what it reaches.
    pub via_relay: bool,
}

/// A kernel object at one end of a step, as the trail shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The same for the same object on every step of this boot.
    pub id: Id,
    /// What a person reads: `/var/crash/core.7`, `curl[812]`, `pipe:[4711]`, `203.0.113.9:443`.
    pub name: String,
}

/// One movement of one dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was seen last (for a new step: when it began).
    pub time: Time,
    /// What happened.
    pub kind: StepKind,
    /// By which means.
    pub via: Via,
    /// The dump; absent for host events.
    pub dump: Option<DumpRef>,
    /// Its birth; absent for host events.
    pub origin: Option<Origin>,
    /// Zone of the source end.
    pub from: Place,
    /// Zone of the sink end.
    pub to: Place,
    /// The source end.
    pub source: Carrier,
    /// The sink end.
    pub sink: Carrier,
    /// The flow that the step belongs to; the same for all growth reports of one flow.
    pub flow: Id,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Bytes of the dump that the process had read before.
    pub read_bytes: u64,
    /// Time since that read, ns; absent when it never read.
    pub age_ns: Option<u64>,
    /// How sure.
    pub confidence: Confidence,
    /// Edges from the birth to here.
    pub hops: u32,
    /// When the flow began.
    pub started: Time,
    /// When it ended; absent while it goes on.
    pub ended: Option<Time>,
    /// The actor.
    pub process: Option<Arc<Process>>,
    /// The file concerned.
    pub file: Option<FileRef>,
    /// The far end.
    pub peer: Option<Peer>,
    /// What the kernel decided, where a rule forbids it.
    pub verdict: Option<Verdict>,
    /// Free words on a host event (old and new handler) or on what is not certain.
    pub detail: Option<String>,
}

impl Step {
    /// A step that begins, with nothing but its ends.
    pub fn new(
        kind: StepKind,
        via: Via,
        time: Time,
        (source, from): (Carrier, Place),
        (sink, to): (Carrier, Place),
    ) -> Self {
        Self {
            time,
            kind,
            via,
            dump: None,
            origin: None,
            from,
            to,
            source,
            sink,
            flow: Id::default(),
            bytes: 0,
            read_bytes: 0,
            age_ns: None,
            confidence: Confidence::Direct,
            hops: 0,
            started: time,
            ended: None,
            process: None,
            file: None,
            peer: None,
            verdict: None,
            detail: None,
        }
    }

    /// `step.crossing`: the two ends are in different zones.
    pub fn crossing(&self) -> bool {
        self.from.zone != self.to.zone
    }
    /// `step.ratio`: bytes moved per byte read before; absent when nothing was read.
    pub fn ratio(&self) -> Option<f64> {
        (self.read_bytes > 0).then(|| self.bytes as f64 / self.read_bytes as f64)
    }
}

/// Something that a person should know and that is no alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When.
    pub time: Time,
    /// Short name: `identified`, `config-kept`, `output-lost`, …
    pub kind: &'static str,
    /// A sentence.
    pub text: String,
    /// The dump concerned.
    pub dump: Option<Id>,
    /// Its content, for `identified`.
    pub content: Option<Id>,
}
