//! Debian packages of several releases at once, without root and without touching the system's own lists.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use super::folder;
use crate::cmd;

/// Archive and suite.
const SUITES: &[(&str, &str)] = &[
    ("debian", "bullseye"),
    ("debian-security", "bullseye-security"),
    ("debian", "bookworm"),
    ("debian-security", "bookworm-security"),
    ("debian", "bookworm-backports"),
    ("debian", "sid"),
];
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks the newest package of each name that begins and ends so into `root`, which is replaced.
pub(crate) fn unpack(beginnings: &[&str], ending: &str, root: &Path) -> Result<()> {
    refresh()?;
    let unfinished = root.with_extension("new");
    let downloads = unfinished.join("packages");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&downloads)?;
    for beginning in beginnings {
        let name = newest(&cmd::text(apt("apt-cache")?.args(["pkgnames", beginning]))?, ending)
            .with_context(|| format!("no package {beginning}*{ending}"))?;
        cmd::quiet(&format!("download {name}"), apt("apt-get")?.args(["download", &name]).current_dir(&downloads))?;
    }
    for entry in fs::read_dir(&downloads)? {
        let package = entry?.path();
        cmd::text(Command::new("dpkg").arg("-x").arg(&package).arg(&unfinished))?;
        fs::remove_file(package)?;
    }
    replace(root, &unfinished)
}

fn replace(root: &Path, unfinished: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::rename(unfinished, root).context("cannot put the packages' files in place")
}

/// Unpacks packages of a suite, and all that they need, into `root`, which is replaced. apt's own solver finds what that
/// is; without scripts, and without what only people read.
pub(crate) fn unpack_closure(wanted: &[&str], suite: &str, root: &Path) -> Result<()> {
    refresh()?;
    let unfinished = root.with_extension("new");
    let mut install = apt("apt-get")?;
    // Nothing of the system is locked, since nothing of it is changed.
    install.args(["--option", "Debug::NoLocking=1", "--yes", "--no-install-recommends", "--download-only"]);
    install.arg("--target-release").arg(format!("/^{suite}(-security)?$/")).arg("install").args(wanted);
    cmd::text(apt("apt-get")?.arg("clean"))?;
    cmd::quiet("download the guests' tools", &mut install)?;
    lay_out(&unfinished)?;
    for entry in fs::read_dir(folder()?.join("apt/cache/archives"))? {
        let package = entry?.path();
        if package.extension() == Some(OsStr::new("deb")) {
            cmd::text(Command::new("sh").args(["-c", UNPACK, "sh"]).arg(package).arg(&unfinished))?;
        }
    }
    replace(root, &unfinished)
}

/// `dpkg -x` would put a folder in the place of the link from `bin` to `usr/bin`.
const UNPACK: &str = "dpkg-deb --fsys-tarfile \"$1\" | tar --extract --keep-directory-symlink --directory \"$2\" \\
    --no-same-owner --exclude ./usr/share/doc --exclude ./usr/share/man --exclude ./usr/share/locale";

/// An empty tree in which `/bin` and its like are links into `/usr`.
fn lay_out(root: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    for name in ["bin", "lib", "lib64", "sbin"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
    }
    Ok(())
}

/// Of the names, one a line, the one with the greatest version in it.
fn newest(names: &str, ending: &str) -> Option<String> {
    let fitting = names.lines().filter(|name| name.ends_with(ending));
    fitting.min_by_key(|name| Reverse(numbers(name))).map(str::to_owned)
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// Reads the lists once a run, and only in a run that fetches something.
fn refresh() -> Result<()> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_some() {
        return Ok(());
    }
    ensure!(Path::new(KEYS).is_file(), "{KEYS} is missing: install the package debian-archive-keyring");
    let apt_folder = folder()?.join("apt");
    for place in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt_folder.join(place))?;
    }
    fs::write(apt_folder.join("sources.list"), sources()?)?;
    fs::write(apt_folder.join("apt.conf"), configuration(&apt_folder))?;
    cmd::quiet("apt-get update for guests", apt("apt-get")?.arg("update"))?;
    let _ = DONE.set(());
    Ok(())
}

fn sources() -> Result<String> {
    let mut text = String::new();
    for (archive, suite) in SUITES {
        writeln!(text, "deb [signed-by={KEYS}] http://deb.debian.org/{archive} {suite} main")?;
    }
    Ok(text)
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Dir::Etc::SourceList \"{folder}/sources.list\";\n\
         Dir::Etc::SourceParts \"/nonexistent\";\n\
         Dir::State::Lists \"{folder}/lists\";\n\
         Dir::State::status \"/dev/null\";\n\
         Dir::Cache \"{folder}/cache\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"3\";\n\
         APT::Architecture \"amd64\";\n\
         APT::Sandbox::User \"\";\n"
    )
}

fn apt(program: impl AsRef<OsStr>) -> Result<Command> {
    let mut command = Command::new(program);
    command.env("APT_CONFIG", folder()?.join("apt/apt.conf"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        let names = "linux-image-5.10.0-9-cloud-amd64\nlinux-image-5.10.0-46-cloud-amd64\n\
                     linux-image-5.10.0-47-cloud-amd64-dbg\nlinux-image-5.10.0-47-amd64\n";
        assert_eq!(newest(names, "-cloud-amd64").as_deref(), Some("linux-image-5.10.0-46-cloud-amd64"));
        assert_eq!(newest("", ""), None);
    }
}
