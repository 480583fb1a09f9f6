//! Puts the machine back as it was, whatever happens to this process: a shell in a session of its own holds the list of
//! what is to be undone, and works it off when the pipe to it closes. That covers the good end, an error, a panic,
//! Ctrl-C and even SIGKILL, without a signal handler.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Reads commands until the pipe closes, then runs the last first. A command that fails stops no other.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
todo=
while IFS= read -r line; do
    todo="$line
$todo"
done
eval "$todo" >/dev/null 2>&1
"#;

/// Where the kernel puts core files.
pub(crate) const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";
/// How long the cleaner of an interrupted run may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is to be undone at the end.
pub(crate) struct Cleaner {
    shell: Child,
}

impl Cleaner {
    /// Only one at a time: the cleaner holds the lock on the file `lock` until it has done its work.
    pub(crate) fn start(lock: &str) -> Result<Self> {
        let lock = locked(lock)?;
        let mut command = Command::new("setsid");
        // Its stdout is unused, and hands the lock down.
        command.args(["sh", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null());
        Ok(Self { shell: command.spawn().context("cannot start setsid (package util-linux)")? })
    }

    /// Remembers one line of shell. Say it before what it undoes is done.
    pub(crate) fn later(&mut self, line: &str) -> Result<()> {
        let pipe = self.shell.stdin.as_mut().context("the cleaner is gone")?;
        pipe.write_all(format!("{line}\n").as_bytes()).context("the cleaner is gone")
    }

    /// Sends core files to `pattern` until the end.
    pub(crate) fn core_pattern(&mut self, pattern: &str) -> Result<()> {
        let before = fs::read_to_string(CORE_PATTERN).with_context(|| format!("cannot read {CORE_PATTERN}"))?;
        self.later(&format!("printf %s {} >{CORE_PATTERN}", quoted(before.trim_end())))?;
        fs::write(CORE_PATTERN, pattern).with_context(|| format!("cannot write {CORE_PATTERN}: is this a container?"))
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn locked(path: &str) -> Result<File> {
    let lock = File::create(path).with_context(|| format!("cannot write {path}"))?;
    let start = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => bail!("another one is running (it holds {path})"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {path}")),
        }
    }
}

/// One word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_undone_first_and_a_failure_stops_nothing() {
        let file = std::env::temp_dir().join(format!("dumptrail-cleaner-{}", std::process::id()));
        let lock = file.with_extension("lock");
        let mut cleaner = Cleaner::start(lock.to_str().unwrap()).unwrap();
        for word in ["one", "it's two"] {
            cleaner.later(&format!("echo {} >>{}", quoted(word), file.display())).unwrap();
            cleaner.later("false").unwrap();
        }
        assert!(!file.exists());
        drop(cleaner);
        assert_eq!(fs::read_to_string(&file).unwrap(), "it's two\none\n");
        for path in [file, lock] {
            fs::remove_file(path).unwrap();
        }
    }
}
