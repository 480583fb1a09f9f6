//! Start-up: what must be there is checked first, then everything is put together in the order in which data flows
//! backwards, so that nothing is produced that nobody takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
};

use sensor_abi::settings::Settings;
use thiserror::Error;

use super::{
    Agent, Control, Lookup, Outputs, Timers, always,
    fence::Guard,
    fitness::{self, Fitness},
    identify::Identifier,
    inbox::{Answer, Sender},
    names::Names,
    needs_fentry, reload, search,
    sweeper::Sweeper,
};
use crate::{
    bell::Bell,
    clock::{self, Clock},
    config::schema::CommandLine,
    core::{Input, State},
    dump::{
        identity::{boot_id, host_id},
        source::Settings as CoreSettings,
    },
    enrich::mounts::Mounts,
    host,
    journal::{Journal, JournalError, Options as JournalOptions, Report},
    ndjson::{Missing, Ready},
    otlp::{Attributes, Encoder, Identity},
    probe::{
        arm::Arming,
        attach::{self, AttachError},
        backend::Choice,
        features::{self, FeatureError, Features},
        fence::Fence,
        kernel::Kernel,
        plan::{Backend, Plan},
    },
    ring::Rings,
    rules::{self, Loaded, RuleState},
    sinks::{
        console::{Console, Mode},
        otlp::{ConfigError, ExportError, ExporterConfig, OtlpSink},
    },
    telemetry::Metrics,
    trail::Host,
};

/// What `run` was asked for.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Clone, Debug)]
pub struct Options {
    /// The backend that was asked for.
    pub backend: Option<Backend>,
    /// Configuration files and directories.
    pub config: Vec<PathBuf>,
    /// State directory: journal, last good configuration.
    pub state_dir: PathBuf,
    /// Form of stdout.
    pub output: Mode,
    /// Print steps too.
    pub steps: bool,
    /// Colours on stdout.
    pub colour: bool,
    /// Refuse an invalid configuration.
    pub strict: bool,
    /// Run although something is missing.
    pub allow_degraded: bool,
}

/// Why the agent does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration is invalid, and `--strict` was given.
    #[error("invalid configuration\n{0}")]
    Config(String),
    /// The kernel lacks something.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// Something is missing that can be granted.
    #[error("{0}")]
    Missing(String),
    /// The kernel refused.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The state directory is not there and cannot be made.
    #[error("cannot make the state directory {}: {source}", dir.display())]
    State {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Variables of the exporter make no sense.
    #[error(transparent)]
    Variables(#[from] ConfigError),
    /// The exporter cannot be made.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A thread or descriptor could not be made.
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// Starts the agent.
pub fn start(options: Options, control: Control) -> Result<Agent, StartError> {
    let began = clock::now();
    let features = features::probe()?;
    require(&features, options.allow_degraded)?;
    make(&options.state_dir)?;
    let (loaded, rejected) = configuration(&options)?;
    let settings = attach::settings(&features, loaded.config.privacy.command_line != CommandLine::None);
    let host = Host { id: host_id(&Mounts::of_host().here("/")).into(), boot: boot_id().into() };
    let outputs = outputs(&options, &host.id)?;
    if rejected.is_none() {
        reload::taken(&loaded.config, &options.state_dir);
    }
    let (plan, mut kernel_side, fence) = hooks(options.backend, &features, settings)?;
    let keep = always(&loaded.config) || fence.is_ok() && loaded.ruleset.blocks();
    let kernel_log = aya_log::EbpfLogger::init(&mut kernel_side.ebpf).ok();
    let rings = Rings::open(&mut kernel_side.ebpf)?;
    let kernel = Kernel::open(&mut kernel_side.ebpf)?;
    let arming = Arming::new(kernel_side, keep, Bell::new()?)?;
    arming.watch(rings.urgent_fd().try_clone_to_owned()?)?;
    let (queue, inbox) = mpsc::sync_channel(1024);
    let sender = Sender { queue, bell: control.bell.clone() };
    for trouble in troubles(&features, rejected.as_ref()) {
        // The inbox is empty: it has room.
        sender.send(Answer::Input(trouble));
    }
    let refused = rejected
        .as_deref()
        .and_then(|text| text.lines().next())
        .map(|why| format!("the configuration is invalid: {why}"));
    let fitness = Fitness::new(&options.state_dir, &features, refused);
    let core_settings = CoreSettings::read(Path::new("/proc")).ok();
    let dump_folders: Vec<PathBuf> = loaded.config.dump_folders.iter().map(|t| PathBuf::from(&*t.value)).collect();
    search::start(&dump_folders, core_settings.as_ref(), &options.state_dir.join("journal"), began, sender.clone())?;
    let identifier = Identifier::start(sender.clone())?;
    let sweeper = Sweeper::start(sender)?;
    let pattern = core_settings.as_ref().map_or_else(String::new, |s| s.core_pattern.clone());
    let zones = Arc::new(host::zones(&loaded.config));
    let mut core = State::new(host, Clock::sample(), Arc::clone(&loaded.ruleset), zones, pattern, clock::now());
    if outputs.metrics.is_on() {
        core.rules = RuleState::timed(clock::boottime);
    }
    Ok(Agent {
        core,
        rings,
        kernel,
        arming,
        guard: Guard::new(fence, Arc::clone(&loaded.ruleset)),
        lookup: Lookup::new(&loaded),
        names: Names::open(),
        identifier,
        sweeper,
        inbox,
        outputs,
        control,
        config_paths: options.config,
        ready: ready(&features, &plan, &loaded, &fitness),
        fitness,
        config: loaded.config,
        state_dir: options.state_dir,
        core_settings,
        timers: Timers::default(),
        fresh: BTreeMap::new(),
        unfinished: Vec::new(),
        suspects: Vec::new(),
        found: Vec::new(),
        waiting: Vec::new(),
        opened: (plan.backend == Backend::Fentry).then(BTreeSet::new),
        kernel_log,
        identify_dropped: 0,
        recorder: super::record::Recorder::from_env()?,
    })
}

/// For the agent alone, unless it is there already.
fn make(state_dir: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(state_dir);
    made.map_err(|source| StartError::State { dir: state_dir.to_owned(), source })
}

/// What is loaded: the plan, its programs, and those that answer, or why they cannot be used.
type Hooks = (Plan, attach::Loaded, Result<Fence, String>);

/// Chooses the backend and loads it.
fn hooks(wish: Option<Backend>, features: &Features, settings: Settings) -> Result<Hooks, StartError> {
    let mut opened = attach::open(features, settings)?;
    let choice = Choice::new(wish, features, &mut opened);
    let refusals = choice.refusals();
    if !refusals.is_empty() {
        return Err(StartError::Missing(refusals.join("\n")));
    }
    if let Some(why) = choice.why_not_fentry() {
        tracing::info!("the backend is tracepoint, since fentry does not work here: {why}");
    }
    let fentry = choice.plan.backend == Backend::Fentry;
    let fence = if fentry { opened.fence() } else { Err(needs_fentry(&features.lsm)) };
    let loaded = opened.load(&choice.plan)?;
    Ok((choice.plan, loaded, fence))
}

fn require(features: &Features, allow_degraded: bool) -> Result<(), StartError> {
    let missing = fitness::missing(features);
    if missing.is_empty() || allow_degraded && features.missing_capabilities.is_empty() {
        return Ok(());
    }
    Err(StartError::Missing(missing.join("\n")))
}

/// The configuration, and what was wrong with the one that was asked for.
fn configuration(options: &Options) -> Result<(Loaded, Option<String>), StartError> {
    match rules::load(&options.config) {
        Ok(loaded) => {
            reload::warn(&loaded);
            Ok((loaded, None))
        }
        Err(findings) if options.strict => Err(StartError::Config(reload::describe(&findings))),
        Err(findings) => {
            let (loaded, instead) = reload::fallback(&options.state_dir);
            let text = reload::refusal(&findings, instead);
            tracing::error!("the configuration is invalid: {text}");
            Ok((loaded, Some(text)))
        }
    }
}

/// What the rules are told of a start that went not as it should; and the agent's own log.
fn troubles(features: &Features, rejected: Option<&String>) -> Vec<Input> {
    let missing = fitness::missing(features);
    let degraded = (!missing.is_empty()).then(|| {
        tracing::warn!("running although something is missing:\n{}", missing.join("\n"));
        Input::Degraded(missing.join("; "))
    });
    degraded.into_iter().chain(rejected.cloned().map(Input::Rejected)).collect()
}

fn outputs(options: &Options, host: &str) -> Result<Outputs, StartError> {
    let env = |name: &str| std::env::var(name).ok();
    let export = ExporterConfig::from_env(env)?;
    let identity = Identity {
        host_id: host.to_owned(),
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let attributes = Attributes::new(&identity, env);
    if let Some(why) = &attributes.ignored {
        tracing::warn!("OTEL_RESOURCE_ATTRIBUTES was ignored: {why}");
    }
    let encoder = Encoder::new(&attributes, env!("CARGO_PKG_VERSION"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("export").build()?;
    let console = Console::start(options.output, options.steps, options.colour, host, Arc::new(told))?;
    console.hold();
    let printed = console.clone();
    let report = Arc::new(move |report: Report| match report {
        Report::Gap(gap) => printed.gap(&gap),
        Report::Notice(notice) => printed.notice(&notice),
    });
    let (journal, found) =
        Journal::open(JournalOptions::new(&options.state_dir.join("journal"), host, encoder.clone(), report))?;
    let (handle, printed) = (journal.handle(), console.clone());
    let notices = Arc::new(move |notice: crate::step::Notice| {
        handle.notice(&notice);
        printed.notice(&notice);
    });
    let exporter = Arc::new(OnceLock::new());
    let sink = OtlpSink::spawn(runtime.handle(), &export, &journal.exports(), &(notices as _))?;
    let _ = exporter.set(sink);
    let metrics = Metrics::start(runtime.handle(), export.metrics.as_ref(), &attributes, None)?;
    Ok(Outputs::new(journal, console, exporter, encoder, runtime, metrics, found.unwatched))
}

/// The console tells of its own lost lines on stderr too.
#[expect(clippy::needless_pass_by_value, reason = "the console hands its notices over")]
fn told(notice: crate::step::Notice) {
    tracing::warn!("{}", notice.text);
}

fn ready(features: &Features, plan: &Plan, loaded: &Loaded, fitness: &Fitness) -> Ready {
    let hooks = plan.missing.iter().map(|m| (m.hook, m.blind));
    let lacks = features.lacks.iter().map(|l| (l.capability, l.blind));
    let missing = |(what, blind): (&str, &str)| Missing { hook: what.to_owned(), blind: blind.to_owned() };
    Ready {
        time: clock::now(),
        backend: plan.backend.name().to_owned(),
        arming: if always(&loaded.config) { "always" } else { "auto" }.to_owned(),
        blocking: "off",
        blocking_why: None,
        enforcement: loaded.config.enforcement.name().to_owned(),
        problems: fitness.problems(),
        missing: hooks.chain(lacks).map(missing).chain(fitness::degraded(features)).collect(),
        config_hash: loaded.config.hash.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_state_directory_is_made_for_the_agent_alone_or_named_in_the_error() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("lib/dumptrail");
        make(&state).unwrap();
        assert_eq!(std::fs::metadata(&state).unwrap().mode() & 0o7777, 0o700);
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = make(&file).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
}
