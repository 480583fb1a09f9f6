//! Which format a file has, by its first bytes. Never by its name.

use crate::step::DumpKind;

macro_rules! table {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum { $($(#[$doc])* $name,)* }

        impl $enum {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The name that people read.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
        }
    };
}

table! {
    /// The format of a dump.
    Format {
        /// ELF with `e_type` `ET_CORE`, of any writer.
        ElfCore = "elf-core",
        /// JVM heap dump.
        Hprof = "hprof",
        /// V8 heap snapshot.
        HeapSnapshot = "heapsnapshot",
        /// Go `debug.WriteHeapDump`.
        GoHeap = "go-heap",
        /// Breakpad and crashpad.
        Minidump = "minidump",
        /// makedumpfile, compressed by page.
        Kdump = "kdump",
        /// makedumpfile, flattened for a pipe.
        Makedumpfile = "makedumpfile-flattened",
        /// QEMU migration stream: the RAM of a guest.
        QemuSave = "qemu-save",
        /// The same, saved by libvirt.
        LibvirtSave = "libvirt-save",
        /// Windows crash dump, 32 or 64 bit.
        WindowsDump = "windows-dump",
    }
}

impl Format {
    /// The kind of dump. An ELF core alone does not tell who wrote it: see [`super::elf::Facts::kind`].
    pub const fn kind(self) -> DumpKind {
        match self {
            Self::ElfCore => DumpKind::Unknown,
            Self::Hprof | Self::HeapSnapshot | Self::GoHeap => DumpKind::HeapDump,
            Self::Minidump => DumpKind::Minidump,
            Self::Kdump | Self::Makedumpfile | Self::QemuSave | Self::LibvirtSave | Self::WindowsDump => {
                DumpKind::Vmcore
            }
        }
    }
}

table! {
    /// What a dump may be wrapped in.
    Packing {
        /// RFC 1952, also of several members.
        Gzip = "gzip",
        /// RFC 8878.
        Zstd = "zstd",
        /// xz.
        Xz = "xz",
        /// LZ4 frames.
        Lz4 = "lz4",
        /// bzip2.
        Bzip2 = "bzip2",
        /// zip, by its first local header.
        Zip = "zip",
        /// tar, by the checksum of its first header.
        Tar = "tar",
    }
}

/// Bytes of a file that [`dump`] and [`packing`] want to see. With fewer they may miss, never mistake.
pub const HEAD: usize = 512;

/// Magics at offset 0.
const MAGICS: &[(&[u8], Format)] = &[
    (b"JAVA PROFILE 1.0.", Format::Hprof),
    (br#"{"snapshot":{"meta":{"node_fields":["type""#, Format::HeapSnapshot),
    (b"MDMP\x93\xa7", Format::Minidump),
    (b"KDUMP   ", Format::Kdump),
    (b"DISKDUMP", Format::Kdump),
    (b"makedumpfile\0", Format::Makedumpfile),
    (b"QEVM\0\0\0\x03", Format::QemuSave),
    (b"LibvirtQemudSave", Format::LibvirtSave),
    (b"PAGEDU64", Format::WindowsDump),
    (b"PAGEDUMP", Format::WindowsDump),
];

/// The format of the dump that begins with `head`; absent for anything else, wrapped dumps included.
pub fn dump(head: &[u8]) -> Option<Format> {
    if is_elf_core(head) {
        return Some(Format::ElfCore);
    }
    if is_go_heap(head) {
        return Some(Format::GoHeap);
    }
    MAGICS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, format)| *format)
}

/// ELF header with `e_type` 4 in the header's own byte order. Classes and orders other than the known are no ELF.
fn is_elf_core(head: &[u8]) -> bool {
    let Some([0x7f, b'E', b'L', b'F', class, order, 1]) = head.first_chunk::<7>() else { return false };
    let kind = head.get(16..18);
    matches!(class, 1 | 2) && matches!((order, kind), (1, Some([4, 0])) | (2, Some([0, 4])))
}

/// `go1.7 heap dump\n`, any version.
fn is_go_heap(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"go1.") else { return false };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    (1..=3).contains(&digits) && rest[digits..].starts_with(b" heap dump\n")
}

/// What the file that begins with `head` is packed with. tar needs 512 bytes to be seen.
pub fn packing(head: &[u8]) -> Option<Packing> {
    Some(match head {
        [0x1f, 0x8b, 8, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
        [4, 0x22, 0x4d, 0x18, ..] => Packing::Lz4,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Packing::Bzip2,
        [b'P', b'K', 3, 4, ..] => Packing::Zip,
        _ if super::archive::tar::is_header(head) => Packing::Tar,
        _ => return None,
    })
}

/// The dump that a compressed head already names: jcmd puts it into the gzip comment. Anything else must be unpacked.
pub fn packed_dump(head: &[u8]) -> Option<Format> {
    let comment_only = head.get(3) == Some(&0x10) && packing(head) == Some(Packing::Gzip);
    (comment_only && head.get(10..)?.starts_with(b"HPROF BLOCKSIZE=")).then_some(Format::Hprof)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn every_magic_is_seen_in_64_bytes_and_missed_when_cut() {
        for (magic, format) in MAGICS {
            let mut head = magic.to_vec();
            head.resize(64, 0);
            assert_eq!(dump(&head), Some(*format));
            assert_eq!(dump(&magic[..magic.len() - 1]), None);
        }
        for go in ["go1.7 heap dump\n", "go1.21 heap dump\n\0\0"] {
            assert_eq!(dump(go.as_bytes()), Some(Format::GoHeap));
        }
    }

    #[test]
    fn look_alikes_are_no_dumps() {
        let texts: &[&[u8]] = &[
            b"PGDMP\x01\x0e\0",
            b"MDMP is the magic of minidumps",
            b"MDMP\x93\xa8\0\0",
            b"JAVA PROFILE settings for the build",
            b"JAVA PROFILE 2.0.1",
            br#"{"snapshot":{"id": 4711, "name": "db-1"}}"#,
            br#"{"snapshot":{"meta":{"author":"ann"}}}"#,
            b"EXPORT:V12.01.00\n",
            b"go1.7 heap profile\n",
            b"go1.x heap dump\n",
            b"go1. heap dump\n",
            b"KDUMP is a tool",
            b"QEVM\0\0\0\x09",
            b"makedumpfile -d 31",
            b"PAGEDOWN",
            b"core.4711",
            b"",
        ];
        for text in texts {
            assert_eq!((dump(text), packing(text)), (None, None), "{}", String::from_utf8_lossy(text));
        }
        for kind in [[1, 0], [2, 0], [3, 0], [0, 4], [4, 1]] {
            assert_eq!(dump(&elf(2, 1, kind)), None, "e_type {kind:?}");
        }
        assert_eq!(dump(&elf(3, 1, [4, 0])), None);
        assert_eq!(dump(&elf(2, 3, [4, 0])), None);
        assert_eq!(dump(&elf(2, 1, [4, 0])[..17]), None);
    }

    #[test]
    fn programs_and_libraries_of_this_machine_are_no_dumps() {
        for path in [std::env::current_exe().unwrap(), "/bin/sh".into(), "/proc/self/exe".into()] {
            assert_eq!(dump(&std::fs::read(path).unwrap()), None);
        }
    }

    #[test]
    fn jcmds_gzip_comment_names_the_dump() {
        let mut head = b"\x1f\x8b\x08\x10\0\0\0\0\x04\0HPROF BLOCKSIZE=16384\0".to_vec();
        assert_eq!((packed_dump(&head), dump(&head)), (Some(Format::Hprof), None));
        head[3] = 0;
        assert_eq!(packed_dump(&head), None);
        assert_eq!(packed_dump(b"\x1f\x8b\x08"), None);
    }
}
