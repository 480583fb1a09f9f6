//! What moves without a call. A process that holds a dump and had a file mapped before stores there what no program sees;
//! who has mapped a file that gets a mark reads it unseen; and what is written to a file system on a loop device gets into
//! the file behind that by a thread of the kernel. All are looked for when the mark is heard of; what takes time, on a thread
//! of its own.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::mpsc,
    thread,
};

use sensor_abi::{
    flow::{Move, Via},
    key::{CarrierKey, PairKey, s_dev},
    mark::MarkSet,
    record,
};

use super::{
    Agent,
    inbox::{Answer, Sender},
};
use crate::{
    clock,
    enrich::mounts::Mount,
    event::{self, Body, Edge, Event, printable},
    probe::sweep::{self, Mapping, Wanted},
    sys,
};

/// Questions that wait. Those about holders are answered by one look at all processes.
const QUEUE: usize = 4096;
/// Less than this is a semaphore or a counter, not room for a dump.
const LEAST: u64 = 8192;

enum Question {
    Holders(Vec<Wanted>),
    Mapped(Box<Edge>),
}

/// The way to the thread.
pub(super) struct Sweeper {
    questions: mpsc::SyncSender<Question>,
    /// Questions that found no room.
    dropped: Cell<u64>,
    /// Processes whose mappings have been looked at, and for which colours.
    asked: BTreeMap<CarrierKey, MarkSet>,
}

impl Sweeper {
    /// Starts the thread; results go to `inbox`.
    pub(super) fn start(inbox: Sender) -> std::io::Result<Self> {
        let (questions, queue) = mpsc::sync_channel(QUEUE);
        thread::Builder::new().name("sweep".into()).spawn(move || answer(&queue, &inbox))?;
        Ok(Self { questions, dropped: Cell::new(0), asked: BTreeMap::new() })
    }

    /// Looks for processes that hold these.
    pub(super) fn holders(&self, wanted: Vec<Wanted>) {
        self.ask(Question::Holders(wanted));
    }

    /// Looks for what a process has mapped, when it has read something that it did not hold before.
    fn mapped(&mut self, edge: &Edge) {
        let task = edge.pair.to;
        let known = self.asked.entry(task).or_default();
        let mut new = edge.set;
        new.remove(known);
        known.join(&new);
        if !new.is_empty() {
            self.ask(Question::Mapped(Box::new(edge.clone())));
        }
    }

    fn ask(&self, question: Question) {
        if self.questions.try_send(question).is_err() {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// Questions since the last call that found no room.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.take()
    }

    /// Forgets processes that hold nothing any more.
    pub(super) fn retain(&mut self, held: &BTreeSet<CarrierKey>) {
        self.asked.retain(|task, _| held.contains(task));
    }
}

/// Ends when the core loop is gone.
fn answer(queue: &mpsc::Receiver<Question>, inbox: &Sender) {
    let (proc_root, own) = (Path::new("/proc"), std::process::id());
    while let Ok(first) = queue.recv() {
        let mut wanted = Vec::new();
        for question in std::iter::once(first).chain(queue.try_iter().take(QUEUE)) {
            match question {
                Question::Holders(more) => wanted.extend(more),
                Question::Mapped(edge) => {
                    let process = proc_root.join(edge.pair.to.generation.to_string());
                    let mut found = sweep::mappings(&process);
                    found.retain(|m| m.shared_writable && m.range.1.saturating_sub(m.range.0) >= LEAST);
                    // More pieces of one file say nothing new.
                    let mut files = BTreeSet::new();
                    found.retain(|m| files.insert((m.dev, m.ino)));
                    if !found.is_empty() && !inbox.send(Answer::Mapped(edge, found)) {
                        return;
                    }
                }
            }
        }
        if !wanted.is_empty() && !inbox.send(Answer::Holders(sweep::holders(proc_root, &wanted, own))) {
            return;
        }
    }
}

impl Agent {
    /// What a movement may lead to without a call: into what the reader has mapped, to those who have mapped what is written,
    /// and into the file behind its file system.
    pub(super) fn look_beside(&mut self, edge: &Edge) {
        if edge.direction == Move::Read {
            if edge.pair.to == edge.actor.key() {
                self.sweeper.mapped(edge);
            }
            return;
        }
        let regular = edge.file.as_ref().filter(|f| f.base.mode & 0xf000 == 0x8000 && edge.pair.to.is_inode());
        let Some(file) = regular else { return };
        if self.kernel.is_mapped(file.base.object, edge.pair.to.id) {
            self.look_for_readers(edge.set, edge.pair.to, edge.actor.base.tgid);
        }
        if let Some(path) = image(Path::new("/sys/dev/block"), edge.pair.to.dev)
            && let Some(image) = self.open_image(&path)
        {
            self.also(edge, &image, &path);
        }
    }

    fn look_for_readers(&self, set: MarkSet, key: CarrierKey, writer: u32) {
        let dumps = self.kernel.dumps_of(set).into_iter();
        self.sweeper.holders(dumps.map(|dump| Wanted { dump, key, pipe: false, writer }).collect());
    }

    /// Files that a process had mapped before it got hold of a dump: taken as written, as a mapping made since would be.
    pub(super) fn mapped(&mut self, edge: &Edge, found: &[Mapping]) {
        let task = edge.pair.to;
        for mapping in found {
            let Some(file) = self.open_mapped(task.generation, mapping) else { continue };
            let bytes = mapping.range.1.saturating_sub(mapping.range.0);
            let (pair, direction) = (PairKey { from: task, to: task }, Move::Write);
            let stores = Edge { pair, direction, bytes_before: 0, bytes, via: Via::Mmap, ..edge.clone() };
            if let Some(key) = self.also(&stores, &file, &mapping.path) {
                self.look_for_readers(edge.set, key, task.generation);
            }
        }
    }

    /// By the kernel's own link, which leads to the file whatever its name. Only looked at: no file system is asked to open it.
    /// On remote mounts it may be all the same.
    fn open_mapped(&self, pid: u32, mapping: &Mapping) -> Option<File> {
        let ((start, end), (major, minor)) = (mapping.range, mapping.dev);
        if self.lookup.mounts().of_dev(s_dev(major, minor)).any(Mount::is_remote) {
            return None;
        }
        sys::look_at(format!("/proc/{pid}/map_files/{start:x}-{end:x}")).ok().map(File::from)
    }

    fn open_image(&self, path: &str) -> Option<File> {
        let mounts = self.lookup.mounts();
        if mounts.of_path(path).is_some_and(Mount::is_remote) {
            return None;
        }
        sys::look_at(mounts.here(path)).ok().map(File::from)
    }

    /// A movement goes into this file as well: marks it, and tells that as the kernel would. Its key, when it is a file that
    /// can be marked.
    fn also(&mut self, edge: &Edge, file: &File, path: &str) -> Option<CarrierKey> {
        let key = self.kernel.share(file, edge.set).ok().flatten()?;
        let meta = file.metadata().ok()?;
        let base = record::FileInfo {
            size: meta.size(),
            mode: meta.mode(),
            nlink: meta.nlink() as u32,
            ..record::FileInfo::default()
        };
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        let file = event::File { base, path: Some(printable(path.as_bytes())), path_in_fs: false };
        let pair = PairKey { to: key, ..edge.pair };
        let edge = Edge { pair, file: Some(file), socket: None, ..edge.clone() };
        self.event(Event { time_ns: clock::boottime(), body: Body::Edge(Box::new(edge)) }, None);
        Some(key)
    }
}

/// Major number of loop devices, and that of partitions, some of which are theirs.
const LOOP: u32 = 7;
const PARTITION: u32 = 259;

/// The file behind the loop device with this number, or with this partition.
fn image(devices: &Path, dev: u32) -> Option<String> {
    let (major, minor) = (dev >> 20, dev & 0xf_ffff);
    let device = devices.join(format!("{major}:{minor}"));
    let below = match major {
        LOOP => ["loop", "../loop"].as_slice(),
        PARTITION => &["../loop"],
        _ => &[],
    };
    let read = |folder: &&str| std::fs::read_to_string(device.join(folder).join("backing_file")).ok();
    Some(below.iter().find_map(read)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_loop_device_and_its_partitions_lead_to_the_file_behind() {
        let sys = tempfile::tempdir().unwrap();
        let (disk, part) = (sys.path().join("devices/loop3"), sys.path().join("devices/loop3/loop3p1"));
        fs::create_dir_all(disk.join("loop")).unwrap();
        fs::create_dir_all(&part).unwrap();
        fs::create_dir_all(sys.path().join("devices/nvme0n1")).unwrap();
        fs::write(disk.join("loop/backing_file"), "/var/disk image\n").unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, sys.path().join(name)).unwrap();
        link(&disk, "7:3");
        link(&part, "259:1");
        link(&sys.path().join("devices/nvme0n1"), "259:0");
        let behind = |major, minor| image(sys.path(), s_dev(major, minor));
        assert_eq!(behind(7, 3).as_deref(), Some("/var/disk image"));
        assert_eq!(behind(259, 1).as_deref(), Some("/var/disk image"));
        assert_eq!([behind(7, 4), behind(259, 0), behind(8, 1)], [None, None, None]);
    }
}
