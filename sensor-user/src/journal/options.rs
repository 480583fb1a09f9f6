//! What the journal is told, and what it tells.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{frame::Position, queue::Bounds};
use crate::{
    clock::Time,
    otlp::Encoder,
    step::{Gap, Notice},
};

/// What the journal says about itself. It has been journalled already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Records were lost.
    Gap(Gap),
    /// A person should know.
    Notice(Notice),
}

/// Takes reports; must not block.
pub type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// How to keep the journal.
#[derive(Clone)]
pub struct Options {
    /// The directory; made when it is not there.
    pub dir: PathBuf,
    /// `host.id` of the lines.
    pub host: String,
    /// Makes the OTLP bytes.
    pub encoder: Encoder,
    /// Largest size of a segment.
    pub segment_bytes: u64,
    /// Largest size of the journal.
    pub cap_bytes: u64,
    /// Queue in front of the writer.
    pub bounds: Bounds,
    /// An alert that is not durable after this is acknowledged as such.
    pub patience: Duration,
    /// Losses within this become one gap.
    pub gap_window: Duration,
    /// Gets gaps and notices of the journal itself.
    pub report: Reporter,
}

impl Options {
    /// The defaults: 8 MiB segments, 512 MiB in all.
    pub fn new(dir: &Path, host: &str, encoder: Encoder, report: Reporter) -> Self {
        Self {
            dir: dir.to_owned(),
            host: host.to_owned(),
            encoder,
            segment_bytes: 8 << 20,
            cap_bytes: 512 << 20,
            bounds: Bounds::default(),
            patience: Duration::from_secs(1),
            gap_window: Duration::from_secs(5),
            report,
        }
    }
}

/// What was found when the journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Segments that were there.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of a torn write that were cut from the end.
    pub torn_bytes: u64,
    /// Where the newest segment has a frame that cannot be read; it was left as it is, and a new segment begun.
    pub corrupt: Option<Position>,
    /// The agent before did not say that it stopped: the time of its last record.
    pub unwatched: Option<Time>,
    /// The file system reserves space ahead: a full disk leaves room for alerts.
    pub reserves: bool,
}

/// Counters since the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records that wait.
    pub queued: usize,
    /// Records made durable.
    pub records: u64,
    /// Bytes made durable.
    pub bytes: u64,
    /// Syncs.
    pub groups: u64,
    /// Steps that were not written.
    pub lost_steps: u64,
    /// Alerts, gaps and notices that were not written.
    pub lost_records: u64,
    /// Segments deleted to stay under the cap.
    pub removed_segments: u64,
    /// The slowest write with its sync, ns.
    pub slowest_sync_ns: u64,
    /// Up to where everything is durable.
    pub durable: Position,
}
