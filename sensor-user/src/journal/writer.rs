//! The thread that writes: takes groups from the queue, encodes them, makes them durable, then acknowledges.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{
    Shared,
    ack::Pending,
    frame::{self, Kind},
    queue::Entry,
    retention::Retention,
    segment::{self, Segment},
};
use crate::{
    alert::Alert,
    clock, ndjson,
    otlp::{Encoder, Spans},
    step::{Id, Step},
};

/// Records in a group.
const GROUP: usize = 64;
/// How long a group waits for more.
const WINDOW: Duration = Duration::from_millis(5);
/// How long a full disk is left alone.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) dir: PathBuf,
    pub(super) host: String,
    pub(super) encoder: Encoder,
    pub(super) spans: Spans,
    /// None after an error, until a new segment could be made.
    pub(super) segment: Option<Segment>,
    pub(super) next_number: u64,
    pub(super) segment_bytes: u64,
    pub(super) retention: Retention,
    /// The next segment has its space. Without it steps are not written, so that alerts fit in what is left.
    pub(super) reserved: bool,
    /// When reserving was last tried: on a full disk not with every group.
    pub(super) tried: Option<Instant>,
}

/// One group, encoded.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    acks: Vec<Arc<Pending>>,
    /// Dump of each record, for the gap when the group fails.
    dumps: Vec<Option<Id>>,
    steps: u64,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(entries) = self.shared.queue.group(GROUP, WINDOW) {
            let group = self.encode(entries);
            if group.dumps.is_empty() {
                continue;
            }
            match self.commit(&group.bytes) {
                Ok(()) => self.done(&group),
                Err(error) => self.failed(&group, &error),
            }
        }
        if let Some(segment) = self.segment.take()
            && let Err(error) = segment.seal()
        {
            tracing::warn!(%error, "the journal could not give back reserved space");
        }
    }

    fn encode(&mut self, entries: Vec<Entry>) -> Group {
        let mut group = Group::default();
        let tight = !self.reserved && !self.try_reserve();
        for entry in entries {
            match entry {
                Entry::Step(step) if tight => {
                    self.shared.lost_step("journal_full", step.dump.as_ref().map(|d| d.id));
                }
                Entry::Step(step) => self.put_step(&mut group, &step),
                Entry::Alert(alert, pending) => self.put_alert(&mut group, &alert, pending),
                Entry::Gap(gap) => {
                    let (line, logs) = (ndjson::gap_line(&gap, &self.host), self.encoder.gap(&gap));
                    self.put(&mut group, &[(Kind::Gap, line.as_bytes()), (Kind::GapLogs, &logs)], None);
                }
                Entry::Notice(notice) => {
                    let line = ndjson::notice_line(&notice, &self.host);
                    self.put(&mut group, &[(Kind::Notice, line.as_bytes())], notice.dump);
                }
            }
        }
        group
    }

    fn put_step(&mut self, group: &mut Group, step: &Arc<Step>) {
        let dump = step.dump.as_ref().map(|d| d.id);
        let line = ndjson::step_line(step, &self.host);
        if !group.put(&[(Kind::Step, line.as_bytes())], dump) {
            return self.shared.lost_step("journal_too_large", dump);
        }
        group.steps += 1;
        // A view, no record: the step is kept without.
        if let Some(spans) = self.spans.step(&self.encoder, step)
            && !frame::append(&mut group.bytes, Kind::Spans, &spans)
        {
            self.shared.losses.add("journal_too_large", 1, dump, clock::now());
        }
    }

    fn put_alert(&self, group: &mut Group, alert: &Alert, pending: Arc<Pending>) {
        let dump = alert.step.dump.as_ref().map(|d| d.id);
        let (line, logs) = (ndjson::alert_line(alert, &self.host, true), self.encoder.alert(alert, true));
        if self.put(group, &[(Kind::Alert, line.as_bytes()), (Kind::AlertLogs, &logs)], dump) {
            group.acks.push(pending);
        } else {
            pending.give(false);
        }
    }

    /// As [`Group::put`]; what is too large is lost, and counted.
    fn put(&self, group: &mut Group, frames: &[(Kind, &[u8])], dump: Option<Id>) -> bool {
        let fits = group.put(frames, dump);
        if !fits {
            self.shared.lost_record("journal_too_large", dump);
        }
        fits
    }

    fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
        let full = |s: &Segment| s.len > segment::HEAD && s.len + bytes.len() as u64 > self.segment_bytes;
        if self.segment.as_ref().is_none_or(full) {
            self.rotate()?;
        }
        let segment = self.segment.as_mut().ok_or_else(|| io::Error::other("no segment"))?;
        let begun = Instant::now();
        segment.commit(bytes)?;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shared.counters.slowest_sync_ns.fetch_max(took, Relaxed);
        let end = segment.end();
        self.shared.durable.send_replace(end);
        Ok(())
    }

    /// Begins the next segment, in the space that was reserved for it, and reserves the one after.
    fn rotate(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segment.take() {
            segment.seal()?;
        }
        self.reserved = false;
        self.segment = Some(Segment::create(&self.dir, self.next_number)?);
        self.next_number += 1;
        self.make_room();
        self.try_reserve();
        Ok(())
    }

    fn make_room(&mut self) {
        let shipped = self.shared.shipped();
        // The current segment and the one after it count as full.
        match self.retention.enforce(self.next_number - 1, 2 * self.segment_bytes, shipped) {
            Ok(removed) => {
                self.shared.counters.removed_segments.fetch_add(removed.segments, Relaxed);
                if removed.unshipped > 0 {
                    self.shared.losses.add("journal_cap", removed.unshipped, None, clock::now());
                }
            }
            Err(error) => tracing::error!(%error, "the journal could not delete its oldest segments"),
        }
    }

    fn try_reserve(&mut self) -> bool {
        // A file system that cannot reserve is used without: `open` reported it.
        if self.tried.is_none_or(|at| at.elapsed() >= RETRY) {
            self.reserved = segment::reserve(&self.dir, self.segment_bytes).is_ok();
            self.tried = (!self.reserved).then(Instant::now);
        }
        self.reserved
    }

    fn done(&self, group: &Group) {
        let counters = &self.shared.counters;
        counters.groups.fetch_add(1, Relaxed);
        counters.records.fetch_add(group.dumps.len() as u64, Relaxed);
        counters.bytes.fetch_add(group.bytes.len() as u64, Relaxed);
        for pending in &group.acks {
            pending.give(true);
        }
    }

    /// The group is lost, and so is trust in the segment: the next group begins a new one.
    fn failed(&mut self, group: &Group, error: &io::Error) {
        tracing::error!(%error, dir = %self.dir.display(), records = group.dumps.len(), "the journal could not write");
        if let Some(segment) = self.segment.take()
            && let Err(error) = segment.seal()
        {
            tracing::error!(%error, "the journal could not cut a failed write");
        }
        for dump in &group.dumps {
            self.shared.losses.add("journal_failed", 1, *dump, clock::now());
        }
        self.shared.counters.lost_steps.fetch_add(group.steps, Relaxed);
        self.shared.counters.lost_records.fetch_add(group.dumps.len() as u64 - group.steps, Relaxed);
        for pending in &group.acks {
            pending.give(false);
        }
    }
}

impl Group {
    /// Appends the frames of one record, or none of them when one is too large.
    fn put(&mut self, frames: &[(Kind, &[u8])], dump: Option<Id>) -> bool {
        let begun = self.bytes.len();
        let fits = frames.iter().all(|(kind, payload)| frame::append(&mut self.bytes, *kind, payload));
        if fits {
            self.dumps.push(dump);
        } else {
            self.bytes.truncate(begun);
        }
        fits
    }
}
