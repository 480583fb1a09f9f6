//! How the agent before ended: an agent says when it starts and when it stops. One that only said the first was killed, or
//! crashed, or the host did; from its last record on nobody watched.

use std::{io, path::Path};

use serde::Deserialize;

use super::{
    frame::{Frame, Kind, Position},
    segment::{Frames, Next},
};
use crate::{clock::Time, step::StepKind};

/// Kind of the notice with which an agent begins.
pub const STARTED: &str = "agent-started";

/// What the records say so far, in their order.
#[derive(Debug, Default)]
pub(super) struct End {
    last: Option<Time>,
    /// None: no record says.
    stopped: Option<bool>,
}

#[derive(Deserialize)]
struct Line<'a> {
    time: &'a str,
    #[serde(rename = "step.kind")]
    step: Option<&'a str>,
    kind: Option<&'a str>,
}

impl End {
    /// What a stop makes the agent say comes after the step: alerts, spans, notices.
    pub(super) fn take(&mut self, frame: &Frame) {
        if !matches!(frame.kind, Kind::Step | Kind::Notice | Kind::Alert | Kind::Gap) {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Line<'_>>(&frame.payload) else { return };
        self.last = Time::parse(line.time).or(self.last);
        match frame.kind {
            Kind::Step => self.stopped = Some(line.step == Some(StepKind::AgentStopped.name())),
            Kind::Notice if line.kind == Some(STARTED) => self.stopped = Some(false),
            _ => {}
        }
    }

    /// The last record's time, when no stop is told.
    pub(super) fn unwatched(&self) -> Option<Time> {
        self.last.filter(|_| self.stopped != Some(true))
    }

    /// What the newest segment does not say, the ones before do.
    pub(super) fn or_of(mut self, dir: &Path, older: &[(u64, u64)]) -> io::Result<Self> {
        for (segment, _) in older.iter().rev() {
            if self.stopped.is_some() {
                break;
            }
            let before = Self::of(dir, *segment)?;
            self = Self { last: self.last.or(before.last), stopped: before.stopped };
        }
        Ok(self)
    }

    fn of(dir: &Path, segment: u64) -> io::Result<Self> {
        let (mut end, mut frames) = (Self::default(), Frames::open(dir, Position { segment, offset: 0 })?);
        while let next @ (Next::Frame(_) | Next::Unknown) = frames.next()? {
            if let Next::Frame(frame) = next {
                end.take(&frame);
            }
        }
        Ok(end)
    }
}
