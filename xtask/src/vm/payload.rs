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
    /// The workloads of a measurement.
    load: Option<PathBuf>,
}

impl Binaries {
    pub(crate) fn build() -> Result<Self> {
        let (agent, scenarios) = image::static_scenarios()?;
        Ok(Self { agent: stripped(&agent, "dumptrail")?, scenarios: stripped(&scenarios, "scenarios")?, load: None })
    }

    /// With the program whose cost the agent changes. The programs in the kernel are the same for all profiles.
    pub(crate) fn for_costs() -> Result<Self> {
        let load = cmd::static_program(&cmd::root().join("xtask/bench/load.rs"), "load-static")?;
        Ok(Self { load: Some(load), ..Self::build()? })
    }

    /// Under the names that the guest's scripts know.
    pub(crate) fn all(&self) -> Vec<(&'static str, &Path)> {
        let program = self.load.as_ref().map_or(("scenarios", &self.scenarios), |load| ("load", load));
        vec![("dumptrail", &self.agent), (program.0, program.1)]
    }
}

pub(super) fn stripped(built: &Path, name: &str) -> Result<PathBuf> {
    let file = folder()?.join(name);
    cmd::text(Command::new("strip").args(["--strip-debug", "-o"]).arg(&file).arg(built))?;
    Ok(file)
}

/// The doctor's answers and the scenarios.
pub(crate) const SCENARIOS: &str = include_str!("scenarios.sh");
/// The corpus.
pub(crate) const CORPUS: &str = include_str!("corpus.sh");
/// What the agent costs.
pub(crate) const COSTS: &str = include_str!("costs.sh");
/// What other guests send to.
pub(crate) const PEER: &str = include_str!("peer.sh");

/// A disk with programs and folders, the guest's scripts, and small files that tell the scripts what to do. `part` is what
/// the guest is for.
pub(crate) fn disk(things: &[(&str, &Path)], name: &str, part: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let tree = folder()?.join(format!("{name}.payload"));
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    fs::create_dir_all(&tree)?;
    for (name, from) in things {
        cmd::text(Command::new("cp").arg("-r").arg(from).arg(tree.join(name)))?;
    }
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
