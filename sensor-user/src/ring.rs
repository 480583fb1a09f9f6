//! The two rings, as one stream in the order of time.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use sensor_abi::record::{FLOW_BYTES, URGENT_BYTES};

use crate::{
    clock,
    decode::{DecodeError, decode},
    event::Event,
    probe::attach::{AttachError, take},
};

/// Records taken from each ring at one time: a bound on memory, not on loss; the rest waits in the ring.
const BATCH: usize = 4096;

/// How far the kernel's clock of the records may be ahead of ours: it is the fast one, which is read without a lock.
const SKEW_NS: u64 = 20_000;

/// What stands before each record in a ring, which is filled up to as much (`struct bpf_ringbuf_hdr`).
const HEADER: u64 = 8;

/// A ring.
struct Ring {
    name: &'static str,
    records: RingBuf<MapData>,
    size: u32,
    /// How full it was at most when it was emptied, in bytes, since that was asked last.
    used: u64,
}

/// Both rings.
pub struct Rings {
    urgent: Ring,
    flow: Ring,
    /// Records whose causes may still be on their way, see [`Self::drain`].
    early: Vec<Taken>,
}

/// A record, owned and checked.
struct Taken {
    event: Event,
    raw: Bytes,
}

/// What one drain found.
#[derive(Default)]
pub struct Batch {
    /// Events, ordered by time.
    pub events: Vec<Event>,
    /// Records that were none.
    pub errors: Vec<DecodeError>,
    /// The urgent ring had records: the flow hooks are to stand.
    pub urgent: bool,
    /// The bytes of the records, when asked for, with the time of each.
    pub raw: Vec<(u64, Bytes)>,
}

impl Rings {
    /// Takes the ring maps.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self, AttachError> {
        let mut open =
            |name: &'static str, map, size| take(ebpf, map).map(|records| Ring { name, records, size, used: 0 });
        let (urgent, flow) = (open("urgent", "URGENT", URGENT_BYTES)?, open("flow", "FLOW", FLOW_BYTES)?);
        Ok(Self { urgent, flow, early: Vec::new() })
    }

    /// Name and share of each ring that was in use, at most, since this was asked last.
    pub fn take_use(&mut self) -> [(&'static str, f64); 2] {
        let share = |ring: &mut Ring| (ring.name, std::mem::take(&mut ring.used) as f64 / f64::from(ring.size));
        [share(&mut self.urgent), share(&mut self.flow)]
    }

    /// Waits until a record is there, one of `others` is readable, or `timeout_ns` has passed.
    pub fn wait(&self, others: [Option<BorrowedFd<'_>>; 2], timeout_ns: u64) {
        let timeout = Duration::from_nanos(if self.early.is_empty() { timeout_ns } else { timeout_ns.min(SKEW_NS) });
        let timeout =
            rustix::time::Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let fds =
            [Some(self.urgent.records.as_fd()), Some(self.flow.records.as_fd())].into_iter().chain(others).flatten();
        let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // An interrupted wait is a short wait: the caller drains and comes back.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// The ring on which births arrive, for the thread that arms.
    pub fn urgent_fd(&self) -> BorrowedFd<'_> {
        self.urgent.records.as_fd()
    }

    /// Takes what has happened until now. A record of one ring may be caused by one of the other (a process reads from a
    /// socket, then writes to a pipe), so a cause must never be left behind: it was in its ring before its effect was
    /// stamped, hence every cause of a record that is older than the beginning of this call is taken by it. Newer records
    /// wait for the next call.
    pub fn drain(&mut self, keep_raw: bool) -> Batch {
        self.drain_until(clock::boottime().saturating_sub(SKEW_NS), keep_raw)
    }

    /// Takes all that is there: for the end, when nothing more is waited for.
    pub fn drain_all(&mut self, keep_raw: bool) -> Batch {
        self.drain_until(u64::MAX, keep_raw)
    }

    fn drain_until(&mut self, until_ns: u64, keep_raw: bool) -> Batch {
        let mut batch = Batch::default();
        let mut taken = std::mem::take(&mut self.early);
        let held = taken.len();
        let urgent_ns = take_some(&mut self.urgent, &mut taken, &mut batch.errors);
        batch.urgent = taken.len() > held;
        let flow_ns = take_some(&mut self.flow, &mut taken, &mut batch.errors);
        let until_ns = [urgent_ns, flow_ns].into_iter().flatten().fold(until_ns, u64::min);
        taken.sort_by_key(|t| t.event.time_ns);
        self.early = taken.split_off(taken.partition_point(|t| t.event.time_ns <= until_ns));
        for Taken { event, raw } in taken {
            if keep_raw {
                batch.raw.push((event.time_ns, raw));
            }
            batch.events.push(event);
        }
        batch
    }
}

/// Takes at most [`BATCH`] records. When more are left: the time up to which nothing is missing.
fn take_some(ring: &mut Ring, taken: &mut Vec<Taken>, errors: &mut Vec<DecodeError>) -> Option<u64> {
    let (mut last_ns, mut used) = (0, 0);
    for _ in 0..BATCH {
        let raw = Bytes::copy_from_slice(&ring.records.next()?);
        used += HEADER + (raw.len() as u64).next_multiple_of(HEADER);
        ring.used = ring.used.max(used);
        match decode(&raw) {
            Ok(event) => {
                last_ns = event.time_ns;
                taken.push(Taken { event, raw });
            }
            Err(error) => errors.push(error),
        }
    }
    Some(last_ns)
}
