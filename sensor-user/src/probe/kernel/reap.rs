//! Retirement: the marks of what is gone, and everything that hangs on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd,
};

use sensor_abi::{
    key::{CarrierKey, EdgeKey, MemberKey, PairKey, class, s_dev},
    mark::{FileMark, MANY, MarkSet, stamp_time},
    reap::{ALIVE, DEAD, FILE, MAPPED, MOUNT, PIPE, PROCESS, QUEUE, SOCKET, TERMINAL, UNKNOWN, WRITTEN},
};

use super::{EXIST, Kernel};
use crate::sys;

/// A receiver known by its address outlives its sender by this time, so that it can still read.
const GRACE_NS: u64 = 2_000_000_000;
/// Marks and members younger than this are left alone: their other half may not be there yet.
const YOUNG_NS: u64 = 2_000_000_000;
/// A stash this old belongs to a call that blocks for long, or to a thread that died in it.
const STASH_NS: u64 = 600_000_000_000;

/// What holds dumps now. The maps are the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Numbers of the dumps that some carrier holds.
    pub dumps: BTreeSet<u64>,
    /// Processes, files and pipes that hold some, and sockets from which a receiver has some.
    pub carriers: BTreeSet<CarrierKey>,
    /// Files that were found to be deleted just now.
    pub deleted: Vec<CarrierKey>,
    /// Entries in the maps of marks.
    pub marks: usize,
    /// Some carrier holds a dump whose colour is not known.
    pub many: bool,
}

/// A file system is asked for a file that is not in memory so often, ns: what is watched stays there.
const ASK_NS: u64 = 300_000_000_000;
/// So many in one turn: each may read from a disk.
const ASKS: usize = 64;

/// What `reap` is asked about an object.
const fn question(key: &CarrierKey) -> u32 {
    match key.dev {
        class::SOCK => SOCKET,
        class::QUEUE => QUEUE,
        class::TTY => TERMINAL,
        _ => PIPE,
    }
}

/// No process has this pid.
fn is_over(tgid: u32) -> bool {
    rustix::process::Pid::from_raw(tgid as i32)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

impl Kernel {
    /// Removes the marks of objects that are gone and everything that hangs on them; says what is left. `is_deleted` asks the
    /// file system for a file whose inode is not in memory any more.
    pub fn reap(&mut self, now_ns: u64, is_deleted: impl Fn(&CarrierKey) -> bool) -> Census {
        self.reap_objects();
        let deleted = self.reap_files(now_ns, is_deleted);
        self.reap_endpoints(now_ns);
        self.reap_tasks();
        let mut census = Census { deleted, ..self.census() };
        // The maps are walked one after the other: a mark that goes from one to the next meanwhile is missed, once.
        let seen = census.dumps.clone();
        census.dumps.append(&mut std::mem::replace(&mut self.seen, seen));
        self.reap_edges(&census, now_ns);
        self.reap_members(now_ns);
        self.reap_colours(&census);
        census
    }

    /// True when the program says that the object is gone.
    fn is_dead(&self, class: u32, object: u64, fingerprint: u64, ino: u64) -> bool {
        self.ask(class.into(), object, fingerprint, ino) == Some(DEAD)
    }

    fn ask(&self, class: u64, object: u64, fingerprint: u64, ino: u64) -> Option<u32> {
        sys::run_program(self.reap.as_fd(), &[class, object, fingerprint, ino]).ok()
    }

    /// True when nobody has the file open for writing, or it is gone, by the address and number of its inode.
    pub fn is_whole(&self, inode: u64, number: u64) -> bool {
        self.ask(WRITTEN.into(), inode, number, 0).is_some_and(|answer| answer != ALIVE)
    }

    /// True when some process has it mapped, by the address and number of its inode.
    pub fn is_mapped(&self, inode: u64, number: u64) -> bool {
        self.ask(MAPPED.into(), inode, number, 0) == Some(ALIVE)
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
        key.dev < s_dev(1, 0) && self.is_dead(MOUNT, mark.sb, key.dev.into(), 0)
    }

    /// Removes the marks of files that are gone, and returns those that were deleted. The program sees that an inode is torn
    /// down only until another file gets its address, which after a deletion may be at once.
    fn reap_files(&mut self, now_ns: u64, is_deleted: impl Fn(&CarrierKey) -> bool) -> Vec<CarrierKey> {
        let (mut unmounted, mut deleted, mut asked) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut asks = 0;
        for (key, mark) in self.file.iter().flatten() {
            // The number of a newborn file may not be set.
            if now_ns.saturating_sub(stamp_time(mark.id)) < YOUNG_NS {
                continue;
            }
            if self.is_unmounted(&key, &mark) {
                unmounted.push(key);
                continue;
            }
            let class = u64::from(key.generation) << 32 | u64::from(FILE);
            let is_gone = match self.ask(class, mark.object, key.id, mark.sb) {
                Some(UNKNOWN) => match self.asked.get(&mark.id) {
                    Some(time) if now_ns.saturating_sub(*time) < ASK_NS => {
                        asked.insert(mark.id, *time);
                        false
                    }
                    _ if asks == ASKS => false,
                    _ => {
                        asks += 1;
                        asked.insert(mark.id, now_ns);
                        is_deleted(&key)
                    }
                },
                answer => answer == Some(DEAD),
            };
            if is_gone {
                deleted.push(key);
            }
        }
        self.asked = asked;
        for key in unmounted.iter().chain(&deleted) {
            drop(self.file.remove(key));
        }
        deleted
    }

    fn reap_endpoints(&mut self, now_ns: u64) {
        let mut dead = Vec::new();
        let mut dying = BTreeMap::new();
        for (key, mark) in self.endpoint.iter().flatten() {
            if !self.is_dead(SOCKET, mark.object, mark.fingerprint, mark.ino) {
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
        let unseen: BTreeSet<u32> =
            self.crashed.keys().chain(self.ahead.keys()).flatten().filter(|t| is_over(*t)).collect();
        for tgid in unseen {
            self.ask(PROCESS.into(), tgid.into(), 0, 0);
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
}
