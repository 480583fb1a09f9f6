//! The wiring: threads, queues, executors. The only file, with `cli`, that knows the topology.
//!
//! | queue | from → to | bound | when full | counter |
//! |---|---|---|---|---|
//! | ring `URGENT` | kernel → core loop | 256 KiB | record dropped, edge retried | `urgent_ring_full` |
//! | ring `FLOW` | kernel → core loop | 8 MiB | record dropped, edge retried | `flow_ring_full` |
//! | inbox | workers → core loop | 1,024 inputs | the worker waits | – |
//! | identify | core loop → worker | 1,024 dumps | content stays unknown | `identify_queue_full` |
//! | journal | core loop → writer | see `journal` | steps first, alerts have a share | `journal_queue_full` |
//! | console | core loop → writer | 1 MiB | lines dropped, notice later | `output-lost` |

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    time::Duration,
};

use sensor_abi::{
    key::{CarrierKey, PairKey},
    mark::stamp_time,
};

use crate::{
    clock::{self, Clock},
    config::{Config, schema::Arming as ArmingMode},
    core::{Effect, Input, State},
    dump::source::Settings as CoreSettings,
    event::{Body, CoreSink, Event},
    ndjson::{Ready, Stopped},
    probe::{
        arm::Arming,
        kernel::Kernel,
        sweep::{self, Wanted},
    },
    ring::Rings,
    step::Notice,
    zones::Zones,
};

mod identify;
mod lookup;
mod names;
mod outputs;
mod reload;
mod start;
mod trusted;

pub use lookup::Lookup;
pub use outputs::Outputs;
pub use start::{Options, StartError, missing, start};

/// The core loop wakes at least so often.
const TICK_NS: u64 = 1_000_000_000;
/// Retirement of what is gone.
const REAP_NS: u64 = 2_000_000_000;
/// Flow hooks without anything to follow are taken off after this time.
const DISARM_NS: u64 = 10_000_000_000;

/// What signals ask of the loop.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<AtomicU8>);

const RUN: u8 = 0;
const RELOAD: u8 = 1;
const TERMINATE: u8 = 2;
const INTERRUPT: u8 = 3;

impl Control {
    /// SIGHUP.
    pub fn reload(&self) {
        let _ = self.0.compare_exchange(RUN, RELOAD, Ordering::SeqCst, Ordering::SeqCst);
    }
    /// SIGTERM.
    pub fn terminate(&self) {
        self.0.store(TERMINATE, Ordering::SeqCst);
    }
    /// SIGINT.
    pub fn interrupt(&self) {
        self.0.store(INTERRUPT, Ordering::SeqCst);
    }
    fn take(&self) -> u8 {
        match self.0.compare_exchange(RELOAD, RUN, Ordering::SeqCst, Ordering::SeqCst) {
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
    lookup: Lookup,
    names: names::Names,
    identifier: identify::Identifier,
    inbox: mpsc::Receiver<Input>,
    sender: mpsc::SyncSender<Input>,
    outputs: Outputs,
    control: Control,
    config_paths: Vec<PathBuf>,
    config: Config,
    state_dir: PathBuf,
    core_settings: Option<CoreSettings>,
    ready: Ready,
    timers: Timers,
    /// Movements whose bytes were not known when they were reported by the kernel.
    fresh: Vec<PairKey>,
    /// Dumps of the search at the start, until their holders are looked for.
    found: Vec<Wanted>,
    kernel_log: Option<aya_log::EbpfLogger<&'static dyn log::Log>>,
    identify_dropped: u64,
}

#[expect(clippy::struct_field_names, reason = "the unit belongs to each name")]
#[derive(Default)]
struct Timers {
    tick_ns: u64,
    reap_ns: u64,
    /// Since when nothing is live.
    idle_ns: Option<u64>,
    armed_told_ns: u64,
}

impl Agent {
    /// Runs until a signal says otherwise. Returns why it stopped.
    pub fn run(mut self) -> &'static str {
        self.outputs.ready(&self.ready);
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
        self.rings.wait(Duration::from_millis(200));
        self.drain();
        while let Ok(input) = self.inbox.try_recv() {
            if let Some(input) = self.admit(input) {
                self.feed(input);
            }
        }
        for event in self.names.changes() {
            self.named(event);
        }
        let now = clock::boottime();
        if now.saturating_sub(self.timers.tick_ns) >= TICK_NS {
            self.timers.tick_ns = now;
            self.tick(now);
        }
    }

    /// A file's names or content changed.
    fn named(&mut self, event: names::Event) {
        match event {
            names::Event::Changed(key, change, pid) => {
                if change == crate::trail::Change::Truncated {
                    self.kernel.forget_file(&key);
                }
                let by = self.lookup.by_pid(pid);
                self.feed(Input::Named { key, change, by });
            }
            names::Event::Gone(key) => {
                self.kernel.forget_file(&key);
                self.feed(Input::Gone(key));
            }
        }
    }

    /// Bytes of movements that were still under way when their record was read.
    fn settle(&mut self) {
        for pair in std::mem::take(&mut self.fresh) {
            match self.kernel.bytes(&pair) {
                Some(bytes) if bytes > 0 => self.feed(Input::Bytes(pair, bytes)),
                // The second's look at all pairs goes on from here.
                _ => {}
            }
        }
    }

    /// Takes what the rings hold.
    fn drain(&mut self) {
        self.settle();
        let batch = self.rings.drain();
        let broken = batch.errors.len() as u64;
        for error in batch.errors {
            tracing::warn!(%error, "a record was dropped");
        }
        for event in batch.events {
            self.event(event);
        }
        if broken > 0 {
            self.lose("record_invalid", broken);
        }
    }

    fn event(&mut self, mut event: Event) {
        match &mut event.body {
            Body::Edge(edge) => {
                if self.core.trail.unknown_colours(edge.set) {
                    self.learn_colours();
                }
                let bytes = self.kernel.bytes(&edge.pair).unwrap_or(0).saturating_sub(edge.bytes_before);
                edge.bytes = edge.bytes.max(bytes);
                if edge.bytes == 0 {
                    self.fresh.push(edge.pair);
                }
            }
            Body::Truncate { key, .. } => self.kernel.forget_file(key),
            Body::Exec { old, .. } => self.last_bytes(&old.clone()),
            Body::Exit { task } => self.last_bytes(&task.clone()),
            // Once the flow hooks stand, the send itself is seen.
            Body::Connect { .. } if self.arming.is_armed() && event.time_ns > self.arming.armed_at() => return,
            Body::Birth(birth) => {
                self.tell_armed(birth.dump);
                self.read_core_settings();
            }
            _ => {}
        }
        let looked = self.lookup.event(&event);
        let time = event.time_ns;
        let late = self.late(&event);
        self.feed_at(time, Input::Event(event, looked));
        if let Some(wanted) = late {
            self.catch_up(wanted);
        }
    }

    /// A dump that somebody could read before the flow hooks stood: one born into a pipe, a file with readers, or one that
    /// was whole before.
    fn late(&self, event: &Event) -> Option<Wanted> {
        let (birth, pipe) = match &event.body {
            Body::Birth(birth) if birth.sink == CoreSink::Pipe => (birth, true),
            // Once the core was whole anybody could read it and be gone before the hooks stood.
            Body::Born(birth) if birth.file.base.readers != 0 || self.arming.armed_at() > event.time_ns => {
                (birth, false)
            }
            _ => return None,
        };
        let late = !self.arming.is_armed() || self.arming.armed_at() > stamp_time(birth.dump);
        late.then_some(Wanted { dump: birth.dump, key: birth.object, pipe })
    }

    /// Arms now, says what window was missed, and looks for holders.
    fn catch_up(&mut self, wanted: Wanted) {
        self.arming.arm();
        let from_ns = stamp_time(wanted.dump);
        let to_ns = self.arming.armed_at().max(from_ns);
        self.feed(Input::Late { dump: wanted.dump, from_ns, to_ns });
        self.sweep(vec![wanted]);
    }

    /// Looks for holders on a thread of its own.
    fn sweep(&self, wanted: Vec<Wanted>) {
        let (inbox, own) = (self.sender.clone(), std::process::id());
        let sweep = move || {
            let found = sweep::holders(std::path::Path::new("/proc"), &wanted, own);
            // When the core is gone there is nothing to sweep for.
            let _ = inbox.send(Input::Swept(found));
        };
        if let Err(error) = std::thread::Builder::new().name("sweep".into()).spawn(sweep) {
            tracing::error!(%error, "no sweep: holders of a dump are not looked for");
        }
    }

    /// The final count of a process's flows, while the map has them.
    fn last_bytes(&mut self, task: &CarrierKey) {
        for pair in self.core.trail.pairs_of(task) {
            if let Some(bytes) = self.kernel.bytes(&pair) {
                self.feed(Input::Bytes(pair, bytes));
            }
        }
    }

    fn learn_colours(&mut self) {
        for (dump, colour) in self.kernel.colours() {
            self.feed(Input::Coloured(dump, colour));
        }
    }

    /// Records of the time from a birth to the flow hooks.
    fn tell_armed(&mut self, dump: u64) {
        let (born, armed) = (stamp_time(dump), self.arming.armed_at());
        if armed > born && self.timers.armed_told_ns != armed {
            self.timers.armed_told_ns = armed;
            self.outputs.metrics.armed(Duration::from_nanos(armed - born));
            tracing::debug!(us = (armed - born) / 1000, "flow hooks stood after a birth");
        }
    }

    fn tick(&mut self, now: u64) {
        self.feed_at(now, Input::Tick(Clock::sample()));
        self.lookup.refresh();
        self.read_core_settings();
        let pairs: Vec<_> = self.core.trail.pairs().copied().collect();
        for pair in pairs {
            if let Some(bytes) = self.kernel.bytes(&pair) {
                self.feed(Input::Bytes(pair, bytes));
            }
        }
        self.tell_losses();
        if now.saturating_sub(self.timers.reap_ns) >= REAP_NS {
            self.timers.reap_ns = now;
            self.reap(now);
        }
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        self.outputs.tick(&self.core, &self.rings);
    }

    /// Losses since the last second; without any, the next window begins now.
    fn tell_losses(&mut self) {
        let mut lost: Vec<(&'static str, u64)> =
            self.kernel.new_faults().into_iter().map(|(cause, count)| (cause.name(), count)).collect();
        let dropped = self.identifier.dropped();
        if dropped > self.identify_dropped {
            lost.push(("identify_queue_full", dropped - self.identify_dropped));
            self.identify_dropped = dropped;
        }
        if self.names.take_overflow() {
            lost.push(("name_queue_full", 1));
        }
        if lost.is_empty() {
            let now = self.core.wall(clock::boottime());
            self.core.quiet(now);
        }
        for (cause, count) in lost {
            self.lose(cause, count);
        }
        if let Some(error) = self.arming.failure() {
            tracing::error!(%error, "the flow hooks could not be attached");
            self.lose("arming_failed", 1);
        }
    }

    fn lose(&mut self, cause: &'static str, count: u64) {
        self.outputs.metrics.lost(cause, count);
        self.feed(Input::Lost { cause, count });
    }

    /// Retires what is gone, in the kernel and here; arms and disarms by what is left.
    fn reap(&mut self, now: u64) {
        if self.core.trail.size() == (0, 0) && !self.arming.is_armed() {
            return;
        }
        let census = self.kernel.reap(now);
        let gone = self.core.trail.missing(&census.carriers, now);
        for key in gone {
            self.feed(Input::Gone(key));
        }
        for (_, id) in self.core.trail.dead(&census.dumps, now) {
            tracing::debug!(dump = %id, "no carrier holds this dump any more");
        }
        self.names.retain(&census.carriers);
        if census.marks > 0 {
            self.timers.idle_ns = None;
            self.arming.arm();
        } else {
            let since = *self.timers.idle_ns.get_or_insert(now);
            if now.saturating_sub(since) >= DISARM_NS {
                self.arming.disarm();
            }
        }
    }

    fn read_core_settings(&mut self) {
        let Ok(new) = CoreSettings::read(std::path::Path::new("/proc")) else { return };
        let Some(old) = &self.core_settings else { return };
        if let Some(text) = old.changes(&new) {
            let core_pattern = new.core_pattern.clone();
            self.core_settings = Some(new);
            self.feed(Input::HandlerChanged { text, core_pattern });
        }
    }

    /// What workers found is marked in the kernel before the core hears of it.
    fn admit(&mut self, input: Input) -> Option<Input> {
        match input {
            Input::Found(mut found) => {
                let file = identify::open_found(&found.file)?;
                let key = self.kernel.seed(&file, found.dump).ok().flatten()?;
                found.object = key;
                self.found.push(Wanted { dump: found.dump, key, pipe: false });
                self.arming.arm();
                Some(Input::Found(found))
            }
            Input::Swept(found) => {
                let now = clock::boottime();
                let held = found.into_iter().filter(|(dump, pid)| self.kernel.hold(*pid, *dump, now)).collect();
                self.learn_colours();
                Some(Input::Swept(held))
            }
            Input::Searched => {
                let found = std::mem::take(&mut self.found);
                if !found.is_empty() {
                    self.sweep(found);
                }
                Some(Input::Searched)
            }
            other => Some(other),
        }
    }

    fn feed(&mut self, input: Input) {
        self.feed_at(clock::boottime(), input);
    }

    fn feed_at(&mut self, now: u64, input: Input) {
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
                if let Some(handle) = identify::open(&key, &file, pid, &self.lookup) {
                    self.names.watch(key, &handle, &file);
                }
            }
        }
    }

    fn reload(&mut self) {
        match reload::load(&self.config_paths, &self.state_dir) {
            Ok(loaded) => {
                let zones = Arc::new(reload::zones(&loaded.config));
                self.ready.config_hash = loaded.config.hash.to_string();
                self.lookup.configure(&loaded);
                self.config = loaded.config;
                self.feed(Input::Reloaded(loaded.ruleset, zones));
                self.trust();
                let text = format!("configuration {} is in force", self.config.hash);
                let time = clock::now();
                self.outputs.notice(&Notice { time, kind: "config-reloaded", text, dump: None, content: None });
            }
            Err(findings) => {
                let text = reload::describe(&findings);
                tracing::error!("the new configuration is invalid, the old one stays in force:\n{text}");
                self.feed(Input::Rejected(text));
            }
        }
    }

    /// Tells the kernel which executables are declassifiers.
    fn trust(&mut self) {
        let (files, notices) = trusted::open(&self.config);
        for notice in &notices {
            self.outputs.notice(notice);
        }
        if let Err(error) = self.kernel.trust(&files) {
            tracing::error!(%error, "trusted executables could not be told to the kernel: none is trusted");
        }
    }

    /// Last counts, last lines, everything flushed.
    fn stop(&mut self, reason: &'static str) {
        self.drain();
        let pairs: Vec<_> = self.core.trail.pairs().copied().collect();
        for pair in pairs {
            if let Some(bytes) = self.kernel.bytes(&pair) {
                self.feed(Input::Bytes(pair, bytes));
            }
        }
        self.feed(Input::Stopping(reason.to_owned()));
        self.arming.stop();
        let (steps, alerts) = (self.core.counts.steps, self.core.counts.alerts);
        self.outputs.stop(&Stopped { time: clock::now(), reason: reason.to_owned(), steps, alerts });
    }
}

/// True when the configuration wants the flow hooks attached for good.
fn always(config: &Config) -> bool {
    config.arming == ArmingMode::Always
}

/// Zones as the host is now.
fn current_zones(config: &Config) -> Arc<Zones> {
    Arc::new(reload::zones(config))
}
