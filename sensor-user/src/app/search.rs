//! Looks for the dumps that are there already: those that an agent before knew, then those in the folders where dumps are
//! put, then those that processes hold open.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use rustix::fs::OFlags;
use sensor_abi::{key::CarrierKey, mark::stamp};

use super::inbox::{Answer, Sender};
use crate::{
    clock::{self, Time},
    core::Input,
    dump::{
        identity,
        source::{self, Bounds, Settings, open_quietly},
    },
    enrich::mounts::{Mount, Mounts},
    journal::{self, Holder, Holders},
    step::{DumpKind, FileRef},
    trail::{Found, Known},
};

/// A record is written a moment after what it tells of.
const MOMENT_NS: u64 = 1_000_000_000;

/// Starts a thread of its own for it. Ends early when nobody waits for the answers.
pub(super) fn start(
    configured: &[PathBuf],
    settings: Option<&Settings>,
    journal: &Path,
    inbox: Sender,
) -> io::Result<()> {
    let folders = settings.map_or_else(|| configured.to_vec(), |s| source::folders(configured, &s.handler()));
    let (journal, now) = (journal.to_owned(), clock::now());
    thread::Builder::new().name("search".into()).spawn(move || {
        let mounts = Mounts::of_host();
        let search = Search { known: known(&journal, now, &mounts), mounts, inbox };
        if search.folders(&folders) && search.rest() && search.held() {
            search.inbox.send(Answer::Searched);
        }
    })?;
    Ok(())
}

/// What an agent before has said of files, by path.
type KnownFiles = BTreeMap<String, Holder>;

struct Search {
    known: KnownFiles,
    mounts: Mounts,
    inbox: Sender,
}

impl Search {
    /// The dumps in these folders. False when nobody waits any more, as of all that follow.
    fn folders(&self, folders: &[PathBuf]) -> bool {
        source::find(folders, &self.mounts, Bounds::default()).found.into_iter().all(|found| {
            let path = found.path.to_string_lossy().into_owned();
            let known = self.known.get(&path).filter(|k| k.file.inode == found.ino).map(|k| k.known.clone());
            let file = self.file(path, found.ino, found.dev);
            let source = self.mounts.of_dev(found.dev).next().map(|m| m.source.clone());
            self.send(file, source, (found.kind(), found.size, found.modified_ns), known)
        })
    }

    /// What an agent before knew, wherever it is. One that the folders had is marked by now, and is not marked again.
    fn rest(&self) -> bool {
        self.known.values().all(|holder| {
            let (file, known) = (holder.file.clone(), holder.known.clone());
            let mount = file.path.as_deref().and_then(|path| self.mounts.of_path(path));
            let source = mount.map(|mount| mount.source.clone());
            let about = (known.dump.kind, known.bytes, known.dump.created.0);
            self.send(file, source, about, Some(known))
        })
    }

    /// Dumps that processes hold open.
    fn held(&self) -> bool {
        source::held_dumps(Path::new("/proc"), Bounds::default()).into_iter().all(|held| {
            let (pid, fd) = held.descriptor;
            let path = if held.deleted { format!("/proc/{pid}/fd/{fd}") } else { held.path.clone() };
            let file = self.file(path, held.ino, held.dev);
            self.send(file, None, (held.look.kind(), held.size, clock::now().0), None)
        })
    }

    fn file(&self, path: String, inode: u64, dev: u32) -> FileRef {
        FileRef { path: Some(path), inode, fstype: self.mounts.fstype(dev).map(str::to_owned) }
    }

    fn send(
        &self,
        file: FileRef,
        mount_source: Option<String>,
        (kind, size, created): (DumpKind, u64, u64),
        known: Option<Known>,
    ) -> bool {
        let (dump, object) = (stamp(clock::boottime(), 0xff), CarrierKey::default());
        let known = known.map(Box::new);
        let found = Found { dump, object, file, mount_source, kind, size, created: Time(created), known };
        self.inbox.send(Answer::Input(Input::Found(Box::new(found))))
    }
}

/// The files that are still what they were.
fn known(journal: &Path, now: Time, mounts: &Mounts) -> KnownFiles {
    let Holders { files, last } = journal::holders(journal, now);
    let mut known = KnownFiles::new();
    for holder in files {
        if let Some(path) = holder.file.path.clone().filter(|path| is_same(path, &holder, last, mounts)) {
            known.entry(path).or_insert(holder);
        }
    }
    known
}

/// One that was written since may hold something else, unless its content says that it is a dump.
fn is_same(path: &str, holder: &Holder, last: Time, mounts: &Mounts) -> bool {
    if mounts.of_path(path).is_some_and(Mount::is_remote) {
        return false;
    }
    let Ok(file) = open_quietly(&mounts.here(path), OFlags::NOFOLLOW) else { return false };
    let same = |meta: &Metadata| meta.is_file() && meta.ino() == holder.file.inode;
    let Some(meta) = file.metadata().ok().filter(same) else { return false };
    let changed = Time((meta.mtime() as u64).saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec() as u64));
    changed <= Time(last.0.saturating_add(MOMENT_NS)) || identity::look(&file).is_some()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        samples,
        step::{Confidence, StepKind},
    };

    #[test]
    fn a_file_that_was_written_since_is_not_known_again_unless_it_looks_like_a_dump() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        fs::write(&path, [7; 8192]).unwrap();
        let path = path.to_str().unwrap();
        let inode = fs::metadata(path).unwrap().ino();
        let file = FileRef { path: Some(path.to_owned()), inode, fstype: None };
        let origin = samples::step(StepKind::Created, "victim", "copy", "birth").origin.unwrap();
        let known = Known { dump: samples::dump(), origin, confidence: Confidence::Direct, bytes: 8192 };
        let holder = Holder { file, known };
        let mounts = Mounts::of_host();
        let now = clock::now();
        assert!(is_same(path, &holder, now, &mounts));
        assert!(!is_same(path, &holder, Time(now.0 - 10 * MOMENT_NS), &mounts), "written since");
        let other = Holder { file: FileRef { inode: inode + 1, ..holder.file.clone() }, ..holder.clone() };
        assert!(!is_same(path, &other, now, &mounts), "another file");
        assert!(!is_same("/nowhere", &holder, now, &mounts));
    }
}
