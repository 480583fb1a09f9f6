//! Making dumps: `core_pattern` belongs to the whole machine, so it is changed under a lock, for a moment.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    process::Command,
    time::Duration,
};

use super::guard::{Running, Undo};

const PATTERN: &str = "/proc/sys/kernel/core_pattern";
const LOCK: &str = "/tmp/core_pattern.lock";

/// `core_pattern` for as long as this lives.
pub(crate) struct Pattern {
    old: String,
    undo: Option<Undo>,
    _lock: File,
}

impl Pattern {
    pub(crate) fn set(pattern: &str) -> Self {
        assert!(pattern.len() < 128, "core_pattern holds 127 characters: {pattern}");
        let lock = File::options().create(true).append(true).open(LOCK).unwrap();
        lock.lock().unwrap();
        let old = fs::read_to_string(PATTERN).unwrap();
        let undo = Undo::by(format!("printf %s '{}' > {PATTERN}", old.trim_end()));
        fs::write(PATTERN, pattern).unwrap();
        Self { old, undo: Some(undo), _lock: lock }
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        let _ = fs::write(PATTERN, &self.old);
        // Before the lock goes.
        self.undo.take();
    }
}

/// Runs a command that must die of SIGABRT with a core. Returns its process id.
pub(crate) fn crash(command: &mut Command) -> u32 {
    let mut running = Running::start(command);
    let status = running.within(Duration::from_secs(30));
    assert!(status.signal() == Some(6) && status.core_dumped(), "{command:?} ended with {status}, not with a core");
    running.pid()
}
