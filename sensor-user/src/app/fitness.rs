//! Whether the agent is fit: all is there that it needs, and the configuration that it was given is in force. The first
//! line of a run says it; `STATE/ready`, locked for as long as it holds, says it to probes.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use crate::{ndjson::Missing, probe::features::Features};

/// What the host must show, unless `--allow-degraded`.
struct Need {
    name: &'static str,
    lacking: &'static str,
    remedy: &'static str,
    blind: &'static str,
}

const PID_NAMESPACE: Need = Need {
    name: "initial pid namespace",
    lacking: "not in the initial pid namespace",
    remedy: "set hostPID: true, or run on the host",
    blind: "pids and exits would be another namespace's",
};

const CGROUP: Need = Need {
    name: "cgroup v2 mount",
    lacking: "no cgroup v2 mount",
    remedy: "mount /sys/fs/cgroup of the host",
    blind: "processes could not be told by cgroup",
};

fn lacking(features: &Features) -> impl Iterator<Item = Need> {
    let namespace = (!features.initial_pid_namespace).then_some(PID_NAMESPACE);
    let cgroup = features.cgroup.is_none().then_some(CGROUP);
    namespace.into_iter().chain(cgroup)
}

/// What must be there, whatever the kernel is. All of it at once, each with what grants it.
pub fn missing(features: &Features) -> Vec<String> {
    let grant = |c: &&str| {
        format!(
            "{c} is missing: run as root, or grant it (`setcap {}+ep`, securityContext.capabilities, AmbientCapabilities=)",
            c.to_lowercase()
        )
    };
    let needs = lacking(features).map(|n| format!("{}: {}; {}", n.lacking, n.remedy, n.blind));
    features.missing_capabilities.iter().map(grant).chain(needs).collect()
}

/// The same as far as one may run without it, as `ready` lists it.
pub(super) fn degraded(features: &Features) -> Vec<Missing> {
    lacking(features).map(|n| Missing { hook: n.name.to_owned(), blind: n.blind.to_owned() }).collect()
}

/// See the module.
pub(super) struct Fitness {
    path: PathBuf,
    held: Option<File>,
    /// What is missing, for as long as this agent runs.
    lacks: Vec<String>,
    /// What was wrong with the configuration of the start, until another one is in force.
    refused: Option<String>,
}

impl Fitness {
    /// Nobody is told yet.
    pub(super) fn new(state_dir: &Path, features: &Features, refused: Option<String>) -> Self {
        Self { path: state_dir.join(FILE), held: None, lacks: missing(features), refused }
    }

    /// Why the agent is not fit.
    pub(super) fn problems(&self) -> Vec<String> {
        self.lacks.iter().chain(&self.refused).cloned().collect()
    }

    /// The configuration that was asked for is in force.
    pub(super) fn configured(&mut self) {
        self.refused = None;
    }

    /// Tells probes.
    pub(super) fn tell(&mut self) {
        if !self.problems().is_empty() {
            self.retract();
        } else if self.held.is_none() {
            match hold(&self.path) {
                Ok(file) => self.held = Some(file),
                Err(error) => tracing::warn!(%error, "{} could not be written: probes will fail", self.path.display()),
            }
        }
    }

    /// Probes fail from now on.
    pub(super) fn retract(&mut self) {
        self.held = None;
        let _ = fs::remove_file(&self.path);
    }
}

/// Below the state directory.
const FILE: &str = "ready";

/// A probe holds the lock for an instant.
fn hold(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)?;
    for _ in 0..20 {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(5)),
            done => return done.map(|()| file).map_err(Into::into),
        }
    }
    Err(Errno::WOULDBLOCK.into())
}

/// True when a fit agent runs on this state directory. An agent that was killed leaves the file, but not the lock.
pub fn is_fit(state_dir: &Path) -> io::Result<bool> {
    let file = match File::open(state_dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitness(state_dir: &Path, lacks: &[&str], refused: Option<&str>) -> Fitness {
        let lacks = lacks.iter().map(ToString::to_string).collect();
        Fitness { path: state_dir.join(FILE), held: None, lacks, refused: refused.map(str::to_owned) }
    }

    #[test]
    fn probes_see_a_fit_agent_for_as_long_as_it_lives() {
        let state = tempfile::tempdir().unwrap();
        let mut fit = fitness(state.path(), &[], None);
        assert!(!is_fit(state.path()).unwrap(), "before it says so");
        fit.tell();
        fit.tell();
        assert!(is_fit(state.path()).unwrap());
        drop(fit);
        assert!(state.path().join(FILE).exists() && !is_fit(state.path()).unwrap(), "it was killed");
        let mut next = fitness(state.path(), &[], None);
        next.tell();
        assert!(is_fit(state.path()).unwrap());
        next.retract();
        assert!(!state.path().join(FILE).exists());
    }

    #[test]
    fn another_configuration_makes_it_fit_again_but_for_what_is_missing() {
        let state = tempfile::tempdir().unwrap();
        let mut refused = fitness(state.path(), &[], Some("refused"));
        refused.tell();
        assert!(!is_fit(state.path()).unwrap() && refused.problems() == ["refused"]);
        refused.configured();
        refused.tell();
        assert!(is_fit(state.path()).unwrap() && refused.problems().is_empty());
        drop(refused);
        let mut degraded = fitness(state.path(), &["no cgroup v2 mount"], None);
        degraded.configured();
        degraded.tell();
        assert!(!is_fit(state.path()).unwrap() && degraded.problems() == ["no cgroup v2 mount"]);
    }
}
