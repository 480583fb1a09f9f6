//! `cargo xtask corpus`: real programs that make dumps, move them or only look alike, each a script of `xtask/corpus`, in
//! two network zones under the real agent. A case passes when the agent's steps and alerts say what the script did.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::setup;
use crate::vm::Wanted;
use crate::{cmd, vm};

mod agent;
mod case;
mod judge;
mod report;
mod tools;
mod world;

use agent::Agent;
use case::Case;
use report::{Report, Verdict};
use world::World;

/// Runs what makes, moves and resembles dumps, and checks what the agent says of it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs only cases whose name contains one of these, those outside the fast set included
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Runs every case; without it, those that together touch every mechanism within a few minutes
    #[arg(long)]
    all: bool,
    /// Works for so many minutes beside live dumps, as hosts do, and wants no alert of severity medium or above
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["all", "filters"])]
    soak: Option<u64>,
    /// Runs them on these kernels, each maybe with a backend of its own, as `6.12-fentry,5.10`, in virtual machines that have
    /// the smaller tools; without, here
    #[arg(long, value_name = "KERNEL", value_delimiter = ',', value_parser = Wanted::parse)]
    kernel: Vec<Wanted>,
    /// How many of them run at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Backend of the agent, as `dumptrail run` takes it
    #[arg(long, default_value = "auto")]
    backend: String,
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
    /// Keeps the agent's output and the cases' in `target/corpus`
    #[arg(long)]
    keep: bool,
    /// The agent, built as the user, for the part that runs as root.
    #[arg(long, hide = true)]
    agent: Option<PathBuf>,
}

impl Args {
    fn wants(&self, case: &Case) -> bool {
        match self.filters[..] {
            [] => self.all || case.fast,
            _ => self.filters.iter().any(|filter| case.name.contains(filter.as_str())),
        }
    }

    /// What is played.
    fn choice(&self) -> Vec<String> {
        let mut choice: Vec<String> = self.filters.clone();
        choice.extend(self.all.then(|| "--all".to_owned()));
        choice.extend(self.soak.map(|minutes| format!("--soak={minutes}")));
        choice
    }

    /// The same for this program as root.
    fn again(&self, agent: PathBuf) -> Vec<OsString> {
        let mut again: Vec<OsString> = vec!["corpus".into(), "--agent".into(), agent.into()];
        again.extend(["--backend".into(), OsString::from(&self.backend)]);
        again.extend(self.yes.then(|| "--yes".into()));
        again.extend(self.keep.then(|| "--keep".into()));
        again.extend(self.choice().into_iter().map(OsString::from));
        again
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cases = match args.soak {
        Some(minutes) => vec![case::soak(minutes)?],
        None => case::all()?.into_iter().filter(|case| args.wants(case)).collect(),
    };
    ensure!(!cases.is_empty(), "no case of that name in xtask/corpus");
    if !args.kernel.is_empty() {
        return vm::corpus::run(&args.kernel, &args.backend, &args.choice(), args.jobs, args.yes);
    }
    let agent = match &args.agent {
        Some(agent) if cmd::is_root() => agent.clone(),
        _ => prepare(&cases, args.yes)?,
    };
    if !cmd::is_root() {
        return Err(cmd::again_as_root(args.again(agent)));
    }
    let report = play(args, &agent, &cases)?;
    let left = world::left();
    ensure!(left.is_empty(), "not cleaned up: {}", left.join(", "));
    Ok(report.end())
}

/// Builds and installs, as whoever this is.
fn prepare(cases: &[Case], yes: bool) -> Result<PathBuf> {
    setup::ensure(yes)?;
    tools::wheels(cases);
    cmd::quiet("the agent", cmd::cargo("build").args(["--package", "sensor-user", "--bin", "dumptrail"]))?;
    Ok(cmd::target().join("debug/dumptrail"))
}

/// What was made ends at the end of this function, the last first.
fn play(args: &Args, agent: &Path, cases: &[Case]) -> Result<Report> {
    let mut world = World::build()?;
    // Some packages change how cores are written: the world has noted what it was.
    tools::install(cases, args.yes)?;
    let mut agent = Agent::start(agent, &args.backend)?;
    world.outlive(agent.pid())?;
    let played = agent.ready().and_then(|()| rounds(cases, &mut agent));
    drop(agent);
    if args.keep || played.is_err() {
        world::keep().context("cannot keep the output")?;
    }
    played
}

fn rounds(cases: &[Case], agent: &mut Agent) -> Result<Report> {
    let mut report = Report::default();
    for case in cases {
        let verdict = match tools::missing(case) {
            Some(why) => Verdict::skipped(why),
            None => judge::round(case, agent)?,
        };
        report.add(case, verdict);
    }
    report.gaps = agent.gaps();
    Ok(report)
}
