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
    key::{CarrierKey, EdgeKey, EndpointKey, MemberKey, PairKey, class, s_dev},
    mark::{COLOURS, Dump, FileMark, MANY, MarkSet, ObjectMark, PairBytes, Server, Stash, TaskMark, stamp_time},
};

use super::{
    attach::{AttachError, take},
    policy::Policy,
    skips::Skips,
};
use crate::sys;

/// A receiver known by its address outlives its sender by this time, so that it can still read.
const GRACE_NS: u64 = 2_000_000_000;
/// Marks and members younger than this are left alone: their other half may not be there yet.
const YOUNG_NS: u64 = 2_000_000_000;
/// A stash this old belongs to a call that blocks for long, or to a thread that died in it.
const STASH_NS: u64 = 600_000_000_000;

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
}

/// What holds dumps now. The maps are the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Numbers of the dumps that some carrier holds.
    pub dumps: BTreeSet<u64>,
    /// Processes, files and pipes that hold some, and sockets from which a receiver has some.
    pub carriers: BTreeSet<CarrierKey>,
    /// Entries in the maps of marks.
    pub marks: usize,
    /// Some carrier holds a dump whose colour is not known.
    pub many: bool,
}

/// What `reap` is asked about an object.
const fn question(key: &CarrierKey) -> u64 {
    match key.dev {
        class::SOCK => 2,
        class::QUEUE => 4,
        class::TTY => 5,
        _ => 1,
    }
}

/// No process has this pid.
fn is_over(tgid: u32) -> bool {
    rustix::process::Pid::from_raw(tgid as i32)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
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

    /// Bytes that a pair has moved.
    pub fn bytes(&self, pair: &PairKey) -> Option<u64> {
        self.moved(pair).map(|p| p.bytes)
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

    /// Removes the marks of objects that are gone and everything that hangs on them; says what is left.
    pub fn reap(&mut self, now_ns: u64) -> Census {
        self.reap_objects();
        self.reap_files();
        self.reap_endpoints(now_ns);
        self.reap_tasks();
        let census = self.census();
        self.reap_edges(&census, now_ns);
        self.reap_members(now_ns);
        self.reap_colours(&census);
        census
    }

    /// True when the program says that the object is gone.
    fn is_dead(&self, class: u64, object: u64, fingerprint: u64, ino: u64) -> bool {
        sys::run_program(self.reap.as_fd(), &[class, object, fingerprint, ino]).is_ok_and(|answer| answer == 1)
    }

    /// True when nobody has the file open for writing, or it is gone, by the address and number of its inode.
    pub fn is_whole(&self, inode: u64, number: u64) -> bool {
        sys::run_program(self.reap.as_fd(), &[3, inode, number, 0]).is_ok_and(|answer| answer != 0)
    }

    /// True when some process has it mapped, by the address and number of its inode.
    pub fn is_mapped(&self, inode: u64, number: u64) -> bool {
        sys::run_program(self.reap.as_fd(), &[6, inode, number, 0]).is_ok_and(|answer| answer == 0)
    }

    fn reap_objects(&mut self) {
        let dead: Vec<CarrierKey> = self
            .object
            .iter()
            .flatten()
            .filter(|(key, m)| self.is_dead(question(key), m.object, m.fingerprint, m.ino))
            .map(|(key, _)| key)
            .collect();
        for key in &dead {
            drop(self.object.remove(key));
        }
    }

    /// A file system without a device is gone with its last mount. What is on a device may be mounted again.
    fn is_unmounted(&self, key: &CarrierKey, mark: &FileMark) -> bool {
        key.dev < s_dev(1, 0) && self.is_dead(7, mark.sb, key.dev.into(), 0)
    }

    fn reap_files(&mut self) {
        let dead: Vec<CarrierKey> = self
            .file
            .iter()
            .flatten()
            .filter(|(key, m)| self.is_dead(0, m.object, key.id, 0) || self.is_unmounted(key, m))
            .map(|(key, _)| key)
            .collect();
        for key in &dead {
            drop(self.file.remove(key));
        }
    }

    fn reap_endpoints(&mut self, now_ns: u64) {
        let mut dead = Vec::new();
        let mut dying = BTreeMap::new();
        for (key, mark) in self.endpoint.iter().flatten() {
            if !self.is_dead(2, mark.object, mark.fingerprint, mark.ino) {
                continue;
            }
            let since = self.dying.get(&mark.id).copied().unwrap_or(now_ns);
            if now_ns.saturating_sub(since) >= GRACE_NS {
                dead.push(key);
            } else {
                dying.insert(mark.id, since);
            }
        }
        self.dying = dying;
        for key in &dead {
            drop(self.endpoint.remove(key));
        }
    }

    /// Servers of files that have ended. They are noted whether or not there is a dump.
    pub fn reap_servers(&mut self) {
        let over: Vec<u64> =
            self.server.iter().flatten().filter(|(_, s)| is_over(s.key.generation)).map(|(id, _)| id).collect();
        for connection in over {
            drop(self.server.remove(&connection));
        }
    }

    /// A process whose exit was not seen (a program run skipped by the kernel) has no entry in /proc.
    fn reap_tasks(&mut self) {
        let tgids: Vec<u32> = self.task.keys().flatten().collect();
        for tgid in tgids {
            if is_over(tgid) {
                drop(self.task.remove(&tgid));
            }
        }
        let taken: Vec<PairKey> = self.taken.keys().flatten().filter(|pair| is_over(pair.to.generation)).collect();
        for pair in taken {
            drop(self.taken.remove(&pair));
        }
        let now = crate::clock::boottime();
        let old: Vec<u64> = self
            .stash
            .iter()
            .flatten()
            .filter(|(_, s)| now.saturating_sub(s.time_ns) > STASH_NS)
            .map(|(id, _)| id)
            .collect();
        for id in &old {
            drop(self.stash.remove(id));
        }
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        let mut colours = MarkSet::default();
        for (key, mark) in self.file.iter().flatten() {
            census.carriers.insert(key);
            census.marks += 1;
            colours.join(&mark.set);
            if mark.dump != 0 {
                census.dumps.insert(mark.dump);
            }
        }
        for (key, mark) in self.object.iter().flatten() {
            census.carriers.extend([key, mark.writer]);
            census.marks += 1;
            colours.join(&mark.set);
        }
        for (tgid, mark) in self.task.iter().flatten() {
            census.carriers.insert(CarrierKey::task(tgid, mark.carrier));
            census.marks += 1;
            colours.join(&mark.set);
        }
        for (_, mark) in self.endpoint.iter().flatten() {
            census.carriers.insert(mark.writer);
            census.marks += 1;
            colours.join(&mark.set);
        }
        // Whose memory is read is an end of a movement, without a mark.
        census.carriers.extend(self.taken.keys().flatten().map(|pair| pair.from));
        census.many = colours.has(MANY);
        census.dumps.extend(self.colours().into_iter().filter(|(_, c)| colours.has(*c)).map(|(dump, _)| dump));
        census
    }

    /// An edge is over when either end is gone. Sockets are ends of their process's flows.
    fn reap_edges(&mut self, census: &Census, now_ns: u64) {
        let gone = |key: &CarrierKey| key.dev != class::DATAGRAM && !census.carriers.contains(key);
        let over = |pair: &PairKey| gone(&pair.from) || gone(&pair.to);
        let edges: Vec<EdgeKey> = self.edge.keys().flatten().filter(|e| over(&e.pair)).collect();
        for e in &edges {
            drop(self.edge.remove(e));
        }
        let pairs: Vec<PairKey> = self
            .pair
            .iter()
            .flatten()
            .filter(|(p, v)| over(p) && now_ns.saturating_sub(v.last_ns) > YOUNG_NS)
            .map(|(p, _)| p)
            .collect();
        for p in &pairs {
            drop(self.pair.remove(p));
        }
    }

    fn reap_members(&mut self, now_ns: u64) {
        let mut marks: BTreeSet<u64> = self.file.iter().flatten().map(|(_, m)| m.id).collect();
        marks.extend(self.object.iter().flatten().map(|(_, m)| m.id));
        marks.extend(self.endpoint.iter().flatten().map(|(_, m)| m.id));
        marks.extend(self.task.iter().flatten().map(|(_, m)| m.id));
        let old = |m: &MemberKey| now_ns.saturating_sub(stamp_time(m.mark)) > YOUNG_NS;
        let gone: Vec<MemberKey> =
            self.member.keys().flatten().filter(|m| !marks.contains(&m.mark) && old(m)).collect();
        for m in &gone {
            drop(self.member.remove(m));
        }
    }

    /// Colours of dumps that nothing holds are free again.
    fn reap_colours(&mut self, census: &Census) {
        let now = crate::clock::boottime();
        for (dump, colour) in self.colours() {
            let young = now.saturating_sub(stamp_time(dump)) < YOUNG_NS;
            if census.dumps.contains(&dump) || young {
                continue;
            }
            drop(self.dump.remove(&dump));
            self.forget_written(colour);
            // One that may go where its next dump may not is not given out.
            if colour != MANY && self.policy.forget_colour(colour).is_ok() {
                drop(self.colour.push(colour, 0));
            }
        }
    }

    /// What a server was given of this colour says nothing about the next dump that gets it.
    fn forget_written(&mut self, colour: u32) {
        let given: Vec<_> = self.server.iter().flatten().filter(|(_, server)| server.written.has(colour)).collect();
        for (connection, mut server) in given {
            server.written.remove(&MarkSet::one(colour));
            drop(self.server.insert(connection, server, EXIST));
        }
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
