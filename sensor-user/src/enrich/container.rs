//! Which container and which pod a cgroup path names.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::watch::Folders;

/// What a cgroup path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Container id: 64 hex digits, or as the runtime names it.
    pub id: Option<String>,
    /// Pod uid: dashed, or the 32 hex digits of a static pod.
    pub pod_uid: Option<String>,
}

/// Prefixes that runtimes put before the id of a systemd scope.
const SCOPES: &[&str] = &["cri-containerd-", "crio-", "docker-", "libpod-", "nerdctl-", "containerd-"];

/// Reads container id and pod uid out of a cgroup path. The innermost container wins (kind runs a node in a container).
pub fn parse(cgroup: &str) -> Container {
    let mut found = Container::default();
    for segment in cgroup.split('/').filter(|s| !s.is_empty()) {
        // `<slice>:cri-containerd:<id>`: containerd's systemd driver shape under a cgroupfs-like path.
        for part in segment.split(':') {
            if let Some(uid) = pod_uid(part) {
                // A pod inside what looked like a container: that one was the node.
                found = Container { id: None, pod_uid: Some(uid) };
            } else if let Some(id) = container_id(part) {
                found.id = Some(id);
            }
        }
    }
    found
}

/// The container of `/proc/PID/cgroup`: the v2 line first, then, on hybrid hosts, any v1 line.
pub fn of_process(cgroup_file: &str) -> Container {
    let paths = |v2: bool| {
        let lines = cgroup_file.lines().filter_map(|l| l.splitn(3, ':').nth(2).map(|p| (l.starts_with("0::"), p)));
        lines.filter(move |(is_v2, _)| *is_v2 == v2).map(|(_, path)| parse(path))
    };
    paths(true).chain(paths(false)).find(|c| c.id.is_some() || c.pod_uid.is_some()).unwrap_or_default()
}

/// The cgroup v2 path of `/proc/PID/cgroup`; none when it is told from inside a cgroup namespace (`/../x`), where it
/// is not the host's.
pub fn v2_path(cgroup_file: &str) -> Option<&str> {
    let path = cgroup_file.lines().find_map(|l| l.strip_prefix("0::")).filter(|p| !p.starts_with("/.."))?;
    Some(path.strip_suffix(" (deleted)").unwrap_or(path))
}

fn container_id(segment: &str) -> Option<String> {
    // The monitor of a container is not in it.
    if segment.starts_with("crio-conmon-") || segment.starts_with("libpod-conmon-") {
        return None;
    }
    if let Some(name) = segment.strip_prefix("lxc.payload.") {
        return Some(name.to_owned());
    }
    let name = segment.strip_suffix(".scope").unwrap_or(segment);
    let id = SCOPES.iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name);
    is_hex(id, 64).then(|| id.to_owned())
}

/// `pod<uid>` or `kubepods-burstable-pod<uid>.slice`; systemd turns the dashes of the uid into underscores.
fn pod_uid(segment: &str) -> Option<String> {
    let name = segment.strip_suffix(".slice").unwrap_or(segment);
    let uid = match name.strip_prefix("pod") {
        Some(uid) => uid,
        None => name.rsplit_once("-pod").filter(|(slice, _)| slice.contains("kubepods"))?.1,
    };
    let uid = uid.replace('_', "-");
    (is_uuid(&uid) || is_hex(&uid, 32)).then_some(uid)
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_uuid(text: &str) -> bool {
    let lens = [8, 4, 4, 4, 12];
    text.split('-').count() == lens.len() && text.split('-').zip(lens).all(|(part, len)| is_hex(part, len))
}

/// Longest a walk may go on: far above the busiest node.
const MAX_CGROUPS: usize = 50_000;
/// A miss walks the tree again at most this often.
const WALK_EVERY: Duration = Duration::from_secs(2);

/// Paths by cgroup v2 id (the inode number of its directory): what is left when the process itself is gone.
#[derive(Debug)]
pub struct Cgroups {
    mount: Option<PathBuf>,
    paths: HashMap<u64, String>,
    walked: Option<Instant>,
    /// Those whose children are told, for who follows all of them.
    folders: Option<Folders>,
}

impl Cgroups {
    /// A cache over the cgroup v2 file system mounted at `mount`; none on a host without one.
    pub fn new(mount: Option<PathBuf>) -> Self {
        Self { mount, paths: HashMap::new(), walked: None, folders: None }
    }

    /// Finds the mount in a mount table: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` on hybrid hosts. To a reader in a
    /// cgroup namespace of its own the root is `/..` and so on: what lies above its own.
    pub fn find(mounts: &super::mounts::Mounts) -> Self {
        let is_whole = |root: &str| root.split('/').all(|part| part.is_empty() || part == "..");
        let whole = mounts.iter().find(|m| m.fstype == "cgroup2" && is_whole(&m.root));
        Self::new(whole.map(|m| mounts.here(&m.mount_point)))
    }

    /// The path of a cgroup below the mount, with a leading slash. Paths of dead cgroups are kept until the next walk.
    pub fn path(&mut self, id: u64) -> Option<&str> {
        let due = self.walked.is_none_or(|at| at.elapsed() >= WALK_EVERY);
        if !self.paths.contains_key(&id) && due {
            self.walk();
        }
        self.paths.get(&id).map(String::as_str)
    }

    /// All of them that are there now, id and path, when some have come or gone since the last call.
    pub fn changes(&mut self) -> Option<Vec<(u64, String)>> {
        if self.folders.as_mut().is_some_and(|folders| !folders.changed()) {
            return None;
        }
        self.folders.get_or_insert_default();
        self.walk();
        Some(self.paths.iter().map(|(id, path)| (*id, path.clone())).collect())
    }

    fn walk(&mut self) {
        self.walked = Some(Instant::now());
        let Some(root) = self.mount.clone() else { return };
        self.paths.clear();
        let mut open = vec![root.clone()];
        while let Some(dir) = open.pop().filter(|_| self.paths.len() < MAX_CGROUPS) {
            let Ok(meta) = std::fs::symlink_metadata(&dir) else { continue };
            self.paths.insert(meta.ino(), below(&root, &dir));
            if let Some(folders) = &mut self.folders {
                folders.add(&dir);
            }
            open.extend(children(&dir));
        }
    }
}

fn below(root: &Path, dir: &Path) -> String {
    format!("/{}", dir.strip_prefix(root).unwrap_or(dir).display())
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const NODE: &str = "ffffffffffffffff0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "2a5c8e1e-0f0b-4a7c-9c55-6c1a1b2c3d4e";
    const STATIC: &str = "8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e";

    /// (shape, container, pod); `ID`, `NODE`, `UID`, `UNDER` and `STATIC` stand for the values.
    const SHAPES: &[(&str, bool, Option<&str>)] = &[
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDER.slice/cri-containerd-ID.scope",
            true,
            Some(UID),
        ),
        ("/kubepods.slice/kubepods-podUNDER.slice/cri-containerd-ID.scope", true, Some(UID)),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDER.slice/crio-ID.scope", true, Some(UID)),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDER.slice/crio-ID.scope/container",
            true,
            Some(UID),
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDER.slice/crio-conmon-ID.scope",
            false,
            Some(UID),
        ),
        ("/system.slice/docker-ID.scope", true, None),
        ("/docker/ID", true, None),
        ("/machine.slice/libpod-ID.scope", true, None),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", true, None),
        ("/machine.slice/libpod-conmon-ID.scope", false, None),
        ("/kubepods/besteffort/podUID/ID", true, Some(UID)),
        ("/kubepods/podUID/ID", true, Some(UID)),
        (
            "/docker/NODE/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podUNDER.slice/cri-containerd-ID.scope",
            true,
            Some(UID),
        ),
        ("/docker/NODE/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUNDER.slice", false, Some(UID)),
        ("/kubepods/burstable/podSTATIC/ID", true, Some(STATIC)),
        ("/system.slice/containerd.service/kubepods-burstable-podUNDER.slice:cri-containerd:ID", true, Some(UID)),
        ("/libpod_parent/libpod-ID", true, None),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDER.slice/cri-containerd-ID.scope/init.scope",
            true,
            Some(UID),
        ),
        ("/", false, None),
        ("/system.slice/sshd.service", false, None),
        ("/memory/process_api/fe8c1c218e76f17be5a4a3fae4dc4f23", false, None),
        ("/podman", false, None),
        ("/user.slice/my-podUID", false, None),
    ];

    #[test]
    fn every_shape_of_every_runtime() {
        for (shape, has_id, pod) in SHAPES {
            let path = shape
                .replace("STATIC", STATIC)
                .replace("UNDER", &UID.replace('-', "_"))
                .replace("UID", UID)
                .replace("NODE", NODE)
                .replace("ID", ID);
            let expected = Container { id: has_id.then(|| ID.to_owned()), pod_uid: pod.map(ToOwned::to_owned) };
            assert_eq!(parse(&path), expected, "{path}");
        }
    }

    #[test]
    fn lxc_names_its_containers() {
        assert_eq!(parse("/lxc.payload.web1/system.slice/x.service").id.as_deref(), Some("web1"));
    }

    #[test]
    fn a_hybrid_host_tells_by_a_v1_line() {
        let file = format!("5:memory:/docker/{ID}\n1:name=systemd:/x\n0::/\n");
        assert_eq!(of_process(&file).id.as_deref(), Some(ID));
        assert_eq!(v2_path(&file), Some("/"));
        assert_eq!(v2_path("0::/gone (deleted)\n"), Some("/gone"));
        assert_eq!(v2_path("1:cpu:/x\n"), None);
    }

    #[test]
    fn a_cgroup_is_found_by_its_id() {
        let mounts = super::super::mounts::Mounts::read(Path::new("/proc/self/mountinfo")).unwrap();
        let mut cgroups = Cgroups::find(&mounts);
        let Some(mount) = cgroups.mount.clone() else {
            eprintln!("SKIPPED: this host has no cgroup v2 mount");
            return;
        };
        let root = std::fs::metadata(&mount).unwrap().ino();
        assert_eq!(cgroups.path(root), Some("/"));
        let made = tempfile::Builder::new().prefix("dumptrail-test-").tempdir_in(&mount);
        let Ok(made) = made else {
            eprintln!("SKIPPED: cgroups cannot be made here");
            return;
        };
        let id = std::fs::metadata(made.path()).unwrap().ino();
        assert_eq!(cgroups.path(id), None, "walked a moment ago");
        cgroups.walked = None;
        let path = cgroups.path(id).unwrap().to_owned();
        std::fs::remove_dir(made.path()).unwrap();
        assert_eq!(path, format!("/{}", made.path().file_name().unwrap().to_str().unwrap()));
    }

    #[test]
    fn the_tree_is_read_when_it_has_changed() {
        let mounts = super::super::mounts::Mounts::read(Path::new("/proc/self/mountinfo")).unwrap();
        let mut cgroups = Cgroups::find(&mounts);
        let made = cgroups.mount.clone().map(|at| tempfile::Builder::new().prefix("dumptrail-test-").tempdir_in(at));
        let Some(Ok(made)) = made else {
            eprintln!("SKIPPED: cgroups cannot be made here");
            return;
        };
        // Others make cgroups as well: there is a moment when nobody does.
        let quiet = |cgroups: &mut Cgroups| (0..100).any(|_| cgroups.changes().is_none());
        assert!(cgroups.changes().is_some() && quiet(&mut cgroups), "nothing has changed");
        let deep = made.path().join("a/b");
        let path = |dir: &Path| format!("/{}", dir.strip_prefix(cgroups.mount.as_ref().unwrap()).unwrap().display());
        let (wanted, outer) = (path(&deep), made.path().join("a"));
        std::fs::create_dir_all(&deep).unwrap();
        let has = |all: &[(u64, String)]| all.iter().any(|(_, path)| *path == wanted);
        assert!(cgroups.changes().is_some_and(|all| has(&all)), "{wanted} is new");
        quiet(&mut cgroups);
        std::fs::remove_dir(&deep).unwrap();
        assert!(cgroups.changes().is_some_and(|all| !has(&all)), "{wanted} is gone");
        std::fs::remove_dir(outer).unwrap();
        std::fs::remove_dir(made.path()).unwrap();
    }

    #[test]
    fn without_a_mount_nothing_is_known() {
        assert_eq!(Cgroups::new(None).path(1), None);
    }
}
