//! `cargo xtask test`: everything that proves the product, the fastest first.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::cmd;
use crate::setup::{self, apt::Tool};
use crate::stage::{Outcome, Stage, run_all};

/// Unit, integration and rule tests, then the scenarios on this machine's kernel
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs only tests whose name contains this
    filter: Option<String>,
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
}

/// What scenarios move dumps with, and look at the kernel with.
const TOOLS: &[Tool] = &[
    ("bpftool", "bpftool"),
    ("curl", "curl"),
    ("gzip", "gzip"),
    ("ip", "iproute2"),
    ("logrotate", "logrotate"),
    ("nc", "netcat-openbsd"),
    ("nginx", "nginx-light"),
    ("nsenter", "util-linux"),
    ("python3", "python3"),
    ("rsync", "rsync"),
    ("setpriv", "util-linux"),
    ("socat", "socat"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("tar", "tar"),
];

/// The scenarios load programs into the kernel, so they run as root and last.
const SCENARIOS: &str = "scenarios";

const STAGES: &[Stage<Args>] = &[
    Stage { name: "unit", run: unit },
    Stage { name: "integration", run: integration },
    Stage { name: "documentation", run: documentation },
    Stage { name: "rules", run: rules },
    Stage { name: "scenarios", run: scenarios },
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::ensure(args.yes)?;
    Ok(run_all(STAGES, args))
}

fn unit(args: &Args) -> Result<Outcome> {
    cargo_test("unit", &["--workspace", "--exclude", "sensor-ebpf", "--lib", "--bins"], args)
}

fn integration(args: &Args) -> Result<Outcome> {
    let names = programs()?;
    let names: Vec<_> = names.iter().filter(|name| *name != SCENARIOS).flat_map(|name| ["--test", name]).collect();
    if names.is_empty() {
        return Ok(Outcome::Skipped("no test programs".to_owned()));
    }
    cargo_test("integration", &[["--package", "sensor-user"].as_slice(), &names].concat(), args)
}

fn documentation(args: &Args) -> Result<Outcome> {
    cargo_test("documentation", &["--package", "sensor-user", "--package", "sensor-abi", "--doc"], args)
}

/// The shipped rules' own tests, with the product's own verb.
fn rules(args: &Args) -> Result<Outcome> {
    if args.filter.is_some() {
        return Ok(Outcome::Skipped("a filter is given".to_owned()));
    }
    if !cmd::root().join("rules").is_dir() {
        return Ok(Outcome::Skipped("no rules/".to_owned()));
    }
    let mut command = cmd::cargo("run");
    command.args(["--quiet", "--package", "sensor-user", "--bin", "dumptrail", "--", "test", "rules"]);
    let (good, said) = cmd::captured("rules", &mut command)?;
    Ok(Outcome::of_tests(good, said))
}

fn scenarios(args: &Args) -> Result<Outcome> {
    if !programs()?.iter().any(|name| name == SCENARIOS) {
        return Ok(Outcome::Skipped("no test program of that name".to_owned()));
    }
    setup::apt::tools(TOOLS, args.yes)?;
    cargo_test(SCENARIOS, &["--package", "sensor-user", "--test", SCENARIOS], args)
}

/// Plain `cargo test`: it is there wherever cargo is, and scenarios share one kernel, so a runner that starts a process
/// for each test gains little.
fn cargo_test(label: &str, what: &[&str], args: &Args) -> Result<Outcome> {
    let mut command = cmd::cargo("test");
    command.arg("--no-fail-fast").args(what);
    command.arg("--").args(&args.filter);
    if label == SCENARIOS && !cmd::is_root() {
        let runner = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", std::env::consts::ARCH.to_uppercase());
        command.env(runner, as_runner(&cmd::raised("env")));
    }
    let (good, said) = cmd::captured(label, &mut command)?;
    Ok(Outcome::of_tests(good, said))
}

fn as_runner(command: &Command) -> String {
    let words: Vec<&OsStr> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// The integration test programs of `sensor-user`: `tests/NAME.rs` or `tests/NAME/main.rs`.
fn programs() -> Result<Vec<String>> {
    let folder = cmd::root().join("sensor-user/tests");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> = entries.filter_map(|entry| program(&entry.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

fn program(path: &Path) -> Option<String> {
    let rust = path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").is_file();
    rust.then(|| path.file_stem()?.to_str().map(str::to_owned))?
}
