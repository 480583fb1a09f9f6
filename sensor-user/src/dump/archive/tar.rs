//! tar as a stream: ustar, GNU and pax, with sparse members filled in.

use std::io::{self, Read};

use super::{Input, Stop};

const BLOCK: usize = 512;
/// Longest pax header that is read, bytes.
const MAX_PAX: u64 = 64 * 1024;
/// Most pieces of a sparse member.
const MAX_PIECES: usize = 64 * 1024;

type Block = [u8; BLOCK];

/// True when `head` begins with a tar header of any dialect: its checksum fits.
pub fn is_header(head: &[u8]) -> bool {
    head.first_chunk::<BLOCK>().is_some_and(|block| block[0] != 0 && checksum_fits(block))
}

/// The checksum counts its own field as blanks.
fn checksum_fits(block: &Block) -> bool {
    let sum: u64 =
        block.iter().enumerate().map(|(i, b)| u64::from(if (148..156).contains(&i) { b' ' } else { *b })).sum();
    octal(&block[148..156]) == Some(sum)
}

/// A number: octal text, or base-256 when the first bit is set.
fn number(field: &[u8]) -> io::Result<u64> {
    let value = match field {
        [0x80, rest @ ..] => {
            let (high, low) = rest.split_at(rest.len().saturating_sub(8));
            let join = low.iter().fold(0, |n: u64, b| n << 8 | u64::from(*b));
            high.iter().all(|b| *b == 0).then_some(join)
        }
        _ => octal(field),
    };
    value.ok_or_else(broken)
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// What the pax header before a member says about it.
#[derive(Debug, Default)]
struct Pax {
    stored: Option<u64>,
    real_size: Option<u64>,
    map_in_data: bool,
    old_sparse: bool,
}

/// Hands each file to `member` with its size, until that says that it was the one. True when it did.
pub(super) fn walk(
    input: &mut dyn Input,
    member: &mut dyn FnMut(u64, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<bool> {
    let mut pax = Pax::default();
    while let Some(block) = next_header(input)? {
        let stored = pax.stored.unwrap_or(number(&block[124..136])?);
        match block[156] {
            b'x' => pax = parse_pax(&take(input, stored, MAX_PAX)?)?,
            b'0' | 0 | b'7' | b'S' => {
                let mut data = Counted { inner: &mut *input, left: stored };
                if one(&block, std::mem::take(&mut pax), &mut data, member)? {
                    return Ok(true);
                }
                // A sparse map of the old form lies between header and data and is not part of what is stored.
                let left = data.left;
                skip_padded(input, left, stored)?;
            }
            _ => skip_padded(input, stored, stored)?,
        }
    }
    Ok(false)
}

/// The next header; none at the end, which is a block of zeros or of the stream.
fn next_header(input: &mut dyn Input) -> io::Result<Option<Block>> {
    let mut block = [0; BLOCK];
    match input.read(&mut block[..1])? {
        0 => return Ok(None),
        _ => input.read_exact(&mut block[1..])?,
    }
    match block {
        [0, ..] => Ok(None),
        _ if checksum_fits(&block) => Ok(Some(block)),
        _ => Err(broken()),
    }
}

/// Skips what is left of a member, and its padding to whole blocks.
fn skip_padded(input: &mut dyn Input, left: u64, stored: u64) -> io::Result<()> {
    let padding = stored.wrapping_neg() % BLOCK as u64;
    input.skip(left.checked_add(padding).ok_or_else(broken)?)
}

/// Reads a small member whole, padding included.
fn take(input: &mut dyn Input, len: u64, max: u64) -> io::Result<Vec<u8>> {
    if len > max {
        return Err(Stop::Unsupported.into());
    }
    let mut bytes = vec![0; len as usize];
    input.read_exact(&mut bytes)?;
    skip_padded(input, 0, len)?;
    Ok(bytes)
}

/// `LEN KEY=VALUE\n`, many times.
fn parse_pax(mut bytes: &[u8]) -> io::Result<Pax> {
    let mut pax = Pax::default();
    while let Some(space) = bytes.iter().position(|b| *b == b' ') {
        let len: usize = std::str::from_utf8(&bytes[..space]).ok().and_then(|n| n.parse().ok()).ok_or_else(broken)?;
        let record = bytes.get(space + 1..len).ok_or_else(broken)?;
        let record = String::from_utf8_lossy(record);
        let (key, value) = record.trim_end_matches('\n').split_once('=').ok_or_else(broken)?;
        match key {
            "size" => pax.stored = value.parse().ok(),
            "GNU.sparse.realsize" => pax.real_size = value.parse().ok(),
            "GNU.sparse.major" => pax.map_in_data = value == "1",
            "GNU.sparse.map" | "GNU.sparse.numblocks" => pax.old_sparse = true,
            _ => {}
        }
        bytes = &bytes[len..];
    }
    Ok(pax)
}

/// Hands one file on, its holes filled in.
fn one(
    block: &Block,
    pax: Pax,
    data: &mut Counted<'_>,
    member: &mut dyn FnMut(u64, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<bool> {
    if pax.old_sparse && !pax.map_in_data {
        return Err(Stop::Unsupported.into());
    }
    let (pieces, size) = match (block[156], pax.map_in_data) {
        (b'S', _) => (gnu_map(block, data)?, number(&block[483..495])?),
        (_, true) => (pax_map(data)?, pax.real_size.ok_or_else(broken)?),
        _ => return member(data.left, data),
    };
    let ordered = pieces.windows(2).all(|w| w[0].0.checked_add(w[0].1).is_some_and(|end| end <= w[1].0));
    if !ordered || pieces.last().is_some_and(|p| p.0.checked_add(p.1).is_none_or(|end| end > size)) {
        return Err(broken());
    }
    member(size, &mut Sparse { data, pieces: pieces.into_iter().peekable(), at: 0, size })
}

/// GNU's own sparse map: four pieces in the header, then blocks of 21 while a flag says so.
fn gnu_map(block: &Block, data: &mut Counted<'_>) -> io::Result<Vec<(u64, u64)>> {
    let mut pieces = Vec::new();
    add_pieces(&mut pieces, &block[386..482])?;
    let mut more = block[482] != 0;
    while more {
        let mut next = [0; BLOCK];
        data.inner.read_exact(&mut next)?;
        add_pieces(&mut pieces, &next[..504])?;
        more = next[504] != 0;
        if pieces.len() > MAX_PIECES {
            return Err(Stop::Unsupported.into());
        }
    }
    Ok(pieces)
}

fn add_pieces(pieces: &mut Vec<(u64, u64)>, fields: &[u8]) -> io::Result<()> {
    for field in fields.chunks_exact(24).take_while(|f| f[0] != 0) {
        pieces.push((number(&field[..12])?, number(&field[12..])?));
    }
    Ok(())
}

/// pax 1.0: the map is text before the data, a number a line, padded to a block.
fn pax_map(data: &mut Counted<'_>) -> io::Result<Vec<(u64, u64)>> {
    let mut read = 0;
    let mut line = || -> io::Result<u64> {
        let mut value = 0u64;
        loop {
            let mut byte = [0];
            data.read_exact(&mut byte)?;
            read += 1;
            match byte[0] {
                b'\n' => return Ok(value),
                digit @ b'0'..=b'9' => {
                    let next = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')));
                    value = next.ok_or_else(broken)?;
                }
                _ => return Err(broken()),
            }
        }
    };
    let count = line()?;
    if count > MAX_PIECES as u64 {
        return Err(Stop::Unsupported.into());
    }
    let pieces: Vec<_> = (0..count).map(|_| Ok((line()?, line()?))).collect::<io::Result<_>>()?;
    let mut padding = [0; BLOCK];
    data.read_exact(&mut padding[..(BLOCK - read % BLOCK) % BLOCK])?;
    Ok(pieces)
}

/// A member's stored bytes.
struct Counted<'a> {
    inner: &'a mut dyn Input,
    left: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if len == 0 {
            // Some decoders take an empty buffer for a fault.
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..len])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// A sparse member, holes filled with zeros.
struct Sparse<'a, 'b, P: Iterator<Item = (u64, u64)>> {
    data: &'a mut Counted<'b>,
    pieces: std::iter::Peekable<P>,
    at: u64,
    size: u64,
}

impl<P: Iterator<Item = (u64, u64)>> Read for Sparse<'_, '_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pieces.next_if(|(start, len)| start + len <= self.at).is_some() {}
        let (until, hole) = match self.pieces.peek() {
            Some((start, _)) if *start > self.at => (*start, true),
            Some((start, len)) => (start + len, false),
            None => (self.size, true),
        };
        let len = buffer.len().min(usize::try_from(until - self.at).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..len];
        let read = if hole {
            buffer.fill(0);
            len
        } else {
            self.data.read(buffer)?
        };
        self.at += read as u64;
        Ok(read)
    }
}
