//! zip as a stream: member by member along the local headers. The directory at the end is not needed to find a dump.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use super::{Budget, Input, Paid, Stop, drain};

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;

/// The local header of a member.
#[derive(Debug)]
struct Local {
    method: u16,
    encrypted: bool,
    /// Sizes stand behind the data.
    descriptor: bool,
    packed: u64,
    size: u64,
}

/// Hands each file to `member` with its size where the header has it, until that says that it was the one.
pub(super) fn walk(
    input: &mut dyn Input,
    budget: &Budget,
    member: &mut dyn FnMut(Option<u64>, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<bool> {
    let mut input = BufReader::with_capacity(64 * 1024, input);
    while let Some(local) = header(&mut input)? {
        if one(&mut input, &local, budget, member)? {
            return Ok(true);
        }
        if local.descriptor {
            skip_descriptor(&mut input)?;
        }
    }
    Ok(false)
}

/// The next local header; none when something else follows: the directory, or nothing.
fn header(input: &mut impl Read) -> io::Result<Option<Local>> {
    let mut fixed = [0; 30];
    let read = io::copy(&mut input.take(30), &mut &mut fixed[..])?;
    if read < 4 || u32_at(&fixed, 0) != LOCAL {
        return Ok(None);
    }
    let flags = u16_at(&fixed, 6);
    let mut local = Local {
        method: u16_at(&fixed, 8),
        encrypted: flags & 1 != 0,
        descriptor: flags & 8 != 0,
        packed: u64::from(u32_at(&fixed, 18)),
        size: u64::from(u32_at(&fixed, 22)),
    };
    drain(input, u64::from(u16_at(&fixed, 26)))?;
    let mut extra = vec![0; usize::from(u16_at(&fixed, 28))];
    input.read_exact(&mut extra)?;
    local.widen(&extra);
    Ok(Some(local))
}

impl Local {
    /// zip64: sizes of 2^32 - 1 stand in an extra field, in this order.
    fn widen(&mut self, mut extra: &[u8]) {
        while let Some((head, rest)) = extra.split_first_chunk::<4>() {
            let len = usize::from(u16_at(head, 2)).min(rest.len());
            if u16_at(head, 0) == 1 {
                let mut words =
                    rest[..len].chunks_exact(8).map(|w| u64::from(u32_at(w, 0)) | u64::from(u32_at(w, 4)) << 32);
                for field in [&mut self.size, &mut self.packed] {
                    if *field == u64::from(u32::MAX) {
                        *field = words.next().unwrap_or(*field);
                    }
                }
            }
            extra = &rest[len..];
        }
    }
}

fn one(
    input: &mut impl BufRead,
    local: &Local,
    budget: &Budget,
    member: &mut dyn FnMut(Option<u64>, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<bool> {
    let size = (!local.descriptor).then_some(local.size);
    match (local.method, local.encrypted, local.descriptor) {
        (0, false, false) => {
            let mut data = input.take(local.packed);
            let found = member(size, &mut data)?;
            let left = data.limit();
            if !found {
                drain(input, left)?;
            }
            Ok(found)
        }
        (8, false, true) => deflated(input, size, budget, member),
        (8, false, false) => {
            let mut data = input.take(local.packed);
            let found = deflated(&mut data, size, budget, member)?;
            let left = data.limit();
            if !found {
                drain(input, left)?;
            }
            Ok(found)
        }
        // Not to be read, but what follows may be: its length is known.
        (_, _, false) => drain(input, local.packed).and(Ok(false)),
        _ => Err(Stop::Unsupported.into()),
    }
}

/// Deflate says itself where it ends, so a member without a length can be left too.
fn deflated(
    input: &mut impl BufRead,
    size: Option<u64>,
    budget: &Budget,
    member: &mut dyn FnMut(Option<u64>, &mut dyn Read) -> io::Result<bool>,
) -> io::Result<bool> {
    let mut decoder = DeflateDecoder::new(input);
    let found = member(size, &mut decoder)?;
    if !found && size.is_none() {
        io::copy(&mut Paid { inner: decoder, budget }, &mut io::sink())?;
    }
    Ok(found)
}

/// crc, packed size, size; with or without a signature, in 4 or 8 bytes each. What follows a member starts with `PK`.
fn skip_descriptor(input: &mut impl BufRead) -> io::Result<()> {
    let mut first = [0; 4];
    input.read_exact(&mut first)?;
    drain(input, if u32_at(&first, 0) == DESCRIPTOR { 12 } else { 8 })?;
    if !input.fill_buf()?.starts_with(b"PK") {
        drain(input, 8)?;
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
