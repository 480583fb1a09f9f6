//! Segment files: `0000000000000001.seg`, a 16 byte head, then frames. Only the newest is written to.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate, fdatasync};

use super::frame::{Frame, HEADER, Header, Kind, Position};

const MAGIC: &[u8; 8] = b"DUMPTRL1";
/// Bytes in front of the first frame: magic and segment number.
pub(super) const HEAD: u64 = 16;
/// The segment after the current one: its space is reserved ahead, so that a full disk leaves room for alerts.
const SPARE: &str = "next.spare";

/// Path of segment `number` in `dir`.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.seg"))
}

/// Numbers and sizes of all segments in `dir`, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse().ok());
        match (number, entry.metadata()) {
            (Some(number), Ok(meta)) => found.push((number, meta.len())),
            // Deleted by the running agent between the two calls.
            (Some(_), Err(e)) if e.kind() == ErrorKind::NotFound => {}
            (Some(_), Err(e)) => return Err(e),
            (None, _) => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    pub(super) number: u64,
    pub(super) len: u64,
}

impl Segment {
    /// Makes segment `number` out of the spare file, if there is one.
    pub(super) fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let path = path(dir, number);
        match fs::rename(dir.join(SPARE), &path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = private(&path)?;
        file.set_len(0)?;
        let mut head = MAGIC.to_vec();
        head.extend(number.to_le_bytes());
        file.write_all_at(&head, 0)?;
        fdatasync(&file)?;
        sync_dir(dir)?;
        Ok(Self { file, number, len: HEAD })
    }

    /// Opens segment `number` to append after `len` bytes; what follows them is cut.
    pub(super) fn resume(dir: &Path, number: u64, len: u64) -> io::Result<Self> {
        let file = private(&path(dir, number))?;
        file.set_len(len)?;
        fdatasync(&file)?;
        Ok(Self { file, number, len })
    }

    /// Appends and makes durable. After an error nothing of `bytes` counts, and the segment must be given up: what the
    /// kernel dropped from its cache after a failed sync is not known.
    pub(super) fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.len)?;
        fdatasync(&self.file)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives back reserved space; on the way, cuts what a failed commit may have left.
    pub(super) fn seal(self) -> io::Result<()> {
        self.file.set_len(self.len)
    }

    pub(super) const fn end(&self) -> Position {
        Position { segment: self.number, offset: self.len }
    }
}

/// Reserves the segment after the current one. `Ok(false)`: this file system cannot reserve.
pub(super) fn reserve(dir: &Path, bytes: u64) -> io::Result<bool> {
    let path = dir.join(SPARE);
    let file = private(&path)?;
    match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
        Err(e) => {
            // Half a reservation would only take the room that the current segment needs.
            let _ = fs::remove_file(&path);
            Err(e.into())
        }
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Makes names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// What a segment has next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Frame(Frame),
    /// A frame of a kind that only a newer agent knows.
    Unknown,
    /// Nothing, or zeros only: the end.
    End,
    /// The file ends within a frame, or its last frame has a wrong checksum: a torn write.
    Torn,
    /// A frame with a wrong checksum or an impossible length, and more bytes behind it.
    Corrupt,
}

/// Reads frames of one segment in order.
#[derive(Debug)]
pub(super) struct Frames {
    file: BufReader<File>,
    /// The head is another program's. (Zeros: it was never written, and nothing behind it either.)
    foreign: bool,
    /// Where the next frame begins.
    pub(super) position: Position,
}

impl Frames {
    /// From `position`, or from the first frame when that is within the head.
    pub(super) fn open(dir: &Path, position: Position) -> io::Result<Self> {
        let mut file = File::open(path(dir, position.segment))?;
        let position = Position { offset: position.offset.max(HEAD), ..position };
        let mut magic = [0; 8];
        let foreign = fill(&mut file, &mut magic)? == magic.len() && magic != *MAGIC && magic != [0; 8];
        file.seek(SeekFrom::Start(position.offset))?;
        Ok(Self { file: BufReader::with_capacity(64 << 10, file), foreign, position })
    }

    /// The next frame. After anything but a frame the position is unchanged: asking again reads again.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let next = self.read()?;
        if !matches!(next, Next::Frame(_) | Next::Unknown) {
            self.file.seek(SeekFrom::Start(self.position.offset))?;
        }
        Ok(next)
    }

    /// What comes next, without going there.
    pub(super) fn peek(&mut self) -> io::Result<Next> {
        let position = self.position;
        let next = self.read();
        self.position = position;
        self.file.seek(SeekFrom::Start(position.offset))?;
        next
    }

    fn read(&mut self) -> io::Result<Next> {
        if self.foreign {
            return Ok(Next::Corrupt);
        }
        let mut head = [0; HEADER];
        let got = fill(&mut self.file, &mut head)?;
        if got < HEADER {
            return Ok(if head[..got].iter().all(|b| *b == 0) { Next::End } else { Next::Torn });
        }
        let Some(header) = Header::parse(&head) else { return self.not_a_frame(&head) };
        let mut payload = vec![0; header.payload];
        if fill(&mut self.file, &mut payload)? < payload.len() {
            return Ok(Next::Torn);
        }
        if !header.fits(&payload) {
            return Ok(if self.rest_is_zero()? { Next::Torn } else { Next::Corrupt });
        }
        self.position.offset += (HEADER + payload.len()) as u64;
        let frame = |kind| Frame { kind, format: header.format, payload, end: self.position };
        Ok(Kind::from_number(header.kind).map_or(Next::Unknown, |kind| Next::Frame(frame(kind))))
    }

    fn not_a_frame(&mut self, head: &[u8]) -> io::Result<Next> {
        let zero = head.iter().all(|b| *b == 0);
        Ok(if zero && self.rest_is_zero()? { Next::End } else { Next::Corrupt })
    }

    fn rest_is_zero(&mut self) -> io::Result<bool> {
        let mut block = [0; 4096];
        loop {
            match fill(&mut self.file, &mut block)? {
                0 => return Ok(true),
                n if block[..n].iter().any(|b| *b != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Reads until `buffer` is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

/// Writes `bytes` to `name` in `dir` so that a crash leaves either the old or the new content.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = private(&temporary)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    fdatasync(&file)?;
    fs::rename(&temporary, dir.join(name))?;
    sync_dir(dir)
}
