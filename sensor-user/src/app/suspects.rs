//! Files whose header comes last, or once more: the write that brings it may change nothing that the kernel tells of; and
//! those of hypervisors that may become the memory of a guest, which has no header. They are held open, and looked at until
//! they look like a dump, or nobody writes to them any more.

use std::{fs::File, os::fd::AsRawFd, os::unix::fs::FileExt, path::Path};

use sensor_abi::magic::{Format, HEAD, HYPERVISORS, Head};

use crate::{enrich::mounts::Mounts, event::Birth, trail::Looked};

/// Files that are held at one time; each is a descriptor.
const MOST: usize = 128;
/// While a file is being written it is looked at this often,
const LOOK_NS: u64 = 500_000_000;
/// and so long.
const PATIENCE_NS: u64 = 600_000_000_000;
/// Less is no memory of a guest that is worth an alert, more is.
const MEMORY_BYTES: u64 = 1 << 20;
/// What else hypervisors write: pictures of screens (PNG, PPM) and packets (pcap in both byte orders, pcapng).
const NO_MEMORY: [&[u8]; 5] = [b"\x89PNG", b"P6\n", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\n\r\r\n"];

/// See the module.
pub(super) struct Suspect {
    pub(super) time_ns: u64,
    pub(super) birth: Birth,
    pub(super) looked: Looked,
    pub(super) file: File,
    /// That it is no copy of what its writer held, as it was when that went.
    pub(super) own: Option<bool>,
    looked_ns: u64,
}

/// What a look has shown.
pub(super) enum Verdict {
    Dump(Format),
    NotYet,
    None,
}

impl Suspect {
    pub(super) const fn new(time_ns: u64, birth: Birth, looked: Looked, file: File) -> Self {
        Self { time_ns, birth, looked, file, own: None, looked_ns: time_ns }
    }

    /// Looks, when it is time to or nobody writes any more.
    pub(super) fn look(&mut self, now_ns: u64, whole: bool) -> Verdict {
        if !whole && now_ns.saturating_sub(self.looked_ns) < LOOK_NS {
            return Verdict::NotYet;
        }
        self.looked_ns = now_ns;
        match self.format() {
            Some(format) => Verdict::Dump(format),
            None if whole || now_ns.saturating_sub(self.time_ns) > PATIENCE_NS => Verdict::None,
            None => Verdict::NotYet,
        }
    }

    /// By what is there now.
    pub(super) fn format(&self) -> Option<Format> {
        let mut bytes = [0; HEAD];
        let len = self.file.read_at(&mut bytes, 0).unwrap_or(0);
        let head = Head::of(&bytes[..len]);
        let memory = || (self.is_of_hypervisor() && self.is_memory()).then_some(Format::GuestMemory);
        head.dump().or_else(|| head.packed_dump()).or_else(memory)
    }

    fn is_of_hypervisor(&self) -> bool {
        let executable = self.looked.process.as_ref().and_then(|process| process.executable.as_deref());
        let name = executable.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        HYPERVISORS.iter().any(|hypervisor| name.starts_with(hypervisor))
    }

    /// Neither text, as a console writes it, nor one of the few other things.
    fn is_memory(&self) -> bool {
        let mut bytes = vec![0; MEMORY_BYTES as usize];
        self.file.read_exact_at(&mut bytes, 0).is_ok()
            && bytes.contains(&0)
            && !NO_MEMORY.iter().any(|magic| bytes.starts_with(magic))
    }
}

/// Makes room for one more. False when the oldest had to go.
pub(super) fn make_room(suspects: &mut Vec<Suspect>) -> bool {
    let full = suspects.len() >= MOST;
    if full {
        suspects.remove(0);
    }
    !full
}

/// Where an open file is now, where the agent sees paths as the host does.
pub(super) fn path_of(file: &File, mounts: &Mounts) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let path = link.to_str().filter(|path| path.starts_with('/') && !path.ends_with(" (deleted)"))?.to_owned();
    (mounts.here(&path) == Path::new(&path)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Process;

    fn suspect(content: &[u8]) -> Suspect {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        let birth = Birth {
            dump: 1,
            object: sensor_abi::key::CarrierKey::default(),
            colour: None,
            sink: crate::event::CoreSink::Perhaps,
            file: crate::event::File::default(),
            actor: crate::event::Actor::default(),
            traced: None,
        };
        Suspect::new(0, birth, Looked::default(), file)
    }

    #[test]
    fn memory_of_a_guest_is_known_by_who_writes_it() {
        let of = |executable: &str, content: &[u8]| {
            let mut suspect = suspect(content);
            let process = Process { executable: Some(executable.to_owned()), ..Process::default() };
            suspect.looked.process = Some(std::sync::Arc::new(process));
            matches!(suspect.look(1, true), Verdict::Dump(Format::GuestMemory))
        };
        let memory: Vec<u8> = (0..MEMORY_BYTES).map(|i| (i >> 3) as u8).collect();
        assert!(of("/usr/bin/qemu-system-x86_64", &memory) && of("/usr/libexec/qemu-kvm", &memory));
        assert!(!of("/usr/bin/cp", &memory), "what anybody may write");
        assert!(!of("/usr/bin/qemu-kvm", &memory[1..]), "too little yet");
        assert!(!of("/usr/bin/qemu-kvm", &b"login: \r\n".repeat(1 << 17)), "a console");
        for magic in NO_MEMORY {
            assert!(!of("/usr/bin/qemu-kvm", &[magic, &memory].concat()), "{magic:?}");
        }
    }

    #[test]
    fn a_header_that_comes_later_is_seen_and_nothing_is_not_waited_for() {
        let mut later = suspect(&[0; 64]);
        assert!(matches!(later.look(1, false), Verdict::NotYet));
        assert!(matches!(later.look(LOOK_NS, false), Verdict::NotYet));
        later.file.write_all_at(b"MDMP\x93\xa7\0\0", 0).unwrap();
        assert!(matches!(later.look(LOOK_NS + 1, false), Verdict::NotYet), "not before its time");
        assert!(matches!(later.look(LOOK_NS + 1, true), Verdict::Dump(Format::Minidump)));
        assert!(matches!(suspect(&[0; 64]).look(1, true), Verdict::None));
        assert!(matches!(suspect(&[0; 64]).look(PATIENCE_NS + 1, false), Verdict::None));
    }
}
