//! `cargo xtask image`: one static binary, and a container image that holds it and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, elf};

use crate::cmd;
use crate::setup;

/// Builds the static binary, and the container image where a builder is installed
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Stops after the binary
    #[arg(long)]
    binary: bool,
    /// The image's name
    #[arg(long, default_value = "localhost/dumptrail:dev")]
    tag: String,
}

/// How a binary is built.
pub(crate) enum Profile {
    /// Quickly, for guests.
    Debug,
    /// For people.
    Release,
}

/// Builders worth asking, and a question that each answers only when it can build.
const BUILDERS: [(&str, &[&str]); 3] = [("buildah", &["version"]), ("podman", &["info"]), ("docker", &["info"])];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::ensure(false)?;
    let binary = static_binary(&Profile::Release)?;
    println!("binary  {} ({} MiB)", binary.display(), fs::metadata(&binary)?.len() >> 20);
    if args.binary {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(builder) = builder() else {
        println!("image   not built: no buildah, podman or docker that works here; each takes deploy/Containerfile");
        return Ok(ExitCode::SUCCESS);
    };
    let context = stage(&binary)?;
    let mut build = Command::new(builder);
    build.current_dir(cmd::root()).args(["build", "--target", "prebuilt", "--tag", &args.tag]);
    build.args(["--file", "deploy/Containerfile"]).arg(context);
    cmd::quiet("image", &mut build)?;
    println!("image   {} (by {builder})", args.tag);
    Ok(ExitCode::SUCCESS)
}

/// Builds dumptrail so that it needs no file of the system it runs on, and looks whether that came true.
pub(crate) fn static_binary(profile: &Profile) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut build = cmd::cargo("build");
    build.args(["--package", "sensor-user", "--bin", "dumptrail", "--target", &target]);
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    };
    build.args((folder == "release").then_some("--release"));
    cmd::loud(build.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let binary = cmd::target().join(target).join(folder).join("dumptrail");
    ensure!(is_static(&binary)?, "{} wants a dynamic loader", binary.display());
    Ok(binary)
}

/// Whether the kernel can start the program without `ld.so`.
fn is_static(binary: &Path) -> Result<bool> {
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let file = ElfFile64::<Endianness>::parse(bytes.as_slice())?;
    Ok(!file.elf_program_headers().iter().any(|header| header.p_type(file.endian()) == elf::PT_INTERP))
}

/// What the image is built from: the binary, and the certificate authorities that the OTLP exporter trusts.
fn stage(binary: &Path) -> Result<PathBuf> {
    let folder = cmd::target().join("image");
    fs::create_dir_all(&folder)?;
    fs::copy(binary, folder.join("dumptrail"))?;
    let authorities = "/etc/ssl/certs/ca-certificates.crt";
    fs::copy(authorities, folder.join("ca-certificates.crt")).with_context(|| format!("cannot copy {authorities}"))?;
    Ok(folder)
}

fn builder() -> Option<&'static str> {
    let works = |(name, question): &&(&str, &[&str])| {
        cmd::which(name).is_some() && cmd::text(Command::new(name).args(*question)).is_ok()
    };
    BUILDERS.iter().find(works).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_not_static() {
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
    }
}
