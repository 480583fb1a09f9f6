//! Putting things back: when a scenario ends, when it panics, and when the whole program is killed.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::roles;

/// A process of its own, in a process group of its own, that undoes whatever this program leaves undone.
static GUARDIAN: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Starts the guardian. First of all, so that it inherits nothing.
#[expect(clippy::zombie_processes, reason = "it outlives this program: that is its purpose")]
pub(crate) fn start() {
    let mut command = Command::new(roles::program("guardian"));
    let child = command.stdin(Stdio::piped()).process_group(0).spawn().unwrap();
    let _ = GUARDIAN.set(Mutex::new(child.stdin.unwrap()));
}

fn tell(line: &str) {
    let mut guardian = GUARDIAN.get().expect("the guardian was started").lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(guardian, "{line}").unwrap();
}

/// A shell command that is run when this is dropped, or by the guardian.
pub(crate) struct Undo {
    number: u64,
    command: String,
}

impl Undo {
    pub(crate) fn by(command: impl Into<String>) -> Self {
        let (number, command) = (NEXT.fetch_add(1, Ordering::SeqCst), command.into());
        tell(&format!("+{number} {command}"));
        Self { number, command }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let _ = Command::new("sh").args(["-c", &self.command]).stderr(Stdio::null()).status();
        tell(&format!("-{}", self.number));
    }
}

/// A child that ends with the scenario, and with it the processes that it started: nginx's workers outlive a master that is
/// killed. It leads a process group for that.
pub(crate) struct Running {
    child: Child,
    number: u64,
    what: String,
    ended: bool,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        tell(&format!("+{number} kill -9 -{}", child.id()));
        Self { child, number, what: format!("{command:?}"), ended: false }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end. Says whether it succeeded.
    pub(crate) fn within(&mut self, deadline: Duration) -> std::process::ExitStatus {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.ended = true;
                return status;
            }
            assert!(Instant::now() < end, "{} has not ended within {deadline:?}", self.what);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once the child is reaped its number may be another's.
        if !self.ended && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let group = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
        tell(&format!("-{}", self.number));
    }
}
