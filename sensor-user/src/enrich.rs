//! Completes what the kernel said about a process with what /proc still knows.
//!
//! What the kernel said stands; /proc only adds, and only while it shows the same process: the directory is opened
//! once, its start time compared, and everything else is read through that descriptor, so a reused pid never mixes
//! in. What is missing stays missing.

use std::{collections::HashMap, path::PathBuf};

pub mod container;
pub mod mask;
pub mod mounts;
pub mod process;
pub mod users;
pub mod watch;

use container::Cgroups;
use mask::{Argv, Privacy};
use mounts::Mounts;
use process::{Alive, Hashes};
use users::Users;

use crate::step::Process;

/// What the kernel said about an actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Process id, initial namespace.
    pub pid: u32,
    /// Thread id, initial namespace.
    pub tid: u32,
    /// Start time of the leader, ns since boot.
    pub start_ns: u64,
    /// How often it had executed a program.
    pub exec_id: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Start time of the parent's leader, ns since boot; 0 when not known.
    pub parent_start_ns: u64,
    /// Name of the thread.
    pub comm: String,
    /// Real user id.
    pub uid: u32,
    /// Login user id; `u32::MAX` when never set.
    pub login_uid: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the mount namespace.
    pub mntns: u32,
    /// cgroup v2 id; 0 when not known.
    pub cgroup_id: u64,
    /// Path of the executable.
    pub exe_path: Option<String>,
    /// Start of argv, NUL-separated.
    pub argv: Option<Vec<u8>>,
    /// Inode number of the executable.
    pub exe_ino: u64,
    /// Device of the executable, [`mounts::s_dev`] encoding.
    pub exe_dev: u32,
}

/// A completed process, and the pod that its cgroup names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// The process.
    pub process: Process,
    /// Uid of the pod, for the Kubernetes stage to complete.
    pub pod_uid: Option<String>,
    /// /proc still showed it.
    pub alive: bool,
}

/// Most ancestors that are reported.
pub const MAX_ANCESTORS: usize = 16;

/// Completes processes. Reads /proc: belongs on a worker, never into the core.
#[derive(Debug)]
pub struct Enricher {
    proc_root: PathBuf,
    privacy: Privacy,
    users: Users,
    cgroups: Cgroups,
    family: Family,
    hashes: Hashes,
}

impl Enricher {
    /// An enricher over `proc_root` (`/proc`), with the host's mount table for its cgroups.
    pub fn new(proc_root: impl Into<PathBuf>, mounts: &Mounts, privacy: Privacy) -> Self {
        Self {
            proc_root: proc_root.into(),
            privacy,
            users: Users::new(mounts.here("/etc/passwd")),
            cgroups: Cgroups::find(mounts),
            family: Family::default(),
            hashes: Hashes::default(),
        }
    }

    /// Another setting after a reload.
    pub fn set_privacy(&mut self, privacy: Privacy) {
        self.privacy = privacy;
    }

    /// Remembers a process, so that it is known as an ancestor after its exit.
    pub fn observe(&mut self, known: &Known) {
        let parent = (known.parent_pid, known.parent_start_ns);
        self.family.learn((known.pid, known.start_ns), parent, known.exe_path.as_deref());
    }

    /// Completes `known`. `weak_argv`: its argv may itself carry dump bytes, so it is not shown.
    pub fn complete(&mut self, known: &Known, weak_argv: bool) -> Completed {
        let alive = Alive::open(&self.proc_root, known.pid, known.start_ns);
        let executable = known.exe_path.clone().or_else(|| alive.as_ref()?.executable());
        self.observe(&Known { exe_path: executable.clone(), ..known.clone() });
        let shown = self.command_line(known, alive.as_ref(), weak_argv);
        let (cgroup, container) = self.cgroup(known, alive.as_ref());
        let process = Process {
            pid: known.pid,
            start_ns: known.start_ns,
            exec_id: known.exec_id,
            parent_pid: known.parent_pid,
            comm: mask::escape(&known.comm),
            executable,
            executable_sha256: None,
            command_line: shown.line,
            args_count: shown.count,
            working_directory: alive.as_ref().and_then(Alive::working_directory),
            user_id: known.uid,
            user_name: self.users.name(known.uid).map(ToOwned::to_owned),
            login_user_id: (known.login_uid != u32::MAX).then_some(known.login_uid),
            cgroup,
            cgroup_id: known.cgroup_id,
            container_id: container.id,
            netns: known.netns,
            mntns: known.mntns,
            ancestors: self.ancestors(known),
            dump_handler: false,
            k8s: None,
        };
        Completed { process, pod_uid: container.pod_uid, alive: alive.is_some() }
    }

    /// A process of which the kernel told no more than which it is; absent once it is gone.
    pub fn find(&mut self, pid: u32, start_ns: u64, exec_id: u32, weak_argv: bool) -> Option<Process> {
        let alive = Alive::open(&self.proc_root, pid, start_ns)?;
        let known = Known {
            pid,
            tid: pid,
            start_ns,
            exec_id,
            parent_pid: alive.parent_pid(),
            comm: alive.comm(),
            uid: alive.user_id()?,
            login_uid: u32::MAX,
            netns: alive.namespace("ns/net"),
            mntns: alive.namespace("ns/mnt"),
            ..Known::default()
        };
        Some(self.complete(&known, weak_argv).process)
    }

    /// SHA-256 of the executable, hex: of a process that still runs, read through /proc/PID/exe, cached per file.
    pub fn sha256(&mut self, pid: u32, start_ns: u64) -> Option<String> {
        let alive = Alive::open(&self.proc_root, pid, start_ns)?;
        self.hashes.of(&alive)
    }

    /// The whole argv from /proc where it is still there, else the kernel's prefix. A process may rewrite its own argv
    /// (`setproctitle`), so the kernel's words win where both are whole.
    fn command_line(&self, known: &Known, alive: Option<&Alive>, carrier: bool) -> mask::Shown {
        let prefix = known.argv.as_deref().unwrap_or_default();
        let whole = alive.filter(|_| self.privacy != Privacy::None).and_then(Alive::argv);
        let argv = match &whole {
            Some((bytes, cut)) if prefix.is_empty() || is_cut(prefix) => Argv { bytes, cut: *cut, carrier },
            _ => Argv { bytes: prefix, cut: is_cut(prefix), carrier },
        };
        mask::command_line(argv, self.privacy)
    }

    fn cgroup(&mut self, known: &Known, alive: Option<&Alive>) -> (Option<String>, container::Container) {
        let file = alive.and_then(Alive::cgroup_file);
        if let Some((file, path)) = file.as_ref().and_then(|f| Some((f, container::v2_path(f)?))) {
            return (Some(path.to_owned()), container::of_process(file));
        }
        let path = (known.cgroup_id != 0).then(|| self.cgroups.path(known.cgroup_id)).flatten();
        let container = file.as_deref().map(container::of_process).or_else(|| path.map(container::parse));
        (path.map(ToOwned::to_owned), container.unwrap_or_default())
    }

    /// Executables of the ancestors, parent first, up to pid 1. One whose executable is not known ends the list.
    fn ancestors(&mut self, known: &Known) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = (known.parent_pid, known.parent_start_ns);
        let mut child_start = known.start_ns;
        while found.len() < MAX_ANCESTORS && next.0 != 0 {
            let Some(member) = self.member(next, child_start) else { break };
            let Some(executable) = member.executable else { break };
            found.push(executable);
            child_start = member.start_ns;
            next = member.parent;
        }
        found
    }

    /// An ancestor: from /proc while it runs, else from memory. A parent is never younger than its child.
    fn member(&mut self, (pid, start_ns): (u32, u64), child_start: u64) -> Option<Member> {
        let alive = match start_ns {
            0 => Alive::older_than(&self.proc_root, pid, child_start),
            _ => Alive::open(&self.proc_root, pid, start_ns),
        };
        if let Some(alive) = alive {
            let key = (pid, if start_ns == 0 { alive.start_ns() } else { start_ns });
            // Kernel threads have no executable; they are no ancestors of interest.
            self.family.learn(key, (alive.parent_pid(), 0), alive.executable().as_deref());
            return self.family.get(key);
        }
        self.family.find(pid, start_ns, child_start)
    }
}

/// A kernel prefix that fills its space has lost its end.
fn is_cut(prefix: &[u8]) -> bool {
    prefix.len() >= sensor_abi::record::ARGV_MAX
}

/// A process as an ancestor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    start_ns: u64,
    parent: (u32, u64),
    executable: Option<String>,
}

/// Processes seen, by pid and start time. Decoration only, so the ones not used for longest may go.
#[derive(Debug, Default)]
struct Family {
    members: HashMap<(u32, u64), (Member, u64)>,
    uses: u64,
}

/// Most processes remembered.
const MAX_FAMILY: usize = 16_384;

impl Family {
    fn learn(&mut self, key: (u32, u64), parent: (u32, u64), executable: Option<&str>) {
        self.uses += 1;
        if self.members.len() >= MAX_FAMILY && !self.members.contains_key(&key) {
            self.forget_half();
        }
        let fresh = Member { start_ns: key.1, parent, executable: None };
        let (member, used) = self.members.entry(key).or_insert((fresh, 0));
        // A parent that died has handed its children to another: the first one seen is the one that started it.
        if member.parent.0 == 0 || (member.parent.0 == parent.0 && member.parent.1 == 0) {
            member.parent = parent;
        }
        if let Some(path) = executable {
            member.executable = Some(path.to_owned());
        }
        *used = self.uses;
    }

    fn get(&mut self, key: (u32, u64)) -> Option<Member> {
        self.uses += 1;
        let (member, used) = self.members.get_mut(&key)?;
        *used = self.uses;
        Some(member.clone())
    }

    /// The member with this pid: with this start time, or, when that is not known, the youngest that is not younger
    /// than its child.
    fn find(&mut self, pid: u32, start_ns: u64, child_start: u64) -> Option<Member> {
        if start_ns != 0 {
            return self.get((pid, start_ns));
        }
        let fits = self.members.keys().filter(|(p, start)| *p == pid && *start <= child_start);
        let key = fits.max().copied()?;
        self.get(key)
    }

    fn forget_half(&mut self) {
        let mut uses: Vec<u64> = self.members.values().map(|(_, used)| *used).collect();
        let half = uses.len() / 2;
        let (_, median, _) = uses.select_nth_unstable(half);
        let median = *median;
        self.members.retain(|_, (_, used)| *used >= median);
    }
}

#[cfg(test)]
mod tests;
