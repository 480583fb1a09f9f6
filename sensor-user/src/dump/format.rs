//! Which format a file has, by its first bytes. Never by its name.

pub use sensor_abi::magic::Format;
use sensor_abi::magic::Head;

use crate::step::{DumpKind, names};

/// The kind of dump that a format is. An ELF core alone does not tell who wrote it: see [`super::elf::Facts::kind`].
pub const fn kind(format: Format) -> DumpKind {
    match format {
        Format::ElfCore | Format::NodeReport => DumpKind::Unknown,
        Format::Hprof | Format::HeapSnapshot | Format::GoHeap | Format::ErlangCrash => DumpKind::HeapDump,
        Format::Minidump => DumpKind::Minidump,
        Format::Kdump
        | Format::Makedumpfile
        | Format::QemuSave
        | Format::LibvirtSave
        | Format::WindowsDump
        | Format::GuestMemory => DumpKind::Vmcore,
    }
}

names! {
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

/// The format of the dump that begins with `head`; absent for anything else, wrapped dumps included.
pub fn dump(head: &[u8]) -> Option<Format> {
    Head::of(head).dump()
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
    Head::of(head).packed_dump()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_no_dumps() {
        let texts: &[&[u8]] = &[
            b"PGDMP\x01\x0e\0",
            b"MDMP is the magic of minidumps",
            b"MDMP\x93\xa8\0\0",
            b"JAVA PROFILE settings for the build",
            b"JAVA PROFILE 2.0.1",
            b"JAVA PROFILE 1.0.2 is the header of a heap dump",
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
            b"{\n  \"header\": {\n    \"version\": 1",
            br#"{"header":{"report": "#,
            b"core.4711",
            b"",
        ];
        for text in texts {
            assert_eq!((dump(text), packing(text)), (None, None), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn programs_and_libraries_of_this_machine_are_no_dumps() {
        for path in [std::env::current_exe().unwrap(), "/bin/sh".into(), "/proc/self/exe".into()] {
            assert_eq!(dump(&std::fs::read(path).unwrap()), None);
        }
    }
}
