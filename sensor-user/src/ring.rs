//! The two rings, as one stream in the order of time.

use std::os::fd::{AsFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    decode::{DecodeError, decode},
    event::Event,
    probe::attach::AttachError,
};

/// Records taken from each ring at one time: a bound on memory, not on loss; the rest waits in the ring.
const BATCH: usize = 4096;

/// Both rings.
pub struct Rings {
    urgent: RingBuf<MapData>,
    flow: RingBuf<MapData>,
}

/// What one drain found.
#[derive(Default)]
pub struct Batch {
    /// Events, ordered by time.
    pub events: Vec<Event>,
    /// Records that were none.
    pub errors: Vec<DecodeError>,
    /// The bytes of the records, when asked for, with the time of each.
    pub raw: Vec<(u64, Bytes)>,
}

impl Rings {
    /// Takes the ring maps.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self, AttachError> {
        Ok(Self { urgent: take(ebpf, "URGENT")?, flow: take(ebpf, "FLOW")? })
    }

    /// Waits until a record is there, `other` is readable, or `timeout` has passed.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, timeout: std::time::Duration) {
        let timeout =
            rustix::time::Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let fds = [Some(self.urgent.as_fd()), Some(self.flow.as_fd()), other].into_iter().flatten();
        let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // An interrupted wait is a short wait: the caller drains and comes back.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// The ring on which births arrive, for the thread that arms.
    pub fn urgent_fd(&self) -> BorrowedFd<'_> {
        self.urgent.as_fd()
    }

    /// Takes what is there. The urgent ring first: what happened before its records is then in the flow ring.
    pub fn drain(&mut self, keep_raw: bool) -> Batch {
        let mut batch = Batch::default();
        for ring in [&mut self.urgent, &mut self.flow] {
            for _ in 0..BATCH {
                let Some(item) = ring.next() else { break };
                let bytes = Bytes::copy_from_slice(&item);
                match decode(&bytes) {
                    Ok(event) => {
                        if keep_raw {
                            batch.raw.push((event.time_ns, bytes));
                        }
                        batch.events.push(event);
                    }
                    Err(error) => batch.errors.push(error),
                }
            }
        }
        batch.events.sort_by_key(|e| e.time_ns);
        batch.raw.sort_by_key(|(time, _)| *time);
        batch
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, AttachError> {
    let map = ebpf.take_map(name).ok_or(AttachError::Map { name, reason: "is not in the ELF".to_owned() })?;
    RingBuf::try_from(map).map_err(|e| AttachError::Map { name, reason: e.to_string() })
}
