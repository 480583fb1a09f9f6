//! Looks for the dump inside compressed files and archives, as one stream, in constant memory.
//!
//! The first member that begins like a dump is taken. All that is produced on the way, skipped members and holes
//! included, is paid from one budget, so that a decompression bomb ends early.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileExt,
    time::Instant,
};

use thiserror::Error;

use super::format::{self, Format, Packing};

pub mod tar;
pub mod zip;

/// Why a dump could not be read to its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Stop {
    /// More bytes than allowed came out.
    #[error("the unpacked dump is larger than the limit")]
    TooLarge,
    /// A decompression bomb, by all that is known.
    #[error("the dump unpacks to too many times its packed size")]
    TooDense,
    /// It took too long.
    #[error("unpacking the dump took too long")]
    TooSlow,
    /// Too many layers, one in the other.
    #[error("the dump is packed too deep")]
    TooDeep,
    /// Too many members before the dump.
    #[error("the archive has too many members")]
    TooMany,
    /// Encrypted, or packed by a method that is not known here.
    #[error("the archive has a form that is not supported")]
    Unsupported,
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        Self::other(stop)
    }
}

/// What one pass may cost.
#[derive(Debug)]
pub struct Budget {
    bytes: Cell<u64>,
    dense: bool,
    members: Cell<u32>,
    memory: u64,
    until: Instant,
}

impl Budget {
    /// A budget for a file of `packed` bytes: at most `bytes`, and at most `ratio` times what is packed (a small file
    /// may always become 64 MiB).
    pub fn new(packed: u64, bytes: u64, ratio: u64, members: u32, until: Instant) -> Self {
        let dense = packed.saturating_mul(ratio).max(64 << 20);
        Self {
            bytes: Cell::new(bytes.min(dense)),
            dense: dense < bytes,
            members: Cell::new(members),
            memory: 256 << 20,
            until,
        }
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let Some(left) = self.bytes.get().checked_sub(bytes as u64) else {
            return Err(if self.dense { Stop::TooDense } else { Stop::TooLarge }.into());
        };
        self.bytes.set(left);
        if Instant::now() > self.until { Err(Stop::TooSlow.into()) } else { Ok(()) }
    }

    fn member(&self) -> io::Result<()> {
        let left = self.members.get().checked_sub(1).ok_or(Stop::TooMany)?;
        self.members.set(left);
        Ok(())
    }
}

/// A stream that can leave bytes out. A file does that for free.
pub trait Input: Read {
    /// Goes on `bytes` further.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

/// Reads and drops; an early end is an error.
fn drain(input: &mut dyn Read, bytes: u64) -> io::Result<()> {
    match io::copy(&mut input.take(bytes), &mut io::sink())? {
        n if n == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A decoder's output, paid for.
struct Paid<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<R: Read> Read for Paid<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.budget.spend(read)?;
        Ok(read)
    }
}

impl<R: Read> Input for Paid<'_, R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        drain(self, bytes)
    }
}

/// An open file as a stream. What it reads is paid for too: a huge archive without a dump must end as well.
#[derive(Debug)]
pub struct FileInput<'a> {
    file: &'a File,
    at: u64,
    budget: &'a Budget,
}

impl<'a> FileInput<'a> {
    /// The file from its start. Its own offset is not touched.
    pub fn new(file: &'a File, budget: &'a Budget) -> Self {
        Self { file, at: 0, budget }
    }
}

impl Read for FileInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.budget.spend(read)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Input for FileInput<'_> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.at = self.at.checked_add(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(())
    }
}

/// A stream whose first bytes were looked at.
struct Peeked<'a> {
    head: &'a [u8],
    rest: &'a mut dyn Input,
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.head.is_empty() { self.rest.read(buffer) } else { self.head.read(buffer) }
    }
}

impl Input for Peeked<'_> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let here = bytes.min(self.head.len() as u64);
        self.head = &self.head[here as usize..];
        if bytes > here { self.rest.skip(bytes - here) } else { Ok(()) }
    }
}

/// Gets the dump that was found: its format, its size when a header says so, and its bytes.
pub type Visit<'v> = dyn FnMut(Format, Option<u64>, &mut dyn Read) -> io::Result<()> + 'v;

/// The way to a dump, and what it may cost.
pub struct Search<'a> {
    /// What every layer pays from.
    pub budget: &'a Budget,
    /// Most layers.
    pub depth: usize,
    /// The layers around the dump that was found, outermost first.
    pub layers: Vec<Packing>,
}

impl Search<'_> {
    /// Hands the first dump in `input` to `visit`; false when there is none.
    pub fn descend(&mut self, input: &mut dyn Input, size: Option<u64>, visit: &mut Visit<'_>) -> io::Result<bool> {
        let mut head = Vec::with_capacity(format::HEAD);
        Read::take(&mut *input, format::HEAD as u64).read_to_end(&mut head)?;
        let mut whole = Peeked { head: &head, rest: input };
        if let Some(found) = format::dump(&head) {
            visit(found, size, &mut whole)?;
            return Ok(true);
        }
        let Some(packing) = format::packing(&head) else { return Ok(false) };
        if self.layers.len() >= self.depth {
            return Err(Stop::TooDeep.into());
        }
        self.layers.push(packing);
        let found = self.unpack(packing, &mut whole, visit)?;
        if !found {
            self.layers.pop();
        }
        Ok(found)
    }

    fn unpack(&mut self, packing: Packing, input: &mut Peeked<'_>, visit: &mut Visit<'_>) -> io::Result<bool> {
        let budget = self.budget;
        match packing {
            Packing::Gzip => self.decoded(Gzip::new(BufReader::new(input)), visit),
            Packing::Zstd => self.decoded(zstd::stream::read::Decoder::new(input)?, visit),
            Packing::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(budget.memory, liblzma::stream::CONCATENATED)?;
                self.decoded(liblzma::read::XzDecoder::new_stream(input, stream), visit)
            }
            Packing::Lz4 => self.decoded(Lz4(lz4_flex::frame::FrameDecoder::new(input)), visit),
            Packing::Bzip2 => self.decoded(bzip2::read::MultiBzDecoder::new(input), visit),
            Packing::Tar => tar::walk(input, &mut |size, member| self.member(Some(size), member, visit)),
            Packing::Zip => zip::walk(input, budget, &mut |size, member| self.member(size, member, visit)),
        }
    }

    fn decoded(&mut self, decoder: impl Read, visit: &mut Visit<'_>) -> io::Result<bool> {
        self.descend(&mut Paid { inner: decoder, budget: self.budget }, None, visit)
    }

    /// A member of an archive. One that is itself packed and broken does not hide the members after it, but a spent
    /// budget does.
    fn member(&mut self, size: Option<u64>, member: &mut dyn Read, visit: &mut Visit<'_>) -> io::Result<bool> {
        self.budget.member()?;
        self.descend(&mut Paid { inner: member, budget: self.budget }, size, visit)
    }
}

/// gzip of several members (jcmd writes one per block); what follows the last is ignored, as gzip does.
struct Gzip<R>(Option<flate2::bufread::GzDecoder<R>>);

impl<R: BufRead> Gzip<R> {
    fn new(input: R) -> Self {
        Self(Some(flate2::bufread::GzDecoder::new(input)))
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.0.take() {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.0 = Some(member);
                return Ok(read);
            }
            let mut input = member.into_inner();
            if input.fill_buf()?.starts_with(&[0x1f]) {
                self.0 = Some(flate2::bufread::GzDecoder::new(input));
            }
        }
        Ok(0)
    }
}

/// LZ4 of several frames: the decoder reports the end of each.
struct Lz4<R: Read>(lz4_flex::frame::FrameDecoder<R>);

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => self.0.read(buffer),
            n => Ok(n),
        }
    }
}
