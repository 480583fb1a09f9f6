//! The maps, typed, and the programs that the agent runs itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, PerCpuArray, Queue},
    programs::{ProgramFd, RawTracePoint},
};
use sensor_abi::{
    fault::Fault,
    key::{CarrierKey, EdgeKey, EndpointKey, MemberKey, PairKey},
    mark::{COLOURS, Dump, FileMark, MANY, MarkSet, ObjectMark, PairBytes, Server, Stash, TaskMark, stamp_time},
};

use super::{
    attach::{AttachError, take},
    policy::Policy,
    skips::Skips,
};
use crate::sys;

mod reap;
pub use reap::Census;

/// `BPF_NOEXIST` and `BPF_EXIST`.
const NOEXIST: u64 = 1;
const EXIST: u64 = 2;

/// All maps that the agent reads or writes.
pub struct Kernel {
    /// By what verdicts are reached.
    pub policy: Policy,
    file: HashMap<MapData, CarrierKey, FileMark>,
    object: HashMap<MapData, CarrierKey, ObjectMark>,
    endpoint: HashMap<MapData, EndpointKey, ObjectMark>,
    task: HashMap<MapData, u32, TaskMark>,
    edge: HashMap<MapData, EdgeKey, u64>,
    pair: HashMap<MapData, PairKey, PairBytes>,
    member: HashMap<MapData, MemberKey, u64>,
    dump: HashMap<MapData, u64, Dump>,
    taken: HashMap<MapData, PairKey, u64>,
    stash: HashMap<MapData, u64, Stash>,
    crashed: HashMap<MapData, u32, u64>,
    /// Its values are the kernel's.
    ahead: HashMap<MapData, u32, [u64; 3]>,
    server: HashMap<MapData, u64, Server>,
    trusted: HashMap<MapData, CarrierKey, u64>,
    colour: Queue<MapData, u32>,
    fault: PerCpuArray<MapData, u64>,
    faults: BTreeMap<Fault, u64>,
    skips: Skips,
    /// The key of the file that `seed` or `share` has marked last.
    found: Array<MapData, CarrierKey>,
    reap: ProgramFd,
    seed: ProgramFd,
    share: ProgramFd,
    hold: ProgramFd,
    dying: BTreeMap<u64, u64>,
    /// By mark: when its file system was last asked for the file.
    asked: BTreeMap<u64, u64>,
    /// Dumps that the last look found.
    seen: BTreeSet<u64>,
}

/// A program that the agent runs itself.
pub(super) fn own_program(ebpf: &mut Ebpf, name: &'static str) -> Result<ProgramFd, AttachError> {
    let program = ebpf.program_mut(name).ok_or(AttachError::NoProgram(name))?;
    let wrong = |source| AttachError::Program { program: name, source };
    let program: &mut RawTracePoint = program.try_into().map_err(wrong)?;
    program.fd().map_err(wrong)?.try_clone().map_err(|e| wrong(e.into()))
}

impl Kernel {
    /// Takes the maps and fills the queue of free colours.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self, AttachError> {
        let mut kernel = Self {
            policy: Policy::open(ebpf)?,
            file: take(ebpf, "FILE")?,
            object: take(ebpf, "OBJECT")?,
            endpoint: take(ebpf, "ENDPOINT")?,
            task: take(ebpf, "TASK")?,
            edge: take(ebpf, "EDGE")?,
            pair: take(ebpf, "PAIR")?,
            member: take(ebpf, "MEMBER")?,
            dump: take(ebpf, "DUMP")?,
            taken: take(ebpf, "TAKEN")?,
            stash: take(ebpf, "STASH")?,
            crashed: take(ebpf, "CRASHED")?,
            ahead: take(ebpf, "AHEAD")?,
            server: take(ebpf, "SERVER")?,
            trusted: take(ebpf, "TRUSTED")?,
            colour: take(ebpf, "COLOUR")?,
            fault: take(ebpf, "FAULT")?,
            faults: BTreeMap::new(),
            skips: Skips::of(ebpf).map_err(|e| AttachError::Skips(e.to_string()))?,
            found: take(ebpf, "FOUND")?,
            reap: own_program(ebpf, "reap")?,
            seed: own_program(ebpf, "seed")?,
            share: own_program(ebpf, "share")?,
            hold: own_program(ebpf, "hold")?,
            dying: BTreeMap::new(),
            asked: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        for colour in (0..COLOURS).filter(|c| *c != MANY) {
            let pushed = kernel.colour.push(colour, 0);
            pushed.map_err(|e| AttachError::Map { name: "COLOUR", reason: e.to_string() })?;
        }
        Ok(kernel)
    }

    /// What a pair has moved.
    pub fn moved(&self, pair: &PairKey) -> Option<PairBytes> {
        self.pair.get(pair, 0).ok()
    }

    /// Colours and the dumps that have them.
    pub fn colours(&self) -> Vec<(u64, u32)> {
        self.dump.iter().flatten().map(|(dump, d)| (dump, d.colour as u32)).collect()
    }

    /// Losses since the last call, by cause.
    pub fn new_faults(&mut self) -> Vec<(Fault, u64)> {
        let mut new = Vec::new();
        for cause in Fault::ALL {
            let Ok(per_cpu) = self.fault.get(&(*cause as u32), 0) else { continue };
            let total: u64 = per_cpu.iter().sum();
            let before = self.faults.insert(*cause, total).unwrap_or(0);
            if total > before {
                new.push((*cause, total - before));
            }
        }
        new
    }

    /// Runs of programs that the kernel skipped since the last call.
    pub fn new_skips(&mut self) -> u64 {
        self.skips.new_ones()
    }

    /// Marks the file behind a descriptor as dump at rest. Its key, or `None` when it was marked before or is no file.
    pub fn seed(&mut self, file: &File, dump: u64) -> io::Result<Option<CarrierKey>> {
        self.found_by(&self.seed, &[file.as_raw_fd() as u64, dump, 0])
    }

    /// The same for a dump that somebody writes, maybe one who holds another: the file has that one's colours already.
    pub fn seed_newborn(&mut self, file: &File, dump: u64) -> io::Result<Option<CarrierKey>> {
        self.found_by(&self.seed, &[file.as_raw_fd() as u64, dump, 1])
    }

    /// Marks the file behind a descriptor with these colours. Its key, or `None` when it is no regular file.
    pub fn share(&mut self, file: &File, set: MarkSet) -> io::Result<Option<CarrierKey>> {
        let [a, b, c, d] = set.words;
        self.found_by(&self.share, &[file.as_raw_fd() as u64, a, b, c, d])
    }

    /// The key of the file that this program marks.
    fn found_by(&self, program: &ProgramFd, arguments: &[u64]) -> io::Result<Option<CarrierKey>> {
        let done = sys::run_program(program.as_fd(), arguments)? == 1;
        Ok(if done { self.found.get(&0, 0).ok() } else { None })
    }

    /// Makes the executables behind these descriptors the only declassifiers.
    pub fn trust(&mut self, executables: &[File]) -> io::Result<()> {
        let old: Vec<CarrierKey> = self.trusted.keys().flatten().collect();
        for key in &old {
            drop(self.trusted.remove(key));
        }
        for file in executables {
            sys::run_program(self.seed.as_fd(), &[file.as_raw_fd() as u64, 0, 0])?;
        }
        Ok(())
    }

    /// Marks a process that a sweep found holding a dump, if it is still there.
    pub fn hold(&mut self, tgid: u32, dump: u64) {
        let Some(colour) = self.colour_of(dump) else { return };
        // One that has ended holds nothing.
        let _ = sys::run_program(self.hold.as_fd(), &[u64::from(tgid), u64::from(colour)]);
    }

    /// Dumps that a pipe or socket holds; none when it has no mark.
    pub fn held_by(&self, object: &CarrierKey) -> Vec<u64> {
        self.object.get(object, 0).map_or_else(|_| Vec::new(), |mark| self.dumps_of(mark.set))
    }

    /// The dumps of these colours.
    pub fn dumps_of(&self, set: MarkSet) -> Vec<u64> {
        self.colours().into_iter().filter(|(_, colour)| set.has(*colour)).map(|(dump, _)| dump).collect()
    }

    /// Forgets a call of which no end will be seen. True when its bytes were to be counted then.
    pub fn abandon(&mut self, thread: u64) -> bool {
        self.stash.remove(&thread).is_ok()
    }

    /// The colour of a dump; it gets one when it has none.
    pub fn colour_of(&mut self, dump: u64) -> Option<u32> {
        if let Ok(known) = self.dump.get(&dump, 0) {
            return Some(known.colour as u32);
        }
        let colour = self.colour.pop(0).unwrap_or(MANY);
        if self.dump.insert(dump, Dump { colour: u64::from(colour) }, NOEXIST).is_ok() {
            return Some(colour);
        }
        if colour != MANY {
            drop(self.colour.push(colour, 0));
        }
        self.dump.get(&dump, 0).ok().map(|d| d.colour as u32)
    }

    /// Takes the mark off a file: it holds no dump any more.
    pub fn forget_file(&mut self, key: &CarrierKey) {
        // Not there is what was wanted.
        let _ = self.file.remove(key);
    }

    /// Takes a mark off a file that was emptied at this time. False when it has got another one since.
    pub fn forget_emptied(&mut self, key: &CarrierKey, emptied_ns: u64) -> bool {
        let newer = self.file.get(key, 0).is_ok_and(|mark| stamp_time(mark.id) >= emptied_ns);
        if !newer {
            self.forget_file(key);
        }
        !newer
    }

    /// Entries in each map, for tests, `status` and metrics.
    pub fn sizes(&self) -> BTreeMap<&'static str, usize> {
        BTreeMap::from([
            ("FILE", self.file.keys().flatten().count()),
            ("OBJECT", self.object.keys().flatten().count()),
            ("ENDPOINT", self.endpoint.keys().flatten().count()),
            ("TASK", self.task.keys().flatten().count()),
            ("EDGE", self.edge.keys().flatten().count()),
            ("PAIR", self.pair.keys().flatten().count()),
            ("MEMBER", self.member.keys().flatten().count()),
            ("TAKEN", self.taken.keys().flatten().count()),
            ("DUMP", self.dump.keys().flatten().count()),
        ])
    }
}
