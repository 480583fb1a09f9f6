//! Names of files that hold a dump: fanotify notifications on each inode. They tell of rename, link, unlink and
//! truncation, armed or not, and can never block anyone.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    os::{fd::AsFd, unix::fs::MetadataExt},
};

use sensor_abi::key::CarrierKey;

use crate::{
    step::FileRef,
    sys::{self, Fanotify, Handle},
    trail::Change,
};

/// The watched files.
pub struct Names {
    group: Option<Fanotify>,
    files: HashMap<Handle, Watched>,
    overflow: bool,
}

struct Watched {
    key: CarrierKey,
    /// Kept open without read access: finds the file's path and state whatever it is called now.
    file: std::os::fd::OwnedFd,
    path: Option<String>,
    links: u64,
    size: u64,
    fstype: Option<String>,
}

impl Names {
    /// Opens the group. Without one (no privilege) names are not followed; `doctor` says so.
    pub fn open() -> Self {
        let group = Fanotify::open();
        if let Err(error) = &group {
            tracing::warn!(%error, "names of dumps are not followed: fanotify is not available");
        }
        Self { group: group.ok(), files: HashMap::new(), overflow: false }
    }

    /// Watches a file.
    pub fn watch(&mut self, key: CarrierKey, file: &File, about: &FileRef) {
        let Some(group) = &self.group else { return };
        let (Ok(handle), Ok(meta)) = (sys::handle(file.as_fd()), file.metadata()) else { return };
        if self.files.contains_key(&handle) || group.watch(file.as_fd()).is_err() {
            return;
        }
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
        let Ok(kept) = rustix::fs::open(path, flags, rustix::fs::Mode::empty()) else { return };
        let watched = Watched {
            key,
            file: kept,
            path: about.path.clone(),
            links: meta.nlink(),
            size: meta.size(),
            fstype: about.fstype.clone(),
        };
        self.files.insert(handle, watched);
    }

    /// What has happened since the last call, with the pid of who did it.
    pub fn changes(&mut self) -> Vec<(CarrierKey, Change, u32)> {
        let Some(group) = &self.group else { return Vec::new() };
        let events = group.read();
        let mut changes = Vec::new();
        for event in events {
            self.overflow |= event.overflow;
            let Some(watched) = self.files.get_mut(&event.handle) else { continue };
            let found = watched.judge(event.mask);
            changes.extend(found.into_iter().map(|c| (watched.key, c, event.pid)));
        }
        changes.extend(self.deleted());
        changes
    }

    /// The last link is gone and nobody else has the file open: our own descriptor would keep it for ever.
    fn deleted(&mut self) -> Vec<(CarrierKey, Change, u32)> {
        let mut gone = Vec::new();
        self.files.retain(|_, watched| {
            let keep = watched.links > 0;
            if !keep {
                gone.push((watched.key, Change::Deleted, 0));
            }
            keep
        });
        gone
    }

    /// True once after the kernel has dropped events.
    pub fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflow)
    }

    /// Lets go of files that hold no dump any more.
    pub fn retain(&mut self, carriers: &BTreeSet<CarrierKey>) {
        self.files.retain(|_, w| carriers.contains(&w.key));
    }
}

impl Watched {
    /// Compares what the file is now with what it was.
    fn judge(&mut self, mask: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let Ok(stat) = rustix::fs::fstat(&self.file) else { return changes };
        let (links, size) = (stat.st_nlink as u64, stat.st_size as u64);
        if mask & libc::FAN_MOVE_SELF != 0
            && let Some(about) = self.moved()
        {
            changes.push(Change::Renamed(about));
        }
        if links > self.links {
            changes.push(Change::Linked(self.about()));
        }
        if size == 0 && self.size > 0 {
            changes.push(Change::Truncated);
        }
        (self.links, self.size) = (links, size);
        changes
    }

    fn moved(&mut self) -> Option<FileRef> {
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file));
        let path = std::fs::read_link(link).ok()?;
        let path = crate::event::printable(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
        if self.path.as_ref() == Some(&path) || path.ends_with(" (deleted)") {
            return None;
        }
        self.path = Some(path);
        Some(self.about())
    }

    fn about(&self) -> FileRef {
        FileRef { path: self.path.clone(), inode: self.key.id, fstype: self.fstype.clone() }
    }
}
