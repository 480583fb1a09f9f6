//! Running other programs: every verb goes through these few functions, so failures read the same everywhere.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::toolchain;

/// The workspace: where cargo says that this package is now, since a target folder out of a cache may have been compiled
/// elsewhere; started without cargo, where it was compiled.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
        let now = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|p| p.ends_with("xtask"));
        let manifest = now.unwrap_or_else(|| compiled.to_owned());
        manifest.parent().expect("xtask lies in the workspace").to_owned()
    });
    &ROOT
}

/// Where builds, logs and private tools go.
pub(crate) fn target() -> PathBuf {
    toolchain::target_dir(root())
}

/// A program, its first argument, that gets this signal when this process ends, also when that is killed.
pub(crate) fn leashed(signal: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]);
    command
}

/// Whether this process is root (the owner of /proc/self is the effective user).
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0)
}

/// `program` with root's rights: as it is for root, else by sudo, for this one command only.
pub(crate) fn raised(program: impl AsRef<Path>) -> Command {
    let program = program.as_ref();
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    let passed = |name: &String| {
        name == "DEBIAN_FRONTEND" || ["DUMPTRAIL_", "OTEL_", "RUST_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let names: Vec<String> = env::vars().map(|(name, _)| name).filter(passed).collect();
    command.arg(format!("--preserve-env={}", names.join(","))).arg("--").arg(program);
    command
}

/// This program once more, as root and with other arguments: returns only when that fails.
pub(crate) fn again_as_root<I: IntoIterator<Item = OsString>>(arguments: I) -> anyhow::Error {
    eprintln!("this needs root: sudo may ask for your password");
    match env::current_exe() {
        Ok(this) => anyhow!(raised(this).args(arguments).exec()).context("cannot become root by sudo"),
        Err(error) => error.into(),
    }
}

/// The cargo that runs this xtask, on the workspace. Variables that describe xtask's own build are removed: some build
/// scripts watch them, and would run again each time that cargo is called with and without xtask.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.arg(verb).current_dir(root());
    command
}

/// Compiles a program of one file, which needs nothing but `std`, with optimisation.
pub(crate) fn program(source: &Path, name: &str) -> Result<PathBuf> {
    compiled(source, name, &[])
}

/// The same, without a loader.
pub(crate) fn static_program(source: &Path, name: &str) -> Result<PathBuf> {
    compiled(source, name, &["-C", "target-feature=+crt-static"])
}

fn compiled(source: &Path, name: &str, how: &[&str]) -> Result<PathBuf> {
    let folder = target().join("programs");
    fs::create_dir_all(&folder)?;
    let file = folder.join(name);
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    text(Command::new(rustc).args(["--edition", "2024", "-O"]).args(how).arg("-o").arg(&file).arg(source))?;
    Ok(file)
}

/// The full path of a command, in PATH or in the folders of the administrator's commands.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0))
}

/// Runs with this terminal as input and output.
pub(crate) fn loud(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs and returns what it wrote to stdout; what it wrote to stderr is in the error.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed ({}):\n{}", shown(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs out of sight, with the elapsed seconds on a terminal. Everything that it wrote is returned, and is in the error
/// when it fails.
pub(crate) fn quiet(label: &str, command: &mut Command) -> Result<String> {
    let (good, said) = captured(label, command)?;
    if !good {
        bail!("{} failed:\n{}", shown(command), said.trim_end());
    }
    Ok(said)
}

/// Like [`quiet`] for a command whose failure is a result: whether it succeeded, and what it wrote.
pub(crate) fn captured(label: &str, command: &mut Command) -> Result<(bool, String)> {
    let folder = target().join("xtask");
    let log = folder.join(format!("{}.log", label.replace([' ', '/'], "-")));
    fs::create_dir_all(&folder)?;
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
    let child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let status = wait(label, child)?;
    Ok((status.success(), String::from_utf8_lossy(&fs::read(&log)?).into_owned()))
}

/// Waits and shows that it does: each second on a terminal, each minute in a log.
fn wait(label: &str, mut child: Child) -> Result<ExitStatus> {
    let (start, terminal) = (Instant::now(), std::io::stderr().is_terminal());
    let mut shown = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            if terminal && shown > 0 {
                eprint!("\r\x1b[K");
            }
            return Ok(status);
        }
        let seconds = start.elapsed().as_secs();
        if terminal && seconds > shown {
            eprint!("\r\x1b[K     {label} {seconds} s");
            std::io::stderr().flush()?;
            shown = seconds;
        } else if !terminal && seconds >= shown + 60 {
            eprintln!("     {label} {seconds} s");
            shown = seconds;
        }
        sleep(Duration::from_millis(20));
    }
}

/// What `look` finds, before time is up. It looks again every few milliseconds.
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() >= limit {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        sleep(Duration::from_millis(10));
    }
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_returns_both_outputs_and_fails_with_them() {
        let said = quiet("test both", Command::new("sh").args(["-c", "echo one; echo two >&2"])).unwrap();
        assert_eq!(said, "one\ntwo\n");
        let error = quiet("test fails", Command::new("sh").args(["-c", "echo three; exit 3"])).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("exit 3 failed:\nthree"), "{said}");
    }

    #[test]
    fn which_wants_an_executable() {
        assert!(which("sh").is_some());
        assert!(which("no-such-command-here").is_none());
    }
}
