//! Dumps that processes hold open: deleted ones too, and those that never had a name.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::OFlags;

use super::{Bounds, Tables, open_quietly, s_dev_of};
use crate::{
    dump::identity::{self, Look},
    enrich::mounts::Mounts,
    probe::sweep::numbers,
};

/// A dump that some process has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its path as the process sees it; of a deleted file the last one.
    pub path: String,
    /// No name leads to it any more.
    pub deleted: bool,
    /// Device in the kernel's own encoding (`super_block.s_dev`).
    pub dev: u32,
    /// Inode number.
    pub ino: u64,
    /// Size, bytes.
    pub size: u64,
    /// What its bytes tell.
    pub look: Look,
    /// One descriptor that leads to it: `/proc/PID/fd/N` of the first holder.
    pub descriptor: (u32, u32),
    /// Who has it open, ascending.
    pub pids: Vec<u32>,
}

/// The dumps that processes have open, by device and inode. Descriptors on remote and FUSE mounts are not touched: the
/// kernel's own note of a descriptor's mount is asked first.
pub fn held_dumps(proc_root: &Path, bounds: Bounds) -> Vec<Held> {
    let mut sweep = Sweep { proc_root, tables: Tables::new(), seen: BTreeMap::new(), left: bounds.files };
    let mut pids: Vec<u32> = numbers(proc_root).collect();
    pids.sort_unstable();
    for pid in pids {
        // The agent's own look at a dump makes nobody a holder.
        if pid != std::process::id() {
            sweep.process(pid);
        }
    }
    sweep.seen.into_values().flatten().collect()
}

/// Where a descriptor's file lies.
enum Lies {
    /// On a local mount, with this device.
    Mounted(u32),
    /// A memfd: on no mount of any table.
    InMemory,
    /// On a remote or FUSE mount, or one that no table has any more: not to be touched.
    Elsewhere,
}

struct Sweep<'a> {
    proc_root: &'a Path,
    tables: Tables,
    /// By device and inode; none for what is no dump.
    seen: BTreeMap<(u32, u64), Option<Held>>,
    left: usize,
}

impl Sweep<'_> {
    fn process(&mut self, pid: u32) {
        let dir = self.proc_root.join(pid.to_string());
        for fd in numbers(&dir.join("fd")) {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.descriptor(&dir, pid, fd);
        }
    }

    fn descriptor(&mut self, dir: &Path, pid: u32, fd: u32) -> Option<()> {
        let link = dir.join("fd").join(fd.to_string());
        let name = std::fs::read_link(&link).ok()?.to_string_lossy().into_owned();
        if !name.starts_with('/') || name.starts_with("/dev/") || name.starts_with("/proc/") {
            return None;
        }
        let lies = self.lies(dir, fd, &name);
        if matches!(lies, Lies::Elsewhere) {
            return None;
        }
        let meta = std::fs::metadata(&link).ok().filter(std::fs::Metadata::is_file)?;
        let dev = if let Lies::Mounted(dev) = lies { dev } else { s_dev_of(&meta) };
        let known = self.seen.entry((dev, meta.ino())).or_insert_with(|| {
            let file = open_quietly(&link, OFlags::empty()).ok()?;
            let look = identity::look(&file)?;
            let deleted = meta.nlink() == 0;
            let path = name.strip_suffix(" (deleted)").filter(|_| deleted).unwrap_or(&name).to_owned();
            let (ino, size) = (meta.ino(), meta.len());
            Some(Held { path, deleted, dev, ino, size, look, descriptor: (pid, fd), pids: Vec::new() })
        });
        let held = known.as_mut()?;
        if held.pids.last() != Some(&pid) {
            held.pids.push(pid);
        }
        Some(())
    }

    fn lies(&mut self, dir: &Path, fd: u32, name: &str) -> Lies {
        let info = std::fs::read_to_string(dir.join("fdinfo").join(fd.to_string())).unwrap_or_default();
        let id = info.lines().find_map(|l| l.strip_prefix("mnt_id:")?.trim().parse().ok());
        let (Some(id), Some(table)) = (id, self.table(dir)) else { return Lies::Elsewhere };
        match table.by_id(id) {
            Some(mount) if mount.is_remote() => Lies::Elsewhere,
            Some(mount) => Lies::Mounted(mount.dev),
            None if name.starts_with("/memfd:") => Lies::InMemory,
            None => Lies::Elsewhere,
        }
    }

    fn table(&mut self, dir: &Path) -> Option<&Mounts> {
        use std::os::unix::ffi::OsStringExt;
        let namespace = std::fs::read_link(dir.join("ns/mnt")).ok()?.into_os_string().into_vec();
        if !self.tables.contains_key(&namespace) {
            self.tables.insert(namespace.clone(), Mounts::read(&dir.join("mountinfo")).ok()?);
        }
        self.tables.get(&namespace)
    }
}
