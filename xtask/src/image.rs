//! `cargo xtask image`: one static binary, and a container image that holds it and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

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

/// Builders worth asking, and a question that each answers only when it can build.
const BUILDERS: [(&str, &[&str]); 3] = [("buildah", &["version"]), ("podman", &["info"]), ("docker", &["info"])];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::ensure(false)?;
    let binary = static_binary()?;
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
fn static_binary() -> Result<PathBuf> {
    let mut build = static_cargo("build", "sensor-user");
    cmd::loud(build.args(["--bin", "dumptrail", "--release"]))?;
    checked(cmd::target().join(target()).join("release/dumptrail"))
}

/// Builds agent and `xtask` in the same way, but quickly, for guests.
pub(crate) fn static_xtask() -> Result<[PathBuf; 2]> {
    for package in ["sensor-user", "xtask"] {
        cmd::loud(static_cargo("build", package).arg("--bins"))?;
    }
    let built = cmd::target().join(target()).join("debug");
    Ok([checked(built.join("dumptrail"))?, checked(built.join("xtask"))?])
}

/// The same for agent and scenarios.
pub(crate) fn static_scenarios() -> Result<(PathBuf, PathBuf)> {
    let mut build = static_cargo("test", "sensor-user");
    build.args(["--test", "scenarios", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output =
        build.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", cmd::shown(&build)))?;
    ensure!(output.status.success(), "{} failed", cmd::shown(&build));
    let messages = String::from_utf8_lossy(&output.stdout);
    let program =
        |name| checked(executable(&messages, name).with_context(|| format!("cargo names no program {name}"))?);
    Ok((program("dumptrail")?, program("scenarios")?))
}

/// A program of this name in cargo's messages, one a line in JSON.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut built = messages.filter(|message| message["target"]["name"] == name);
    built.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn static_cargo(verb: &str, package: &str) -> Command {
    let mut build = cmd::cargo(verb);
    build.env("RUSTFLAGS", "-C target-feature=+crt-static");
    build.args(["--package", package, "--target", &target()]);
    build
}

fn checked(binary: PathBuf) -> Result<PathBuf> {
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
    fn the_program_of_a_name_is_found() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"dumptrail\"},\"executable\":\"/a\"}\n\
                        {\"target\":{\"name\":\"scenarios\"},\"executable\":null}\nno message\n\
                        {\"target\":{\"name\":\"scenarios\"},\"executable\":\"/b\"}";
        assert_eq!(executable(messages, "scenarios"), Some("/b".into()));
        assert_eq!(executable(messages, "otlp"), None);
    }

    #[test]
    fn a_dynamic_program_is_not_static() {
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
    }
}
