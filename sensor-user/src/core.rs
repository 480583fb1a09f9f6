//! The core: one pure function from an input to effects. No clock, no procfs, no files, no tokio; whatever takes time is
//! an effect whose result comes back as an input.

use std::sync::Arc;

use sensor_abi::{
    fault::Fault,
    flow::Via,
    key::{CarrierKey, PairKey},
};

use crate::{
    alert::Alert,
    clock::{Clock, Time},
    event::{Body, CoreSink, Event},
    rules::{RuleState, Ruleset, evaluate},
    step::{Carrier, FileRef, Gap, Id, Notice, Step, StepKind},
    trail::{Change, Context, Executed, Found, Host, Looked, Moved, Trail},
    zones::Zones,
};

/// Losses that may be the birth of a dump of which nothing else tells.
const HIDE_BIRTHS: &[&str] = &[Fault::UrgentRingFull.name(), Fault::DumpMapFull.name()];

/// Everything that the core remembers.
pub struct State {
    /// Where dumps are.
    pub trail: Trail,
    /// The zones in force.
    pub zones: Arc<Zones>,
    ruleset: Arc<Ruleset>,
    /// What rules remember.
    pub rules: RuleState,
    host: Host,
    clock: Clock,
    core_pattern: String,
    /// Start of the window that the next gap covers.
    window: Time,
    /// Alerts and steps so far.
    pub counts: Counts,
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps.
    pub steps: u64,
    /// Alerts.
    pub alerts: u64,
}

/// What comes in.
#[expect(clippy::large_enum_variant, reason = "made and consumed one at a time: a box for each record would cost more")]
#[derive(Debug)]
pub enum Input {
    /// A record, and what was looked up for it.
    Event(Event, Looked),
    /// What a pair has moved, as the kernel's map has it.
    Bytes(PairKey, Moved),
    /// The kernel gave a dump its colour.
    Coloured(u64, u32),
    /// A process has had mapped for some time what holds a dump now.
    Mapped {
        /// Number of the dump.
        dump: u64,
        /// The process.
        pid: u32,
    },
    /// A dump that was there before the agent.
    Found(Box<Found>),
    /// A dump that a program writes is whole: nobody has it open for writing any more.
    Finished {
        /// Number of the dump.
        dump: u64,
        /// Its size.
        size: u64,
    },
    /// A dump's content is known.
    Identified {
        /// Number of the dump.
        dump: u64,
        /// Its content.
        content: Id,
        /// Its size.
        size: u64,
    },
    /// A file that holds a dump changed its name or lost its content.
    Named {
        /// The file.
        key: CarrierKey,
        /// What happened.
        change: Change,
        /// Who did it, and what is mounted where its name is.
        looked: Looked,
    },
    /// A carrier is gone.
    Gone(CarrierKey),
    /// Something was lost.
    Lost {
        /// Why.
        cause: &'static str,
        /// How much.
        count: u64,
    },
    /// A dump may have moved while the flow hooks did not stand yet, from and to in ns since boot.
    Late {
        /// Number of the dump.
        dump: u64,
        /// Its birth.
        from_ns: u64,
        /// When the hooks stood.
        to_ns: u64,
    },
    /// `core_pattern` or its friends have changed: old and new, as text, and the new pattern.
    HandlerChanged {
        /// A sentence.
        text: String,
        /// `core_pattern` now.
        core_pattern: String,
    },
    /// Another configuration is in force.
    Reloaded(Arc<Ruleset>, Arc<Zones>),
    /// The zones are as the host is now.
    Rezoned(Arc<Zones>),
    /// A configuration was refused: a line that says what is used instead, then the findings.
    Rejected(String),
    /// Something is missing without which the agent is partly blind.
    Degraded(String),
    /// The agent stops.
    Stopping(String),
    /// A second has passed.
    Tick(Clock),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Journal and print a step.
    Step(Arc<Step>),
    /// Journal, print and export an alert.
    Alert(Arc<Alert>),
    /// Journal, print and export a gap.
    Gap(Gap),
    /// Journal and print a notice.
    Notice(Notice),
    /// Learn a dump's content from its file.
    Identify {
        /// Number of the dump.
        dump: u64,
        /// The file.
        key: CarrierKey,
        /// Where it was.
        file: FileRef,
    },
    /// Watch a file's names.
    Watch(CarrierKey, FileRef, u32),
}

impl State {
    /// A core that knows nothing yet.
    pub fn new(
        host: Host,
        clock: Clock,
        ruleset: Arc<Ruleset>,
        zones: Arc<Zones>,
        core_pattern: String,
        now: Time,
    ) -> Self {
        Self {
            trail: Trail::new(host.clone()),
            zones,
            ruleset,
            rules: RuleState::default(),
            host,
            clock,
            core_pattern,
            window: now,
            counts: Counts::default(),
        }
    }

    /// Wall-clock time of a kernel time stamp.
    pub fn wall(&self, boottime_ns: u64) -> Time {
        self.clock.wall(boottime_ns)
    }

    /// Takes one input at `now_ns` (ns since boot).
    pub fn step(&mut self, now_ns: u64, input: Input) -> Vec<Effect> {
        let now = self.clock.wall(now_ns);
        let zones = Arc::clone(&self.zones);
        let context = Context { clock: self.clock, zones: &zones };
        let mut effects = Vec::new();
        let steps = match input {
            Input::Event(event, looked) => self.event(context, &event, &looked, &mut effects),
            Input::Bytes(pair, count) => self.trail.bytes(context, &pair, count, now_ns),
            Input::Mapped { dump, pid } => {
                self.trail.mapped(dump, pid);
                Vec::new()
            }
            Input::Found(found) => self.found(context, &found, now, &mut effects),
            Input::Named { key, change, looked } => self.trail.renamed(context, &key, &change, &looked, now_ns),
            Input::Gone(key) => self.trail.gone(&key),
            Input::HandlerChanged { text, core_pattern } => {
                self.core_pattern = core_pattern;
                vec![self.host_event(StepKind::HandlerChanged, text, now)]
            }
            Input::Rejected(text) => vec![self.host_event(StepKind::ConfigRejected, text, now)],
            Input::Degraded(text) => vec![self.host_event(StepKind::AgentDegraded, text, now)],
            Input::Stopping(text) => {
                let mut steps = self.trail.tell_all();
                steps.push(self.host_event(StepKind::AgentStopped, text, now));
                steps
            }
            Input::Tick(clock) => {
                self.clock = clock;
                self.trail.tick(context, now_ns)
            }
            Input::Coloured(dump, colour) => {
                self.trail.coloured(dump, colour);
                Vec::new()
            }
            Input::Finished { dump, size } => self.finished(dump, size, &mut effects),
            Input::Identified { dump, content, size } => {
                effects.extend(self.identified(dump, content, size, now));
                Vec::new()
            }
            Input::Late { dump, from_ns, to_ns } => {
                effects.extend(self.late(dump, from_ns, to_ns));
                Vec::new()
            }
            Input::Lost { cause, count } => {
                effects.extend(self.lost(cause, count, now));
                Vec::new()
            }
            Input::Rezoned(zones) => {
                self.zones = zones;
                Vec::new()
            }
            Input::Reloaded(ruleset, zones) => {
                self.rules.retain(&ruleset);
                self.trail.forget_verdicts();
                (self.ruleset, self.zones) = (ruleset, zones);
                Vec::new()
            }
        };
        for step in steps {
            self.judge(step, now, &mut effects);
        }
        effects
    }

    /// A step goes out, and whatever the rules make of it.
    fn judge(&mut self, step: Step, now: Time, effects: &mut Vec<Effect>) {
        let step = Arc::new(step);
        let alerts = evaluate(&self.ruleset, &mut self.rules, now, &step);
        self.counts.steps += 1;
        self.counts.alerts += alerts.len() as u64;
        effects.push(Effect::Step(step));
        effects.extend(alerts.into_iter().map(|a| Effect::Alert(Arc::new(a))));
    }

    fn event(&mut self, context: Context<'_>, event: &Event, looked: &Looked, effects: &mut Vec<Effect>) -> Vec<Step> {
        let time_ns = event.time_ns;
        match &event.body {
            Body::Crash { actor, .. } => {
                self.trail.crashed(actor, looked, time_ns);
                Vec::new()
            }
            Body::Birth(birth) => {
                if let (CoreSink::Program(_), Some(file)) = (birth.sink, &looked.file) {
                    effects.push(Effect::Watch(birth.object, file.clone(), birth.actor.base.tgid));
                }
                self.trail.born(context, birth, looked, &self.core_pattern)
            }
            Body::Born(birth) => {
                if let Some(file) = &looked.file {
                    effects.push(Effect::Identify { dump: birth.dump, key: birth.object, file: file.clone() });
                    effects.push(Effect::Watch(birth.object, file.clone(), birth.actor.base.tgid));
                }
                self.trail.written(context, birth, looked)
            }
            Body::Edge(edge) => {
                if let Some(file) = looked.file.as_ref().filter(|_| edge.pair.to.is_inode()) {
                    effects.push(Effect::Watch(edge.pair.to, file.clone(), edge.actor.base.tgid));
                }
                self.trail.moved(context, edge, looked, time_ns)
            }
            Body::Verdict { edge, refused } => self.trail.judged(context, edge, *refused, looked, time_ns),
            Body::Truncate { key, .. } => self.trail.renamed(context, key, &Change::Truncated, looked, time_ns),
            Body::Grow { pair, bytes } => {
                let count = Moved { bytes: *bytes, last_ns: time_ns };
                self.trail.bytes(context, pair, count, time_ns)
            }
            Body::Fork { parent, child, .. } => {
                self.trail.forked(parent, child, time_ns);
                Vec::new()
            }
            Body::Exec { actor, old, after, longer, .. } => {
                let exec = Executed { old: *old, actor, after: *after, longer: *longer };
                self.trail.executed(context, &exec, looked, time_ns)
            }
            Body::Exit { task } => {
                effects.extend(self.unidentified(task));
                self.trail.gone(task)
            }
            Body::Connect { actor, set, socket } => self.trail.connected(context, actor, *set, socket, looked, time_ns),
        }
    }

    /// A dump that never was a file where it was born is identified by the file that its handler wrote.
    fn unidentified(&self, task: &CarrierKey) -> Vec<Effect> {
        let written = self.trail.written_by(task).into_iter();
        written.map(|(dump, key, file)| Effect::Identify { dump, key, file }).collect()
    }

    fn found(&mut self, context: Context<'_>, found: &Found, now: Time, effects: &mut Vec<Effect>) -> Vec<Step> {
        if found.known.as_ref().is_none_or(|known| known.dump.content.is_none()) {
            effects.push(Effect::Identify { dump: found.dump, key: found.object, file: found.file.clone() });
        }
        effects.push(Effect::Watch(found.object, found.file.clone(), 0));
        vec![self.trail.found(context, found, now)]
    }

    fn finished(&mut self, dump: u64, size: u64, effects: &mut Vec<Effect>) -> Vec<Step> {
        let Some((key, file)) = self.trail.file_of(dump) else { return Vec::new() };
        effects.push(Effect::Identify { dump, key, file });
        self.trail.finished(dump, size).into_iter().collect()
    }

    fn identified(&mut self, dump: u64, content: Id, size: u64, time: Time) -> Option<Effect> {
        let about = self.trail.identified(dump, content, size)?;
        let text = format!("dump {} has the content {content}", about.id);
        Some(Effect::Notice(Notice { time, kind: "identified", text, dump: Some(about.id), content: Some(content) }))
    }

    /// A loss is a gap when dumps were live, or when a birth may be what was lost; else nothing was missed. What was lost by
    /// several causes was lost within one window.
    fn lost(&self, cause: &'static str, count: u64, now: Time) -> Option<Effect> {
        let dumps = self.trail.live(Gap::DUMPS);
        let counts = !dumps.is_empty() || HIDE_BIRTHS.contains(&cause);
        counts.then_some(Effect::Gap(Gap { from: self.window, to: now, cause, count, dumps }))
    }

    fn late(&self, dump: u64, from_ns: u64, to_ns: u64) -> Option<Effect> {
        let (from, to) = (self.clock.wall(from_ns), self.clock.wall(to_ns));
        let dumps = vec![self.trail.id_of(dump)?];
        Some(Effect::Gap(Gap { from, to, cause: "arming_window", count: 1, dumps }))
    }

    /// What was lost until `time` has been told: the window of losses begins anew.
    pub fn told_until(&mut self, time: Time) {
        self.window = time;
    }

    fn host_event(&self, kind: StepKind, text: String, time: Time) -> Step {
        let place = self.zones.host();
        let carrier = Carrier { id: Id::of(&[b"host", self.host.id.as_bytes()]), name: "host".to_owned() };
        let here = (carrier, place);
        Step {
            flow: Id::of(&[kind.name().as_bytes(), text.as_bytes(), &time.0.to_le_bytes()]),
            ended: Some(time),
            detail: Some(text),
            ..Step::new(kind, Via::Scan, time, here.clone(), here)
        }
    }
}
