//! `cargo xtask demo`: a real process crashes in an isolated zone, its core travels to an Internet-facing zone by ordinary
//! tools, and the alerts arrive with the trail behind them. What it shows it also checks: it fails when it does not hold.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::cmd;
use crate::setup;
use crate::setup::apt::Tool;

mod agent;
mod receiver;
mod say;
mod story;
mod world;

use say::{Ink, inked};

/// Shows a crash dump on its way to the Internet, and the alerts
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    parts: Option<Parts>,
}

/// What was built as the user, for the part that runs as root.
#[derive(clap::Args)]
struct Parts {
    #[arg(long, hide = true, required = false)]
    agent: PathBuf,
    #[arg(long, hide = true, required = false)]
    signer: PathBuf,
    #[arg(long, hide = true)]
    python: Option<PathBuf>,
}

/// The commands that play a part, and the packages that bring them.
const TOOLS: &[Tool] = &[
    ("sshd", "openssh-server"),
    ("scp", "openssh-client"),
    ("nginx", "nginx"),
    ("curl", "curl"),
    ("gzip", "gzip"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("kill", "procps"),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(parts) = args.parts.as_ref().filter(|_| cmd::is_root()) {
        return Ok(play(parts));
    }
    let parts = prepare(args.yes)?;
    if cmd::is_root() {
        return Ok(play(&parts));
    }
    let mut again: Vec<OsString> = vec!["demo".into(), "--agent".into(), parts.agent.into()];
    again.extend(["--signer".into(), parts.signer.into()]);
    again.extend(parts.python.into_iter().flat_map(|python| ["--python".into(), python.into()]));
    Err(cmd::again_as_root(again))
}

/// Builds and installs, as whoever this is.
fn prepare(yes: bool) -> Result<Parts> {
    setup::ensure(yes)?;
    setup::apt::tools(TOOLS, yes)?;
    Ok(Parts { agent: build_agent()?, signer: build_signer()?, python: receiver() })
}

/// Without optimisation: it is ready in a third of the time, and shares its parts with the tests.
fn build_agent() -> Result<PathBuf> {
    let program = cmd::target().join("debug/dumptrail");
    if !program.exists() {
        eprintln!("building the agent; the first time this takes some minutes");
    }
    cmd::quiet("the agent", cmd::cargo("build").args(["--package", "sensor-user", "--bin", "dumptrail"]))?;
    Ok(program)
}

fn build_signer() -> Result<PathBuf> {
    cmd::program(&cmd::root().join("xtask/demo/signer.rs"), "signer")
}

/// The receiver is not ours, and comes from PyPI: without it there is still a demonstration.
fn receiver() -> Option<PathBuf> {
    receiver::install()
        .inspect_err(|error| {
            let why = format!("{error:#}");
            let why = why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            eprintln!(
                "{}",
                inked(Ink::Warning, "the OpenTelemetry receiver cannot be installed; the demo goes on without")
            );
            eprintln!("  {why}");
        })
        .ok()
}

fn play(parts: &Parts) -> ExitCode {
    match story::tell(parts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{} {error:#}", inked(Ink::Bad, "FAILED"));
            ExitCode::FAILURE
        }
    }
}
