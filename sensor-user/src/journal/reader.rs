//! Reads the journal, also while an agent writes to it.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    JournalError,
    frame::{Frame, Position},
    segment::{self, Frames, Next},
};

/// What the journal has next.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame.
    Frame(Frame),
    /// From here to the end of the segment nothing can be read.
    Corrupt(Position),
}

/// What is behind the last frame of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// A write that is not done, or never was.
    Torn(Position),
    /// What cannot be read.
    Corrupt(Position),
}

/// What is being written may look unfinished for a moment, hardly for so long.
const WRITING: Duration = Duration::from_millis(100);

/// Reads frames in the order in which they were written. Ends at the end of the journal; asked again, it goes on where
/// more has been written.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    position: Position,
    open: Option<Frames>,
    /// A later segment exists: the open one gets no more frames.
    sealed: bool,
}

/// Reads the journal in `dir` from its oldest frame. No agent needs to run.
pub fn read(dir: &Path) -> Reader {
    Reader::at(dir, Position::default())
}

impl Reader {
    /// Reads from `position`.
    pub fn at(dir: &Path, position: Position) -> Self {
        Self { dir: dir.to_owned(), position, open: None, sealed: false }
    }

    /// Where the next frame begins.
    pub const fn reached(&self) -> Position {
        self.position
    }

    /// The next item that ends at or before `limit`; none when there is no more yet.
    pub fn next_until(&mut self, limit: Position) -> Result<Option<Item>, JournalError> {
        if self.position >= limit { Ok(None) } else { self.step() }
    }

    /// What is behind the last frame that [`Iterator::next`] gave. Where an agent may be writing it is looked at twice.
    pub fn rest(&mut self) -> Result<Rest, JournalError> {
        let first = self.look()?;
        if first == Rest::Nothing {
            return Ok(first);
        }
        thread::sleep(WRITING);
        self.look()
    }

    fn look(&mut self) -> Result<Rest, JournalError> {
        let Some(frames) = self.frames()? else { return Ok(Rest::Nothing) };
        let (next, at) = (frames.peek(), frames.position);
        Ok(match next.map_err(|e| self.failed("read", e))? {
            Next::Frame(_) | Next::Unknown | Next::End => Rest::Nothing,
            Next::Torn => Rest::Torn(at),
            Next::Corrupt => Rest::Corrupt(at),
        })
    }

    fn step(&mut self) -> Result<Option<Item>, JournalError> {
        loop {
            let Some(frames) = self.frames()? else { return Ok(None) };
            let next = frames.next();
            let at = frames.position;
            self.position = at;
            match next.map_err(|e| self.failed("read", e))? {
                Next::Frame(frame) => return Ok(Some(Item::Frame(frame))),
                Next::Unknown => {}
                // Look for a later segment only now, then read again: frames may have come in between.
                _ if !self.sealed => match self.later()? {
                    None => return Ok(None),
                    Some(_) => self.sealed = true,
                },
                Next::End => self.advance()?,
                Next::Torn | Next::Corrupt => {
                    self.advance()?;
                    return Ok(Some(Item::Corrupt(at)));
                }
            }
        }
    }

    /// The open segment: the one of the position, or when that is gone the oldest after it.
    fn frames(&mut self) -> Result<Option<&mut Frames>, JournalError> {
        if self.open.is_none() {
            let segments = segment::list(&self.dir).map_err(|e| self.failed("list", e))?;
            let Some(&(number, _)) = segments.iter().find(|(n, _)| *n >= self.position.segment) else {
                return Ok(None);
            };
            if number != self.position.segment {
                self.position = Position { segment: number, offset: 0 };
            }
            self.sealed = segments.last().is_some_and(|(last, _)| *last > number);
            self.open = Some(Frames::open(&self.dir, self.position).map_err(|e| self.failed("open", e))?);
        }
        Ok(self.open.as_mut())
    }

    fn later(&self) -> Result<Option<u64>, JournalError> {
        let segments = segment::list(&self.dir).map_err(|e| self.failed("list", e))?;
        Ok(segments.iter().map(|(n, _)| *n).find(|n| *n > self.position.segment))
    }

    fn advance(&mut self) -> Result<(), JournalError> {
        if let Some(number) = self.later()? {
            self.position = Position { segment: number, offset: 0 };
            self.open = None;
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, source: std::io::Error) -> JournalError {
        JournalError::Io { operation, path: self.dir.clone(), source }
    }
}

impl Iterator for Reader {
    type Item = Result<Item, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
