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

/// Both rings.
pub struct Rings {
    urgent: RingBuf<MapData>,
    flow: RingBuf<MapData>,
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
        Ok(Self { urgent: take(ebpf, "URGENT")?, flow: take(ebpf, "FLOW")?, early: Vec::new() })
    }

    /// Waits until a record is there, one of `others` is readable, or `timeout_ns` has passed.
    pub fn wait(&self, others: [Option<BorrowedFd<'_>>; 2], timeout_ns: u64) {
        let timeout = Duration::from_nanos(if self.early.is_empty() { timeout_ns } else { timeout_ns.min(SKEW_NS) });
        let timeout =
            rustix::time::Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let fds = [Some(self.urgent.as_fd()), Some(self.flow.as_fd())].into_iter().chain(others).flatten();
        let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // An interrupted wait is a short wait: the caller drains and comes back.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// The ring on which births arrive, for the thread that arms.
    pub fn urgent_fd(&self) -> BorrowedFd<'_> {
        self.urgent.as_fd()
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
fn take_some(ring: &mut RingBuf<MapData>, taken: &mut Vec<Taken>, errors: &mut Vec<DecodeError>) -> Option<u64> {
    let mut last_ns = 0;
    for _ in 0..BATCH {
        let raw = Bytes::copy_from_slice(&ring.next()?);
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
