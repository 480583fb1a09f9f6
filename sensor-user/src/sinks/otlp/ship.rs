//! The loop of one exporter: read a batch, send it until it is settled, move the cursor.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{Batch, Counters, Notices, Signal, Transport, outcome::Outcome};
use crate::{
    clock,
    journal::{Exports, Item, JournalError, Position, Reader, cursor},
    step::Notice,
};

/// Records in a request.
const RECORDS: usize = 512;
/// Bytes in a request: well below the 4 MiB that gRPC servers take by default.
const BYTES: usize = 1 << 20;
/// Times that a failing collector gets the same batch before the batch is taken for the reason.
const FAULTS: u32 = 8;

pub(super) struct Shipper {
    pub(super) signal: Signal,
    pub(super) transport: Transport,
    pub(super) exports: Exports,
    /// Away only while a blocking task reads with it.
    pub(super) reader: Option<Reader>,
    /// The cursor on disk.
    pub(super) stored: Position,
    pub(super) unjournaled: mpsc::Receiver<Vec<u8>>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) notices: Notices,
    pub(super) counters: Arc<Counters>,
    pub(super) backoff: Backoff,
}

/// What one look into the journal gave.
#[derive(Default)]
struct Look {
    batch: Batch,
    corrupt: Vec<Position>,
    /// Up to here there is nothing more to ship.
    end: Position,
}

impl Shipper {
    /// Ships until told to stop, then until everything durable is shipped.
    pub(super) async fn run(mut self) {
        let mut durable = self.exports.durable();
        loop {
            let stopping = *self.stop.borrow_and_update();
            let limit = *durable.borrow_and_update();
            let direct = self.direct();
            let look = match self.look(limit).await {
                Ok(look) => look,
                Err(error) => {
                    tracing::error!(signal = %self.signal, %error, "the journal cannot be read for export");
                    self.pause(None).await;
                    continue;
                }
            };
            look.corrupt.iter().for_each(|at| self.corrupt(*at));
            let idle = look.batch.records.is_empty() && direct.records.is_empty();
            self.settle(direct).await;
            self.settle(look.batch).await;
            self.passed(look.end, idle && stopping).await;
            if idle && stopping {
                return;
            }
            if idle {
                self.wait(&mut durable).await;
            }
        }
    }

    /// Until there is more to ship, or an order to stop.
    async fn wait(&mut self, durable: &mut watch::Receiver<Position>) {
        tokio::select! {
            // Never an error: `exports` holds the sending side.
            _ = durable.changed() => {}
            // The sink was dropped: as good as an order.
            _ = self.stop.changed() => {}
            Some(request) = self.unjournaled.recv() => {
                self.settle(Batch { records: vec![(request, None)] }).await;
            }
        }
    }

    /// Alerts that never were in the journal.
    fn direct(&mut self) -> Batch {
        let records = std::iter::from_fn(|| self.unjournaled.try_recv().ok()).take(RECORDS).map(|r| (r, None));
        Batch { records: records.collect() }
    }

    /// Reads the next batch before `limit`.
    async fn look(&mut self, limit: Position) -> Result<Look, JournalError> {
        let mut reader = self.reader.take().unwrap_or_else(|| Reader::at(self.exports.dir(), self.stored));
        let signal = self.signal;
        let read = tokio::task::spawn_blocking(move || (collect(&mut reader, signal, limit), reader)).await;
        match read {
            Ok((look, reader)) => {
                // After an error the reader may stand within a file that is gone: begin again at the cursor.
                self.reader = look.is_ok().then_some(reader);
                look
            }
            Err(_) => Ok(Look { end: self.stored, ..Look::default() }),
        }
    }

    /// Sends the batch until every record of it is taken, or given up for good.
    async fn settle(&mut self, batch: Batch) {
        let mut stack = vec![batch];
        while let Some(batch) = stack.pop().filter(|b| !b.records.is_empty()) {
            match self.deliver(&batch).await {
                Ok(()) => self.moved(batch.end()).await,
                Err(why) if batch.records.len() == 1 => {
                    self.refused(&why);
                    self.moved(batch.end()).await;
                }
                // One of them spoils it: the halves tell which.
                Err(_) => {
                    let (first, second) = batch.split();
                    stack.extend([second, first]);
                }
            }
        }
    }

    /// Sends until there is a final answer; an error is a refusal.
    async fn deliver(&mut self, batch: &Batch) -> Result<(), String> {
        let mut faults = 0;
        loop {
            let after = match self.transport.send(batch.body()).await {
                Outcome::Sent { rejected, message } => {
                    self.taken(batch.records.len() as u64, rejected, &message);
                    return Ok(());
                }
                Outcome::Refused { why } => return Err(why),
                Outcome::Faulty { why } if faults >= FAULTS => return Err(why),
                Outcome::Faulty { why } => {
                    faults += 1;
                    self.failed(&why);
                    None
                }
                Outcome::Retry { after, why } => {
                    self.failed(&why);
                    after
                }
                Outcome::Held { why } => {
                    if self.backoff.failures == 0 {
                        self.notice("export-held", format!("The collector refuses us ({why}): nothing is given up."));
                    }
                    self.failed(&why);
                    None
                }
            };
            self.pause(after).await;
        }
    }

    fn taken(&mut self, records: u64, rejected: u64, message: &str) {
        if self.backoff.failures > 0 {
            tracing::info!(signal = %self.signal, attempts = self.backoff.failures, "the collector is back");
        }
        self.backoff = Backoff::default();
        self.counters.sent.fetch_add(records.saturating_sub(rejected), Relaxed);
        self.counters.rejected.fetch_add(rejected, Relaxed);
        if rejected > 0 {
            let text = format!("The collector rejected {rejected} {} in a batch of {records}: {message}", self.signal);
            self.notice("export-rejected", text);
        }
    }

    fn refused(&self, why: &str) {
        self.counters.refused.fetch_add(1, Relaxed);
        self.notice("export-refused", format!("The collector refused a record of {}: {why}", self.signal));
    }

    fn failed(&mut self, why: &str) {
        self.counters.failures.fetch_add(1, Relaxed);
        if self.backoff.failures == 0 {
            tracing::warn!(signal = %self.signal, why, "export waits: what is journaled is kept and sent later");
        }
    }

    fn corrupt(&self, at: Position) {
        self.exports.corrupt();
        self.notice("journal-corrupt", format!("The journal cannot be read from {at} to the end of that segment."));
    }

    fn notice(&self, kind: &'static str, text: String) {
        (self.notices)(Notice { time: clock::now(), kind, text, dump: None, content: None });
    }

    async fn pause(&mut self, after: Option<Duration>) {
        let pause = self.backoff.next().max(after.unwrap_or_default());
        tokio::time::sleep(pause).await;
    }

    /// Everything before `end` is settled: says so, and makes it durable.
    async fn moved(&mut self, end: Option<Position>) {
        if let Some(end) = end {
            self.exports.shipped(self.signal.name(), end);
            self.store(end).await;
        }
    }

    /// Everything before `end` is settled, with nothing shipped since. Not worth a sync but for a new segment.
    async fn passed(&mut self, end: Position, last: bool) {
        self.exports.shipped(self.signal.name(), end);
        if end != self.stored && (last || end.segment != self.stored.segment) {
            self.store(end).await;
        }
    }

    async fn store(&mut self, position: Position) {
        let (dir, name) = (self.exports.dir().to_owned(), self.signal.name());
        let stored = tokio::task::spawn_blocking(move || cursor::store(&dir, name, position)).await;
        match stored {
            Ok(Ok(())) => self.stored = position,
            Ok(Err(error)) => tracing::error!(%error, "the cursor could not be stored: a restart will repeat records"),
            Err(error) => tracing::error!(%error, "the cursor could not be stored"),
        }
    }
}

fn collect(reader: &mut Reader, signal: Signal, limit: Position) -> Result<Look, JournalError> {
    let (mut look, mut bytes) = (Look::default(), 0);
    while look.batch.records.len() < RECORDS && bytes < BYTES {
        match reader.next_until(limit)? {
            None => break,
            Some(Item::Corrupt(at)) => look.corrupt.push(at),
            Some(Item::Frame(frame)) if signal.exports(frame.kind) => {
                bytes += frame.payload.len();
                look.batch.records.push((frame.payload, Some(frame.end)));
            }
            Some(Item::Frame(_)) => {}
        }
    }
    look.end = reader.reached();
    Ok(look)
}

/// Exponential pauses with jitter: 0.5 s to 30 s.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let longest = Duration::from_millis(500).saturating_mul(1 << self.failures.min(6)).min(Duration::from_secs(30));
        self.failures = self.failures.saturating_add(1);
        // Between half and all of it, so that many agents do not come back at the same moment.
        let random = RandomState::new().hash_one(self.failures) % 1000;
        longest / 2 + longest.mul_f64(random as f64 / 2000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_are_not_all_the_same() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= Duration::from_millis(250) && pauses[0] <= Duration::from_millis(500));
        assert!(pauses.iter().all(|p| *p <= Duration::from_secs(30)));
        assert!(pauses[10..].iter().all(|p| *p >= Duration::from_secs(15)));
        assert!(pauses[10..].windows(2).any(|p| p[0] != p[1]));
    }
}
