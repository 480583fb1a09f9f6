//! Which segments go when the journal reaches its cap.

use std::{collections::HashMap, fs, io, path::PathBuf};

use super::{
    frame::Position,
    segment::{self, Frames, Next},
};

/// Decides and deletes.
#[derive(Debug)]
pub(super) struct Retention {
    dir: PathBuf,
    cap: u64,
    /// Frames for export by segment, counted when first asked for. Only for segments that get no more frames.
    exports: HashMap<u64, u64>,
}

/// What had to go although a collector had not got it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    pub(super) segments: u64,
    pub(super) unshipped: u64,
}

impl Retention {
    pub(super) fn new(dir: PathBuf, cap: u64) -> Self {
        Self { dir, cap, exports: HashMap::new() }
    }

    /// Deletes until there is room for `room` more bytes beside what is on disk. `shipped` is how far every exporter
    /// has got; none without an exporter: then nothing waits. The segment `current` stays.
    pub(super) fn enforce(&mut self, current: u64, room: u64, shipped: Option<Position>) -> io::Result<Removed> {
        let mut segments = segment::list(&self.dir)?;
        segments.retain(|(number, _)| *number != current);
        let mut size: u64 = segments.iter().map(|(_, size)| size).sum();
        let mut removed = Removed::default();
        while size + room > self.cap && !segments.is_empty() {
            let index = self.victim(&segments, shipped);
            let (number, bytes) = segments.remove(index);
            if shipped.is_some_and(|s| number >= s.segment) {
                removed.unshipped += self.exports(number, shipped)?;
            }
            fs::remove_file(segment::path(&self.dir, number))?;
            self.exports.remove(&number);
            removed.segments += 1;
            size -= bytes;
        }
        Ok(removed)
    }

    /// The oldest that was shipped as a whole; else the oldest with nothing to ship; else the oldest.
    fn victim(&mut self, segments: &[(u64, u64)], shipped: Option<Position>) -> usize {
        let Some(shipped) = shipped else { return 0 };
        if segments[0].0 < shipped.segment {
            return 0;
        }
        segments.iter().position(|(number, _)| self.exports(*number, Some(shipped)).is_ok_and(|n| n == 0)).unwrap_or(0)
    }

    /// Frames for export in a segment, behind `shipped` where that is in it.
    fn exports(&mut self, number: u64, shipped: Option<Position>) -> io::Result<u64> {
        let from = shipped.filter(|s| s.segment == number).unwrap_or(Position { segment: number, offset: 0 });
        if from.offset == 0
            && let Some(count) = self.exports.get(&number)
        {
            return Ok(*count);
        }
        let mut frames = Frames::open(&self.dir, from)?;
        let mut count = 0;
        loop {
            match frames.next()? {
                Next::Frame(frame) => count += u64::from(frame.kind.exported()),
                Next::Unknown => {}
                Next::End | Next::Torn | Next::Corrupt => break,
            }
        }
        if from.offset == 0 {
            self.exports.insert(number, count);
        }
        Ok(count)
    }
}
