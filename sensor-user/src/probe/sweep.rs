//! Finding who holds a carrier that was marked while the flow hooks did not stand, or that they have mapped: what moves then
//! is not seen. Reads /proc on a worker thread; about 0.1 ms a process.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use sensor_abi::key::{CarrierKey, s_dev};

/// After so many processes the sweep lets others run.
const SLICE: usize = 500;
/// `O_ACCMODE` and its values.
const ACCESS: u32 = 3;
const WRITE_ONLY: u32 = 1;

/// A marked carrier that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Number of the dump.
    pub dump: u64,
    /// The file or pipe.
    pub key: CarrierKey,
    /// It is a pipe.
    pub pipe: bool,
    /// The process that wrote it, which holds none of it by that; or 0.
    pub writer: u32,
}

/// A process that may have bytes of a dump in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Number of the dump.
    pub dump: u64,
    /// The process.
    pub pid: u32,
    /// What holds it is in its memory.
    pub mapped: bool,
}

/// Who may have bytes of these: they have one open for reading and have moved on in it, or have it mapped. Of a pipe every
/// reader counts, since a pipe has no position.
pub fn holders(proc_root: &Path, wanted: &[Wanted], own: u32) -> Vec<Holder> {
    let mut found = Vec::new();
    for (n, pid) in numbers(proc_root).filter(|pid| *pid != own).enumerate() {
        if n % SLICE == SLICE - 1 {
            std::thread::yield_now();
        }
        let process = proc_root.join(pid.to_string());
        let of_others: Vec<Wanted> = wanted.iter().filter(|w| w.writer != pid).copied().collect();
        found.extend(reads(&process, &of_others).map(|dump| Holder { dump, pid, mapped: false }));
        found.extend(maps(&process, &of_others).map(|dump| Holder { dump, pid, mapped: true }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The entries of a folder of /proc that are numbers: processes, threads, descriptors.
pub fn numbers(folder: &Path) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn reads<'a>(process: &'a Path, wanted: &'a [Wanted]) -> impl Iterator<Item = u64> + 'a {
    let entries = fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|e| e.path());
    entries.filter_map(move |fd| {
        let hit = wanted.iter().find(|w| is(&fd, &w.key))?;
        has_read(process, &fd, hit.pipe).then_some(hit.dump)
    })
}

/// Same inode number and, of regular files, same device; btrfs tells another device than the kernel, so there the number
/// alone decides.
fn is(path: &Path, key: &CarrierKey) -> bool {
    fs::metadata(path).is_ok_and(|m| m.ino() == key.id && (device(m.dev()) == key.dev || libc::major(m.dev()) == 0))
}

/// `st_dev` in the kernel's own encoding.
fn device(dev: u64) -> u32 {
    s_dev(libc::major(dev), libc::minor(dev))
}

fn has_read(process: &Path, fd: &Path, pipe: bool) -> bool {
    let Some(name) = fd.file_name() else { return false };
    let info = fs::read_to_string(process.join("fdinfo").join(name)).unwrap_or_default();
    let field = |name: &str| info.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let flags = field("flags:").and_then(|f| u32::from_str_radix(f, 8).ok()).unwrap_or(WRITE_ONLY);
    let position = field("pos:").and_then(|p| p.parse::<u64>().ok()).unwrap_or(0);
    flags & ACCESS != WRITE_ONLY && (pipe || position > 0)
}

/// Of files that a process has mapped.
fn maps<'a>(process: &Path, wanted: &'a [Wanted]) -> impl Iterator<Item = u64> + use<'a> {
    let mapped = mappings(process);
    wanted.iter().filter(move |w| !w.pipe && mapped.iter().any(|m| m.is_of(&w.key))).map(|w| w.dump)
}

/// A file in the memory of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address, and the one after the last.
    pub range: (u64, u64),
    /// What is stored there goes into the file.
    pub shared_writable: bool,
    /// Major and minor number of the file's device.
    pub dev: (u32, u32),
    /// Its inode number.
    pub ino: u64,
    /// Its path as the process sees it; ends with ` (deleted)` when it has no name.
    pub path: String,
}

impl Mapping {
    /// True for the file of this key. On overlayfs newer kernels tell the device of the mount, which has no major number.
    fn is_of(&self, key: &CarrierKey) -> bool {
        let (major, minor) = self.dev;
        let real = s_dev(1, 0) <= key.dev;
        self.ino == key.id && (s_dev(major, minor) == key.dev || major == 0 && real)
    }
}

/// All of a process; none when it is gone.
pub fn mappings(process: &Path) -> Vec<Mapping> {
    let text = fs::read(process.join("maps")).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(mapping).collect()
}

/// `start-end perms offset major:minor inode path`; `None` for memory without a file.
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = fields.next()?.split_once('-')?;
    let perms = fields.next()?.as_bytes();
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let ino = fields.next()?.parse().ok().filter(|ino| *ino != 0)?;
    Some(Mapping {
        range: (hex(start)?, hex(end)?),
        shared_writable: perms.get(1) == Some(&b'w') && perms.get(3) == Some(&b's'),
        dev: (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?),
        ino,
        path: fields.next().unwrap_or_default().trim_start().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn own_key(file: &fs::File) -> CarrierKey {
        let m = file.metadata().unwrap();
        CarrierKey { id: m.ino(), dev: device(m.dev()), generation: 0 }
    }

    #[test]
    fn a_reader_counts_once_it_has_moved_on() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"dump").unwrap();
        file.rewind().unwrap();
        let wanted = [Wanted { dump: 7, key: own_key(&file), pipe: false, writer: 0 }];
        let me = std::process::id();
        assert!(!holders(Path::new("/proc"), &wanted, 0).iter().any(|h| (h.dump, h.pid) == (7, me)));
        file.read_exact(&mut [0; 2]).unwrap();
        assert!(holders(Path::new("/proc"), &wanted, 0).iter().any(|h| (h.dump, h.pid) == (7, me)));
        assert!(!holders(Path::new("/proc"), &wanted, me).iter().any(|h| (h.dump, h.pid) == (7, me)));
        let own = [Wanted { writer: me, ..wanted[0] }];
        assert!(
            !holders(Path::new("/proc"), &own, 0).iter().any(|h| (h.dump, h.pid) == (7, me)),
            "who wrote it has not read it"
        );
    }

    #[test]
    fn a_line_of_maps_tells_file_and_access() {
        let line = "7f0a1c000000-7f0a1c200000 rw-s 00000000 00:1a 1034                       /dev/shm/a b (deleted)";
        let expected = Mapping {
            range: (0x7f0a_1c00_0000, 0x7f0a_1c20_0000),
            shared_writable: true,
            dev: (0, 0x1a),
            ino: 1034,
            path: "/dev/shm/a b (deleted)".to_owned(),
        };
        assert_eq!(mapping(line), Some(expected.clone()));
        for other in ["r--s", "rw-p", "r-xp"] {
            assert!(!mapping(&line.replace("rw-s", other)).unwrap().shared_writable, "{other}");
        }
        for none in
            ["7ffc0000-7ffd0000 rw-p 00000000 00:00 0                          [stack]", "", "x-y rw-s 0 0:0 1 /"]
        {
            assert_eq!(mapping(none), None, "{none}");
        }
        let key = |dev| CarrierKey { id: 1034, dev, generation: 3 };
        assert!(expected.is_of(&key(s_dev(0, 0x1a))), "the same device");
        assert!(!expected.is_of(&key(s_dev(0, 0x1b))), "another tmpfs has the same numbers");
        assert!(expected.is_of(&key(s_dev(254, 0))), "overlayfs tells a device of its own");
        assert!(!Mapping { dev: (8, 1), ..expected }.is_of(&key(s_dev(254, 0))), "another disk");
    }
}
