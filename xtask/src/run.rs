//! `cargo xtask run -- ARGS`: builds dumptrail as this user and runs it as root.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::cmd;
use crate::setup;

/// Builds dumptrail and runs it as root
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Builds with optimisation
    #[arg(long)]
    release: bool,
    /// What dumptrail gets, after `--`
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Becomes dumptrail: its signals, its output and its exit code are the caller's.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::ensure(false)?;
    let mut build = cmd::cargo("build");
    build.args(["--package", "sensor-user", "--bin", "dumptrail"]).args(args.release.then_some("--release"));
    cmd::loud(&mut build)?;
    let profile = if args.release { "release" } else { "debug" };
    let mut dumptrail = cmd::raised(cmd::target().join(profile).join("dumptrail"));
    Err(anyhow!(dumptrail.args(&args.args).exec()).context(cmd::shown(&dumptrail)))
}
