//! Facts of an ELF core: whose memory it is. Reads headers and notes only, with limits.

use std::{fs::File, os::unix::fs::FileExt};

use object::{
    Endianness, elf,
    read::elf::{FileHeader, NoteIterator, ProgramHeader},
};

use crate::{enrich::mask, step::DumpKind};

/// What an ELF core says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Process id, in the victim's own namespace.
    pub pid: Option<u32>,
    /// User id of the victim.
    pub uid: Option<u32>,
    /// Name of the victim's first thread.
    pub comm: Option<String>,
    /// Start of its command line, masked.
    pub command_line: Option<String>,
    /// Signal that killed it; 0 for a core taken of a running process.
    pub signal: Option<u32>,
    /// Executable, as mapped.
    pub executable: Option<String>,
    /// The memory of a machine, not of a process.
    pub machine: bool,
    /// Laid out as the kernel's own writer does.
    pub kernel_layout: bool,
}

impl Facts {
    /// The kind of dump, for a core that was not seen being born.
    pub fn kind(&self) -> DumpKind {
        match (self.machine, self.kernel_layout) {
            (true, _) => DumpKind::Vmcore,
            (false, true) => DumpKind::KernelCore,
            (false, false) => DumpKind::Unknown,
        }
    }
}

/// Most bytes of program headers, and of one note segment, that are read: room for 65,000 mappings.
const MAX_READ: u64 = 8 << 20;

/// Reads the facts of an open core. Absent when it is no ELF core or its headers are broken.
pub fn facts_of(file: &File) -> Option<Facts> {
    facts(&|offset, len| {
        let mut bytes = vec![0; usize::try_from(len.min(MAX_READ)).ok()?];
        let read = read_full_at(file, &mut bytes, offset)?;
        bytes.truncate(read);
        Some(bytes)
    })
}

/// Reads the facts out of the first bytes of a core, such as the start of a decompressed stream.
pub fn facts_in(head: &[u8]) -> Option<Facts> {
    facts(&|offset, len| {
        let start = usize::try_from(offset).ok()?;
        let end = start.saturating_add(usize::try_from(len).ok()?).min(head.len());
        head.get(start..end).map(<[u8]>::to_vec)
    })
}

fn read_full_at(file: &File, bytes: &mut [u8], offset: u64) -> Option<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64).ok()? {
            0 => break,
            n => done += n,
        }
    }
    Some(done)
}

/// Reads at most so many bytes at an offset.
type ReadAt<'a> = dyn Fn(u64, u64) -> Option<Vec<u8>> + 'a;

fn facts(read: &ReadAt<'_>) -> Option<Facts> {
    let head = read(0, 64)?;
    if super::format::dump(&head) != Some(super::format::Format::ElfCore) {
        return None;
    }
    match head[4] {
        1 => facts_as::<elf::FileHeader32<Endianness>>(&head, read),
        _ => facts_as::<elf::FileHeader64<Endianness>>(&head, read),
    }
}

fn facts_as<H: FileHeader<Endian = Endianness, Word: From<u32>>>(head: &[u8], read: &ReadAt<'_>) -> Option<Facts> {
    let header = H::parse(head).ok()?;
    let endian = header.endian().ok()?;
    let table_end =
        header.e_phoff(endian).into() + u64::from(header.e_phnum(endian)) * size_of::<H::ProgramHeader>() as u64;
    let table = read(0, table_end.min(MAX_READ))?;
    let segments = header.program_headers(endian, &*table).ok()?;
    let mut notes = Notes::default();
    for segment in segments.iter().filter(|s| s.p_type(endian) == elf::PT_NOTE).take(4) {
        // gdb puts its notes last: out of reach in the start of a stream.
        if let Some(data) = read(segment.p_offset(endian).into(), segment.p_filesz(endian).into().min(MAX_READ)) {
            notes.collect::<H>(endian, &data);
        }
    }
    let plain = header.e_shoff(endian).into() == 0 && head[7] == 0;
    Some(notes.facts(plain))
}

/// What the notes say, before it is put together.
#[derive(Default)]
struct Notes {
    facts: Facts,
    files: Vec<(u64, u64, String)>,
    entry: Option<u64>,
    siginfo: bool,
}

/// Reads numbers of the core's word size and byte order.
#[derive(Clone, Copy)]
struct Words<'a> {
    data: &'a [u8],
    big: bool,
    wide: bool,
}

impl<'a> Words<'a> {
    fn size(self) -> usize {
        if self.wide { 8 } else { 4 }
    }
    fn bytes(self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.data.get(at..at.checked_add(len)?)
    }
    fn number(self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.bytes(at, len)?.iter();
        let join = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if self.big { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }
    fn word(self, index: usize) -> Option<u64> {
        self.number(index.checked_mul(self.size())?, self.size())
    }
    fn text(self, at: usize, len: usize) -> Option<String> {
        let bytes = self.bytes(at, len)?.split(|b| *b == 0).next()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Notes {
    fn collect<H: FileHeader<Endian = Endianness, Word: From<u32>>>(&mut self, endian: Endianness, data: &[u8]) {
        let Ok(mut notes) = NoteIterator::<H>::new(endian, 4u32.into(), data) else { return };
        let wide = size_of::<H::Word>() == 8;
        while let Ok(Some(note)) = notes.next() {
            let words = Words { data: note.desc(), big: endian == Endianness::Big, wide };
            match note.name() {
                b"CORE" => self.core_note(note.n_type(endian).0, words),
                b"VMCOREINFO" | b"QEMU" => self.facts.machine = true,
                _ => {}
            }
        }
    }

    fn core_note(&mut self, kind: u32, words: Words<'_>) {
        match kind {
            k if k == elf::NT_PRPSINFO.0 => self.prpsinfo(words),
            // The thread that died comes first. `pr_cursig` follows three ints.
            k if k == elf::NT_PRSTATUS.0 && self.facts.signal.is_none() => {
                self.facts.signal = words.number(12, 2).map(|n| n as u32);
            }
            k if k == elf::NT_SIGINFO.0 => self.siginfo = true,
            k if k == elf::NT_AUXV.0 => self.entry = self.entry.or_else(|| auxv_entry(words)),
            k if k == elf::NT_FILE.0 => self.files = mapped_files(words).unwrap_or_default(),
            _ => {}
        }
    }

    /// `struct elf_prpsinfo`; 32-bit machines have 16- or 32-bit user ids.
    fn prpsinfo(&mut self, words: Words<'_>) {
        let (uid, uid_len, pid, comm) = match words.data.len() {
            136 => (16, 4, 24, 40),
            128 => (8, 4, 16, 32),
            124 => (8, 2, 12, 28),
            _ => return,
        };
        self.facts.uid = words.number(uid, uid_len).map(|n| n as u32);
        self.facts.pid = words.number(pid, 4).map(|n| n as u32);
        self.facts.comm = words.text(comm, 16).map(|c| mask::escape(&c));
        self.facts.command_line = words.text(comm + 16, 80).map(|line| masked_psargs(&line));
    }

    fn facts(mut self, plain: bool) -> Facts {
        let entry = self.entry.unwrap_or_default();
        let named = self.files.iter().find(|(start, end, _)| (*start..*end).contains(&entry)).or(self.files.first());
        self.facts.executable = named.map(|(.., path)| mask::escape(path));
        self.facts.kernel_layout = plain && self.siginfo && self.entry.is_some() && !self.facts.machine;
        self.facts
    }
}

/// `psargs` is argv joined by blanks and cut at 79 bytes: the last word may then be half a secret.
fn masked_psargs(line: &str) -> String {
    let line = line.trim_end();
    match line.rsplit_once(' ') {
        Some((whole, _)) if line.len() >= 79 => format!("{} …", mask::text(whole)),
        _ => mask::text(line),
    }
}

/// `AT_ENTRY` (9): an address inside the executable.
fn auxv_entry(words: Words<'_>) -> Option<u64> {
    (0..64).find_map(|pair| (words.word(pair * 2)? == 9).then(|| words.word(pair * 2 + 1))?)
}

/// `count, page size, count × (start, end, offset), names`.
fn mapped_files(words: Words<'_>) -> Option<Vec<(u64, u64, String)>> {
    let count = usize::try_from(words.word(0)?).ok()?;
    let names_at = count.checked_mul(3)?.checked_add(2)?.checked_mul(words.size())?;
    let names = words.data.get(names_at..)?.split(|b| *b == 0);
    let file = |(i, name): (usize, &[u8])| {
        Some((words.word(2 + i * 3)?, words.word(3 + i * 3)?, String::from_utf8_lossy(name).into_owned()))
    };
    names.take(count).enumerate().map(file).collect()
}

#[cfg(test)]
mod tests;
