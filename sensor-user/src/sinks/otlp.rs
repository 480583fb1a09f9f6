//! Ships log records and spans from the journal to a collector: at least once, in order, each signal on its own.
//!
//! Each signal has a cursor beside the journal. It moves only after the collector has answered, so a crash in between
//! repeats a batch; `log.record.uid` and the span ids let the collector drop repeats.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    journal::{Exports, JournalError, Position, Reader, cursor},
    step::Notice,
};

mod config;
mod outcome;
mod ship;
pub(crate) mod transport;

pub use config::{ConfigError, ExporterConfig, Headers, Protocol, Signal, Target};

use ship::Shipper;
use transport::Transport;

/// Alerts that could not be journaled and wait for the collector in memory.
const UNJOURNALED: usize = 1024;

/// Why export cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file named by a variable cannot be read.
    #[error("{variable}: cannot read {}: {source}", path.display())]
    File {
        /// The variable.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The client cannot be made from what was configured.
    #[error("the exporter for {signal} to {endpoint} cannot be made: {reason}")]
    Client {
        /// `logs` or `traces`.
        signal: Signal,
        /// Where to.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The cursor cannot be read.
    #[error("export cannot begin: {0}")]
    Cursor(#[from] JournalError),
}

/// Takes notices of the exporter; must not block.
pub type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// Counters of one exporter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportStats {
    /// Records and requests of spans that the collector took.
    pub sent: u64,
    /// Rejected one by one in an answer that was otherwise good (`partial_success`).
    pub rejected: u64,
    /// Refused by the collector for what they are, and passed over.
    pub refused: u64,
    /// Attempts that failed and were or will be repeated.
    pub failures: u64,
    /// Alerts that were neither journaled nor sent.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    failures: AtomicU64,
    lost: AtomicU64,
}

/// The running exporters. Dropped, they stop where they are; what was not shipped is shipped by the next run.
pub struct OtlpSink {
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    unjournaled: Option<mpsc::Sender<Vec<u8>>>,
    counters: Arc<Counters>,
}

impl OtlpSink {
    /// Starts an exporter for logs and one for traces, as far as `config` has them.
    pub fn spawn(
        runtime: &Handle,
        config: &ExporterConfig,
        exports: &Exports,
        notices: &Notices,
    ) -> Result<Self, ExportError> {
        let _context = runtime.enter();
        let (stop, stopped) = watch::channel(false);
        let mut sink = Self { tasks: Vec::new(), stop, unjournaled: None, counters: Arc::default() };
        for (signal, target) in [(Signal::Logs, &config.logs), (Signal::Traces, &config.traces)] {
            let Some(target) = target else { continue };
            let (sender, unjournaled) = mpsc::channel(UNJOURNALED);
            if signal == Signal::Logs {
                sink.unjournaled = Some(sender);
            }
            let position = cursor::load(exports.dir(), signal.name())?.unwrap_or_default();
            exports.shipped(signal.name(), position);
            tracing::info!(%signal, endpoint = target.endpoint, protocol = %target.protocol, from = %position, "export");
            let shipper = Shipper {
                signal,
                transport: Transport::new(signal, target)?,
                exports: exports.clone(),
                reader: Some(Reader::at(exports.dir(), position)),
                stored: position,
                unjournaled,
                stop: stopped.clone(),
                notices: Arc::clone(notices),
                counters: Arc::clone(&sink.counters),
                backoff: ship::Backoff::default(),
            };
            sink.tasks.push(runtime.spawn(shipper.run()));
        }
        if sink.tasks.is_empty() {
            tracing::info!(
                "export is off: OTEL_EXPORTER_OTLP_ENDPOINT is not set, or the SDK or its exporters are disabled"
            );
        }
        Ok(sink)
    }

    /// Something is exported.
    pub fn is_on(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Sends an alert that could not be journaled: the bytes of an `ExportLogsServiceRequest`. Returns at once; what
    /// finds no room is lost and counted. Nothing happens while export is off.
    pub fn unjournaled(&self, request: Vec<u8>) {
        if self.unjournaled.as_ref().is_some_and(|sender| sender.try_send(request).is_err()) {
            self.counters.lost.fetch_add(1, Relaxed);
        }
    }

    /// Counters over both signals.
    pub fn stats(&self) -> ExportStats {
        let counters = &self.counters;
        ExportStats {
            sent: counters.sent.load(Relaxed),
            rejected: counters.rejected.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            failures: counters.failures.load(Relaxed),
            lost: counters.lost.load(Relaxed),
        }
    }

    /// Ships what is durable now, for at most `deadline`, and stops.
    pub async fn stop(mut self, deadline: Duration) -> ExportStats {
        self.stop.send_replace(true);
        let end = tokio::time::Instant::now() + deadline;
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout_at(end, &mut task).await.is_err() {
                task.abort();
            }
        }
        self.stats()
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Signal {
    const fn exports(self, kind: crate::journal::Kind) -> bool {
        use crate::journal::Kind;
        match self {
            Self::Logs => matches!(kind, Kind::AlertLogs | Kind::GapLogs),
            Self::Traces => matches!(kind, Kind::Spans),
            Self::Metrics => false,
        }
    }
}

/// Records to ship in one request, and where the journal goes on after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Batch {
    /// Each the bytes of a whole request. None of their positions: they were never in the journal.
    records: Vec<(Vec<u8>, Option<Position>)>,
}

impl Batch {
    fn body(&self) -> Vec<u8> {
        self.records.iter().flat_map(|(bytes, _)| bytes).copied().collect()
    }
    fn end(&self) -> Option<Position> {
        self.records.last().and_then(|(_, end)| *end)
    }
    fn split(mut self) -> (Self, Self) {
        let second = self.records.split_off(self.records.len() / 2);
        (self, Self { records: second })
    }
}

#[cfg(test)]
mod tests;
