//! Real dumps for the tests of this stage: made by real programs, in a folder that goes with the test.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A child that ends with the test, stopped by its own pid only.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Guard {
    /// Starts a program that writes one line when it is ready, and waits for that line.
    pub(crate) fn ready(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).expect("the program ends before it is ready");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// True when all tools are here; says loudly what is missing.
pub(crate) fn have(tools: &[&str]) -> bool {
    let found = |tool: &&&str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|dir| dir.join(tool).exists())
    };
    let missing: Vec<_> = tools.iter().filter(|t| !found(t)).collect();
    if !missing.is_empty() {
        eprintln!("SKIPPED: {missing:?} not installed");
    }
    missing.is_empty()
}

/// Runs a shell command in `dir`; it must succeed.
pub(crate) fn sh(dir: &Path, script: &str) {
    let out = Command::new("sh").args(["-ec", script]).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Takes a core of a running process with gdb.
pub(crate) fn gcore(pid: u32, to: &Path) {
    let command = format!("generate-core-file {}", to.display());
    let out = Command::new("gdb")
        .args(["-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", &pid.to_string(), "-ex", &command])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(to.exists(), "gdb: {}", String::from_utf8_lossy(&out.stderr));
}

/// A small process with a command line that holds a secret.
pub(crate) fn victim() -> Guard {
    Guard::ready(Command::new("python3").args([
        "-c",
        "import time; print('r', flush=True); time.sleep(60)",
        "--password=hunter2",
    ]))
}

/// A folder with `core`: a core of [`victim`], taken by gdb. Absent, loudly, without gdb.
pub(crate) fn core() -> Option<(TempDir, PathBuf)> {
    if !have(&["gdb", "python3"]) {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("core");
    let child = victim();
    gcore(child.pid(), &path);
    Some((dir, path))
}

pub(crate) fn open(path: &Path) -> File {
    File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
