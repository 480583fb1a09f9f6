//! The programs that answer, by BPF LSM: loaded and attached all or none. That they are attached proves nothing: a kernel
//! without `bpf` in its list of active LSMs (5.10 as Debian boots it) attaches them and never runs one. So each is put to a
//! test: a call of this very thread that it must refuse.

use std::{
    fs::File,
    io::{self, Read as _},
    net::{Ipv4Addr, UdpSocket},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixDatagram,
    },
};

use aya::{
    Btf, Ebpf,
    programs::{Lsm, ProgramFd},
};

use super::policy::Policy;
use crate::sys;

/// Programs and their hooks.
pub const PROGRAMS: &[(&str, &str)] = &[
    ("fence_send", "socket_sendmsg"),
    ("fence_connect", "socket_connect"),
    ("fence_use", "file_permission"),
    ("fence_map", "mmap_file"),
    ("fence_open", "file_open"),
];

/// Loaded, and attached while it is up.
pub struct Fence {
    programs: Vec<(&'static str, ProgramFd)>,
    links: Vec<OwnedFd>,
    /// What is taken off cannot be attached again, so it stays. With the mode off it refuses nothing.
    once: bool,
}

impl Fence {
    /// Loads all of them, or says why this kernel does not take one.
    pub fn load(ebpf: &mut Ebpf, btf: &Btf, once: bool) -> Result<Self, String> {
        let load = |(program, hook): &(&'static str, &'static str)| {
            let fd = load_one(ebpf, program, hook, btf);
            fd.map(|fd| (*hook, fd)).map_err(|why| format!("the kernel does not take a program on {hook}: {why}"))
        };
        Ok(Self { programs: PROGRAMS.iter().map(load).collect::<Result<_, _>>()?, links: Vec::new(), once })
    }

    /// Attaches all that are not, and tests each. When one fails, none stays.
    pub fn raise(&mut self, policy: &mut Policy) -> Result<(), String> {
        let raised = self.attach().and_then(|()| tested(policy));
        if raised.is_err() {
            self.lower();
        }
        raised
    }

    fn attach(&mut self) -> Result<(), String> {
        for (hook, fd) in self.programs.iter().skip(self.links.len()) {
            let link = sys::attach_program(fd.as_fd(), None);
            self.links.push(link.map_err(|e| format!("the program on {hook} cannot be attached: {e}"))?);
        }
        Ok(())
    }

    /// Detaches all, where that is not for good.
    pub fn lower(&mut self) {
        if !self.once {
            self.links.clear();
        }
    }
}

fn load_one(ebpf: &mut Ebpf, program: &str, hook: &str, btf: &Btf) -> Result<ProgramFd, String> {
    let program = ebpf.program_mut(program).ok_or("it is not in the ELF")?;
    let program: &mut Lsm = program.try_into().map_err(|e| format!("{e:#}"))?;
    program.load(hook, btf).map_err(|e| last_words(&format!("{e:#}")))?;
    program.fd().and_then(|fd| Ok(fd.try_clone()?)).map_err(|e| e.to_string())
}

/// Of an error with the verifier's log: its beginning, and the end of the log.
fn last_words(error: &str) -> String {
    let lines: Vec<&str> = error.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [first, .., a, b] => format!("{first} … {a} {b}"),
        _ => lines.join(" "),
    }
}

/// Makes one call for each hook, which must be refused.
fn tested(policy: &mut Policy) -> Result<(), String> {
    let calls = Calls::new().map_err(|e| format!("the self-test of blocking cannot be made: {e}"))?;
    let told = |policy: &mut Policy, thread| {
        policy.set_test(thread).map_err(|e| format!("the self-test of blocking cannot be made: {e}"))
    };
    told(policy, rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs())?;
    let deaf: Vec<&str> = calls.all().into_iter().filter(|(_, refused)| !refused).map(|(hook, _)| hook).collect();
    told(policy, 0)?;
    if deaf.is_empty() {
        return Ok(());
    }
    Err(format!("programs are attached to {} and do not run: `bpf` is not among the active LSMs", deaf.join(", ")))
}

/// What the test works on, made before anything is refused.
struct Calls {
    file: File,
    pair: (UnixDatagram, UnixDatagram),
    socket: UdpSocket,
}

impl Calls {
    fn new() -> io::Result<Self> {
        let (file, pair) = (File::open("/proc/self/exe")?, UnixDatagram::pair()?);
        Ok(Self { file, pair, socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))? })
    }

    /// Hooks, and whether each has refused. Where it has not, a byte of the agent's own was read or sent to itself.
    fn all(&self) -> [(&'static str, bool); 5] {
        let port = self.socket.local_addr().map_or(9, |own| own.port());
        [
            ("socket_sendmsg", is_refused(self.pair.0.send(&[0]))),
            ("socket_connect", is_refused(self.socket.connect((Ipv4Addr::LOCALHOST, port)))),
            ("file_permission", is_refused((&self.file).read(&mut [0]))),
            ("mmap_file", is_refused(sys::map_page(self.file.as_fd()))),
            ("file_open", is_refused(File::open("/proc/self/exe"))),
        ]
    }
}

fn is_refused<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_program_nothing_is_refused() {
        let all = Calls::new().unwrap().all();
        assert!(all.iter().all(|(_, refused)| !refused), "{all:?}");
        let hooks: Vec<_> = PROGRAMS.iter().map(|(_, hook)| *hook).collect();
        assert_eq!(all.map(|(hook, _)| hook).to_vec(), hooks, "each hook is tested");
    }

    #[test]
    fn of_a_long_log_the_end_is_what_says_why() {
        assert_eq!(last_words("a\n"), "a");
        assert_eq!(last_words("load failed\n1\n2\n3\n"), "load failed … 2 3");
    }
}
