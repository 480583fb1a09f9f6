//! Which dump it is: `dump.id` by its birth, `dump.content` by its bytes.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use sensor_abi::key::CarrierKey;
use thiserror::Error;

use super::{
    archive::{Budget, FileInput, Search, Stop},
    elf::{self, Facts},
    format::{self, Format, Packing},
};
use crate::step::{DumpKind, Id};

/// `dump.id` of a birth: host, boot, the carrier that was born into (device, inode and generation, or task), and time.
pub fn id_of(host_id: &str, boot_id: &str, carrier: &CarrierKey, birth_ns: u64) -> Id {
    Id::of(&[
        b"dump",
        host_id.as_bytes(),
        boot_id.as_bytes(),
        &carrier.dev.to_le_bytes(),
        &carrier.id.to_le_bytes(),
        &carrier.generation.to_le_bytes(),
        &birth_ns.to_le_bytes(),
    ])
}

/// `host.id` of the host whose root is here: the machine id, as OpenTelemetry has it; else the product's UUID; else a hash
/// of the host name.
pub fn host_id(root: &Path) -> String {
    let files = ["etc/machine-id", "var/lib/dbus/machine-id", "sys/class/dmi/id/product_uuid"];
    let words = files.iter().filter_map(|f| word(&root.join(f)));
    // An image that was never started has `uninitialized` there: the same on every host made of it.
    words.into_iter().find(|w| w.len() >= 32 && w != "uninitialized").unwrap_or_else(|| {
        let name = word(&root.join("proc/sys/kernel/hostname")).unwrap_or_default();
        Id::of(&[b"host", name.as_bytes()]).to_string()
    })
}

/// The kernel's boot id.
pub fn boot_id() -> String {
    word(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default()
}

fn word(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_lowercase()).filter(|t| !t.is_empty())
}

/// How much a look at one dump may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes read and unpacked, all layers and skipped members together, per pass.
    pub bytes: u64,
    /// Most bytes per packed byte. Cores are mostly holes, so honest ones reach thousands.
    pub ratio: u64,
    /// Longest time, both passes together.
    pub time: Duration,
    /// Most layers of packing.
    pub depth: usize,
    /// Most members of archives.
    pub members: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 30, ratio: 50_000, time: Duration::from_mins(2), depth: 3, members: 10_000 }
    }
}

/// What is known of a dump's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `dump.content`.
    Known(Id),
    /// It has none.
    Absent(Absence),
    /// It could not be learnt; asking again with other limits, or later, may help.
    Failed(Failure),
}

/// Why a file has no content id.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Absence {
    /// No known format: raw memory, or no dump at all.
    #[error("no dump format is recognised")]
    NoDump,
    /// So little information that other dumps would look the same.
    #[error("the dump holds almost no information")]
    TooLittle,
}

/// Why the content could not be learnt.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// A limit ended it.
    #[error(transparent)]
    Stopped(#[from] Stop),
    /// The file, or what it is packed in, ends early: still being written, or cut.
    #[error("the dump is cut short")]
    Cut,
    /// It is not what its first bytes say.
    #[error("the dump is broken: {0}")]
    Broken(String),
    /// It changed between the two passes.
    #[error("the dump changed while it was read")]
    Changed,
    /// Reading failed.
    #[error("reading the dump: {0}")]
    Io(String),
}

/// What a look at a dump gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The id, or why there is none.
    pub outcome: Outcome,
    /// Format of the dump itself, when it was found, also where the id is not known.
    pub format: Option<Format>,
    /// Size of the dump itself, unpacked, bytes.
    pub size: Option<u64>,
    /// What it is packed in, outermost first.
    pub layers: Vec<Packing>,
}

/// `dump.content` of an open file: the first 16 bytes of BLAKE3 over the first 64 KiB, the size, and 16 blocks of 4 KiB,
/// the n-th at (size - 4096) × n / 16 for n = 1..=16, of the dump's own bytes.
///
/// A plain dump costs 17 reads. Where the size is known only at the end (compressed streams), the file is unpacked
/// twice: once for the size, once for the blocks. That costs time instead of memory, is exact, and no dump byte is put
/// aside. Reads by offset only; never opens anything, so the caller decides which mounts are safe.
pub fn content_of(file: &File, limits: Limits) -> Content {
    let mut content =
        Content { outcome: Outcome::Absent(Absence::NoDump), format: None, size: None, layers: Vec::new() };
    content.outcome = match learn(file, limits, &mut content) {
        Ok(None) => Outcome::Absent(Absence::NoDump),
        Ok(Some(sample)) if sample.says_little() => Outcome::Absent(Absence::TooLittle),
        Ok(Some(sample)) => Outcome::Known(sample.id()),
        Err(error) => Outcome::Failed(failure(&error)),
    };
    content
}

fn learn(file: &File, limits: Limits, content: &mut Content) -> io::Result<Option<Sample>> {
    let packed = file.metadata()?.len();
    let mut head = [0; 64];
    let read = read_full_at(file, &mut head, 0)?;
    if let Some(format) = format::dump(&head[..read]) {
        content.format = Some(format);
        content.size = Some(packed);
        return plain(file, packed).map(Some);
    }
    let until = Instant::now() + limits.time;
    let pass = |size, content: &mut Content| unpack(file, packed, limits, until, size, content);
    let Some(first) = pass(None, content)? else { return Ok(None) };
    if first.complete() {
        return Ok(Some(first));
    }
    let second = pass(Some(first.seen), content)?.filter(|s| s.complete() && s.head == first.head);
    second.map(Some).ok_or_else(|| io::Error::other(Changed))
}

#[derive(Debug, Error)]
#[error("changed")]
struct Changed;

fn failure(error: &io::Error) -> Failure {
    if let Some(stop) = error.get_ref().and_then(|e| e.downcast_ref::<Stop>()) {
        return Failure::Stopped(*stop);
    }
    if error.get_ref().and_then(|e| e.downcast_ref::<Changed>()).is_some() {
        return Failure::Changed;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Cut,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            Failure::Broken(error.to_string())
        }
        _ => Failure::Io(error.to_string()),
    }
}

/// What the first bytes of a file tell, without reading it to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Format of the dump itself.
    pub format: Format,
    /// What it is packed in, outermost first.
    pub layers: Vec<Packing>,
    /// What an ELF core says about itself.
    pub facts: Option<Facts>,
}

impl Look {
    /// The kind of dump.
    pub fn kind(&self) -> DumpKind {
        self.facts.as_ref().map_or_else(|| format::kind(self.format), Facts::kind)
    }
}

/// Bytes that a look unpacks: enough for the notes of most cores.
const LOOK: u64 = 4 << 20;

/// Looks whether an open file is a dump, plain or packed. Cheap: for what is no dump one read of 512 bytes.
pub fn look(file: &File) -> Option<Look> {
    let limits = Limits { bytes: LOOK, time: Duration::from_secs(2), members: 64, ..Limits::default() };
    let budget = Budget::new(LOOK, limits.bytes, limits.ratio, limits.members, Instant::now() + limits.time);
    let mut search = Search { budget: &budget, depth: limits.depth, layers: Vec::new() };
    let mut seen = None;
    let mut visit = |format, _: Option<u64>, bytes: &mut dyn Read| {
        let mut head = Vec::new();
        // A head that ends early, or in a fault, still tells its format.
        let _ = bytes.take(LOOK / 4).read_to_end(&mut head);
        seen = Some((format, head));
        Ok(())
    };
    let found = search.descend(&mut FileInput::new(file, &budget), None, &mut visit);
    let (format, head) = seen.filter(|_| found.is_ok())?;
    let facts = if search.layers.is_empty() { elf::facts_of(file) } else { elf::facts_in(&head) };
    Some(Look { format, layers: search.layers, facts })
}

const HEAD: usize = 64 * 1024;
const BLOCK: usize = 4096;
const BLOCKS: usize = 16;

/// What the id is made of.
#[derive(Debug, PartialEq, Eq)]
struct Sample {
    head: Vec<u8>,
    /// Known size; blocks can only be picked with it.
    size: Option<u64>,
    /// Bytes fed so far.
    seen: u64,
    blocks: Vec<u8>,
}

/// Where the blocks lie. A dump shorter than a block is one block.
fn block_starts(size: u64) -> [u64; BLOCKS] {
    let last = size.saturating_sub(BLOCK as u64);
    std::array::from_fn(|n| (u128::from(last) * (n as u128 + 1) / BLOCKS as u128) as u64)
}

impl Sample {
    fn new(size: Option<u64>) -> Self {
        let block = size.map_or(0, |s| s.min(BLOCK as u64)) as usize;
        Self { head: Vec::new(), size, seen: 0, blocks: vec![0; block * BLOCKS] }
    }

    /// Takes the next bytes of the stream.
    fn feed(&mut self, bytes: &[u8]) {
        let want = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..want]);
        let (start, end) = (self.seen, self.seen + bytes.len() as u64);
        self.seen = end;
        let Some(size) = self.size else { return };
        let len = self.blocks.len() / BLOCKS;
        for (at, block) in block_starts(size).into_iter().zip(self.blocks.chunks_exact_mut(len.max(1))) {
            let (from, to) = (at.max(start), (at + len as u64).min(end));
            if from < to {
                let source = &bytes[(from - start) as usize..(to - start) as usize];
                block[(from - at) as usize..(to - at) as usize].copy_from_slice(source);
            }
        }
    }

    fn complete(&self) -> bool {
        self.size == Some(self.seen)
    }

    /// Hardly a header: the cores of all programs would have the same.
    fn says_little(&self) -> bool {
        let mut seen = [false; 256];
        self.head.iter().for_each(|b| seen[usize::from(*b)] = true);
        let distinct = seen.iter().filter(|s| **s).count();
        self.head.iter().filter(|b| **b != 0).count() < MIN_NON_ZERO || distinct < MIN_DISTINCT
    }

    fn id(&self) -> Id {
        Id::of(&[&self.head, &self.seen.to_le_bytes(), &self.blocks])
    }
}

/// Bytes other than zero in the first 64 KiB, below which a dump has no content id.
const MIN_NON_ZERO: usize = 256;
/// Different byte values there.
const MIN_DISTINCT: usize = 16;

/// A dump that is the file itself: read where needed, holes and all.
fn plain(file: &File, size: u64) -> io::Result<Sample> {
    let mut sample = Sample::new(Some(size));
    let mut head = vec![0; HEAD.min(usize::try_from(size).unwrap_or(HEAD))];
    exact_at(file, &mut head, 0)?;
    let len = sample.blocks.len() / BLOCKS;
    for (at, block) in block_starts(size).into_iter().zip(sample.blocks.chunks_exact_mut(len.max(1))) {
        exact_at(file, block, at)?;
    }
    sample.head = head;
    sample.seen = size;
    Ok(sample)
}

fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    if read_full_at(file, buffer, offset)? == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// One pass over a packed dump. The first dump found on the way is the one, so a second pass finds the same.
fn unpack(
    file: &File,
    packed: u64,
    limits: Limits,
    until: Instant,
    known: Option<u64>,
    content: &mut Content,
) -> io::Result<Option<Sample>> {
    let budget = Budget::new(packed, limits.bytes, limits.ratio, limits.members, until);
    let mut search = Search { budget: &budget, depth: limits.depth, layers: Vec::new() };
    let mut sample = None;
    let mut format = None;
    let mut visit = |found, said: Option<u64>, bytes: &mut dyn Read| {
        format = Some(found);
        let said = known.or(said);
        let read = collect(bytes, said)?;
        let fits = said.is_none_or(|size| size == read.seen);
        sample = Some(read);
        if fits { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    };
    let found = search.descend(&mut FileInput::new(file, &budget), None, &mut visit);
    content.format = format;
    content.layers = search.layers;
    content.size = sample.as_ref().filter(|_| found.is_ok()).map(|s: &Sample| s.seen);
    found.map(|_| sample)
}

fn collect(bytes: &mut dyn Read, size: Option<u64>) -> io::Result<Sample> {
    let mut sample = Sample::new(size);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(sample),
            Ok(read) => sample.feed(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
