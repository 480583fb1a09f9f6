//! Opening: finds the end, cuts a torn write, begins a segment where the newest cannot be trusted.

use std::{io, path::Path};

use super::{
    Handle, JournalError, OpenReport, Position, Report, Reporter,
    end::End,
    segment::{self, Frames, Next, Segment},
};
use crate::{clock, step::Notice};

/// Where the writer begins.
pub(super) struct Start {
    pub(super) segment: Segment,
    pub(super) reserved: bool,
}

pub(super) fn resume(dir: &Path, segment_bytes: u64) -> Result<(Start, OpenReport), JournalError> {
    try_resume(dir, segment_bytes).map_err(|source| JournalError::Io {
        operation: "open the journal in",
        path: dir.to_owned(),
        source,
    })
}

fn try_resume(dir: &Path, segment_bytes: u64) -> io::Result<(Start, OpenReport)> {
    let segments = segment::list(dir)?;
    let mut report = OpenReport {
        segments: segments.len(),
        bytes: segments.iter().map(|(_, size)| size).sum(),
        ..OpenReport::default()
    };
    // The newest segment's space first: it is the spare file when there is one.
    let segment = match segments.last() {
        None => {
            // Best effort: below it is tried again for the next segment, and reported.
            let _ = segment::reserve(dir, segment_bytes);
            Segment::create(dir, 1)?
        }
        Some(&(number, size)) => {
            let (segment, end) = newest(dir, number, size, &mut report)?;
            report.unwatched = end.or_of(dir, &segments[..segments.len() - 1])?.unwatched();
            segment
        }
    };
    // A disk that is full already is no reason not to start: the writer holds back steps until there is room.
    let reserved = segment::reserve(dir, segment_bytes);
    report.reserves = matches!(reserved, Ok(true));
    Ok((Start { segment, reserved: reserved.is_ok() }, report))
}

fn newest(dir: &Path, number: u64, size: u64, report: &mut OpenReport) -> io::Result<(Segment, End)> {
    let mut frames = Frames::open(dir, Position { segment: number, offset: 0 })?;
    let mut told = End::default();
    let end = loop {
        match frames.next()? {
            Next::Frame(frame) => told.take(&frame),
            Next::Unknown => {}
            end => break end,
        }
    };
    let valid = frames.position.offset;
    if end == Next::Corrupt {
        report.corrupt = Some(frames.position);
    } else if end == Next::Torn {
        report.torn_bytes = size.saturating_sub(valid);
    }
    // Without its head, or with frames that nobody can read, it is left as it is.
    let segment = if end == Next::Corrupt || size < segment::HEAD {
        Segment::create(dir, number + 1)
    } else {
        Segment::resume(dir, number, valid)
    };
    Ok((segment?, told))
}

/// Says what was found, in the journal and to the agent.
pub(super) fn tell(found: &OpenReport, handle: &Handle, report: &Reporter) {
    let say = |kind, text| {
        let notice = Notice { time: clock::now(), kind, text, dump: None, content: None };
        handle.notice(&notice);
        report(Report::Notice(notice));
    };
    if found.torn_bytes > 0 {
        let text = format!("{} bytes of an unfinished write were cut from the journal's end.", found.torn_bytes);
        say("journal-torn", text);
    }
    if let Some(at) = found.corrupt {
        say("journal-corrupt", format!("The journal cannot be read from {at} to the end of that segment."));
        handle.0.losses.add("journal_corrupt", 1, None, clock::now());
    }
    if !found.reserves {
        say("journal-no-reserve", "No space could be reserved: a full disk can keep alerts out of the journal.".into());
    }
}
