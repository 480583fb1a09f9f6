//! Scenarios: the real agent, the real kernel, real tools. Each makes a dump, moves it (or something that looks alike),
//! and says which typed steps and alerts must come of it.
//!
//! They need root. `DUMPTRAIL_TEST_BACKEND` chooses the agent's backend, `DUMPTRAIL_TEST_ARMING` its `arming`;
//! `DUMPTRAIL_REPEAT=N` runs each scenario N times and wants the same result each time. Tools are found in PATH, files go
//! below TMPDIR: the program also runs in a guest.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, process::ExitCode};

mod cases;
mod harness;

fn main() -> ExitCode {
    let name = std::env::args().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(code) = harness::roles::play(&name) {
        return code;
    }
    cases::run()
}
