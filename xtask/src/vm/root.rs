//! The guests' root file system: an ext4 image of Debian packages with the tools that scenarios use, made without root and
//! kept. Guests write to a snapshot of it that ends with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{folder, packages};
use crate::cmd;

/// The suite whose tools all guests have, whatever their kernel.
const SUITE: &str = "bookworm";
const PACKAGES: &[&str] = &[
    "base-files",
    "bash",
    "busybox-static",
    "coreutils",
    "curl",
    "dash",
    "findutils",
    "grep",
    "gzip",
    "iproute2",
    "logrotate",
    "mount",
    "netcat-openbsd",
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "python3",
    "rsync",
    "sed",
    "socat",
    "tar",
    "util-linux",
];
/// What the cases of the corpus need besides, as far as it is small enough for a guest.
const CORPUS: &[&str] = &[
    "bindfs",
    "binutils",
    "bzip2",
    "diffutils",
    "e2fsprogs",
    "file",
    "fuse3",
    "gcc",
    "gdb",
    "git",
    "haproxy",
    "iptables",
    "libc6-dev",
    "lz4",
    "mawk",
    "openssl",
    "perl",
    "procps",
    "sshfs",
    "tftp-hpa",
    "tftpd-hpa",
    "tinyproxy",
    "vsftpd",
    "wget",
    "xfsprogs",
    "xz-utils",
    "zip",
    "zstd",
];
/// What scripts of the packages would have written.
const FILES: &[(&str, &str)] = &[
    ("etc/group", "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n\
         sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nftp:x:101:65534::/srv/ftp:/usr/sbin/nologin\n\
         nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
    ),
];
const LINKS: &[(&str, &str)] =
    &[("usr/bin/awk", "mawk"), ("usr/bin/nc", "nc.openbsd"), ("usr/sbin/iptables", "xtables-legacy-multi")];
const FOLDERS: &[&str] = &["dev", "opt/guest", "proc", "srv/ftp", "sys"];

/// For one run of all scenarios; holes take no space on the host.
const SIZE: &str = "3G";
/// Named, so that a newer mkfs adds none that Linux 5.10 does not know.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
                        large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// For the scenarios, or for the corpus, which needs more tools and modules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Scenarios,
    Corpus,
}

/// Disks and network of a guest, and what scenarios mount and link; with what they need.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "virtio_net", "fuse", "loop", "overlay", "veth"];
/// What cases of the corpus need besides.
const CORPUS_MODULES: &[&str] = &["iptable_filter", "iptable_nat", "xfs", "xt_REDIRECT", "xt_tcpudp"];

impl Root {
    pub(crate) fn modules(self) -> Vec<&'static str> {
        let more = if self == Self::Corpus { CORPUS_MODULES } else { &[] };
        MODULES.iter().chain(more).copied().collect()
    }

    fn packages(self) -> Vec<&'static str> {
        let more = if self == Self::Corpus { CORPUS } else { &[] };
        PACKAGES.iter().chain(more).copied().collect()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Scenarios => "root",
            Self::Corpus => "corpus",
        }
    }
}

/// The image; made anew when it is not there, when its recipe has changed, and with `update`.
pub(crate) fn image(of: Root, update: bool) -> Result<PathBuf> {
    let (image, packages) = (folder()?.join(of.name()).with_extension("img"), of.packages());
    let (stamp, recipe) =
        (image.with_extension("recipe"), format!("{packages:?} {FILES:?} {LINKS:?} {FOLDERS:?} {SIZE} {FEATURES}"));
    if !update && image.is_file() && fs::read_to_string(&stamp).is_ok_and(|old| old == recipe) {
        return Ok(image);
    }
    let tree = folder()?.join(of.name());
    packages::unpack_closure(&packages, SUITE, &tree)?;
    furnish(&tree)?;
    compile_python(&tree)?;
    ext4(&tree, &image, SIZE)?;
    fs::remove_dir_all(&tree)?;
    fs::write(stamp, recipe)?;
    Ok(image)
}

fn furnish(tree: &Path) -> Result<()> {
    for name in FOLDERS {
        fs::create_dir_all(tree.join(name))?;
    }
    for (name, text) in FILES {
        fs::write(tree.join(name), text)?;
    }
    for (name, target) in LINKS {
        std::os::unix::fs::symlink(target, tree.join(name)).with_context(|| format!("cannot make {name}"))?;
    }
    Ok(())
}

/// Python reads its library compiled: an emulated guest would need seconds for each start. The tree's own interpreter
/// does it, since no other writes what it reads.
fn compile_python(tree: &Path) -> Result<()> {
    let at = |name: &str| tree.join(name);
    let mut command = Command::new(at("usr/lib64/ld-linux-x86-64.so.2"));
    command.env("PYTHONHOME", at("usr")).arg("--library-path").arg(at("usr/lib/x86_64-linux-gnu"));
    command.arg(at("usr/bin/python3")).args(["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s"]);
    cmd::quiet("compile Python's library", command.arg(tree).args(["-p", "/"]).arg(at("usr/lib/python3.11"))).map(drop)
}

/// An ext4 image that holds a folder.
pub(crate) fn ext4(tree: &Path, image: &Path, size: &str) -> Result<()> {
    let unfinished = image.with_extension("new");
    let _ = fs::remove_file(&unfinished);
    let mke2fs = cmd::which("mke2fs").context("mke2fs is gone")?;
    let mut command = Command::new(mke2fs);
    command.args(["-q", "-t", "ext4", "-O", FEATURES, "-E", "root_owner=0:0", "-d"]).arg(tree);
    cmd::text(command.arg(&unfinished).arg(size))?;
    fs::rename(unfinished, image).with_context(|| format!("cannot put {} in place", image.display()))
}
