//! Finding who holds a carrier that was marked while the flow hooks did not stand: what moved in between was not seen.
//! Reads /proc on a worker thread; about 0.1 ms a process.

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

/// Processes that may have bytes of these in memory, as (dump, pid): they have one open for reading and have moved on in
/// it, or have it mapped. Of a pipe every reader counts, since a pipe has no position.
pub fn holders(proc_root: &Path, wanted: &[Wanted], own: u32) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    for (n, pid) in numbers(proc_root).filter(|pid| *pid != own).enumerate() {
        if n % SLICE == SLICE - 1 {
            std::thread::yield_now();
        }
        let process = proc_root.join(pid.to_string());
        let of_others: Vec<Wanted> = wanted.iter().filter(|w| w.writer != pid).copied().collect();
        found.extend(reads(&process, &of_others).chain(maps(&process, &of_others)).map(|dump| (dump, pid)));
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

/// `address perms offset major:minor inode path`
fn maps<'a>(process: &Path, wanted: &'a [Wanted]) -> impl Iterator<Item = u64> + use<'a> {
    let text = fs::read_to_string(process.join("maps")).unwrap_or_default();
    let inodes: Vec<u64> =
        text.lines().filter_map(|l| l.split_ascii_whitespace().nth(4)?.parse().ok()).filter(|n| *n != 0).collect();
    wanted.iter().filter(move |w| !w.pipe && inodes.contains(&w.key.id)).map(|w| w.dump)
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
        assert!(!holders(Path::new("/proc"), &wanted, 0).contains(&(7, me)));
        file.read_exact(&mut [0; 2]).unwrap();
        assert!(holders(Path::new("/proc"), &wanted, 0).contains(&(7, me)));
        assert!(!holders(Path::new("/proc"), &wanted, me).contains(&(7, me)));
        let own = [Wanted { writer: me, ..wanted[0] }];
        assert!(!holders(Path::new("/proc"), &own, 0).contains(&(7, me)), "who wrote it has not read it");
    }
}
