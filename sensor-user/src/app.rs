//! The wiring: threads, queues, executors. The only file, with `cli`, that knows the topology.
//!
//! | queue | from → to | bound | when full | counter |
//! |---|---|---|---|---|
//! | ring `URGENT` | kernel → core loop | 1 MiB | record dropped, edge retried | `urgent_ring_full` |
//! | ring `FLOW` | kernel → core loop | 8 MiB | record dropped, edge retried | `flow_ring_full` |
//! | inbox | workers → core loop | 1,024 inputs | the worker waits | – |
//! | identify | core loop → worker | 1,024 dumps | content stays unknown | `identify_queue_full` |
//! | sweep | core loop → worker | 4,096 questions | holders are not looked for | `sweep_queue_full` |
//! | journal | core loop → writer | see `journal` | steps first, alerts have a share | `journal_queue_full` |
//! | console | core loop → writer | 1 MiB | lines dropped, notice later | `output-lost` |

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
};

use sensor_abi::key::{CarrierKey, PairKey};

use suspects::Suspect;

use crate::{
    bell::Bell,
    clock,
    config::{Config, schema::Arming as ArmingMode},
    core::{Effect, Input, State},
    dump::source::Settings as CoreSettings,
    host,
    ndjson::{Ready, Stopped},
    probe::{arm::Arming, handover::Waiting, kernel::Kernel, sweep::Wanted},
    ring::Rings,
    rules,
    step::{FileRef, Notice},
};

mod fence;
mod fitness;
mod identify;
mod inbox;
mod intake;
mod lookup;
mod names;
mod outputs;
mod policy;
mod record;
mod reload;
mod search;
mod start;
mod suspects;
mod sweeper;
mod trusted;
mod upkeep;

pub use fence::needs_fentry;
pub use fitness::{is_fit, missing};
pub use lookup::Lookup;
pub use outputs::Outputs;
pub use start::{Options, StartError, start};

/// The core loop wakes at least so often.
const TICK_NS: u64 = 1_000_000_000;
/// What nothing tells is looked at so often.
const LOOK_NS: u64 = 200_000_000;
/// How soon a movement that was under way is looked at again.
const SETTLE_NS: u64 = 10_000_000;
/// Changes of names are read at most so often.
const NAMES_NS: u64 = 2_000_000;
/// A dump that a program is writing.
struct Unfinished {
    dump: u64,
    key: CarrierKey,
    /// Address of the inode.
    inode: u64,
    /// The writer, and where the file is.
    pid: u32,
    file: FileRef,
}

/// What signals ask of the loop.
#[derive(Clone, Debug)]
pub struct Control {
    asked: Arc<AtomicU8>,
    bell: Bell,
}

const RUN: u8 = 0;
const RELOAD: u8 = 1;
const TERMINATE: u8 = 2;
const INTERRUPT: u8 = 3;

impl Control {
    /// Nothing is asked.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { asked: Arc::default(), bell: Bell::new()? })
    }
    /// SIGHUP.
    pub fn reload(&self) {
        let _ = self.asked.compare_exchange(RUN, RELOAD, Ordering::SeqCst, Ordering::SeqCst);
        self.bell.ring();
    }
    /// SIGTERM.
    pub fn terminate(&self) {
        self.ask(TERMINATE);
    }
    /// SIGINT.
    pub fn interrupt(&self) {
        self.ask(INTERRUPT);
    }
    fn ask(&self, what: u8) {
        self.asked.store(what, Ordering::SeqCst);
        self.bell.ring();
    }
    fn take(&self) -> u8 {
        match self.asked.compare_exchange(RELOAD, RUN, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(asked) | Err(asked) => asked,
        }
    }
}

/// The running agent.
pub struct Agent {
    core: State,
    rings: Rings,
    kernel: Kernel,
    arming: Arming,
    guard: fence::Guard,
    lookup: Lookup,
    names: names::Names,
    identifier: identify::Identifier,
    sweeper: sweeper::Sweeper,
    inbox: mpsc::Receiver<inbox::Answer>,
    outputs: Outputs,
    control: Control,
    config_paths: Vec<PathBuf>,
    config: Config,
    state_dir: PathBuf,
    core_settings: Option<CoreSettings>,
    ready: Ready,
    fitness: fitness::Fitness,
    timers: Timers,
    /// Movements whose bytes, or whose receiver on this kernel, were not known when they were reported by the kernel; and
    /// since when, ns since boot.
    fresh: BTreeMap<PairKey, u64>,
    /// Dumps that programs are writing.
    unfinished: Vec<Unfinished>,
    /// Files that may become dumps.
    suspects: Vec<Suspect>,
    /// Dumps of the search at the start, until their holders are looked for.
    found: Vec<Wanted>,
    /// Threads in reads whose end no program sees.
    waiting: Vec<Waiting>,
    /// Files that were opened before the flow hooks stood; none where nothing tells of that.
    opened: Option<BTreeSet<CarrierKey>>,
    kernel_log: Option<aya_log::EbpfLogger<&'static dyn log::Log>>,
    identify_dropped: u64,
    recorder: record::Recorder,
}

#[expect(clippy::struct_field_names, reason = "the unit belongs to each name")]
#[derive(Default)]
struct Timers {
    tick_ns: u64,
    reap_ns: u64,
    /// Since when nothing is live.
    idle_ns: Option<u64>,
    armed_told_ns: u64,
    /// A birth whose arming has not been told.
    born_ns: Option<u64>,
    /// Last change of a name.
    named_ns: u64,
    /// Since when network namespaces may be gone that zones name.
    unnamed_ns: Option<u64>,
}

impl Agent {
    /// Runs until a signal says otherwise. Returns why it stopped.
    pub fn run(mut self) -> &'static str {
        self.fortify();
        crate::sys::trim();
        self.outputs.ready(&self.ready);
        self.fitness.tell();
        self.tell_standing();
        self.trust();
        let reason = loop {
            match self.control.take() {
                RELOAD => self.reload(),
                TERMINATE => break "SIGTERM",
                INTERRUPT => break "SIGINT",
                _ => {}
            }
            self.turn();
        };
        self.stop(reason);
        reason
    }

    /// Waits for something, and works on what is there.
    fn turn(&mut self) {
        self.wait();
        self.control.bell.silence();
        self.drain();
        self.finish();
        self.examine();
        while let Ok(answer) = self.inbox.try_recv() {
            self.answered(answer);
        }
        self.follow_names();
        let now = clock::boottime();
        if now.saturating_sub(self.timers.tick_ns) >= TICK_NS {
            self.timers.tick_ns = now;
            self.tick(now);
        }
    }

    /// Names wake it as well, but not for every write of a long copy. Whether a dump is whole, and how far a movement has
    /// come, nothing tells: while there are any, it looks.
    fn wait(&self) {
        let (now, bell) = (clock::boottime(), Some(self.control.bell.as_fd()));
        let changing = now.saturating_sub(self.timers.named_ns) < NAMES_NS;
        let names = if changing { None } else { self.names.fd() };
        let tick = (self.timers.tick_ns + TICK_NS).saturating_sub(now);
        let longest = match (self.fresh.is_empty(), self.unfinished.is_empty() && self.suspects.is_empty()) {
            (false, _) => SETTLE_NS,
            (true, false) => LOOK_NS,
            (true, true) => tick,
        };
        self.rings.wait([bell, names], tick.min(longest));
    }

    fn feed(&mut self, input: Input) {
        self.feed_at(clock::boottime(), input);
    }

    fn feed_at(&mut self, now: u64, input: Input) {
        if let Input::Bytes(pair, count) = &input {
            self.recorder.bytes(pair, *count);
        }
        for effect in self.core.step(now, input) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Step(step) => self.outputs.step(&step),
            Effect::Alert(alert) => self.outputs.alert(&alert),
            Effect::Gap(gap) => self.outputs.gap(&gap),
            Effect::Notice(notice) => self.outputs.notice(&notice),
            Effect::Identify { dump, key, file } => self.identifier.ask(dump, &key, &file, &self.lookup),
            Effect::Watch(key, file, pid) => {
                if let Some(handle) = identify::open(&key, &file, pid, &self.lookup)
                    && let Some(change) = self.names.watch(key, &handle, &file, self.lookup.mounts())
                {
                    self.named(names::Event::Changed(key, change, 0));
                }
            }
        }
    }

    fn reload(&mut self) {
        match rules::load(&self.config_paths) {
            Ok(loaded) => {
                reload::warn(&loaded);
                reload::taken(&loaded.config, &self.state_dir);
                let zones = Arc::new(host::zones(&loaded.config));
                self.ready.config_hash = loaded.config.hash.to_string();
                self.fitness.configured();
                self.fitness.tell();
                loaded.config.enforcement.name().clone_into(&mut self.ready.enforcement);
                self.lookup.configure(&loaded);
                self.config = loaded.config;
                self.guard.ruleset = Arc::clone(&loaded.ruleset);
                self.feed(Input::Reloaded(loaded.ruleset, zones));
                self.fortify();
                self.tell_standing();
                self.trust();
                let text = format!("configuration {} is in force", self.config.hash);
                let time = clock::now();
                self.outputs.notice(&Notice { time, kind: "config-reloaded", text, dump: None, content: None });
            }
            Err(findings) => {
                let text = reload::refusal(&findings, "the one before stays in force");
                tracing::error!("the new configuration is invalid: {text}");
                self.feed(Input::Rejected(text));
            }
        }
    }

    /// Tells the kernel which executables are declassifiers.
    fn trust(&mut self) {
        let (files, notices) = trusted::open(&self.config, self.lookup.mounts());
        for notice in &notices {
            self.outputs.notice(notice);
        }
        if let Err(error) = self.kernel.trust(&files) {
            tracing::error!(%error, "trusted executables could not be told to the kernel: none is trusted");
        }
    }

    /// Last counts, last lines, everything flushed.
    fn stop(&mut self, reason: &'static str) {
        self.fitness.retract();
        self.drain_all();
        let pairs: Vec<_> = self.core.trail.pairs().copied().collect();
        for pair in pairs {
            if let Some(moved) = self.kernel.moved(&pair) {
                self.feed(Input::Bytes(pair, moved.into()));
            }
        }
        self.tell_losses();
        self.feed(Input::Stopping(reason.to_owned()));
        self.outputs.tick(&mut self.core, &mut self.rings);
        self.arming.stop();
        let (steps, alerts) = (self.core.counts.steps, self.core.counts.alerts);
        self.outputs.stop(&Stopped { time: clock::now(), reason: reason.to_owned(), steps, alerts });
    }
}

/// True when the configuration wants the flow hooks attached for good.
fn always(config: &Config) -> bool {
    config.arming == ArmingMode::Always
}
