//! Which kernels, and where their files come from: Debian's packages, unpacked below `target/vm` and kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{folder, packages};

/// A series of kernels that the agent supports.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) series: &'static str,
    /// Beginnings of the names of the packages that hold it.
    packages: &'static [&'static str],
    /// Hooks of the backend `tracepoint` that it does not offer: their blind spots are part of the product's description.
    /// Of `fentry` those are missing that it shares and has nothing else for.
    missing: &'static [&'static str],
    /// What the backend `tracepoint` does not see that `fentry` sees, by the doctor's table of differences.
    pub(crate) unseen: &'static [&'static str],
}

/// Oldest and newest that the release knows, and the long-term ones between that distributions run.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        series: "5.10",
        packages: &["linux-image-5.10."],
        missing: &["ctime_changed", "core_sent", "delivered", "uring_began", "uring_done", "asked", "answered"],
        unseen: &["tmpfs-cores", "coredump-sockets", "delivery", "io_uring", "libaio", "sendmmsg", "mprotect"],
    },
    Kernel {
        series: "6.1",
        packages: &["linux-image-6.1."],
        missing: &["ctime_changed", "core_sent", "delivered", "uring_done", "asked", "answered"],
        unseen: &["tmpfs-cores", "coredump-sockets", "delivery", "io_uring", "libaio", "sendmmsg", "mprotect"],
    },
    Kernel {
        series: "6.12",
        packages: &["linux-image-6.12."],
        missing: &["ctime_changed", "uring_done"],
        unseen: &["tmpfs-cores", "io_uring", "libaio", "sendmmsg", "mprotect"],
    },
    Kernel {
        series: "7.2",
        packages: &["linux-binary-7.2.", "linux-modules-7.2."],
        missing: &[],
        unseen: &["libaio", "sendmmsg", "mprotect"],
    },
];

/// Hooks that the backend `fentry` takes from `tracepoint`, with nothing in their place.
const SHARED: &[&str] = &["ctime_changed", "asked", "answered"];

impl Kernel {
    /// Hooks that a backend misses.
    pub(crate) fn missing(&self, backend: &str) -> Vec<&'static str> {
        let shared = |hook: &&str| backend == "tracepoint" || SHARED.contains(hook);
        self.missing.iter().copied().filter(shared).collect()
    }
}

/// The small configurations for virtual machines.
const FLAVOUR: &str = "-cloud-amd64";

/// What a guest needs of a kernel.
pub(crate) struct Files {
    pub(crate) release: String,
    pub(crate) image: PathBuf,
    /// The folder that holds the modules of this release.
    pub(crate) modules: PathBuf,
}

/// The newest kernel of a series; with `update` also when one is here.
pub(crate) fn fetch(kernel: &Kernel, update: bool) -> Result<Files> {
    let root = folder()?.join("kernels").join(kernel.series);
    if update || !root.is_dir() {
        packages::unpack(kernel.packages, FLAVOUR, &root)?;
    }
    files(&root).with_context(|| format!("{} holds no whole kernel; --update fetches it again", root.display()))
}

/// A busybox without libraries.
pub(crate) fn busybox(update: bool) -> Result<PathBuf> {
    let root = folder()?.join("busybox");
    if update || !root.is_dir() {
        packages::unpack(&["busybox-static"], "", &root)?;
    }
    let places = ["usr/bin/busybox", "bin/busybox"].map(|place| root.join(place));
    places.into_iter().find(|file| file.is_file()).context("busybox-static holds no busybox")
}

/// Packages before and after the merge of `/lib` into `/usr/lib` place things differently, and so do those of 7.x.
fn files(root: &Path) -> Option<Files> {
    let modules = ["usr/lib/modules", "lib/modules"].map(|place| root.join(place));
    let modules = modules.into_iter().find_map(|place| Some(fs::read_dir(place).ok()?.next()?.ok()?.path()))?;
    let release = modules.file_name()?.to_str()?.to_owned();
    let images = [root.join(format!("boot/vmlinuz-{release}")), modules.join("vmlinuz")];
    let image = images.into_iter().find(|image| image.is_file())?;
    Some(Files { release, image, modules })
}
