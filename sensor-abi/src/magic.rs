//! Which format a dump has, by its first bytes: one table for the kernel side, which sees them while they are written, and
//! for the agent, which finds them at rest.
//!
//! Compared as words, not bytes: in the kernel every byte would be a branch that the verifier follows.

use crate::flow::numbered;

numbered! {
    /// The format of a dump.
    Format {
        /// ELF with `e_type` `ET_CORE`, of any writer.
        ElfCore = 1 "elf-core",
        /// JVM heap dump.
        Hprof = 2 "hprof",
        /// V8 heap snapshot.
        HeapSnapshot = 3 "heapsnapshot",
        /// Go `debug.WriteHeapDump`.
        GoHeap = 4 "go-heap",
        /// Breakpad and crashpad.
        Minidump = 5 "minidump",
        /// makedumpfile, compressed by page.
        Kdump = 6 "kdump",
        /// makedumpfile, flattened for a pipe.
        Makedumpfile = 7 "makedumpfile-flattened",
        /// QEMU migration stream: the RAM of a guest.
        QemuSave = 8 "qemu-save",
        /// The same, saved by libvirt.
        LibvirtSave = 9 "libvirt-save",
        /// Windows crash dump, 32 or 64 bit.
        WindowsDump = 10 "windows-dump",
        /// Diagnostic report of Node.js: text, with the whole environment.
        NodeReport = 11 "node-report",
        /// A hypervisor's copy of its guest's memory, which begins like nothing in particular: known by who writes it.
        GuestMemory = 12 "guest-memory",
        /// Crash dump of an Erlang node: text, with the heaps and messages of its processes.
        ErlangCrash = 13 "erlang-crash",
    }
}

/// How the executables of hypervisors begin, of which some write raw memory; in the first eight bytes they differ.
pub const HYPERVISORS: [&str; 4] = ["qemu-system-", "qemu-kvm", "firecracker", "cloud-hypervisor"];
const NAMES: [u64; 4] = {
    let (mut names, mut i) = ([0; 4], 0);
    while i < names.len() {
        names[i] = magic(HYPERVISORS[i].as_bytes().split_at(8).0, Format::GuestMemory).value[0];
        i += 1;
    }
    names
};

/// True when the first eight bytes of a program's name, in the machine's memory order, are those of a hypervisor.
#[inline(always)]
pub fn is_hypervisor(name: u64) -> bool {
    NAMES.contains(&le(name))
}

/// Bytes that all magics lie in.
pub const HEAD: usize = 8 * WORDS;
/// The same in words.
pub const WORDS: usize = 6;

/// The first bytes of something.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    words: [u64; WORDS],
    len: usize,
}

/// Bytes that must be there, and which of them count.
struct Magic {
    value: [u64; WORDS],
    mask: [u64; WORDS],
    len: usize,
    format: Format,
}

const MAGICS: [Magic; 13] = [
    // Its version, as text that ends.
    loosely(magic(b"JAVA PROFILE 1.0.0\0", Format::Hprof), 17, 0xf0),
    magic(br#"{"snapshot":{"meta":{"node_fields":["type""#, Format::HeapSnapshot),
    magic(b"MDMP\x93\xa7", Format::Minidump),
    versioned(magic(b"KDUMP   \0\0\0\0", Format::Kdump)),
    versioned(magic(b"DISKDUMP\0\0\0\0", Format::Kdump)),
    magic(b"makedumpfile\0", Format::Makedumpfile),
    magic(b"QEVM\0\0\0\x03", Format::QemuSave),
    versioned(magic(b"LibvirtQemudSave\0\0\0\0", Format::LibvirtSave)),
    // `MajorVersion` is 15, or 12 of a checked build.
    loosely(magic(b"PAGEDU64\x0f\0\0\0", Format::WindowsDump), 8, 0xfc),
    loosely(magic(b"PAGEDUMP\x0f\0\0\0", Format::WindowsDump), 8, 0xfc),
    magic(b"\n{\n  \"header\": {\n    \"reportVersion\"", Format::NodeReport),
    magic(br#"{"header":{"reportVersion""#, Format::NodeReport),
    magic(b"=erl_crash_dump:", Format::ErlangCrash),
];

/// What jcmd puts into the comment of a gzip member; the six bytes of time, level and system vary.
const PACKED: Magic = {
    let mut packed = magic(b"\x1f\x8b\x08\x10\0\0\0\0\0\0HPROF BLOCKSIZE=", Format::Hprof);
    packed.mask[0] = 0xffff_ffff;
    packed.mask[1] &= !0xffff;
    packed
};

const fn magic(text: &[u8], format: Format) -> Magic {
    let (mut value, mut mask) = ([0; WORDS], [0; WORDS]);
    let mut i = 0;
    while i < text.len() {
        value[i / 8] |= (text[i] as u64) << (i % 8 * 8);
        mask[i / 8] |= 0xff << (i % 8 * 8);
        i += 1;
    }
    Magic { value, mask, len: text.len(), format }
}

/// Of the byte at `at` only these bits count.
const fn loosely(mut magic: Magic, at: usize, bits: u8) -> Magic {
    magic.mask[at / 8] &= !((!bits as u64) << (at % 8 * 8));
    magic.value[at / 8] &= magic.mask[at / 8];
    magic
}

/// The last four bytes are a small number in either byte order: text has no zeroes there.
const fn versioned(magic: Magic) -> Magic {
    let end = magic.len;
    loosely(loosely(magic, end - 4, 0), end - 1, 0)
}

impl Magic {
    #[inline(always)]
    fn fits(&self, head: &Head) -> bool {
        let differs = |i: usize| (head.words[i] ^ self.value[i]) & self.mask[i];
        head.len >= self.len && differs(0) == 0 && differs(1) | differs(2) | differs(3) | differs(4) | differs(5) == 0
    }
}

impl Head {
    /// The first `len` bytes, in words of the machine's memory order; those behind do not count.
    #[inline(always)]
    pub const fn of_words(words: [u64; WORDS], len: usize) -> Self {
        Self { words: [le(words[0]), le(words[1]), le(words[2]), le(words[3]), le(words[4]), le(words[5])], len }
    }

    /// The beginning of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut all = [0; HEAD];
        let len = bytes.len().min(HEAD);
        all[..len].copy_from_slice(&bytes[..len]);
        let word = |i: usize| core::array::from_fn(|b| all[i * 8 + b]);
        Self { words: core::array::from_fn(|i| u64::from_le_bytes(word(i))), len }
    }

    /// The format of the dump that begins so; absent for anything else, packed dumps included.
    #[inline(always)]
    pub fn dump(&self) -> Option<Format> {
        if self.is_elf_core() {
            return Some(Format::ElfCore);
        }
        if self.is_go_heap() {
            return Some(Format::GoHeap);
        }
        MAGICS.iter().find(|magic| magic.fits(self)).map(|magic| magic.format)
    }

    /// The dump that a compressed head names already; anything else must be unpacked.
    #[inline(always)]
    pub fn packed_dump(&self) -> Option<Format> {
        PACKED.fits(self).then_some(PACKED.format)
    }

    /// Room for a magic that is still to come; Crashpad has the version of a minidump beside it already.
    #[inline(always)]
    pub const fn is_blank(&self) -> bool {
        let version = self.words[0] >> 32;
        self.len >= 8 && self.words[0] as u32 == 0 && (version == 0 || version & 0xffff == 0xa793)
    }

    #[inline(always)]
    const fn byte(&self, at: usize) -> u8 {
        (self.words[at / 8] >> (at % 8 * 8)) as u8
    }

    /// ELF header with `e_type` 4 in the header's own byte order. Classes and orders other than the known are no ELF.
    #[inline(always)]
    const fn is_elf_core(&self) -> bool {
        let (class, order) = (self.byte(4), self.byte(5));
        let kind = self.words[2] & 0xffff;
        self.len >= 18
            && self.words[0] & 0xffff_ffff == 0x464c_457f
            && (class == 1 || class == 2)
            && self.byte(6) == 1
            && (order == 1 && kind == 4 || order == 2 && kind == 0x400)
    }

    /// `go1.7 heap dump\n`, any version of one to three digits, and the tag of the first record, which has the parameters.
    #[inline(always)]
    const fn is_go_heap(&self) -> bool {
        if self.words[0] & 0xffff_ffff != 0x2e31_6f67 || !self.is_digit(4) {
            return false;
        }
        self.has_dump_at(5) || self.is_digit(5) && (self.has_dump_at(6) || self.is_digit(6) && self.has_dump_at(7))
    }

    #[inline(always)]
    const fn is_digit(&self, at: usize) -> bool {
        self.byte(at).is_ascii_digit()
    }

    /// True when ` heap dump\n` and the tag stand there; `at` is 5 to 7.
    #[inline(always)]
    const fn has_dump_at(&self, at: usize) -> bool {
        let shift = at % 8 * 8;
        let first = self.words[0] >> shift | self.words[1] << (64 - shift);
        let second = self.words[1] >> shift | self.words[2] << (64 - shift);
        self.len >= at + 12 && first == u64::from_le_bytes(*b" heap du") && second & 0xffff_ffff == 0x060a_706d
    }
}

#[inline(always)]
const fn le(word: u64) -> u64 {
    u64::from_le(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::{format, string::String, vec, vec::Vec};

    fn dump(head: &[u8]) -> Option<Format> {
        Head::of(head).dump()
    }

    /// An ELF header by class, order and type.
    fn elf(class: u8, order: u8, kind: [u8; 2]) -> Vec<u8> {
        let mut head = vec![0x7f, b'E', b'L', b'F', class, order, 1, 3];
        head.resize(16, 0);
        head.extend(kind);
        head.resize(64, 0);
        head
    }

    #[test]
    fn elf_cores_of_every_class_and_order() {
        for (class, order, kind) in [(1, 1, [4, 0]), (2, 1, [4, 0]), (1, 2, [0, 4]), (2, 2, [0, 4])] {
            assert_eq!(dump(&elf(class, order, kind)), Some(Format::ElfCore));
        }
        for kind in [[1, 0], [2, 0], [3, 0], [0, 4], [4, 1]] {
            assert_eq!(dump(&elf(2, 1, kind)), None, "e_type {kind:?}");
        }
        assert_eq!(dump(&elf(3, 1, [4, 0])), None);
        assert_eq!(dump(&elf(2, 3, [4, 0])), None);
        assert_eq!(dump(&elf(2, 1, [4, 0])[..17]), None);
    }

    #[test]
    fn every_magic_is_seen_and_missed_when_cut_or_changed() {
        for magic in &MAGICS {
            let words = magic.value.map(u64::to_le_bytes);
            let text = &words.as_flattened()[..magic.len];
            let mut head = text.to_vec();
            head.resize(64, b'x');
            assert_eq!(dump(&head), Some(magic.format), "{}", String::from_utf8_lossy(text));
            assert_eq!(dump(&text[..text.len() - 1]), None);
            for at in (0..text.len()).filter(|at| magic.mask[at / 8] >> (at % 8 * 8) & 0x20 != 0) {
                let mut wrong = head.clone();
                wrong[at] ^= 0x20;
                assert_ne!(dump(&wrong), Some(magic.format), "byte {at} of {}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn go_heap_dumps_of_every_version() {
        for go in ["go1.7 heap dump\n\x06", "go1.21 heap dump\n\x06\0\x08", "go1.123 heap dump\n\x06"] {
            assert_eq!(dump(go.as_bytes()), Some(Format::GoHeap), "{go}");
            assert_eq!(dump(&go.as_bytes()[..=go.find('\n').unwrap()]), None, "{go}");
        }
        for text in ["go1.7 heap profile\n", "go1.x heap dump\n", "go1. heap dump\n", "go1.1234 heap dump\n"] {
            assert_eq!(dump(format!("{text}\x06").as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn text_that_begins_with_a_magic_is_no_dump() {
        let texts = [
            "JAVA PROFILE 1.0.2 is the header of a heap dump",
            "JAVA PROFILE 1.0.2\n",
            "KDUMP   is what makedumpfile writes",
            "DISKDUMP: a tool of the nineties",
            "PAGEDUMP of the wiki, 2026",
            "PAGEDU64 is of 64 bits",
            "LibvirtQemudSave is the magic of libvirt",
            "go1.7 heap dump\nis the first line",
            "MDMP is short",
            "QEVM is short",
            "makedumpfile writes it",
        ];
        for text in texts {
            assert_eq!(dump(text.as_bytes()), None, "{text}");
        }
    }

    /// As their writers begin: the real fields behind the letters.
    #[test]
    fn numbers_behind_the_letters_in_either_byte_order() {
        let kernel = |letters: &[u8], version: [u8; 4]| [letters, &version, b"Linux\0\0\0"].concat();
        for version in [6u32.to_le_bytes(), 6u32.to_be_bytes(), [0; 4]] {
            for letters in [b"KDUMP   ", b"DISKDUMP"] {
                assert_eq!(dump(&kernel(letters, version)), Some(Format::Kdump), "{version:?}");
            }
            assert_eq!(dump(&kernel(b"LibvirtQemudSave", version)), Some(Format::LibvirtSave), "{version:?}");
        }
        for major in [15u32, 12] {
            for letters in [b"PAGEDUMP", b"PAGEDU64"] {
                let head = [letters.as_slice(), &major.to_le_bytes(), &19041u32.to_le_bytes()].concat();
                assert_eq!(dump(&head), Some(Format::WindowsDump), "{major}");
            }
        }
        for version in 1..=3 {
            assert_eq!(dump(format!("JAVA PROFILE 1.0.{version}\0\0\0\0\x08").as_bytes()), Some(Format::Hprof));
        }
    }

    #[test]
    fn zeroes_leave_room_for_a_magic() {
        assert!(Head::of(&[0; 32]).is_blank() && Head::of(&[0; 8]).is_blank());
        assert!(Head::of(b"\0\0\0\0\x93\xa7\x01\0").is_blank() && !Head::of(b"\0\0\0\x18ftyp").is_blank());
        assert!(!Head::of(&[0; 7]).is_blank() && !Head::of(b"\0\0\0\0\0\0\0x").is_blank() && !Head::of(b"").is_blank());
    }

    #[test]
    fn jcmds_gzip_comment_names_the_dump() {
        let mut head = *b"\x1f\x8b\x08\x10\0\0\0\0\x04\0HPROF BLOCKSIZE=16384\0";
        assert_eq!((Head::of(&head).packed_dump(), Head::of(&head).dump()), (Some(Format::Hprof), None));
        head[8] = 2;
        assert_eq!(Head::of(&head).packed_dump(), Some(Format::Hprof));
        head[3] = 0;
        assert_eq!(Head::of(&head).packed_dump(), None);
        assert_eq!(Head::of(b"\x1f\x8b\x08").packed_dump(), None);
    }
}
