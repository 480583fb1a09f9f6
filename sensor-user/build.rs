//! Builds the in-kernel programs (`sensor-ebpf`) and hands their ELF to the agent, which embeds it.
//!
//! The ELF is the same for every profile of the agent, so it has one target folder of its own. `DUMPTRAIL_EBPF` names an
//! ELF that was built elsewhere; then no eBPF toolchain is needed.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

use toolchain::{OVERRIDES, TARGET, Toolchain, stamp, target_dir};

/// Whatever the ELF depends on, from the workspace's root: a layout in `sensor-abi` that changes without a new ELF would
/// give an agent and programs that disagree in silence.
const SOURCES: [&str; 5] = ["sensor-ebpf", "sensor-abi", "Cargo.toml", "Cargo.lock", "xtask/src/toolchain.rs"];

fn main() -> ExitCode {
    match elf().and_then(|elf| hand_over(&elf)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Into this script's own folder, which cargo names anew when a target folder was copied from another clone.
fn hand_over(elf: &Path) -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not name a folder")?);
    let whole = fs::read(elf).map_err(|e| format!("{}: {e}", elf.display()))?;
    let lean = without_debug(&whole).map_err(|e| format!("{}: {e}", elf.display()))?;
    Ok(fs::write(out.join("sensor-ebpf"), lean)?)
}

/// The linker makes BTF of DWARF; nobody reads the DWARF after that, and it is four fifths of the file, which the agent
/// holds in memory while it loads.
fn without_debug(elf: &[u8]) -> Result<Vec<u8>, object::build::Error> {
    let mut builder = object::build::elf::Builder::read(elf)?;
    for section in &mut builder.sections {
        let name = section.name.to_string();
        section.delete = name.starts_with(".debug_") || name.starts_with(".rel.debug_");
    }
    builder.delete_orphans();
    // LLVM keeps names of sections and symbols in one table; this library wants two.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    (names.sh_type, names.sh_addralign) = (object::elf::SHT_STRTAB, 1);
    names.data = object::build::elf::SectionData::SectionString;
    let mut lean = Vec::new();
    builder.write(&mut lean)?;
    Ok(lean)
}

fn elf() -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=DUMPTRAIL_EBPF");
    if let Some(elf) = env::var_os("DUMPTRAIL_EBPF") {
        let elf = PathBuf::from(elf).canonicalize().map_err(|e| format!("DUMPTRAIL_EBPF: {e}"))?;
        println!("cargo::rerun-if-changed={}", elf.display());
        return Ok(elf);
    }
    // Asked now, not when this was compiled: a target folder may have been copied from another clone.
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo did not name the package")?);
    let root = here.parent().ok_or("sensor-user lies in the workspace")?;
    watch(root);
    let toolchain = Toolchain::find(root).map_err(|e| format!("{e}\nrun `cargo xtask setup`: it installs one"))?;
    build(root, &toolchain)
}

fn watch(root: &Path) {
    // Relative to the package, for the same reason.
    for source in SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
    }
    for name in OVERRIDES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // Only while it exists: cargo takes a missing file for a changed one, every time.
    if stamp(root).is_file() {
        println!("cargo::rerun-if-changed={}", stamp(root).display());
    }
}

fn build(root: &Path, toolchain: &Toolchain) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").ok_or("cargo did not name itself")?;
    let mut command = toolchain.child(root, Path::new(&cargo));
    command.args(["build", "--quiet"]).args(toolchain.arguments());
    let output = command.output().map_err(|e| format!("cannot start {}: {e}", shown(&command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the in-kernel programs do not build:\n{said}").into());
    }
    Ok(target_dir(root).join("ebpf").join(TARGET).join("release/sensor-ebpf"))
}

fn shown(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
