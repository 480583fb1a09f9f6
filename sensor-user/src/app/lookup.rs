//! Completing what the kernel said from /proc and the mount table. Short reads only, none that waits for a process: of
//! an actor `stat`, `cgroup` and two links; command line and executable came with the record.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use sensor_abi::{
    flow::Via,
    key::{CarrierKey, class},
    record::CARRIES,
};

use crate::{
    config::schema::CommandLine,
    enrich::{
        Enricher, Known,
        mask::Privacy,
        mounts::{Mounts, Watch},
        process::Alive,
    },
    event::{Actor, Body, Event, File},
    rules::Loaded,
    step::{FileRef, Process},
    trail::{Change, Looked},
};

/// See the module.
pub struct Lookup {
    enricher: Enricher,
    mounts: Mounts,
    changes: Watch,
    /// Mounts have changed, and nobody has asked yet.
    remounted: bool,
    hash_executables: bool,
    /// Processes whose arguments may be a dump's bytes.
    carriers: BTreeSet<CarrierKey>,
}

impl Lookup {
    /// Ready for a configuration.
    pub fn new(loaded: &Loaded) -> Self {
        // Watched first, then read, so that no change falls between.
        let changes = Watch::of_host();
        let mounts = Mounts::of_host();
        let mut lookup = {
            let enricher = Enricher::new("/proc", &mounts, privacy(loaded));
            Self { enricher, changes, remounted: false, mounts, hash_executables: false, carriers: BTreeSet::new() }
        };
        lookup.configure(loaded);
        lookup
    }

    /// Another configuration is in force.
    pub fn configure(&mut self, loaded: &Loaded) {
        self.enricher.set_privacy(privacy(loaded));
        self.hash_executables = loaded.ruleset.wants_sha256();
    }

    /// Mounts come and go.
    pub fn refresh(&mut self) {
        if self.changes.changed() {
            self.mounts = Mounts::of_host();
            self.remounted = true;
        }
    }

    /// Whether mounts have changed since the last call.
    pub fn take_remounted(&mut self) -> bool {
        std::mem::take(&mut self.remounted)
    }

    /// The mount table.
    pub const fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// What belongs to an event.
    pub fn event(&mut self, event: &Event) -> Looked {
        self.follow_arguments(&event.body);
        match &event.body {
            Body::Birth(b) | Body::Born(b) => {
                let other = b.traced.and_then(|key| self.by_key(&key));
                Looked { other, ..self.both(&b.actor, Some(&b.file), &b.object) }
            }
            Body::Edge(e) => {
                let file = e.file.as_ref().filter(|f| f.base.mode & 0xf000 == 0x8000);
                let key = if e.direction.is_from_object() { e.pair.from } else { e.pair.to };
                let memory = [e.pair.from, e.pair.to].into_iter().find(|k| k.dev == class::TASK && *k != e.actor.key());
                let other =
                    memory.filter(|_| matches!(e.via, Via::Memory | Via::Fuse)).and_then(|key| self.by_key(&key));
                Looked { other, ..self.both(&e.actor, file, &key) }
            }
            Body::Verdict { edge, .. } => Looked { process: Some(self.actor(&edge.actor)), ..Looked::default() },
            Body::Exec { actor, .. }
            | Body::Connect { actor, .. }
            | Body::Crash { actor, .. }
            | Body::Truncate { actor, .. } => Looked { process: Some(self.actor(actor)), ..Looked::default() },
            Body::Grow { .. } | Body::Fork { .. } | Body::Exit { .. } => Looked::default(),
        }
    }

    /// Whose arguments may be a dump's bytes: who was started with much longer ones, and its children.
    fn follow_arguments(&mut self, body: &Body) {
        match body {
            Body::Exec { old, actor, longer, .. } => {
                self.carriers.remove(old);
                self.carriers.extend((*longer >= CARRIES).then(|| actor.key()));
            }
            Body::Fork { parent, child, .. } => {
                let carries = self.carriers.contains(parent);
                self.carriers.extend(carries.then_some(*child));
            }
            Body::Exit { task } => drop(self.carriers.remove(task)),
            _ => {}
        }
    }

    fn both(&mut self, actor: &Actor, file: Option<&File>, key: &CarrierKey) -> Looked {
        let process = Some(self.actor(actor));
        let Some(file) = file else { return Looked { process, ..Looked::default() } };
        let mount = self.mounts.of_dev(key.dev).next();
        let path = match &file.path {
            // In no folder and on no mount, such as a memfd: named as in /proc.
            Some(name) if mount.is_none() && file.base.nlink == 0 => Some(format!("{name} (deleted)")),
            Some(path) if file.path_in_fs => self.mounts.host_path(key.dev, path).or_else(|| Some(path.clone())),
            path => path.clone(),
        };
        Looked {
            process,
            other: None,
            mount_source: mount.map(|m| m.source.clone()),
            file: Some(FileRef { path, inode: key.id, fstype: mount.map(|m| m.fstype.clone()) }),
        }
    }

    fn actor(&mut self, actor: &Actor) -> Arc<Process> {
        // What is unmounted leaves its device number to what is mounted next, and network namespaces get names by mounts.
        self.refresh();
        let known = known(actor);
        let carries = self.carriers.contains(&actor.key());
        let mut process = self.enricher.complete(&known, carries).process;
        if self.hash_executables {
            process.executable_sha256 = self.enricher.sha256(known.pid, known.start_ns);
        }
        Arc::new(process)
    }

    /// A process of which the kernel told no more than which it is.
    fn by_key(&mut self, key: &CarrierKey) -> Option<Arc<Process>> {
        let (start_ns, exec_id) = key.task_parts();
        let carries = self.carriers.contains(key);
        self.enricher.find(key.generation, start_ns, exec_id, carries).map(Arc::new)
    }

    /// What belongs to a change of a file's name.
    pub fn by_name(&self, pid: u32, change: &Change) -> Looked {
        let path = match change {
            Change::Renamed(file) | Change::Linked(file) => file.path.as_deref(),
            Change::Deleted | Change::Truncated => None,
        };
        let mount = path.and_then(|path| self.mounts.of_path(path));
        Looked { process: by_pid(pid), mount_source: mount.map(|m| m.source.clone()), ..Looked::default() }
    }
}

/// A process of which only the pid is known: by the time it is looked at, it may be another's. Only its name and
/// executable are told.
fn by_pid(pid: u32) -> Option<Arc<Process>> {
    let alive = Alive::any(Path::new("/proc"), pid)?;
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Arc::new(Process {
        pid,
        start_ns: alive.start_ns(),
        parent_pid: alive.parent_pid(),
        comm: crate::event::printable(comm.trim_end().as_bytes()),
        executable: alive.executable(),
        ..Process::default()
    }))
}

fn known(actor: &Actor) -> Known {
    let base = &actor.base;
    Known {
        pid: base.tgid,
        tid: base.tid,
        start_ns: base.start_ns,
        exec_id: base.exec_id,
        parent_pid: base.parent_tgid,
        parent_start_ns: base.parent_start_ns,
        comm: actor.comm(),
        uid: base.uid,
        login_uid: base.login_uid,
        netns: base.netns,
        mntns: base.mntns,
        cgroup_id: base.cgroup,
        exe_path: actor.executable.as_ref().map(executable),
        argv: actor.argv.clone(),
        exe_ino: base.exe_ino,
        exe_dev: base.exe_dev,
    }
}

/// A program that is a memfd is named as in /proc.
fn executable(path: &String) -> String {
    if path.starts_with("/memfd:") { format!("{path} (deleted)") } else { path.clone() }
}

fn privacy(loaded: &Loaded) -> Privacy {
    match loaded.config.privacy.command_line {
        CommandLine::None => Privacy::None,
        CommandLine::Masked => Privacy::Masked,
        CommandLine::Full => Privacy::Full,
    }
}
