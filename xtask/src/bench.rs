//! `cargo xtask bench native`: what the agent costs other programs on this machine's kernel, in nanoseconds; `icount`: the
//! same in instructions, on kernels in virtual machines.
//!
//! Each round measures the same workloads in one process on one CPU: without an agent, beside two programs at system calls
//! that do nothing, with an idle agent, and with one that follows a live dump. A round's baseline is the mean of its own
//! measurement without an agent and the next round's, so a machine that slowly changes speed changes no difference.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cleaner::Cleaner;
use crate::cmd;
use crate::setup;

mod agent;
mod icount;
mod load;
mod report;

use agent::{Agent, Usage};
use load::Load;
use report::{Round, Series};

/// Measures what the agent costs other programs
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Native(Native),
    Icount(icount::Args),
}

/// On this machine's kernel, by the clock
#[derive(clap::Args)]
struct Native {
    /// How often to measure each state
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Milliseconds for each workload in each state of a round
    #[arg(long, default_value_t = 60)]
    millis: u32,
    /// An agent that is built already, instead of building one with optimisation
    #[arg(long)]
    agent: Option<PathBuf>,
    #[arg(long, hide = true)]
    load: Option<PathBuf>,
}

/// Where everything is written.
const BASE: &str = "/var/lib/dumptrail-bench";
const LOCK: &str = "/run/dumptrail-bench.lock";
/// After an agent has gone the kernel frees its maps in the background.
const SETTLE: Duration = Duration::from_millis(700);
/// How long to wait for other agents to end.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to watch the agent's own use of memory and processor.
const WATCH: Duration = Duration::from_secs(15);

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let native = match &args.what {
        What::Native(native) => native,
        What::Icount(args) => return icount::run(args),
    };
    let agent = native.agent.clone().map_or_else(build, Ok)?;
    let load =
        native.load.clone().map_or_else(|| cmd::program(&cmd::root().join("xtask/bench/load.rs"), "load"), Ok)?;
    if !cmd::is_root() {
        let numbers =
            ["--rounds".into(), native.rounds.to_string().into(), "--millis".into(), native.millis.to_string().into()];
        let paths: [OsString; 4] = ["--agent".into(), agent.into(), "--load".into(), load.into()];
        return Err(cmd::again_as_root(["bench".into(), "native".into()].into_iter().chain(numbers).chain(paths)));
    }
    measure(native, &agent, &load)
}

fn build() -> Result<PathBuf> {
    setup::ensure(false)?;
    let mut command = cmd::cargo("build");
    command.args(["--release", "--package", "sensor-user", "--bin", "dumptrail"]);
    cmd::quiet("the agent, optimised", &mut command)?;
    Ok(cmd::target().join("release/dumptrail"))
}

fn measure(native: &Native, agent: &Path, load: &Path) -> Result<ExitCode> {
    ensure!(native.rounds > 0, "no rounds");
    let _cleaner = prepare()?;
    let cpus = std::thread::available_parallelism()?.get();
    ensure!(cpus > 1, "one CPU is not enough: the agent would run where its cost is measured");
    let mut load = Load::start(load, Path::new(BASE), cpus - 1, native.millis)?;
    let others = format!("0-{}", cpus - 2);
    let start = || Agent::start(agent, Path::new(BASE), &others);
    let mut series = Series::new(load.names.clone());
    while series.rounds.len() < native.rounds {
        eprint!("\rround {} of {} ", series.rounds.len() + 1, native.rounds);
        let one = round(&mut load, start)?;
        // Another agent costs as much as this one. What was measured beside it is void.
        if alone()? {
            series.rounds.push(one);
        }
    }
    eprintln!();
    series.last = load.measure()?;
    let (idle, armed) = usage(start)?;
    print!("{}", series.table());
    println!("\nagent         idle: {idle}\n             armed: {armed}");
    let bars = series.bars().into_iter().chain(agent::bars(&idle, &armed));
    let missed = bars.inspect(|bar| println!("{bar}")).filter(|bar| !bar.held).count();
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether this program's agents are the only ones; waits for others to end.
fn alone() -> Result<bool> {
    let start = Instant::now();
    loop {
        let others = agent::running()?;
        if others.is_empty() {
            return Ok(start.elapsed() < Duration::from_millis(100));
        }
        let pids = others.join(", ");
        ensure!(
            start.elapsed() < PATIENCE,
            "another dumptrail is running (pid {pids}): its cost would be measured as well"
        );
        sleep(Duration::from_millis(200));
    }
}

fn prepare() -> Result<Cleaner> {
    let mut cleaner = Cleaner::start(LOCK)?;
    cleaner.later(&format!("rm -rf {BASE}"))?;
    std::fs::create_dir_all(format!("{BASE}/cores")).with_context(|| format!("cannot make {BASE}"))?;
    cleaner.core_pattern(&format!("{BASE}/cores/core.%p"))?;
    Ok(cleaner)
}

fn round(load: &mut Load, start: impl Fn() -> Result<Agent>) -> Result<Round> {
    alone()?;
    let none = load.measure()?;
    let empty = load.measure_beside_empty_programs()?;
    sleep(SETTLE);
    let mut agent = start()?;
    sleep(SETTLE);
    ensure!(!agent.is_armed()?, "the agent is armed, though it should have nothing to follow");
    let idle = load.measure()?;
    let attached = agent.follow_a_dump()?;
    sleep(SETTLE);
    let armed = load.measure()?;
    ensure!(agent.is_armed()?, "the agent is not armed any more");
    agent.stop()?;
    sleep(SETTLE);
    Ok(Round { none, empty, idle, armed, attached })
}

/// The agent's own needs: with nothing to do, and with one dump at rest.
fn usage(start: impl Fn() -> Result<Agent>) -> Result<(Usage, Usage)> {
    let mut agent = start()?;
    sleep(SETTLE);
    let idle = agent.usage(WATCH)?;
    agent.follow_a_dump()?;
    sleep(SETTLE);
    let armed = agent.usage(WATCH)?;
    agent.stop()?;
    Ok((idle, armed))
}
