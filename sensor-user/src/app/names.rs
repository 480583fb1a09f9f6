//! Names of files that hold a dump: fanotify notifications on each inode. They tell of rename, link, unlink and
//! truncation, armed or not, and can never block anyone.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirEntryExt, MetadataExt},
        },
    },
    path::Path,
};

use rustix::fs::{Mode, OFlags};
use sensor_abi::key::CarrierKey;

use crate::{
    clock::Time,
    enrich::mounts::Mounts,
    step::FileRef,
    sys::{self, Fanotify, Handle},
    trail::Change,
};

/// A folder is searched for a name so far.
const MOST_ENTRIES: usize = 100_000;

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its names or content changed; by the process with this pid.
    Changed(CarrierKey, Change, u32),
    /// Its content was cut off at this time, as its file system has it; by the process with this pid.
    Emptied(CarrierKey, Time, u32),
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
    way: Way,
    path: Option<String>,
    links: u64,
    size: u64,
    fstype: Option<String>,
}

/// How the file is found whatever it is called now. Without read access: only its path and state are wanted.
enum Way {
    /// By its handle, each time: an open file would keep its file system from being unmounted.
    Handle,
    /// Kept open, where handles do not open or nothing is mounted: overlayfs, memory.
    Open(OwnedFd),
    /// Its last link is gone; let go of, so that the inode can go too.
    Gone,
}

impl Way {
    fn to(file: &File, handle: &Handle, key: &CarrierKey, mounts: &Mounts) -> io::Result<Self> {
        if by_handle(handle, key, mounts).is_ok() {
            return Ok(Self::Handle);
        }
        sys::look_at(format!("/proc/self/fd/{}", file.as_raw_fd())).map(Self::Open)
    }
}

/// Through any mount of its file system.
fn by_handle(handle: &Handle, key: &CarrierKey, mounts: &Mounts) -> io::Result<OwnedFd> {
    let entrance = mounts.entrance(key.dev).ok_or(io::ErrorKind::NotFound)?;
    sys::open_handle(at(&entrance)?.as_fd(), handle)
}

/// The file system says that nobody has this file any more, also none that is not in memory.
pub(super) fn is_deleted(key: &CarrierKey, mounts: &Mounts) -> bool {
    match mounts.fstype(key.dev) {
        Some("ext4" | "xfs") => mounts.entrance(key.dev).is_some_and(|place| {
            let opened = at(&place).and_then(|place| sys::look_by_number(place.as_fd(), key.id, key.generation));
            opened.is_err_and(|error| error.raw_os_error() == Some(libc::ESTALE))
        }),
        _ => false,
    }
}

fn at(entrance: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(entrance, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?)
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

    /// Watches a file. One that was made without a name may have got its first by now, another may have been renamed.
    pub(super) fn watch(&mut self, key: CarrierKey, file: &File, about: &FileRef, mounts: &Mounts) -> Option<Change> {
        let group = self.group.as_ref()?;
        let (handle, meta) = (sys::handle(file.as_fd()).ok()?, file.metadata().ok()?);
        if self.files.contains_key(&handle) || group.watch(file.as_fd()).is_err() {
            return None;
        }
        let way = Way::to(file, &handle, &key, mounts).ok()?;
        // The first name may have come between the look and the watch.
        let links = if meta.nlink() > 0 { meta.nlink() } else { file.metadata().ok()?.nlink() };
        let mut watched =
            Watched { key, way, path: about.path.clone(), links, size: meta.size(), fstype: about.fstype.clone() };
        let named = if watched.links > 0 {
            watched.first_name(mounts).or_else(|| watched.renamed_before(file, mounts))
        } else {
            None
        };
        self.files.insert(handle, watched);
        named.map(Change::Renamed)
    }

    /// Readable when something has happened. Emptying a file is only seen while the file is empty: it is urgent.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.group.as_ref().map(AsFd::as_fd)
    }

    /// What has happened since the last call.
    pub(super) fn changes(&mut self, mounts: &Mounts) -> Vec<Event> {
        let Some(group) = &self.group else { return Vec::new() };
        let mut events = Vec::new();
        for event in group.read() {
            self.overflow |= event.overflow;
            let Some(watched) = self.files.get_mut(&event.handle) else { continue };
            let key = watched.key;
            events.extend(watched.judge(&event, mounts));
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
    pub(super) fn retain(&mut self, carriers: &BTreeSet<CarrierKey>, mounts: &Mounts) {
        let Some(group) = &self.group else { return };
        self.files.retain(|handle, watched| {
            if carriers.contains(&watched.key) || matches!(watched.way, Way::Gone) {
                return true;
            }
            // It may be gone already, and its watch with it.
            let _ = match &watched.way {
                Way::Open(file) => group.forget(file.as_fd()),
                _ => by_handle(handle, &watched.key, mounts).and_then(|file| group.forget(file.as_fd())),
            };
            false
        });
    }
}

impl Watched {
    /// Compares what the file is now with what it was.
    fn judge(&mut self, event: &sys::NameEvent, mounts: &Mounts) -> Vec<Event> {
        let found = match &self.way {
            Way::Gone => return Vec::new(),
            Way::Open(file) => file.try_clone(),
            Way::Handle => by_handle(&event.handle, &self.key, mounts),
        };
        let gone = found.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ESTALE));
        let (links, size, written, path) = match found {
            Ok(file) => {
                let Ok(stat) = rustix::fs::fstat(&file) else { return Vec::new() };
                let written = Time::of_inode(stat.st_mtime, stat.st_mtime_nsec);
                (stat.st_nlink, stat.st_size as u64, written, path_of(&file))
            }
            // Nobody has it any more.
            Err(_) if gone => (0, self.size, Time::default(), None),
            Err(_) => return Vec::new(),
        };
        let (key, pid) = (self.key, event.pid);
        let changed = |change| Event::Changed(key, change, pid);
        let mut events = Vec::new();
        if event.mask & libc::FAN_MOVE_SELF != 0
            && let Some(about) = path.and_then(|path| self.moved(path))
        {
            events.push(changed(Change::Renamed(about)));
        }
        if links > self.links {
            let name = self.first_name(mounts).map_or_else(|| Change::Linked(self.about()), Change::Renamed);
            events.push(changed(name));
        }
        if size == 0 && self.size > 0 {
            events.push(Event::Emptied(key, written, pid));
        }
        // One that was made without a name waits for its first.
        if gone || links == 0 && self.links > 0 {
            events.push(changed(Change::Deleted));
            self.way = Way::Gone;
        }
        (self.links, self.size) = (links, size);
        events
    }

    /// What it is called since it has a name: a file made by `O_TMPFILE` is shown by its number in the folder that was named.
    fn first_name(&mut self, mounts: &Mounts) -> Option<FileRef> {
        let (folder, shown) = self.path.as_deref()?.rsplit_once('/')?;
        if shown != format!("#{}", self.key.id) {
            return None;
        }
        let mut entries = std::fs::read_dir(mounts.here(folder)).ok()?.take(MOST_ENTRIES).flatten();
        let entry = entries.find(|entry| entry.ino() == self.key.id)?;
        let name = crate::event::printable(entry.file_name().as_os_str().as_bytes());
        self.path = Some(format!("{folder}/{name}"));
        Some(self.about())
    }

    /// Where it is, when it was renamed before it was watched.
    fn renamed_before(&mut self, file: &File, mounts: &Mounts) -> Option<FileRef> {
        let is_at = |path: &str| std::fs::symlink_metadata(mounts.here(path)).is_ok_and(|m| m.ino() == self.key.id);
        if is_at(self.path.as_deref()?) {
            return None;
        }
        let now = path_of(file).filter(|path| is_at(path))?;
        self.moved(now)
    }

    fn moved(&mut self, path: String) -> Option<FileRef> {
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

fn path_of(file: &impl AsRawFd) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    Some(crate::event::printable(path.as_os_str().as_bytes()))
}
