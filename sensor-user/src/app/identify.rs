//! Learning a dump's content, on a thread of its own: reading and unpacking take time. Files are opened here, checked to
//! be the inode that was meant, and read through the descriptor.

use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use rustix::fs::OFlags;
use sensor_abi::key::CarrierKey;

use super::{
    Lookup,
    inbox::{Answer, Sender},
};
use crate::{
    core::Input,
    dump::{
        identity::{Limits, Outcome, content_of},
        source::open_quietly,
    },
    enrich::mounts::{Mount, is_remote},
    step::FileRef,
    sys,
};

/// Dumps that wait to be looked at.
const QUEUE: usize = 1024;

/// The way to the thread.
pub(super) struct Identifier {
    jobs: mpsc::SyncSender<(u64, File)>,
    dropped: Arc<AtomicU64>,
}

impl Identifier {
    /// Starts the thread; results go to `inbox`.
    pub(super) fn start(inbox: Sender) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel::<(u64, File)>(QUEUE);
        thread::Builder::new().name("identify".into()).spawn(move || {
            for (dump, file) in queue {
                let content = content_of(&file, Limits::default());
                let (Outcome::Known(id), Some(size)) = (&content.outcome, content.size) else { continue };
                if !inbox.send(Answer::Input(Input::Identified { dump, content: *id, size })) {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, dropped: Arc::default() })
    }

    /// Asks for a dump's content. Not answered when there is none to be learnt.
    pub(super) fn ask(&self, dump: u64, key: &CarrierKey, file: &FileRef, lookup: &Lookup) {
        let Some(opened) = open(key, file, 0, lookup) else { return };
        if self.jobs.try_send((dump, opened)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests that found no room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Opens the file behind a key: by its path on the host, or below the root of the process that used it, or, when it is
/// there no more, by its number. Never on a remote mount; never a FIFO, a device or another inode.
pub(super) fn open(key: &CarrierKey, file: &FileRef, pid: u32, lookup: &Lookup) -> Option<File> {
    let path = file.path.as_deref()?;
    if file.fstype.as_deref().is_some_and(is_remote) || lookup.mounts().of_path(path).is_some_and(Mount::is_remote) {
        return None;
    }
    let below = (pid != 0).then(|| format!("/proc/{pid}/root{path}").into());
    let same = |f: &File| f.metadata().is_ok_and(|m| m.ino() == key.id && m.is_file());
    let by_path =
        [Some(lookup.mounts().here(path)), below].into_iter().flatten().filter_map(|p| open_path(&p)).find(same);
    by_path.or_else(|| by_number(key, lookup)).filter(same)
}

/// A file that was renamed before its record was read.
fn by_number(key: &CarrierKey, lookup: &Lookup) -> Option<File> {
    let place = open_path(&lookup.mounts().entrance(key.dev)?)?;
    sys::open_by_number(place.as_fd(), key.id, key.generation).ok()
}

/// Opens a file that was found by a search.
pub(super) fn open_found(file: &FileRef, lookup: &Lookup) -> Option<File> {
    let opened = open_path(&lookup.mounts().here(file.path.as_deref()?))?;
    opened.metadata().is_ok_and(|m| m.ino() == file.inode && m.is_file()).then_some(opened)
}

/// A link is not followed, but for a descriptor's in /proc, which is no link to a path.
fn open_path(path: &Path) -> Option<File> {
    let is_descriptor = path.parent().is_some_and(|fds| fds.ends_with("fd")) && path.starts_with("/proc");
    open_quietly(path, if is_descriptor { OFlags::empty() } else { OFlags::NOFOLLOW }).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_deleted_file_opens_by_its_descriptor_and_a_link_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("core");
        let held = File::create(&path).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open_path(&path).is_some() && open_path(&link).is_none());
        std::fs::remove_file(&path).unwrap();
        let descriptor = format!("/proc/{}/fd/{}", std::process::id(), held.as_raw_fd());
        let opened = open_path(Path::new(&descriptor)).unwrap();
        assert_eq!(opened.metadata().unwrap().ino(), held.metadata().unwrap().ino());
        assert!(open_path(&Path::new("/proc/self/root").join(&descriptor[1..])).is_some());
    }
}
