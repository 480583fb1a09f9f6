//! The mount table: which mount a path or a device belongs to, and which mounts must never be touched.
//!
//! A FUSE daemon or a file server may be stopped, traced or gone; whoever opens a path there can hang with it. So the
//! agent asks this table first and leaves such mounts alone.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
pub use sensor_abi::key::s_dev;
use thiserror::Error;

/// Why the mount table could not be read.
#[derive(Debug, Error)]
#[error("reading the mount table {path}")]
pub struct MountError {
    path: PathBuf,
    source: io::Error,
}

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Mount id: what statx(2) and fdinfo report.
    pub id: u64,
    /// Mount id of the parent.
    pub parent: u64,
    /// Device in the kernel's own encoding, as `super_block.s_dev`: see [`s_dev`].
    pub dev: u32,
    /// Which directory of the file system is mounted.
    pub root: String,
    /// Where.
    pub mount_point: String,
    /// Type of the file system.
    pub fstype: String,
    /// What is mounted: a device, `server:/export`, or a word.
    pub source: String,
}

impl Mount {
    /// True when touching a path there may hang or reach the network.
    pub fn is_remote(&self) -> bool {
        is_remote(&self.fstype)
    }
}

/// The mounts of one mount namespace, in the order of mounting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    all: Vec<Mount>,
    /// Where the namespace's root can be reached from here; empty for this process's own.
    root: PathBuf,
}

/// The root and the mounts of pid 1.
const INIT: &str = "/proc/1";

/// A mount table that is looked at for changes, without reading it.
pub struct Watch(Option<std::fs::File>);

impl Watch {
    /// Of the mounts that [`Mounts::of_host`] reads.
    pub fn of_host() -> Self {
        let host = is_apart(Path::new(INIT)).then(|| std::fs::File::open(Path::new(INIT).join("mountinfo")).ok());
        Self(host.flatten().or_else(|| std::fs::File::open("/proc/self/mountinfo").ok()))
    }

    /// Whether something was mounted or unmounted since the last call; true when it cannot be told. The kernel says so
    /// once to each open file (fs/proc_namespace.c, `mounts_poll`, 5.10 to 7.2).
    pub fn changed(&mut self) -> bool {
        let Some(file) = &self.0 else { return true };
        let mut fds = [PollFd::new(file, PollFlags::PRI)];
        !poll(&mut fds, Some(&Timespec::default())).is_ok_and(|n| n == 0)
    }
}

impl Mounts {
    /// The host's mounts. In a unit with private folders or in a pod this process sees others than the host's processes
    /// do, so those of pid 1 are read, if it may be looked at; else this process's own.
    pub fn of_host() -> Self {
        let own = || Self::read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
        if !is_apart(Path::new(INIT)) {
            return own();
        }
        let host = Self::read(&Path::new(INIT).join("mountinfo"));
        host.map_or_else(|_| own(), |host| Self { root: Path::new(INIT).join("root"), ..host })
    }

    /// Where an absolute path of this namespace can be opened from here. Its links must be resolved already: they would
    /// lead into this process's own root.
    pub fn here(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match path.strip_prefix("/") {
            Ok(below) if !self.root.as_os_str().is_empty() => self.root.join(below),
            _ => path.to_owned(),
        }
    }

    /// Reads a mountinfo file, such as `/proc/self/mountinfo`.
    pub fn read(path: &Path) -> Result<Self, MountError> {
        let text = std::fs::read(path).map_err(|source| MountError { path: path.to_owned(), source })?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// Parses the text of a mountinfo file. Lines that make no sense are left out.
    pub fn parse(text: &str) -> Self {
        Self { all: text.lines().filter_map(parse_line).collect(), root: PathBuf::new() }
    }

    /// All mounts.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.all.iter()
    }

    /// The mount with this id.
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.all.iter().find(|m| m.id == id)
    }

    /// The mount that an absolute, resolved path lies on: the longest mount point, the last one mounted there.
    pub fn of_path(&self, path: &str) -> Option<&Mount> {
        let fits = self.all.iter().filter(|m| strip_dir(path, &m.mount_point).is_some());
        fits.max_by_key(|m| m.mount_point.len())
    }

    /// The mounts of the file system on this device ([`s_dev`] encoding).
    pub fn of_dev(&self, dev: u32) -> impl Iterator<Item = &Mount> {
        self.all.iter().filter(move |m| m.dev == dev)
    }

    /// A mount point of the file system on this device that no later mount hides.
    pub fn entrance(&self, dev: u32) -> Option<PathBuf> {
        self.of_dev(dev).find(|m| self.is_on(&m.mount_point, m)).map(|m| self.here(&m.mount_point))
    }

    /// True when this path lies on this mount, and no later one hides it.
    fn is_on(&self, path: &str, mount: &Mount) -> bool {
        self.of_path(path).is_some_and(|seen| seen.id == mount.id)
    }

    /// The type of the file system on this device ([`s_dev`] encoding).
    pub fn fstype(&self, dev: u32) -> Option<&str> {
        self.of_dev(dev).next().map(|m| m.fstype.as_str())
    }

    /// A path on this host for a path within the file system on `dev`: through the shortest mount point whose root is a
    /// prefix and which no later mount hides.
    pub fn host_path(&self, dev: u32, path_in_fs: &str) -> Option<String> {
        let paths = self.of_dev(dev).filter_map(|m| {
            let path = join(&m.mount_point, strip_dir(path_in_fs, &m.root)?);
            self.is_on(&path, m).then_some((m.mount_point.len(), path))
        });
        paths.min().map(|(_, path)| path)
    }
}

/// True when the process of this /proc folder has another mount namespace than this one, and its root can be reached.
fn is_apart(process: &Path) -> bool {
    let namespace = |process: &Path| std::fs::read_link(process.join("ns/mnt")).ok();
    let (own, other) = (namespace(Path::new("/proc/self")), namespace(process));
    own.zip(other).is_some_and(|(own, other)| own != other) && process.join("root/proc").is_dir()
}

/// `36 35 98:0 /root /mnt opts tags... - type source superopts`
fn parse_line(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    let id = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let (major, minor) = words.next()?.split_once(':')?;
    let dev = s_dev(major.parse().ok()?, minor.parse().ok()?);
    let root = unescape(words.next()?);
    let mount_point = unescape(words.next()?);
    let mut after = words.skip_while(|w| *w != "-").skip(1);
    let fstype = unescape(after.next()?);
    let source = unescape(after.next().unwrap_or_default());
    Some(Mount { id, parent, dev, root, mount_point, fstype, source })
}

/// Undoes the kernel's `\ooo` for space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal {
            Some(byte) if first == b'\\' => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What is left of `path` below the directory `dir`: empty, or with a leading slash.
fn strip_dir<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(dir.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn join(dir: &str, rest: &str) -> String {
    let joined = format!("{}{rest}", dir.trim_end_matches('/'));
    if joined.is_empty() { "/".to_owned() } else { joined }
}

/// File systems that a daemon, a server or a hypervisor answers for; autofs, because a look there mounts.
const REMOTE: &[&str] = &[
    "9p", "acfs", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "gfs2", "gpfs", "kafs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs",
];

/// True for FUSE and network file systems, by the type in mountinfo.
pub fn is_remote(fstype: &str) -> bool {
    REMOTE.contains(&fstype) || fstype == "fuse" || fstype == "fuseblk" || fstype.starts_with("fuse.")
}

/// The same file systems by `super_block.s_magic` (statfs(2) `f_type`).
const REMOTE_MAGIC: &[(u32, &str)] = &[
    (0x6573_5546, "fuse"),
    (0x6969, "nfs"),
    (0x517b, "smbfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb3"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "kafs"),
    (0x7375_7245, "coda"),
    (0x7461_636f, "ocfs2"),
    (0x0116_1970, "gfs2"),
    (0x0187, "autofs"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x564c, "ncpfs"),
    (0x2003_0528, "orangefs"),
    (0xaad7_aaea, "panfs"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
    (0x1983_0326, "beegfs"),
];

/// True for FUSE and network file systems, by `s_magic`: what a kernel record carries.
pub fn is_remote_magic(magic: u64) -> bool {
    REMOTE_MAGIC.iter().any(|(m, _)| u64::from(*m) == magic & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const TABLE: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 254:0 /srv/data /mnt/a\\040b rw - ext4 /dev/vda rw
31 27 8:1 / /var rw master:2 propagate_from:1 - xfs /dev/sda1 rw
32 31 8:1 /crash /var/crash rw - xfs /dev/sda1 rw
33 27 0:50 / /mnt/nfs rw - nfs4 filer:/x rw
34 27 0:51 / /mnt/sshfs rw - fuse.sshfs user@host: rw
not a line
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn table() -> Mounts {
        Mounts::parse(TABLE)
    }

    #[test]
    fn parses_optional_tags_and_escapes_and_skips_nonsense() {
        assert_eq!(table().iter().count(), 8);
        let mount = table().by_id(30).cloned().unwrap();
        assert_eq!(mount.mount_point, "/mnt/a b");
        assert_eq!((mount.root.as_str(), mount.dev, mount.fstype.as_str()), ("/srv/data", 254 << 20, "ext4"));
        assert_eq!(table().by_id(31).unwrap().source, "/dev/sda1");
        assert_eq!(unescape("a\\134b\\0"), "a\\b\\0");
    }

    #[test]
    fn the_longest_mount_point_wins_and_only_whole_names_count() {
        let t = table();
        assert_eq!(t.of_path("/var/crash/core").unwrap().id, 32);
        assert_eq!(t.of_path("/var/crash2/core").unwrap().id, 31);
        assert_eq!(t.of_path("/variable").unwrap().id, 27);
        assert_eq!(t.of_path("/").unwrap().id, 27);
        assert!(t.of_path("relative").is_none());
    }

    #[test]
    fn the_last_mount_over_a_point_wins() {
        let t = Mounts::parse("1 0 8:1 / /a rw - ext4 x rw\n2 0 8:2 / /a rw - xfs y rw\n");
        assert_eq!(t.of_path("/a/f").unwrap().id, 2);
        assert_eq!(t.host_path(s_dev(8, 1), "/f"), None, "hidden by the second mount");
    }

    #[test]
    fn a_path_in_a_file_system_becomes_a_host_path() {
        let t = table();
        assert_eq!(t.host_path(s_dev(254, 0), "/srv/data/core").as_deref(), Some("/srv/data/core"));
        assert_eq!(t.host_path(s_dev(8, 1), "/crash/core").as_deref(), Some("/var/crash/core"));
        assert_eq!(t.host_path(s_dev(8, 1), "/lib/x").as_deref(), Some("/var/lib/x"));
        assert_eq!(t.host_path(s_dev(9, 9), "/x"), None);
    }

    #[test]
    fn a_subtree_mount_alone_still_resolves() {
        let t = Mounts::parse("5 1 8:3 /vol/pod1 /data rw - ext4 /dev/sdb rw\n");
        assert_eq!(t.host_path(s_dev(8, 3), "/vol/pod1/core").as_deref(), Some("/data/core"));
        assert_eq!(t.host_path(s_dev(8, 3), "/vol/pod2/core"), None);
        assert_eq!(t.host_path(s_dev(8, 3), "/vol/pod1").as_deref(), Some("/data"));
    }

    #[test]
    fn remote_by_type_and_by_magic() {
        let t = table();
        assert!(t.of_path("/mnt/nfs/core").unwrap().is_remote() && t.of_path("/mnt/sshfs/x").unwrap().is_remote());
        assert!(!is_remote("ext4") && !is_remote("fusectl") && !is_remote("overlay") && !is_remote("tmpfs"));
        assert!(is_remote("fuseblk") && is_remote("autofs"));
        assert!(is_remote_magic(0x6573_5546) && is_remote_magic(0xffff_ffff_ff53_4d42));
        assert!(!is_remote_magic(0xef53) && !is_remote_magic(0x0102_1994));
    }

    #[test]
    fn paths_of_another_namespace_lead_through_its_root() {
        let host = Mounts { root: "/proc/1/root".into(), ..table() };
        assert_eq!(host.here("/var/crash/core"), Path::new("/proc/1/root/var/crash/core"));
        assert_eq!(host.here("/"), Path::new("/proc/1/root/"));
        assert_eq!(table().here("/var/crash/core"), Path::new("/var/crash/core"));
        assert!(!is_apart(Path::new("/proc/self")) && !is_apart(Path::new("/proc/0")));
    }

    #[test]
    fn a_mount_is_told_once() {
        let mut watch = Watch::of_host();
        assert!(!watch.changed());
        let dir = tempfile::tempdir().unwrap();
        let run = |command: &mut Command| assert!(command.arg(dir.path()).status().unwrap().success());
        run(Command::new("mount").args(["-t", "tmpfs", "none"]));
        let changed = [watch.changed(), watch.changed()];
        run(&mut Command::new("umount"));
        assert_eq!((changed, watch.changed()), ([true, false], true));
    }

    #[test]
    fn this_host_has_a_root() {
        let mounts = Mounts::of_host();
        let root = mounts.of_path("/").unwrap();
        assert_eq!(root.mount_point, "/");
        assert_eq!(mounts.host_path(root.dev, &root.root).as_deref(), Some("/"));
    }
}
