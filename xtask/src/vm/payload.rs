//! What a guest runs: agent, scenarios and their arguments, on a small disk of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{folder, root};
use crate::cmd;
use crate::image;

/// Agent and scenarios, without a loader and without the debug information that a guest would only read.
pub(crate) struct Binaries {
    agent: PathBuf,
    pub(crate) scenarios: PathBuf,
}

impl Binaries {
    pub(crate) fn build() -> Result<Self> {
        let (agent, scenarios) = image::static_scenarios()?;
        Ok(Self { agent: stripped(&agent, "dumptrail")?, scenarios: stripped(&scenarios, "scenarios")? })
    }
}

fn stripped(built: &Path, name: &str) -> Result<PathBuf> {
    let file = folder()?.join(name);
    cmd::text(Command::new("strip").args(["--strip-debug", "-o"]).arg(&file).arg(built))?;
    Ok(file)
}

/// The doctor's answers and the scenarios.
pub(crate) const SCENARIOS: &str = include_str!("scenarios.sh");
/// What other guests send to.
pub(crate) const PEER: &str = include_str!("peer.sh");

/// A disk with the binaries, the guest's scripts, and small files that tell the scripts what to do. `part` is what the
/// guest is for.
pub(crate) fn disk(binaries: &Binaries, name: &str, part: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let tree = folder()?.join(format!("{name}.payload"));
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    fs::create_dir_all(&tree)?;
    fs::copy(&binaries.agent, tree.join("dumptrail"))?;
    fs::copy(&binaries.scenarios, tree.join("scenarios"))?;
    fs::write(tree.join("config.yaml"), include_bytes!("config.yaml"))?;
    fs::write(tree.join("guest.sh"), include_bytes!("guest.sh"))?;
    fs::write(tree.join("part.sh"), part)?;
    for (name, text) in files {
        fs::write(tree.join(name), text)?;
    }
    let image = folder()?.join(format!("{name}.img"));
    root::ext4(&tree, &image, "512M")?;
    fs::remove_dir_all(tree)?;
    Ok(image)
}
