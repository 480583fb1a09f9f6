//! Virtual environments: programs that come as wheels, installed in seconds and for this workspace alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{apt, tools};
use crate::cmd;

/// The environment `name` under `target/tools`, made when it is not there or held other wheels.
pub(crate) fn environment(name: &str, wheels: &[&str]) -> Result<PathBuf> {
    let folder = tools().join(name);
    let (stamp, wanted) = (folder.join("wheels"), wheels.join("\n"));
    if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(folder);
    }
    install(&folder, wheels)?;
    fs::write(stamp, wanted)?;
    Ok(folder)
}

fn install(folder: &Path, wheels: &[&str]) -> Result<()> {
    if cmd::which("python3").is_none() && apt::here() {
        apt::refresh()?;
        apt::install(&["python3", "python3-venv"])?;
    }
    let python = cmd::which("python3").context("there is no python3")?;
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    if cmd::quiet("venv", &mut venv).is_err() {
        ensure!(apt::here(), "python3 cannot make virtual environments");
        apt::refresh()?;
        apt::install(&["python3-venv"])?;
        cmd::quiet("venv", &mut venv)?;
    }
    let mut pip = Command::new(folder.join("bin/pip"));
    cmd::quiet("pip", pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(wheels)).map(drop)
}
