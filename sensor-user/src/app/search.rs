//! Looks for the dumps that are there already: those that an agent before knew, then those in the folders where dumps are
//! put, then those that processes hold open.

use std::{
    collections::BTreeMap,
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
    dump::source::{self, Bounds, Settings, open_quietly},
    enrich::mounts::{Mount, Mounts},
    journal::{self, Holder, Holders},
    step::{DumpKind, FileRef},
    trail::{Found, Known},
};

/// A record is written a moment after what it tells of.
const MOMENT_NS: u64 = 1_000_000_000;

/// Starts a thread of its own for it; `began` is when this agent did. Ends early when nobody waits for the answers.
pub(super) fn start(
    configured: &[PathBuf],
    settings: Option<&Settings>,
    journal: &Path,
    began: Time,
    inbox: Sender,
) -> io::Result<()> {
    let folders = settings.map_or_else(|| configured.to_vec(), |s| source::folders(configured, &s.handler()));
    let journal = journal.to_owned();
    thread::Builder::new().name("search".into()).spawn(move || {
        let mounts = Mounts::of_host();
        let (known, changed) = known(&journal, began, &mounts);
        let search = Search { known, mounts, inbox };
        let found = source::find(&folders, &search.mounts, Bounds::default()).found;
        if search.found(found) && search.found(changed) && search.rest() && search.held() {
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
    /// Dumps by their content. False when nobody waits any more, as of all that follow.
    fn found(&self, found: Vec<source::Found>) -> bool {
        found.into_iter().all(|found| {
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
            let source = self.mounts.of_dev(held.dev).next().map(|mount| mount.source.clone());
            self.send(file, source, (held.look.kind(), held.size, clock::now().0), None)
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

/// The files that are still what they were; and those that were written since, and are dumps by their content: others, as
/// far as can be told.
fn known(journal: &Path, began: Time, mounts: &Mounts) -> (KnownFiles, Vec<source::Found>) {
    let Holders { files, last } = journal::holders(journal, began);
    let (mut known, mut changed) = (KnownFiles::new(), Vec::new());
    for holder in files {
        let Some(path) = holder.file.path.clone() else { continue };
        let Some(mount) = mounts.of_path(&path).filter(|mount| !mount.is_remote()) else { continue };
        if is_same(&path, &holder, last, mount, mounts) {
            known.entry(path).or_insert(holder);
        } else {
            changed.extend(source::examine(Path::new(&path), mount.dev, mounts));
        }
    }
    (known, changed)
}

fn is_same(path: &str, holder: &Holder, last: Time, mount: &Mount, mounts: &Mounts) -> bool {
    let Ok(file) = open_quietly(&mounts.here(path), OFlags::NOFOLLOW) else { return false };
    let Ok(meta) = file.metadata() else { return false };
    let written = Time::of_inode(meta.mtime(), meta.mtime_nsec() as u64);
    let unwritten = written.0 <= last.0.saturating_add(MOMENT_NS);
    let fits = holder.file.fstype.as_ref().is_none_or(|fstype| *fstype == mount.fstype);
    meta.is_file() && meta.ino() == holder.file.inode && fits && unwritten
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
    fn a_file_that_was_written_since_is_not_known_again() {
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
        let mount = mounts.of_path(path).unwrap();
        let now = clock::now();
        let is = |path, holder: &Holder, last| is_same(path, holder, last, mount, &mounts);
        assert!(is(path, &holder, now));
        assert!(!is(path, &holder, Time(now.0 - 10 * MOMENT_NS)), "written since");
        let other = |inode, fstype: Option<&str>| Holder {
            file: FileRef { inode, fstype: fstype.map(str::to_owned), ..holder.file.clone() },
            ..holder.clone()
        };
        assert!(!is(path, &other(inode + 1, None), now) && !is(path, &other(inode, Some("nofs")), now), "another file");
        assert!(is(path, &other(inode, Some(&mount.fstype)), now));
        assert!(!is("/nowhere", &holder, now));
    }
}
