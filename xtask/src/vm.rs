//! `cargo xtask vm [KERNEL...]`: the agent on kernels that this machine does not run, each in a virtual machine. The
//! answers that only such a kernel can give: does its verifier take the programs, and is the chain of a dump seen.

mod guest;
mod initramfs;
mod kernels;
mod modules;
mod packages;
mod scenario;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cmd;
use crate::image;
use crate::setup;
use crate::stage::{Outcome, run_named};
use guest::Guest;
use initramfs::Initramfs;
use kernels::{KERNELS, Kernel};

/// Runs the agent on other kernels, in virtual machines
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which ones, without the patch level; without: all
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(KERNELS.iter().map(|kernel| kernel.series)))]
    kernels: Vec<String>,
    /// Looks for newer patch levels than those fetched before
    #[arg(long)]
    update: bool,
    /// Added to the command line of the kernels, as `preempt=full`
    #[arg(long, default_value = "")]
    append: String,
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
}

const TOOLS: &[setup::apt::Tool] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mkfs.ext4", "e2fsprogs"),
    ("strip", "binutils"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::ensure(args.yes)?;
    setup::apt::tools(TOOLS, args.yes)?;
    let agent = agent()?;
    let disk = disk()?;
    let chosen = |kernel: &&Kernel| args.kernels.is_empty() || args.kernels.iter().any(|name| name == kernel.series);
    let stages = KERNELS.iter().filter(chosen).map(|kernel| {
        let (agent, disk) = (&agent, &disk);
        (kernel.series, move || one(kernel, agent, disk, args))
    });
    Ok(run_named(stages))
}

fn one(kernel: &Kernel, agent: &Path, disk: &Path, args: &Args) -> Result<Outcome> {
    let (release, said) = boot(kernel, agent, disk, args)?;
    let (costs, outcome) = scenario::judge(kernel, &said)?;
    println!("     {release}: verified instructions {costs}");
    Ok(outcome)
}

/// Long for a kernel that boots in 4 s, so that a busy machine does not fail.
const PATIENCE: Duration = Duration::from_mins(5);

/// The release, and what the guest said.
fn boot(kernel: &Kernel, agent: &Path, disk: &Path, args: &Args) -> Result<(String, String)> {
    let files = kernels::fetch(kernel, args.update)?;
    let busybox = kernels::busybox(args.update)?;
    let mut tree = Initramfs::default();
    for folder in ["bin", "dev", "lib", "lib/modules", "mnt", "proc", "sys", "tmp"] {
        tree.folder(folder);
    }
    tree.file("bin/busybox", 0o755, &fs::read(busybox)?);
    tree.file("bin/dumptrail", 0o755, &fs::read(agent)?);
    tree.file("config.yaml", 0o644, include_bytes!("vm/config.yaml"));
    tree.file("init", 0o755, include_bytes!("vm/init.sh"));
    tree.file("scenario", 0o755, include_bytes!("vm/scenario.sh"));
    let order = modules::pack(&files.modules, &["virtio_pci", "virtio_blk"], &mut tree)?;
    tree.file("lib/modules/order", 0o644, order.join("\n").as_bytes());
    let archive = folder()?.join(format!("{}.cpio", kernel.series));
    fs::write(&archive, tree.end())?;
    let guest = Guest { name: kernel.series, image: &files.image, initramfs: &archive, disk, append: &args.append };
    let said = guest.run(PATIENCE)?;
    Ok((files.release, said))
}

/// The static agent without its debug information, which a guest would only unpack.
fn agent() -> Result<PathBuf> {
    let built = image::static_binary(&image::Profile::Debug)?;
    let agent = folder()?.join("dumptrail");
    cmd::text(Command::new("strip").args(["--strip-debug", "-o"]).arg(&agent).arg(built))?;
    Ok(agent)
}

/// An empty ext4 image. Guests write to a snapshot of it that ends with them.
fn disk() -> Result<PathBuf> {
    let disk = folder()?.join("ext4.img");
    if !disk.is_file() {
        let unfinished = disk.with_extension("new");
        fs::File::create(&unfinished)?.set_len(64 << 20)?;
        let mkfs = cmd::which("mkfs.ext4").context("mkfs.ext4 is gone")?;
        cmd::text(Command::new(mkfs).arg("-q").arg(&unfinished))?;
        fs::rename(unfinished, &disk)?;
    }
    Ok(disk)
}

/// Where all of this is kept.
fn folder() -> Result<PathBuf> {
    let folder = cmd::target().join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
