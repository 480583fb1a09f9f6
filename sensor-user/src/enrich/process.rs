//! One live process, read through one descriptor of its /proc directory.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt, fs::MetadataExt},
    },
    path::Path,
    time::SystemTime,
};

use rustix::fs::{CWD, Mode, OFlags};
use sha2::{Digest, Sha256};

use super::{mask, mounts};

/// A directory /proc/PID whose process has been compared. Reads through it fail once the process is gone, also when
/// its pid has been given to another.
#[derive(Debug)]
pub struct Alive {
    dir: OwnedFd,
    start_ticks: u64,
    parent_pid: u32,
}

/// Longest command line that is read, bytes.
const MAX_ARGV: u64 = 64 * 1024;
/// Longest other file of /proc/PID that is read, bytes.
const MAX_TEXT: u64 = 256 * 1024;

impl Alive {
    /// Opens the process `pid` when it is the one that started at `start_ns`.
    pub fn open(proc_root: &Path, pid: u32, start_ns: u64) -> Option<Self> {
        let alive = Self::any(proc_root, pid)?;
        (alive.start_ticks.abs_diff(ticks(start_ns)) <= 1).then_some(alive)
    }

    /// Opens the process `pid` when it did not start after `start_ns`: a parent whose own start is not known.
    pub fn older_than(proc_root: &Path, pid: u32, start_ns: u64) -> Option<Self> {
        let alive = Self::any(proc_root, pid)?;
        (alive.start_ticks <= ticks(start_ns) + 1).then_some(alive)
    }

    /// Opens whatever process has this pid now.
    pub fn any(proc_root: &Path, pid: u32) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, proc_root.join(pid.to_string()), flags, Mode::empty()).ok()?;
        let (parent_pid, start_ticks) = parse_stat(&read(&dir, "stat", MAX_TEXT)?)?;
        Some(Self { dir, start_ticks, parent_pid })
    }

    /// Start time, ns since boot, as exact as /proc has it (one clock tick).
    pub fn start_ns(&self) -> u64 {
        self.start_ticks.saturating_mul(tick_ns())
    }

    /// Process id of the parent that it has now.
    pub fn parent_pid(&self) -> u32 {
        self.parent_pid
    }

    /// Path of the executable; absent for kernel threads.
    pub fn executable(&self) -> Option<String> {
        let path = self.link("exe")?;
        Some(path.strip_suffix(" (deleted)").map_or_else(|| path.clone(), ToOwned::to_owned))
    }

    /// Working directory.
    pub fn working_directory(&self) -> Option<String> {
        self.link("cwd")
    }

    /// Name of its first thread.
    pub fn comm(&self) -> String {
        text(&self.dir, "comm").map_or_else(String::new, |name| mask::escape(name.trim_end()))
    }

    /// Real user id.
    pub fn user_id(&self) -> Option<u32> {
        let status = text(&self.dir, "status")?;
        status.lines().find_map(|l| l.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Inode number of a namespace; 0 when it cannot be told.
    pub fn namespace(&self, name: &str) -> u32 {
        let link = self.link(name).unwrap_or_default();
        link.split_once('[').and_then(|(_, n)| n.trim_end_matches(']').parse().ok()).unwrap_or(0)
    }

    /// argv, NUL-separated, and whether its end is missing.
    pub fn argv(&self) -> Option<(Vec<u8>, bool)> {
        let bytes = read(&self.dir, "cmdline", MAX_ARGV)?;
        let cut = bytes.len() as u64 >= MAX_ARGV;
        (!bytes.is_empty()).then_some((bytes, cut))
    }

    /// The text of its `cgroup` file.
    pub fn cgroup_file(&self) -> Option<String> {
        text(&self.dir, "cgroup")
    }

    /// A link's target, safe to print.
    fn link(&self, name: &str) -> Option<String> {
        let target = rustix::fs::readlinkat(&self.dir, name, Vec::new()).ok()?;
        Some(mask::escape(&String::from_utf8_lossy(target.as_bytes())))
    }

    /// The mounts that the process sees.
    fn mounts(&self) -> Option<mounts::Mounts> {
        Some(mounts::Mounts::parse(&text(&self.dir, "mountinfo")?))
    }

    /// The executable itself, open for reading, unless it lies where opening could hang.
    fn open_executable(&self) -> Option<File> {
        // `exe` is a magic link: opening it goes to the very file. Its mount is asked first, by name.
        let name = rustix::fs::readlinkat(&self.dir, "exe", Vec::new()).ok()?;
        let name = std::ffi::OsString::from_vec(name.into_bytes());
        let mounts = self.mounts()?;
        if mounts.of_path(&name.to_string_lossy()).is_none_or(mounts::Mount::is_remote) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(&self.dir, "exe", flags, Mode::empty()).ok().map(File::from)
    }
}

/// Clock ticks since boot, rounded as the kernel does.
fn ticks(ns: u64) -> u64 {
    ns / tick_ns()
}

fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

fn read(dir: &OwnedFd, name: &str, max: u64) -> Option<Vec<u8>> {
    let fd = rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    File::from(fd).take(max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn text(dir: &OwnedFd, name: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&read(dir, name, MAX_TEXT)?).into_owned())
}

/// Parent and start time out of /proc/PID/stat. The name in brackets may hold spaces and brackets itself.
fn parse_stat(stat: &[u8]) -> Option<(u32, u64)> {
    let end = stat.iter().rposition(|b| *b == b')')?;
    let mut fields = std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(17)?.parse().ok()?;
    Some((parent, start_ticks))
}

/// Which file, in which state.
type FileState = (u64, u64, Option<SystemTime>, u64);

/// SHA-256 by file state, so that a fleet of one program is read once.
#[derive(Debug, Default)]
pub struct Hashes {
    known: HashMap<FileState, String>,
}

/// Largest executable that is hashed, bytes.
const MAX_EXECUTABLE: u64 = 1 << 30;
/// Most hashes remembered.
const MAX_HASHES: usize = 4096;

impl Hashes {
    /// The hash of the executable of `alive`, hex; absent when it is too large or not to be opened.
    pub fn of(&mut self, alive: &Alive) -> Option<String> {
        let file = alive.open_executable()?;
        let meta = file.metadata().ok()?;
        let state = (meta.dev(), meta.ino(), meta.modified().ok(), meta.len());
        if let Some(known) = self.known.get(&state) {
            return Some(known.clone());
        }
        if !meta.is_file() || meta.len() > MAX_EXECUTABLE {
            return None;
        }
        let hash = sha256(file)?;
        if self.known.len() >= MAX_HASHES {
            self.known.clear();
        }
        self.known.insert(state, hash.clone());
        Some(hash)
    }
}

/// SHA-256 of a file, hex.
pub fn sha256(file: File) -> Option<String> {
    let mut file = file.take(MAX_EXECUTABLE);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Some(hasher.finalize().iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let tail = "S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 2 3";
        let stat = format!("42 (a) S 9 (b) {tail}");
        assert_eq!(parse_stat(stat.as_bytes()), Some((7, 4711)));
        for bad in ["", "42", "42 (x", "42 (x)", "42 (x) S", "42 (x) S a b"] {
            assert_eq!(parse_stat(bad.as_bytes()), None, "{bad}");
        }
    }
}
