//! `dumptrail doctor`: what this kernel offers, which hooks will be used and why, where dumps go, what is missing.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{DoctorArgs, Failure, endpoints};
use crate::{
    app::{self, missing, needs_fentry},
    config::{Diagnostic, schema::Enforcement},
    dump::source::Settings as CoreSettings,
    enrich::mounts::Mounts,
    host,
    probe::{
        attach::{self, Opened},
        backend::Choice,
        differences::{DIFFERENCES, Difference},
        features::{self, Features},
        plan::{Backend, Chosen, Kind, Set},
        policy::Policy,
    },
    rules::{self, Loaded, block},
    step::Place,
    zones::Zones,
};

/// Does it. Exit 0 when `run` would work.
#[expect(clippy::needless_pass_by_value, reason = "the signature is the contract between the parser and the command")]
pub fn run(args: DoctorArgs) -> Result<(), Failure> {
    if args.ready {
        return probe(&super::run::state_dir());
    }
    let loaded = rules::load(&args.config).map_err(|findings| Failure::of_findings(&findings))?;
    let endpoints = endpoints::findings(&host::zones(&loaded.config), |name| std::env::var(name).ok());
    if endpoints.iter().any(Diagnostic::is_error) {
        return Err(Failure::of_findings(&endpoints));
    }
    let features = features::probe().map_err(|e| Failure::Unsupported(e.to_string()))?;
    let (choice, mut opened) = choose(args.backend.wish(), &features);
    // Kept until all is loaded: other programs look into these maps, too.
    let mut policy = opened.as_mut().and_then(|opened| opened.policy().ok());
    let fence = fence(&choice, opened.as_mut().zip(policy.as_mut()), &features);
    let mut report = Report::new(&features, &loaded, choice, fence);
    report.warnings = endpoints.iter().map(sentence).collect();
    if let Some(opened) = opened.filter(|_| args.load) {
        report.load(opened);
    }
    super::print(&if args.json { format!("{:#}\n", report.json()) } else { report.text() })?;
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::Unsupported(report.problems.join("\n"))) }
}

/// A finding on one line.
fn sentence(finding: &Diagnostic) -> String {
    let hint = finding.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
    format!("{}: {}{hint}", finding.file, finding.message)
}

/// For probes: whether the agent that runs here is fit.
fn probe(state_dir: &Path) -> Result<(), Failure> {
    let state = state_dir.display();
    match app::is_fit(state_dir) {
        Ok(true) => super::print("ready\n"),
        Ok(false) => Err(Failure::Unsupported(format!(
            "not ready: no agent runs on {state}, or the first line of its output has its `problems`"
        ))),
        Err(error) => Err(Failure::Unsupported(format!("cannot read {state}/ready: {error}: run as root"))),
    }
}

/// Asks the kernel, when it lets us.
fn choose(wish: Option<Backend>, features: &Features) -> (Choice, Option<Opened>) {
    match attach::open(features, attach::settings(features, true)) {
        Ok(mut opened) => (Choice::new(wish, features, &mut opened), Some(opened)),
        Err(error) => (Choice::untried(wish, features, format!("it could not be tried: {error:#}")), None),
    }
}

/// Whether rules could block here: the programs are loaded, attached for a moment and put to the test, as by `run`.
fn fence(choice: &Choice, opened: Option<(&mut Opened, &mut Policy)>, features: &Features) -> Result<(), String> {
    if choice.plan.backend != Backend::Fentry {
        return Err(needs_fentry(&features.lsm));
    }
    let (opened, policy) = opened.ok_or("the kernel could not be asked")?;
    let raised = opened.fence()?.raise(policy);
    raised.map_err(|why| block::unavailable(&features.lsm).map_or(why.clone(), |more| format!("{why}; {more}")))
}

/// What was found, before it is written in one form or the other.
struct Report<'a> {
    features: &'a Features,
    choice: Choice,
    /// Where cores go, and the zone of that place; none when it depends on the victim.
    handler: Option<(String, Option<Place>)>,
    /// What rules of action `block` do.
    blocking: Blocking,
    blind: Vec<(String, String)>,
    /// What is probably not meant.
    warnings: Vec<String>,
    /// Why `run` would not work, each with what to do.
    problems: Vec<String>,
    /// How long it took to attach tracepoints and functions.
    attach: Option<[Duration; 2]>,
    /// What the verifier walked of each program (kernels before 5.16 do not tell), when that was asked for.
    costs: Option<Vec<(&'static str, Option<u32>)>>,
}

impl<'a> Report<'a> {
    fn new(features: &'a Features, loaded: &Loaded, choice: Choice, fence: Result<(), String>) -> Self {
        let zones = host::zones(&loaded.config);
        let mut problems = missing(features);
        problems.extend(choice.refusals());
        Self {
            features,
            handler: handler(&zones),
            blind: blind(features, &choice),
            choice,
            blocking: Blocking {
                possible: fence,
                wanted: loaded.ruleset.blocks(),
                enforcement: loaded.config.enforcement,
            },
            warnings: Vec::new(),
            problems,
            attach: None,
            costs: None,
        }
    }

    /// Does what `run` does with the kernel, for a moment: only the kernel knows whether its verifier takes a program.
    fn load(&mut self, opened: Opened) {
        let plan = &self.choice.plan;
        let loaded = opened.load(plan).and_then(|mut loaded| Ok((loaded.attach_flow()?, loaded.costs(plan))));
        match loaded {
            Ok((took, costs)) => (self.attach, self.costs) = (Some(took), Some(costs)),
            Err(error) => self.problems.push(format!("{error:#}")),
        }
    }

    /// Whether trampolines work here.
    fn self_test(&self) -> String {
        match &self.choice.trial {
            None => "not needed".to_owned(),
            Some(Ok(())) if self.choice.once => {
                "a trial program on a function has run, and cannot be attached again".to_owned()
            }
            Some(Ok(())) => "a trial program on a function has run".to_owned(),
            Some(Err(why)) => format!("fentry does not work here: {why}"),
        }
    }

    fn json(&self) -> Value {
        let once = self.choice.once;
        let hooks: Vec<Value> = self
            .choice
            .plan
            .hooks
            .iter()
            .map(|c| json!({"program": c.hook.program, "kind": kind(c.hook.kind), "target": c.target, "attached": set(c.set, once)}))
            .collect();
        let missing: Vec<Value> = self
            .choice
            .plan
            .missing
            .iter()
            .map(|m| json!({"program": m.hook, "reason": m.reason, "blind": m.blind, "required": m.required}))
            .collect();
        let seen = |backend| move |row: &Difference| row.is_seen(backend, self.features);
        let (fentry, tracepoint) = (seen(Backend::Fentry), seen(Backend::Tracepoint));
        let differences: Vec<Value> = DIFFERENCES
            .iter()
            .map(|row| json!({"id": row.id, "what": row.what, "fentry": fentry(row), "tracepoint": tracepoint(row), "why": row.why}))
            .collect();
        let blind: Vec<Value> = self.blind.iter().map(|(what, why)| json!({"what": what, "why": why})).collect();
        json!({
            "v": 1,
            "kernel": self.features.release,
            "backend": self.choice.plan.backend.name(),
            "self_test": self.self_test(),
            "hooks": hooks,
            "missing": missing,
            "differences": differences,
            "lsm": self.features.lsm,
            "cgroup": self.features.cgroup,
            "dumps.go_to": self.handler.as_ref().map(|(text, _)| text),
            "dumps.zone": self.handler.as_ref().and_then(|(_, place)| place.as_ref()).map(|p| p.zone.to_string()),
            "enforcement": self.blocking.enforcement.name(),
            "blocking": self.blocking.word(),
            "blocking_possible": self.blocking.possible.is_ok(),
            "blocking_why": self.blocking.possible.as_ref().err(),
            "blind": blind,
            "warnings": self.warnings,
            "problems": self.problems,
            "verified_instructions": self.costs.as_ref().map(|costs| costs.iter().copied().collect::<BTreeMap<_, _>>()),
            "attach_ms": self.attach.map(|took| took.map(|t| t.as_secs_f64() * 1e3)),
            "ok": self.problems.is_empty(),
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let line = |out: &mut String, key: &str, value: &str| {
            let _ = writeln!(out, "{key:<13}{value}");
        };
        line(&mut out, "kernel", &self.features.release);
        line(&mut out, "backend", self.choice.plan.backend.name());
        line(&mut out, "self-test", &self.self_test());
        for chosen in &self.choice.plan.hooks {
            line(&mut out, "hook", &row(chosen, self.choice.once));
        }
        for m in &self.choice.plan.missing {
            line(&mut out, "missing", &format!("{:<16} {}; blind to {}", m.hook, m.reason, m.blind));
        }
        for row in DIFFERENCES {
            let by = |backend: Backend| if row.is_seen(backend, self.features) { backend.name() } else { "-" };
            let (fentry, tracepoint) = (by(Backend::Fentry), by(Backend::Tracepoint));
            line(&mut out, "seen by", &format!("{fentry:<6} {tracepoint:<10} {}", row.what));
        }
        let lsm = if self.features.lsm.is_empty() { "not readable".to_owned() } else { self.features.lsm.join(",") };
        line(&mut out, "lsm", &lsm);
        line(&mut out, "enforcement", self.blocking.enforcement.name());
        line(&mut out, "blocking", &self.blocking.words());
        if let Some((text, place)) = &self.handler {
            let zone = place.as_ref().map_or_else(
                || "in the zone of the process that dumps".to_owned(),
                |p| format!("in zone {} ({})", p.zone, p.exposure),
            );
            line(&mut out, "dumps go to", &format!("{text}, {zone}"));
        }
        for (what, why) in &self.blind {
            line(&mut out, "blind to", &format!("{what}: {why}"));
        }
        for warning in &self.warnings {
            line(&mut out, "warning", warning);
        }
        let verdict =
            if self.problems.is_empty() { "`dumptrail run` works here" } else { "`dumptrail run` does not work here" };
        line(&mut out, "verdict", verdict);
        out
    }
}

/// Rules of action `block`: whether there are some, what they are to do, and whether they can.
struct Blocking {
    possible: Result<(), String>,
    wanted: bool,
    enforcement: Enforcement,
}

impl Blocking {
    const fn word(&self) -> &'static str {
        match (self.wanted, &self.possible) {
            (false, _) => "off",
            (true, Err(_)) => "alert-only",
            (true, Ok(())) => self.enforcement.name(),
        }
    }

    fn words(&self) -> String {
        match (self.wanted, &self.possible) {
            (true, Err(why)) => format!("rules of action `block` will only alert: {why}"),
            (false, Err(why)) => format!("no rule blocks, and none could: {why}"),
            (false, Ok(())) => "no rule blocks; the programs for it have run and refused".to_owned(),
            (true, Ok(())) => {
                let does = match self.enforcement {
                    Enforcement::Enforce => "rules of action `block` block",
                    Enforcement::Observe => "rules of action `block` say what they would have blocked",
                };
                format!(
                    "{does}; the programs for it have run and refused; all hooks stay attached for it, whatever `arming` says"
                )
            }
        }
    }
}

fn row(chosen: &Chosen, once: bool) -> String {
    let place = format!("{} {}", kind(chosen.hook.kind), chosen.target);
    format!("{:<16} {place:<39} {}", chosen.hook.program, set(chosen.set, once))
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Tracepoint | Kind::Typed => "tracepoint",
        Kind::Entry => "entry of",
        Kind::Exit => "exit of",
        Kind::Own => "run by the agent",
    }
}

/// When a set is attached; with `once` what is taken off could not be attached again.
const fn set(set: Set, once: bool) -> &'static str {
    match set {
        Set::Watch => "always",
        Set::Flow if once => "from the first dump on",
        Set::Flow => "while a dump is live",
        Set::Bridge => "until the others are",
        Set::Ends => "until calls have ended",
        Set::Agent => "on demand",
    }
}

/// Where cores go, as the kernel is set now.
fn handler(zones: &Zones) -> Option<(String, Option<Place>)> {
    let settings = CoreSettings::read(Path::new("/proc")).ok()?;
    let handler = settings.handler();
    let place = match handler.directory() {
        Some(directory) => of_directory(zones, directory).or_else(|| Some(zones.host())),
        None if settings.core_pattern.starts_with(['|', '@']) => Some(zones.host()),
        None => None,
    };
    Some((handler.to_string(), place))
}

fn of_directory(zones: &Zones, directory: &Path) -> Option<Place> {
    let mounts = Mounts::of_host();
    let path = directory.to_string_lossy();
    let mount = mounts.of_path(&path)?;
    zones.file(&path, &mount.fstype, Some(&mount.source)).map(|d| d.place)
}

/// What is not seen on this kernel, and why. docs/threat-model.md has the whole table.
fn blind(features: &Features, choice: &Choice) -> Vec<(String, String)> {
    let mut blind: Vec<(String, String)> =
        choice.plan.missing.iter().map(|m| (m.blind.to_owned(), m.reason.clone())).collect();
    let mut add = |what: &str, why: &str| blind.push((what.to_owned(), why.to_owned()));
    for (what, why) in ALWAYS {
        add(what, why);
    }
    for row in DIFFERENCES.iter().filter(|row| row.programs(choice.plan.backend).is_empty()) {
        add(row.what, row.why);
    }
    for lack in &features.lacks {
        add(lack.blind, &format!("{} is missing", lack.capability));
    }
    for (_, what, module) in LAYOUTS.iter().filter(|row| features.missing_offsets.contains(&row.0)) {
        let why = "that is not loaded, or the kernel is older than 5.11";
        add(what, &format!("no BTF tells its layout: {module} is a module {why}"));
    }
    for server in &features.kernel_servers {
        add(
            "files that the kernel itself serves",
            &format!("the module {server} is loaded; it reads without system calls"),
        );
    }
    blind
}

/// What is not seen where a module does not tell its layout, by the member that is missed.
const LAYOUTS: &[(&str, &str, &str)] = &[
    ("ovl_inode.__upperdentry", "dumps behind overlayfs", "overlay"),
    ("fuse_mount.fc", "what servers of file systems in user space get and give", "fuse"),
    ("loop_device.lo_backing_file", "dumps behind loop devices", "loop"),
];

/// Blind spots of both backends on every kernel.
const ALWAYS: &[(&str, &str)] = &[
    (
        "what goes through shared memory within some milliseconds after a process got a dump, and below 8 KiB at all",
        "loads and stores make no call that a hook could see; who shares memory is looked for",
    ),
    (
        "memory read from another process while no dump is marked",
        "process_vm_readv, /proc/PID/mem and /proc/kcore are looked at while the flow hooks stand; `arming: always` leaves them on",
    ),
    (
        "dumps of programs that do not begin with a known magic in a write",
        "raw memory of anything but a hypervisor, and first bytes by splice, sendfile, io_uring or mmap, have nothing to be told by",
    ),
];
