//! The deployment files, checked by the programs that will read them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Args, python};
use crate::cmd;
use crate::stage::Outcome;

/// Where the unit and the manifests lie.
const UNIT: &str = "deploy/systemd/dumptrail.service";
const MANIFESTS: [&str; 1] = ["deploy/kubernetes/base"];
/// systemd's own score of a unit, times ten: 0 is locked up, 100 is naked. What an eBPF agent needs costs the rest.
const EXPOSURE: &str = "35";

/// Renders the manifests with kubectl and checks each object against the API's schema.
pub(super) fn kubernetes(_: &Args) -> Result<Outcome> {
    let (kubectl, validate) = (python::tool("kubectl")?, python::tool("kubernetes-validate")?);
    for folder in MANIFESTS {
        let rendered = cmd::text(Command::new(&kubectl).current_dir(cmd::root()).args(["kustomize", folder]))?;
        let file = cmd::target().join("xtask").join("manifests.yaml");
        fs::write(&file, rendered)?;
        cmd::quiet("kubernetes-validate", Command::new(&validate).arg("--strict").arg(&file)).context(folder)?;
    }
    Ok(Outcome::Passed)
}

/// Lets systemd read the unit in a root of its own, where the program exists, and score it.
pub(super) fn systemd(_: &Args) -> Result<Outcome> {
    if cmd::which("systemd-analyze").is_none() {
        return Ok(Outcome::Skipped("no systemd-analyze here".to_owned()));
    }
    let unit = scratch_unit()?;
    let said = cmd::quiet("systemd-verify", Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit))?;
    // An unknown or ill-formed key is only warned about.
    ensure!(said.trim().is_empty(), "systemd-analyze verify: {}", said.trim());
    let threshold = format!("--threshold={EXPOSURE}");
    let security = ["security", "--no-pager", "--offline=true", &threshold];
    cmd::quiet("systemd-security", Command::new("systemd-analyze").args(security).arg(&unit))?;
    Ok(Outcome::Passed)
}

/// The unit with a program that exists on every machine: systemd refuses one whose `ExecStart` is not there.
fn scratch_unit() -> Result<std::path::PathBuf> {
    let text = fs::read_to_string(cmd::root().join(UNIT)).with_context(|| format!("cannot read {UNIT}"))?;
    let file = cmd::target().join("xtask").join(Path::new(UNIT).file_name().context("the unit has a name")?);
    fs::write(&file, text.replace("/usr/bin/dumptrail", "/bin/true"))?;
    Ok(file)
}
