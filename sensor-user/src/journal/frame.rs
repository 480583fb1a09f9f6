//! One record on disk: `len u32 | crc32c u32 | kind u8 | format u8 | payload`, little-endian.
//!
//! `len` counts what follows the checksum; the checksum covers `len`, kind, format and payload, so that a run of zeros
//! (space that was reserved and never written) is no frame.

use std::fmt;

/// Bytes in front of the payload.
pub(super) const HEADER: usize = 10;
/// Largest payload: far above any record, far below what could hurt.
pub(super) const MAX_PAYLOAD: usize = 4 << 20;
/// Version of the payloads that this agent writes.
pub const FORMAT: u8 = 1;

/// What a payload is. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A step: the NDJSON line.
    Step = 1,
    /// An alert for export: the bytes of an `ExportLogsServiceRequest`.
    AlertLogs = 2,
    /// Spans for export: the bytes of an `ExportTraceServiceRequest`.
    Spans = 3,
    /// A gap for export: the bytes of an `ExportLogsServiceRequest`.
    GapLogs = 4,
    /// A notice: the NDJSON line.
    Notice = 5,
    /// An alert for people and `trail`: the NDJSON line.
    Alert = 6,
    /// A gap for people and `trail`: the NDJSON line.
    Gap = 7,
}

impl Kind {
    /// The kind with this number; none for one of a newer agent.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Step,
            2 => Self::AlertLogs,
            3 => Self::Spans,
            4 => Self::GapLogs,
            5 => Self::Notice,
            6 => Self::Alert,
            7 => Self::Gap,
            _ => return None,
        })
    }
    /// Goes to the collector.
    pub const fn exported(self) -> bool {
        matches!(self, Self::AlertLogs | Self::Spans | Self::GapLogs)
    }
}

/// Where a frame begins or ends: `segment:offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes from the start of its file.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// A frame read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: Kind,
    /// Version of the payload.
    pub format: u8,
    /// The bytes that were written.
    pub payload: Vec<u8>,
    /// Where the next frame begins.
    pub end: Position,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    crc: u32,
    /// Bytes of the payload.
    pub(super) payload: usize,
    /// Number of the kind: it may be one that this agent does not know.
    pub(super) kind: u8,
    pub(super) format: u8,
}

impl Header {
    /// Reads a header; none when the length cannot be one.
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let [l0, l1, l2, l3, c0, c1, c2, c3, kind, format] = *bytes;
        let payload = (u32::from_le_bytes([l0, l1, l2, l3]) as usize).checked_sub(2)?;
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        (payload <= MAX_PAYLOAD).then_some(Self { crc, payload, kind, format })
    }
    /// The checksum fits.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        self.crc == checksum(self.kind, self.format, payload)
    }
}

/// Appends a frame to `out`; false when the payload is too large to be one.
pub(super) fn append(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) -> bool {
    if payload.len() > MAX_PAYLOAD {
        return false;
    }
    out.extend((payload.len() as u32 + 2).to_le_bytes());
    out.extend(checksum(kind as u8, FORMAT, payload).to_le_bytes());
    out.extend([kind as u8, FORMAT]);
    out.extend(payload);
    true
}

fn checksum(kind: u8, format: u8, payload: &[u8]) -> u32 {
    let len = (payload.len() as u32 + 2).to_le_bytes();
    let head = crc32c::crc32c(&[len[0], len[1], len[2], len[3], kind, format]);
    crc32c::crc32c_append(head, payload)
}
