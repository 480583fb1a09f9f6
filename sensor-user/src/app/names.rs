//! Names of files that hold a dump: fanotify notifications on each inode. They tell of rename, link, unlink and
//! truncation, armed or not, and can never block anyone.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
};

use sensor_abi::key::CarrierKey;

use crate::{
    step::FileRef,
    sys::{self, Fanotify, Handle},
    trail::Change,
};

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its names or content changed; by the process with this pid.
    Changed(CarrierKey, Change, u32),
    /// Its last link and its last descriptor are gone.
    Gone(CarrierKey),
}

/// The watched files.
pub(super) struct Names {
    group: Option<Fanotify>,
    files: HashMap<Handle, Watched>,
    overflow: bool,
}

struct Watched {
    key: CarrierKey,
    /// Kept open without read access: finds the file's path and state whatever it is called now. Let go with the last
    /// link, so that the inode can go too.
    file: Option<OwnedFd>,
    path: Option<String>,
    links: u64,
    size: u64,
    fstype: Option<String>,
}

impl Names {
    /// Opens the group. Without one (no privilege) names are not followed; `doctor` says so.
    pub(super) fn open() -> Self {
        let group = Fanotify::open();
        if let Err(error) = &group {
            tracing::warn!(%error, "names of dumps are not followed: fanotify is not available");
        }
        Self { group: group.ok(), files: HashMap::new(), overflow: false }
    }

    /// Watches a file.
    pub(super) fn watch(&mut self, key: CarrierKey, file: &File, about: &FileRef) {
        let Some(group) = &self.group else { return };
        let (Ok(handle), Ok(meta)) = (sys::handle(file.as_fd()), file.metadata()) else { return };
        if self.files.contains_key(&handle) || group.watch(file.as_fd()).is_err() {
            return;
        }
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let Ok(kept) = rustix::fs::open(path, flags, rustix::fs::Mode::empty()) else { return };
        let watched = Watched {
            key,
            file: Some(kept),
            path: about.path.clone(),
            links: meta.nlink(),
            size: meta.size(),
            fstype: about.fstype.clone(),
        };
        self.files.insert(handle, watched);
    }

    /// Readable when something has happened. Emptying a file is only seen while the file is empty: it is urgent.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.group.as_ref().map(AsFd::as_fd)
    }

    /// What has happened since the last call.
    pub(super) fn changes(&mut self) -> Vec<Event> {
        let Some(group) = &self.group else { return Vec::new() };
        let mut events = Vec::new();
        for event in group.read() {
            self.overflow |= event.overflow;
            let Some(watched) = self.files.get_mut(&event.handle) else { continue };
            let key = watched.key;
            let changes = watched.judge(event.mask);
            events.extend(changes.into_iter().map(|change| Event::Changed(key, change, event.pid)));
            if event.mask & libc::FAN_DELETE_SELF != 0 {
                self.files.remove(&event.handle);
                events.push(Event::Gone(key));
            }
        }
        events
    }

    /// True once after the kernel has dropped events.
    pub(super) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflow)
    }

    /// Lets go of files that hold no dump any more.
    pub(super) fn retain(&mut self, carriers: &BTreeSet<CarrierKey>) {
        let Some(group) = &self.group else { return };
        self.files.retain(|_, watched| {
            let keep = carriers.contains(&watched.key) || watched.file.is_none();
            if let (false, Some(file)) = (keep, &watched.file) {
                // It may be gone already, and its watch with it.
                let _ = group.forget(file.as_fd());
            }
            keep
        });
    }
}

impl Watched {
    /// Compares what the file is now with what it was.
    fn judge(&mut self, mask: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(Ok(stat)) = self.file.as_ref().map(rustix::fs::fstat) else { return changes };
        let (links, size) = (stat.st_nlink, stat.st_size as u64);
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
        if links == 0 {
            changes.push(Change::Deleted);
            self.file = None;
        }
        (self.links, self.size) = (links, size);
        changes
    }

    fn moved(&mut self) -> Option<FileRef> {
        let link = format!("/proc/self/fd/{}", self.file.as_ref()?.as_raw_fd());
        let path = std::fs::read_link(link).ok()?;
        let path = crate::event::printable(path.as_os_str().as_bytes());
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
