//! Where dumps come from: what the kernel's handler does with cores, and the dumps that were there before the agent.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags};

use super::identity::{self, Look};
use crate::{
    clock::Time,
    enrich::mounts::{Mount, Mounts, s_dev},
    step::DumpKind,
};

pub mod handler;
pub mod holders;

pub use handler::{Handler, Settings};
pub use holders::{Held, held_dumps};

/// Where dumps are put by default.
pub const FOLDERS: &[&str] = &["/var/lib/systemd/coredump", "/var/crash", "/var/lib/apport/coredump"];

/// A dump at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// Device in the kernel's own encoding (`super_block.s_dev`).
    pub dev: u32,
    /// Inode number.
    pub ino: u64,
    /// Size of the file as it lies there, bytes.
    pub size: u64,
    /// Owner of the file.
    pub uid: u32,
    /// Time of its last change, ns since the epoch.
    pub modified_ns: u64,
    /// What its bytes tell.
    pub look: Look,
    /// systemd-coredump marked it as the core of a crash: the kernel wrote it.
    pub by_systemd: bool,
}

impl Found {
    /// The kind of dump.
    pub fn kind(&self) -> DumpKind {
        if self.by_systemd { DumpKind::KernelCore } else { self.look.kind() }
    }
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most files that are looked at, and descriptors of processes.
    pub files: usize,
    /// Folders below a folder: 0 is that folder only.
    pub depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { files: 20_000, depth: 2 }
    }
}

/// What a search gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The dumps, by path.
    pub found: Vec<Found>,
    /// Folders left out because they are on a remote or FUSE mount.
    pub remote: Vec<PathBuf>,
    /// A bound ended the search: there may be more.
    pub cut: bool,
}

/// The folders to search at start: the configured ones, the one that `core_pattern` names, and [`FOLDERS`].
pub fn folders(configured: &[PathBuf], handler: &Handler) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = configured.to_vec();
    all.extend(handler.directory().map(Path::to_owned));
    all.extend(FOLDERS.iter().map(PathBuf::from));
    let mut seen = HashSet::new();
    all.retain(|f| seen.insert(f.clone()));
    all
}

/// Finds the dumps in `folders` by their content. Never goes onto a remote or FUSE mount, never follows a link that a
/// folder holds.
pub fn find(folders: &[PathBuf], mounts: &Mounts, bounds: Bounds) -> Search {
    let mut search = Search::default();
    let mut left = bounds.files;
    let mut seen = HashSet::new();
    let mut open: VecDeque<(PathBuf, usize)> = VecDeque::new();
    for folder in folders {
        match resolve(folder, mounts) {
            Resolved::Local(path) => open.push_back((path, 0)),
            Resolved::Remote => search.remote.push(folder.clone()),
            Resolved::Missing => {}
        }
    }
    while let Some((folder, depth)) = open.pop_front() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        let Some(mount) = local_mount(&folder, mounts) else {
            search.remote.push(folder);
            continue;
        };
        for (path, is_folder) in entries(&folder, mounts) {
            if is_folder && depth < bounds.depth {
                open.push_back((path, depth + 1));
            } else if !is_folder && left > 0 {
                left -= 1;
                search.found.extend(examine(&path, mount.dev, mounts));
            } else if !is_folder {
                search.cut = true;
            }
        }
    }
    search.found.sort_by(|a, b| a.path.cmp(&b.path));
    search
}

/// Files and folders in a folder; links and special files are left out.
fn entries(folder: &Path, mounts: &Mounts) -> Vec<(PathBuf, bool)> {
    let entries = std::fs::read_dir(mounts.here(folder)).into_iter().flatten().flatten();
    let typed = entries.filter_map(|e| Some((folder.join(e.file_name()), e.file_type().ok()?)));
    typed.filter(|(_, t)| t.is_dir() || t.is_file()).map(|(path, t)| (path, t.is_dir())).collect()
}

/// The file at a path on the device of a mount, when it is a dump by its content.
pub fn examine(path: &Path, dev: u32, mounts: &Mounts) -> Option<Found> {
    let file = open_quietly(&mounts.here(path), OFlags::NOFOLLOW).ok()?;
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let look = identity::look(&file)?;
    let modified_ns = Time::of_inode(meta.mtime(), meta.mtime_nsec() as u64).0;
    let by_systemd = rustix::fs::fgetxattr(&file, "user.coredump.pid", &mut [0u8; 32][..]).is_ok();
    Some(Found {
        path: path.to_owned(),
        dev,
        ino: meta.ino(),
        size: meta.len(),
        uid: meta.uid(),
        modified_ns,
        look,
        by_systemd,
    })
}

/// Opens for reading without waiting (a FIFO) and, where allowed, without touching the access time.
pub fn open_quietly(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | more;
    let fd = rustix::fs::openat(CWD, path, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
    Ok(File::from(fd))
}

fn local_mount<'m>(path: &Path, mounts: &'m Mounts) -> Option<&'m Mount> {
    mounts.of_path(&path.to_string_lossy()).filter(|m| !m.is_remote())
}

/// Where a folder's path leads.
#[derive(Debug, PartialEq, Eq)]
enum Resolved {
    Local(PathBuf),
    Remote,
    Missing,
}

/// Follows links step by step and asks the mount table before every step: canonicalize(3) would go onto a remote mount
/// before anybody could say no.
fn resolve(path: &Path, mounts: &Mounts) -> Resolved {
    let mut done = PathBuf::from("/");
    let mut todo: VecDeque<_> = parts(path);
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        if part.as_bytes() == b".." {
            done.pop();
            continue;
        }
        done.push(&part);
        if local_mount(&done, mounts).is_none() {
            return Resolved::Remote;
        }
        let Ok(meta) = std::fs::symlink_metadata(mounts.here(&done)) else { return Resolved::Missing };
        if meta.is_symlink() {
            links += 1;
            let Some(target) = std::fs::read_link(mounts.here(&done)).ok().filter(|_| links <= 40) else {
                return Resolved::Missing;
            };
            done.pop();
            if target.is_absolute() {
                done = PathBuf::from("/");
            }
            parts(&target).into_iter().rev().for_each(|p| todo.push_front(p));
        }
    }
    Resolved::Local(done)
}

fn parts(path: &Path) -> VecDeque<std::ffi::OsString> {
    let named = path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir));
    named.map(|c| c.as_os_str().to_owned()).collect()
}

/// The kernel's device number out of the one that stat(2) gives.
fn s_dev_of(meta: &std::fs::Metadata) -> u32 {
    s_dev(rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()))
}

/// Mount tables by mount namespace.
type Tables = HashMap<Vec<u8>, Mounts>;

#[cfg(test)]
mod tests;
