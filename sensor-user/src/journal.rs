//! The journal: what was seen and what was said, on disk before anybody else gets it.
//!
//! Append-only segments of checksummed frames. A thread of its own encodes and writes them in groups (64 records or
//! 5 ms, one `fdatasync` each); a push returns at once. Exporters read by cursor and never beyond what is durable, so
//! a crash between shipping and the cursor repeats records and loses none. Every loss is counted and becomes a gap.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    alert::Alert,
    clock,
    otlp::Spans,
    step::{Gap, Id, Notice, Step},
};

mod ack;
pub mod cursor;
mod end;
mod error;
mod frame;
mod known;
mod loss;
mod open;
mod options;
mod place;
mod queue;
mod reader;
mod retention;
mod segment;
mod writer;

pub use ack::Ack;
pub use end::STARTED;
pub use error::JournalError;
pub use frame::{FORMAT, Frame, Kind, Position};
pub use known::{Holder, Holders, holders};
pub use loss::CAUSES;
pub use options::{OpenReport, Options, Report, Reporter, Stats};
pub use place::ours;
pub use queue::Bounds;
pub use reader::{Item, Reader, Rest, read};

use ack::{Deadlines, Pending};
use loss::Losses;
use queue::{Entry, Queue};

/// Where the journal is unless the configuration says otherwise.
pub const DEFAULT_DIR: &str = "/var/lib/dumptrail";

#[derive(Debug, Default)]
struct Counters {
    records: AtomicU64,
    bytes: AtomicU64,
    groups: AtomicU64,
    lost_steps: AtomicU64,
    lost_records: AtomicU64,
    removed_segments: AtomicU64,
    slowest_sync_ns: AtomicU64,
}

struct Shared {
    queue: Queue,
    deadlines: Deadlines,
    losses: Losses,
    counters: Counters,
    durable: watch::Sender<Position>,
    shipped: Mutex<BTreeMap<&'static str, Position>>,
    patience: Duration,
}

impl Shared {
    fn lost_step(&self, cause: &'static str, dump: Option<Id>) {
        self.counters.lost_steps.fetch_add(1, Relaxed);
        self.losses.add(cause, 1, dump, clock::now());
    }

    /// An alert, a gap or a notice is lost.
    fn lost_record(&self, cause: &'static str, dump: Option<Id>) {
        self.counters.lost_records.fetch_add(1, Relaxed);
        self.losses.add(cause, 1, dump, clock::now());
    }

    /// How far every exporter has got; none without exporters.
    fn shipped(&self) -> Option<Position> {
        self.shipped.lock().unwrap_or_else(PoisonError::into_inner).values().min().copied()
    }
}

/// The running journal: one a host and directory.
pub struct Journal {
    shared: Arc<Shared>,
    dir: PathBuf,
    written: mpsc::Receiver<()>,
    watchdog: Option<thread::JoinHandle<()>>,
    report: Reporter,
    _lock: File,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.dir).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Puts records into the journal. Every call returns at once.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Keeps a step. When the queue is full it is lost, counted and in a gap.
    pub fn step(&self, step: Arc<Step>) {
        if let Err(Entry::Step(step)) = self.0.queue.push(Entry::Step(step)) {
            self.0.lost_step("journal_queue_full", step.dump.as_ref().map(|d| d.id));
        }
    }

    /// Keeps an alert. `ack` is called once: with true when it is durable; with false when it could not be kept or is
    /// not durable in time, and then there is a gap as well. It may still become durable later.
    pub fn alert(&self, alert: Arc<Alert>, ack: impl FnOnce(bool) + Send + 'static) {
        let dump = alert.step.dump.as_ref().map(|d| d.id);
        let pending = Arc::new(Pending::new(Box::new(ack), dump));
        if self.0.queue.push(Entry::Alert(alert, Arc::clone(&pending))).is_ok() {
            self.0.deadlines.watch(&pending, self.0.patience);
        } else {
            self.lost(dump);
            pending.give(false);
        }
    }

    /// Keeps and exports a gap.
    pub fn gap(&self, gap: &Gap) {
        if self.0.queue.push(Entry::Gap(gap.clone())).is_err() {
            self.lost(None);
        }
    }

    /// Keeps a notice.
    pub fn notice(&self, notice: &Notice) {
        if self.0.queue.push(Entry::Notice(notice.clone())).is_err() {
            self.lost(notice.dump);
        }
    }

    fn lost(&self, dump: Option<Id>) {
        self.0.lost_record("journal_queue_full", dump);
    }
}

/// What exporters need of the journal: what is durable, and a place to say how far they are.
#[derive(Clone)]
pub struct Exports {
    shared: Arc<Shared>,
    dir: PathBuf,
}

impl Exports {
    /// The journal's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// Up to where everything is durable; changes as more is.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.shared.durable.subscribe()
    }
    /// Exporter `name` has shipped everything before `position`: it may be deleted when room is needed.
    pub fn shipped(&self, name: &'static str, position: Position) {
        self.shared.shipped.lock().unwrap_or_else(PoisonError::into_inner).insert(name, position);
    }
    /// Bytes of the journal that some exporter has not settled yet; 0 without exporters.
    pub fn waiting(&self) -> u64 {
        let durable = *self.shared.durable.borrow();
        let Some(shipped) = self.shared.shipped() else { return 0 };
        let segments = segment::list(&self.dir).unwrap_or_default();
        let between = segments.iter().filter(|(n, _)| (shipped.segment..durable.segment).contains(n));
        let bytes: u64 = between.map(|(_, size)| size).sum();
        (bytes + durable.offset).saturating_sub(shipped.offset)
    }
    /// Counts a part of the journal that cannot be read.
    pub fn corrupt(&self) {
        self.shared.losses.add("journal_corrupt", 1, None, clock::now());
    }
}

impl Journal {
    /// Opens the journal: checks and locks the directory, cuts a torn end, starts the threads.
    pub fn open(options: Options) -> Result<(Self, OpenReport), JournalError> {
        let least = options.segment_bytes.saturating_mul(4);
        if options.cap_bytes < least {
            return Err(JournalError::Cap { cap: options.cap_bytes, least, segment: options.segment_bytes });
        }
        let lock = place::claim(&options.dir)?;
        let (start, report) = open::resume(&options.dir, options.segment_bytes)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(options.bounds),
            deadlines: Deadlines::default(),
            losses: Losses::default(),
            counters: Counters::default(),
            durable: watch::Sender::new(start.segment.end()),
            shipped: Mutex::default(),
            patience: options.patience,
        });
        let handle = Handle(Arc::clone(&shared));
        open::tell(&report, &handle, &options.report);
        let written = spawn_writer(&options, start, Arc::clone(&shared))?;
        let watchdog = spawn_watchdog(&options, handle)?;
        Ok((
            Self { shared, dir: options.dir, written, watchdog: Some(watchdog), report: options.report, _lock: lock },
            report,
        ))
    }

    /// A handle to put records in.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// For exporters.
    pub fn exports(&self) -> Exports {
        Exports { shared: Arc::clone(&self.shared), dir: self.dir.clone() }
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        Stats {
            queued: self.shared.queue.len(),
            records: counters.records.load(Relaxed),
            bytes: counters.bytes.load(Relaxed),
            groups: counters.groups.load(Relaxed),
            lost_steps: counters.lost_steps.load(Relaxed),
            lost_records: counters.lost_records.load(Relaxed),
            removed_segments: counters.removed_segments.load(Relaxed),
            slowest_sync_ns: counters.slowest_sync_ns.load(Relaxed),
            durable: *self.shared.durable.borrow(),
        }
    }

    /// Writes what waits, for at most `deadline`. Gives the last counters; what is `queued` in them was not written.
    pub fn close(mut self, deadline: Duration) -> Stats {
        for gap in self.shared.losses.take() {
            self.handle().gap(&gap);
            (self.report)(Report::Gap(gap));
        }
        self.shared.queue.close();
        // An error means that the writer is done and gone, or that it is stuck in a sync: both end the wait.
        let _ = self.written.recv_timeout(deadline);
        self.stop_watchdog();
        self.stats()
    }

    fn stop_watchdog(&mut self) {
        self.shared.deadlines.close();
        if let Some(thread) = self.watchdog.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.stop_watchdog();
    }
}

/// The channel closes when the writer has written everything.
fn spawn_writer(
    options: &Options,
    start: open::Start,
    shared: Arc<Shared>,
) -> Result<mpsc::Receiver<()>, JournalError> {
    let (done, written) = mpsc::channel();
    let writer = writer::Writer {
        shared,
        dir: options.dir.clone(),
        host: options.host.clone(),
        encoder: options.encoder.clone(),
        spans: Spans::default(),
        next_number: start.segment.number + 1,
        segment: Some(start.segment),
        segment_bytes: options.segment_bytes,
        retention: retention::Retention::new(options.dir.clone(), options.cap_bytes),
        reserved: start.reserved,
        tried: None,
    };
    let run = move || {
        let _done: mpsc::Sender<()> = done;
        writer.run();
    };
    spawn("journal", &options.dir, run)?;
    Ok(written)
}

/// Gives overdue acknowledgements, and turns losses into gaps.
fn spawn_watchdog(options: &Options, handle: Handle) -> Result<thread::JoinHandle<()>, JournalError> {
    let (window, report) = (options.gap_window, Arc::clone(&options.report));
    spawn("journal-watch", &options.dir, move || {
        let mut flushed = std::time::Instant::now();
        let mut open = true;
        while open {
            open = handle.0.deadlines.tick(window, &handle.0.losses);
            if !open || flushed.elapsed() >= window {
                flushed = std::time::Instant::now();
                for gap in handle.0.losses.take() {
                    handle.gap(&gap);
                    report(Report::Gap(gap));
                }
            }
        }
    })
}

fn spawn(name: &str, dir: &Path, run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, JournalError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| JournalError::Io {
        operation: "start a thread for",
        path: dir.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
