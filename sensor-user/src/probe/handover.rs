//! System calls in progress while the functions take over from the tracepoints: which there are, and which still wait when
//! their ends are no longer looked at.

use std::{
    fs,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
    programs::ProgramFd,
};
use sensor_abi::{
    flow::{self, NONE, Via},
    key::CarrierKey,
    mark::{Call, counted},
};

use super::{
    attach::{AttachError, take},
    kernel::own_program,
    sweep::numbers,
};
use crate::sys;

/// The map of calls in progress.
pub struct Calls(HashMap<MapData, u64, Call>);

impl Calls {
    /// Takes the map.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self, AttachError> {
        take(ebpf, "CALL").map(Self)
    }

    /// Forgets what an earlier hand-over left.
    pub fn clear(&mut self) {
        let old: Vec<u64> = self.0.keys().flatten().collect();
        for thread in &old {
            drop(self.0.remove(thread));
        }
    }

    /// How many calls nothing has counted yet.
    pub fn waiting(&self) -> usize {
        self.uncounted().filter(|(thread, _)| folder(*thread).exists()).count()
    }

    /// Those calls, when they have lasted for long.
    pub fn left(&self) -> Vec<Waiting> {
        let found = self.uncounted().filter_map(|(thread, call)| {
            let switches = switches(thread)?;
            // It is in that call still: its end takes the entry away.
            let same = self.0.get(&thread, 0).is_ok_and(|now| now == call);
            same.then_some(Waiting { thread, object: call.object, switches })
        });
        found.collect()
    }

    fn uncounted(&self) -> impl Iterator<Item = (u64, Call)> {
        self.0.iter().flatten().filter(|(_, call)| call.counted == counted::NOT_YET)
    }
}

/// A thread in a call that began before the functions stood, so that none of them sees its end.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Process id in the high half, thread id in the low half.
    pub thread: u64,
    /// Where a mark on what it reads would stand; zero when it does not read.
    pub object: CarrierKey,
    /// How often it had waited.
    switches: u64,
}

impl Waiting {
    /// Its process.
    pub const fn tgid(&self) -> u32 {
        (self.thread >> 32) as u32
    }

    /// What has become of it: `None` when it is over, else whether it waits still.
    pub fn waits(&self) -> Option<bool> {
        switches(self.thread).map(|now| now == self.switches)
    }
}

/// The program that enters calls which were found in /proc.
pub struct Finder(ProgramFd);

impl Finder {
    /// Takes the program.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self, AttachError> {
        own_program(ebpf, "waits").map(Self)
    }

    /// Looks for threads that wait for a pipe or socket. Some did before any program was attached.
    pub fn find(&self) {
        for thread in threads(Path::new("/proc")) {
            let said = fs::read_to_string(folder(thread).join("syscall")).unwrap_or_default();
            if let Some(fd) = read_descriptor(&said) {
                // A thread that is gone by now has ended its call.
                let _ = sys::run_program(self.0.as_fd(), &[thread, fd]);
            }
        }
    }
}

/// All threads but the agent's, as the programs number them.
fn threads(proc_root: &Path) -> impl Iterator<Item = u64> {
    let own = std::process::id();
    let processes = numbers(proc_root).filter(move |tgid| *tgid != own);
    let root = proc_root.to_owned();
    processes.flat_map(move |tgid| {
        let threads = numbers(&root.join(tgid.to_string()).join("task"));
        threads.map(move |tid| u64::from(tgid) << 32 | u64::from(tid))
    })
}

fn folder(thread: u64) -> PathBuf {
    PathBuf::from(format!("/proc/{}/task/{}", thread >> 32, thread & 0xffff_ffff))
}

/// From `/proc/PID/task/TID/syscall`: the descriptor that a call reads. `running` is in no call, or not for long.
fn read_descriptor(said: &str) -> Option<u64> {
    let mut words = said.split_ascii_whitespace();
    let row = flow::syscall(words.next()?.parse().ok()?);
    let reads = row.source == 0 && row.sink == NONE && row.via == Via::File;
    let fd = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    reads.then_some(fd)
}

/// How often a thread has waited; none when it is gone.
fn switches(thread: u64) -> Option<u64> {
    let status = fs::read_to_string(folder(thread).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_reader_is_told_from_what_else_waits() {
        assert_eq!(read_descriptor("0 0x5 0x7ffc 0x10 0x0 0x0 0x0 0x7ffd 0x7f00\n"), Some(5));
        assert_eq!(read_descriptor("45 0x2a 0x7ffc 0x10 0x0 0x0 0x0 0x7ffd 0x7f00\n"), Some(42));
        for other in ["1 0x5 0x7ffc 0x10", "232 0x5 0x1", "9 0x0 0x1", "running\n", "-1 0x7ffd 0x7f00", "", "0 5"] {
            assert_eq!(read_descriptor(other), None, "{other}");
        }
    }

    #[test]
    fn a_thread_waits_until_it_has_read() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (send, known) = std::sync::mpsc::channel();
        let waits = std::thread::spawn(move || {
            send.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            reader.read(&mut [0]).unwrap()
        });
        let thread = u64::from(std::process::id()) << 32 | u64::from(known.recv().unwrap() as u32);
        while !fs::read_to_string(folder(thread).join("syscall")).unwrap().starts_with("0 ") {
            std::thread::yield_now();
        }
        let waiting = Waiting { thread, object: CarrierKey::default(), switches: switches(thread).unwrap() };
        assert_eq!(waiting.waits(), Some(true));
        drop(writer);
        waits.join().unwrap();
        assert_ne!(waiting.waits(), Some(true));
    }
}
