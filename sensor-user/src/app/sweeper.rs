//! What moves without a call: memory that processes share. A process that holds a dump and had a file mapped before stores
//! there what no program sees, and who has mapped a file that gets a mark reads it unseen. Both are looked for when the mark
//! is heard of, on a thread of its own.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use rustix::fs::{Mode, OFlags};
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
    event::{self, Actor, Body, Edge, Event, printable},
    probe::sweep::{self, Mapping, Wanted},
};

/// Questions that wait. Those about holders are answered by one look at all processes.
const QUEUE: usize = 4096;
/// Less than this is a semaphore or a counter, not room for a dump.
const LEAST: u64 = 8192;

/// A process that holds dumps.
#[derive(Debug)]
pub(super) struct Holder {
    /// As it was when it got them.
    actor: Actor,
    task: CarrierKey,
    set: MarkSet,
}

enum Question {
    Holders(Vec<Wanted>),
    Mapped(Box<Holder>),
}

/// The way to the thread.
pub(super) struct Sweeper {
    questions: mpsc::SyncSender<Question>,
    dropped: Arc<AtomicU64>,
    /// Processes whose mappings have been looked at, and for which colours.
    asked: BTreeMap<CarrierKey, MarkSet>,
}

impl Sweeper {
    /// Starts the thread; results go to `inbox`.
    pub(super) fn start(inbox: Sender) -> std::io::Result<Self> {
        let (questions, queue) = mpsc::sync_channel(QUEUE);
        thread::Builder::new().name("sweep".into()).spawn(move || answer(&queue, &inbox))?;
        Ok(Self { questions, dropped: Arc::default(), asked: BTreeMap::new() })
    }

    /// Looks for processes that hold these.
    pub(super) fn holders(&self, wanted: Vec<Wanted>) {
        self.ask(Question::Holders(wanted));
    }

    /// Looks for what a process has mapped, when it has read something that it did not hold before.
    fn mapped(&mut self, edge: &Edge) {
        let task = edge.pair.to;
        let known = self.asked.entry(task).or_default();
        let new = (0..4).any(|i| edge.set.words[i] & !known.words[i] != 0);
        (0..4).for_each(|i| known.words[i] |= edge.set.words[i]);
        if new {
            self.ask(Question::Mapped(Box::new(Holder { actor: edge.actor.clone(), task, set: edge.set })));
        }
    }

    fn ask(&self, question: Question) {
        if self.questions.try_send(question).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Questions since the last call that found no room.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Forgets processes that hold nothing any more.
    pub(super) fn retain(&mut self, held: &std::collections::BTreeSet<CarrierKey>) {
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
                Question::Mapped(holder) => {
                    let process = proc_root.join(holder.task.generation.to_string());
                    let mut found = sweep::mappings(&process);
                    found.retain(|m| m.shared_writable && m.range.1.saturating_sub(m.range.0) >= LEAST);
                    if !found.is_empty() && !inbox.send(Answer::Mapped(holder, found)) {
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
    /// What a movement may lead to without a call: into what the reader has mapped, and to those who have mapped what is
    /// written.
    pub(super) fn look_beside(&mut self, edge: &Edge) {
        if edge.direction == Move::Read && edge.pair.to == edge.actor.key() {
            return self.sweeper.mapped(edge);
        }
        let regular = edge.file.as_ref().filter(|f| f.base.mode & 0xf000 == 0x8000 && edge.pair.to.is_inode());
        if let Some(file) = regular
            && edge.direction != Move::Read
            && self.kernel.is_mapped(file.base.object, edge.pair.to.id)
        {
            self.look_for_readers(edge.set, edge.pair.to, edge.actor.base.tgid);
        }
    }

    fn look_for_readers(&self, set: MarkSet, key: CarrierKey, writer: u32) {
        let dumps = self.kernel.dumps_of(set).into_iter();
        self.sweeper.holders(dumps.map(|dump| Wanted { dump, key, pipe: false, writer }).collect());
    }

    /// Files that a process had mapped before it got hold of a dump: taken as written, as a mapping made since would be.
    pub(super) fn mapped(&mut self, holder: &Holder, found: &[Mapping]) {
        for mapping in found {
            let Some(file) = self.open_mapped(holder, mapping) else { continue };
            let Ok(Some(key)) = self.kernel.share(&file, &holder.task) else { continue };
            self.event(written(holder, mapping, key, &file), None);
            self.look_for_readers(holder.set, key, holder.task.generation);
        }
    }

    /// By the kernel's own link, which leads to the file whatever its name. Only looked at: no file system is asked to open it.
    /// On remote mounts it may be all the same.
    fn open_mapped(&self, holder: &Holder, mapping: &Mapping) -> Option<File> {
        let ((start, end), (major, minor)) = (mapping.range, mapping.dev);
        if self.lookup.mounts().of_dev(s_dev(major, minor)).any(Mount::is_remote) {
            return None;
        }
        let link = format!("/proc/{}/map_files/{start:x}-{end:x}", holder.task.generation);
        rustix::fs::open(link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok().map(File::from)
    }
}

/// The movement, as the kernel would tell it of a mapping made now.
fn written(holder: &Holder, mapping: &Mapping, key: CarrierKey, file: &File) -> Event {
    let meta = file.metadata().ok();
    let base = record::FileInfo {
        size: meta.as_ref().map_or(0, MetadataExt::size),
        mode: meta.as_ref().map_or(0x8000, MetadataExt::mode),
        nlink: meta.as_ref().map_or(0, |m| m.nlink() as u32),
        ..record::FileInfo::default()
    };
    let path = printable(mapping.path.strip_suffix(" (deleted)").unwrap_or(&mapping.path).as_bytes());
    let edge = Edge {
        pair: PairKey { from: holder.task, to: key },
        set: holder.set,
        bytes_before: 0,
        bytes: mapping.range.1.saturating_sub(mapping.range.0),
        file: Some(event::File { base, path: Some(path), path_in_fs: false }),
        socket: None,
        actor: holder.actor.clone(),
        via: Via::Mmap,
        direction: Move::Write,
    };
    Event { time_ns: clock::boottime(), body: Body::Edge(Box::new(edge)) }
}
