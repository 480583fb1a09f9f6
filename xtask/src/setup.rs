//! `cargo xtask setup`: finds the eBPF toolchain or installs it. Every other verb calls [`ensure`] first.

use std::env;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, bail, ensure as check};

use crate::cmd;
use crate::toolchain::{self, OLDEST_MINOR, OVERRIDES, Toolchain};

pub(crate) mod apt;
pub(crate) mod python;

/// The `bpf-linker` that goes with the compilers of [`toolchain`].
const LINKER: &str = "0.13.0";

/// The compiler, `core` for the kernel, its clippy, and its source (for those who read it or build it themselves).
const COMPILER_PACKAGES: [&str; 4] = ["rustc-web", "libstd-rust-web-dev-bpf", "rust-web-clippy", "rust-web-src"];

/// Finds or installs the toolchain of the in-kernel programs
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(elf) = prebuilt() {
        println!("eBPF      prebuilt: {} (DUMPTRAIL_EBPF)", elf.display());
        return Ok(ExitCode::SUCCESS);
    }
    ensure(args.yes)?;
    let Toolchain { rustc, linker, build_std } = Toolchain::find(cmd::root())?;
    println!("compiler  {}", rustc.display());
    println!("core      {}", if build_std { "built from its source with each build" } else { "prebuilt" });
    println!("linker    {}", linker.display());
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that the in-kernel programs can be built. Says nothing and returns within milliseconds when they can.
pub(crate) fn ensure(yes: bool) -> Result<()> {
    if prebuilt().is_some() {
        return Ok(());
    }
    let Err(missing) = Toolchain::find(cmd::root()) else { return Ok(()) };
    if let Some(name) = OVERRIDES.iter().find(|name| env::var_os(name).is_some()) {
        bail!("{missing}\n{name} is set: correct it, or unset it to let setup find or install a toolchain");
    }
    eprintln!("{missing}");
    let installed = Route::choose().and_then(|route| route.install(yes));
    installed
        .and_then(|()| Ok(Toolchain::find(cmd::root()).map(drop)?))
        .map_err(|why| anyhow!("{why:#}\n\n{}", by_hand()))
}

/// An ELF that somebody built elsewhere: then no toolchain is needed.
fn prebuilt() -> Option<PathBuf> {
    env::var_os("DUMPTRAIL_EBPF").map(PathBuf::from)
}

/// Where the compiler comes from.
enum Route {
    /// Debian's security suite: `core` is prebuilt.
    Debian,
    /// rustup's nightly: `core` is built from source.
    Rustup,
}

impl Route {
    fn choose() -> Result<Self> {
        check_cargo()?;
        if apt::here() && apt::refresh().is_ok() && apt::candidate("libstd-rust-web-dev-bpf", OLDEST_MINOR) {
            return Ok(Self::Debian);
        }
        check!(
            cmd::which("rustup").is_some(),
            "this system has neither Debian's rustc-web 1.{OLDEST_MINOR} nor rustup"
        );
        Ok(Self::Rustup)
    }

    fn install(&self, yes: bool) -> Result<()> {
        let (compiler, from) = match self {
            Self::Debian => (COMPILER_PACKAGES.join(" "), "apt-get"),
            Self::Rustup => ("nightly with rust-src".to_owned(), "rustup"),
        };
        let linker = format!("bpf-linker {LINKER} into {}, unless one is here that fits", tools().display());
        confirm(&[format!("{compiler} by {from}"), linker], yes)?;
        let rustc = match self {
            Self::Debian => debian_compiler()?,
            Self::Rustup => rustup_compiler()?,
        };
        if Toolchain::find(cmd::root()).is_ok() {
            return Ok(());
        }
        install_linker(&rustc, matches!(self, Self::Debian))
    }
}

fn debian_compiler() -> Result<PathBuf> {
    apt::install(&COMPILER_PACKAGES)?;
    Ok("/usr/bin/rustc".into())
}

fn rustup_compiler() -> Result<PathBuf> {
    let arguments = ["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src,clippy"];
    cmd::loud(Command::new("rustup").args(arguments))?;
    Ok(cmd::text(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]))?.trim().into())
}

/// `bpf-linker` works on the compiler's bitcode, so it must have the compiler's LLVM.
fn install_linker(rustc: &Path, debian: bool) -> Result<()> {
    let llvm = toolchain::version(rustc).with_context(|| format!("{} does not run", rustc.display()))?.llvm;
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    if debian {
        apt::install(&[&format!("llvm-{llvm}-dev"), &format!("libpolly-{llvm}-dev"), "zlib1g-dev", "libzstd-dev"])?;
    }
    check!(prefix.is_dir(), "bpf-linker needs the development files of LLVM {llvm} in {}", prefix.display());
    let mut install = cmd::cargo("install");
    install.args(["bpf-linker", "--version", LINKER, "--locked", "--no-default-features", "--force", "--features"]);
    install.arg(format!("llvm-{llvm}")).arg("--root").arg(tools()).env("LLVM_PREFIX", prefix);
    cmd::quiet("bpf-linker", &mut install).map(drop)
}

/// Programs that are installed for this workspace alone.
pub(crate) fn tools() -> PathBuf {
    cmd::target().join("tools")
}

/// Asks before anything is installed. Without a terminal root is taken at its word (a CI job), anybody else is not.
pub(crate) fn confirm(what: &[String], yes: bool) -> Result<()> {
    eprintln!("setup will install:");
    for line in what {
        eprintln!("  - {line}");
    }
    if yes || !std::io::stdin().is_terminal() && cmd::is_root() {
        return Ok(());
    }
    check!(std::io::stdin().is_terminal(), "nobody to ask here: run `cargo xtask setup --yes`");
    eprint!("go on? [Y/n] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim().is_empty() || answer.trim().eq_ignore_ascii_case("y") {
        return Ok(());
    }
    bail!("stopped: nothing was installed")
}

fn check_cargo() -> Result<()> {
    let rustc = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let minor = toolchain::version(&rustc).context("rustc does not run")?.minor;
    check!(minor >= OLDEST_MINOR, "rustc is 1.{minor}; the workspace needs 1.{OLDEST_MINOR}: rustup update stable");
    Ok(())
}

/// What a person does where setup cannot.
fn by_hand() -> String {
    let sudo = if cmd::is_root() { "" } else { "sudo " };
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let system = name.map_or("this system", |name| name.trim_matches('"'));
    format!(
        "setup cannot install the eBPF toolchain on {system}. One of these does it by hand:
  Debian 12 or newer, with its security suite:
    {sudo}apt-get update && {sudo}apt-get install {}
    {sudo}apt-get install llvm-22-dev libpolly-22-dev     (the LLVM that `/usr/bin/rustc -vV` names)
    LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version {LINKER} --no-default-features --features llvm-22
  with rustup:
    rustup toolchain install nightly --component rust-src
    and a bpf-linker {LINKER} of nightly's LLVM: https://github.com/aya-rs/bpf-linker#installation
  another compiler or linker:  {}=... {}=...
  without any toolchain:       DUMPTRAIL_EBPF=/path/to/the/elf/of/a/release
then run `cargo xtask setup` again",
        COMPILER_PACKAGES.join(" "),
        OVERRIDES[0],
        OVERRIDES[1],
    )
}
