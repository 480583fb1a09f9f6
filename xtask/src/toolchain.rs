//! The eBPF toolchain: where it is and how it is called.
//!
//! One file for two programs: `xtask` (setup, check) and `sensor-user/build.rs`, which includes it by path, so both always
//! agree on the compiler. It uses nothing but `std`.
//!
//! A toolchain is a `rustc` that has `core` for `bpfel-unknown-none` (prebuilt, or as source for `-Z build-std`) and a
//! `bpf-linker` of the same LLVM. Looking for it starts processes, so the answer is kept in a stamp under `target/`.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

/// The oldest compiler (minor version of 1.x) that builds the workspace and `aya-ebpf`.
pub(crate) const OLDEST_MINOR: u32 = 95;
/// The target of the in-kernel programs.
pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// Environment variables that override what is found.
pub(crate) const OVERRIDES: [&str; 2] = ["DUMPTRAIL_EBPF_RUSTC", "DUMPTRAIL_BPF_LINKER"];

/// Builds only when compiler, `core` and linker fit together.
const PROOF: &str = r#"#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[unsafe(no_mangle)]
#[unsafe(link_section = "socket")]
extern "C" fn proof() -> i32 { 0 }
"#;

/// Variables of a surrounding cargo that a child cargo may see; every other `CARGO*`, `RUST*` and `DEP_*` is about the
/// parent's build and would change what the child builds.
const INHERITED: [&str; 10] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRY",
    "CARGO_REGISTRIES_",
    "CARGO_TERM_",
    "RUSTUP_HOME",
    "RUSTUP_DIST_SERVER",
    "RUST_BACKTRACE",
];

/// A compiler and a linker that build eBPF together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// The compiler, not a rustup proxy.
    pub(crate) rustc: PathBuf,
    /// The `bpf-linker` of the same LLVM.
    pub(crate) linker: PathBuf,
    /// `core` comes as source and is built with the programs.
    pub(crate) build_std: bool,
}

/// Why there is no toolchain: one line for each place that was looked at.
#[derive(Debug)]
pub(crate) struct Missing(Vec<String>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no toolchain for {TARGET}:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

impl std::error::Error for Missing {}

impl Toolchain {
    /// The stamp's toolchain while its files are unchanged, else the first that is found and proven, which is stamped.
    pub(crate) fn find(root: &Path) -> Result<Self, Missing> {
        if let Some(known) = Self::load(root) {
            return Ok(known);
        }
        let found = Self::discover(root)?;
        found.save(root);
        Ok(found)
    }

    fn discover(root: &Path) -> Result<Self, Missing> {
        let (mut missing, compilers) = (Vec::new(), compilers());
        if compilers.is_empty() {
            missing.push("no compiler: neither /usr/bin/rustc nor rustup's".to_owned());
        }
        for rustc in compilers {
            for linker in linkers(root) {
                match Self::probe(&rustc, linker).and_then(|toolchain| toolchain.prove(root)) {
                    Ok(toolchain) => return Ok(toolchain),
                    Err(why) => missing.push(format!("{}: {why}", rustc.display())),
                }
            }
        }
        if linkers(root).is_empty() {
            missing.push("bpf-linker is not in PATH".to_owned());
        }
        missing.dedup();
        Err(Missing(missing))
    }

    fn probe(rustc: &Path, linker: PathBuf) -> Result<Self, String> {
        let minor = version(rustc).ok_or("does not run")?.minor;
        if minor < OLDEST_MINOR {
            return Err(format!("is 1.{minor}, needs 1.{OLDEST_MINOR}"));
        }
        let sysroot = sysroot(rustc).ok_or("has no sysroot")?;
        let rustlib = sysroot.join("lib/rustlib");
        if rustlib.join(TARGET).join("lib").is_dir() {
            return Ok(Self { rustc: rustc.to_owned(), linker, build_std: false });
        }
        if rustlib.join("src/rust/library/core").is_dir() {
            return Ok(Self { rustc: rustc.to_owned(), linker, build_std: true });
        }
        Err("has neither core for bpf nor its source".to_owned())
    }

    /// Builds a three-line program: a linker of another LLVM is found here and not in the middle of a build. With
    /// `build_std` there is no `core` yet to build it against; then the real build is the proof.
    fn prove(self, root: &Path) -> Result<Self, String> {
        if self.build_std {
            return Ok(self);
        }
        let folder = target_dir(root).join("ebpf-proof");
        let source = folder.join("proof.rs");
        fs::create_dir_all(&folder).and_then(|()| fs::write(&source, PROOF)).map_err(|e| e.to_string())?;
        let mut command = Command::new(&self.rustc);
        clean(&mut command);
        command.args(["--edition", "2024", "--target", TARGET, "-O", "-C", "panic=abort", "-C"]);
        command.arg(format!("linker={}", self.linker.display())).arg("--out-dir").arg(&folder).arg(&source);
        let output = command.env("RUSTC_BOOTSTRAP", "1").output().map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(self);
        }
        let said = String::from_utf8_lossy(&output.stderr).lines().take(4).collect::<Vec<_>>().join(" / ");
        Err(format!("does not build with {}: {said}", self.linker.display()))
    }

    /// A child of `program` (cargo or a cargo subcommand's binary) that compiles for the kernel: nothing of a surrounding
    /// build leaks in, and unstable features are open to this child alone.
    pub(crate) fn child(&self, root: &Path, program: &Path) -> Command {
        let mut command = Command::new(program);
        clean(&mut command);
        let flags = format!("-C debuginfo=2 -C linker={} -C link-arg=--btf", self.linker.display());
        command.current_dir(root).env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags);
        command.env("CARGO_TARGET_DIR", target_dir(root).join("ebpf"));
        // The verifier wants neither the panics nor the split code of the host's release profile.
        command.env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false").env("CARGO_PROFILE_RELEASE_LTO", "fat");
        command
    }

    /// The arguments that every cargo verb on `sensor-ebpf` takes.
    pub(crate) fn arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--package", "sensor-ebpf", "--locked", "--release", "--target", TARGET];
        if self.build_std {
            arguments.extend(["-Z", "build-std=core"]);
        }
        arguments
    }

    fn load(root: &Path) -> Option<Self> {
        let text = fs::read_to_string(stamp(root)).ok()?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let known = Self {
            rustc: value("rustc")?.into(),
            linker: value("linker")?.into(),
            build_std: value("build-std")? == "true",
        };
        (text == known.text()?).then_some(known)
    }

    fn save(&self, root: &Path) {
        // Without a stamp the next caller looks again: slower, not wrong.
        let _ = self.text().map(|text| fs::write(stamp(root), text));
    }

    /// The stamp. It also holds what would change the answer: the overrides, and the ages of both files.
    fn text(&self) -> Option<String> {
        let overrides = OVERRIDES.map(|name| env::var(name).unwrap_or_default()).join(" ");
        Some(format!(
            "rustc={}\nlinker={}\nbuild-std={}\noverrides={overrides}\nages={} {}\n",
            self.rustc.display(),
            self.linker.display(),
            self.build_std,
            age(&self.rustc)?,
            age(&self.linker)?
        ))
    }
}

/// The compiler's minor version and the major version of its LLVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) minor: u32,
    pub(crate) llvm: u32,
}

/// What `rustc -vV` says; none when it does not run.
pub(crate) fn version(rustc: &Path) -> Option<Version> {
    parse_version(&said(Command::new(rustc).arg("-vV"))?)
}

fn parse_version(text: &str) -> Option<Version> {
    let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let minor = field("release: 1.")?.split('.').next()?.parse().ok()?;
    let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
    Some(Version { minor, llvm })
}

/// Where all builds go; the same folder that cargo uses.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// The file that remembers the toolchain.
pub(crate) fn stamp(root: &Path) -> PathBuf {
    target_dir(root).join("ebpf-toolchain")
}

/// Compilers worth asking, best first. The distribution's brings `core` built for the kernel; rustup's builds it.
fn compilers() -> Vec<PathBuf> {
    if let Some(rustc) = env::var_os(OVERRIDES[0]) {
        return vec![rustc.into()];
    }
    let mut all = vec![PathBuf::from("/usr/bin/rustc")];
    for toolchain in ["nightly", "stable"] {
        all.extend(said(Command::new("rustup").args(["which", "--toolchain", toolchain, "rustc"])).map(PathBuf::from));
    }
    all.retain(|rustc| rustc.is_file());
    all
}

/// Every `bpf-linker` there is: the workspace's own first, since setup built it for the compiler it found.
fn linkers(root: &Path) -> Vec<PathBuf> {
    if let Some(linker) = env::var_os(OVERRIDES[1]) {
        return vec![linker.into()];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let mut all: Vec<PathBuf> = [target_dir(root).join("tools/bin")]
        .into_iter()
        .chain(home.map(|home| home.join("bin")))
        .chain(env::split_paths(&path))
        .map(|folder| folder.join("bpf-linker"))
        .filter(|file| file.is_file())
        .collect();
    all.dedup();
    all
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    said(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

fn said(command: &mut Command) -> Option<String> {
    clean(command);
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let parents = name.starts_with("CARGO") || name.starts_with("RUST") || name.starts_with("DEP_");
        let inherited = INHERITED.iter().any(|prefix| name.starts_with(prefix));
        if parents && !inherited || name == "LD_LIBRARY_PATH" {
            command.env_remove(name);
        }
    }
}

fn age(file: &Path) -> Option<u64> {
    let time = fs::metadata(file).and_then(|data| data.modified()).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_versions_of_a_compiler() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nrelease: 1.96.0\nLLVM version: 22.1.8";
        assert_eq!(parse_version(text), Some(Version { minor: 96, llvm: 22 }));
        assert_eq!(parse_version("rustc 1.96.0"), None);
    }

    #[test]
    fn a_stamp_is_void_once_its_files_change() {
        let root = env::temp_dir().join(format!("dumptrail-toolchain-{}", std::process::id()));
        fs::create_dir_all(root.join("target")).unwrap();
        let [rustc, linker] = ["rustc", "bpf-linker"].map(|name| root.join(name));
        for file in [&rustc, &linker] {
            fs::write(file, "x").unwrap();
        }
        let toolchain = Toolchain { rustc, linker: linker.clone(), build_std: true };
        toolchain.save(&root);
        assert_eq!(Toolchain::load(&root), Some(toolchain));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
        fs::File::open(&linker).unwrap().set_modified(later).unwrap();
        assert_eq!(Toolchain::load(&root), None);
        fs::remove_dir_all(root).unwrap();
    }
}
