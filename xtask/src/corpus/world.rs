//! The two zones: network namespaces and the cable between them. Dumps are born in the one and must not reach the other.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::case::{self, Case};
use super::tools;
use crate::cleaner::{CORE_PATTERN, Cleaner};
use crate::cmd::{self, within};
use crate::netns::{self, ip};

/// Everything that is written. Only root can write beside it, so nobody can have put a link there.
const BASE: &str = "/var/lib/dumptrail-corpus";
const LOCK: &str = "/run/dumptrail-corpus.lock";
const SOURCE: &str = "dumptrail-source";
const SINK: &str = "dumptrail-sink";
const SOURCE_ADDRESS: &str = "10.99.0.1";
/// Where the sink zone listens.
pub(super) const SINK_ADDRESS: &str = "10.99.0.2";
/// The first of the ports that a case may use.
pub(super) const PORT: u16 = 18080;
/// Where cores go unless a case says otherwise: to the folder of the process that crashes.
const CORES: &str = "core.%p";
/// How long a case may take, in seconds, besides what it works on purpose.
const PATIENCE: u64 = 60;

/// What cases and packages change on the machine, besides `core_pattern`.
const SETTINGS: [&str; 3] =
    ["/proc/sys/kernel/core_uses_pid", "/proc/sys/kernel/core_pipe_limit", "/proc/sys/fs/suid_dumpable"];

/// See the module. Everything ends with it.
pub(super) struct World {
    cleaner: Cleaner,
}

/// A case that has ended.
pub(super) struct Played {
    /// Its exit code; `None` when it took too long.
    pub(super) code: Option<i32>,
    /// What it noted for the judge, a line each.
    pub(super) notes: String,
    /// The end of what it said.
    pub(super) said: String,
}

impl World {
    pub(super) fn build() -> Result<Self> {
        let mut cleaner = Cleaner::start(LOCK)?;
        let undo = format!("{} {} rm -rf {BASE}", netns::undo(SOURCE), netns::undo(SINK));
        // What a machine that went down in between has left.
        let _ = Command::new("sh").args(["-c", &undo]).stderr(Stdio::null()).status();
        cleaner.later(&undo)?;
        for setting in SETTINGS {
            let before = fs::read_to_string(setting).with_context(|| format!("cannot read {setting}"))?;
            cleaner.later(&format!("echo {} >{setting}", before.trim()))?;
        }
        let mut world = Self { cleaner };
        folders()?;
        networks()?;
        world.cleaner.core_pattern(CORES)?;
        Ok(world)
    }

    /// Lets a process that ends by itself do so before its folder goes.
    pub(super) fn outlive(&mut self, pid: u32) -> Result<()> {
        self.cleaner.later(&format!("timeout 5 tail -s 0.05 --pid={pid} -f /dev/null"))
    }
}

/// Runs a case to its end.
pub(super) fn play(case: &Case) -> Result<Played> {
    let (said, notes) = (log(case), notes(case));
    File::create(&notes)?;
    let patience = PATIENCE + case.minutes * 75;
    let mut child = start(case, &said, &notes, patience)?;
    let ended = within(Duration::from_secs(patience + 10), &case.name, || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let leftovers = format!("{}; {}", netns::ended(SOURCE), netns::ended(SINK));
    Command::new("sh").args(["-c", &leftovers]).stderr(Stdio::null()).status()?;
    fs::write(CORE_PATTERN, CORES)?;
    // 124 is what timeout(1) says.
    let code = ended.ok().and_then(|status| status.code()).filter(|code| *code != 124);
    Ok(Played { code, notes: fs::read_to_string(notes)?, said: tail(&said) })
}

/// Copies the agent's output and the cases' to where they stay.
pub(super) fn keep() -> Result<()> {
    let folder = cmd::target().join("corpus");
    fs::create_dir_all(&folder)?;
    for name in ["stdout", "stderr", "log", "notes"] {
        let from = Path::new(BASE).join(name);
        cmd::text(Command::new("cp").arg("-r").arg(from).arg(&folder))?;
    }
    eprintln!("the agent's output and the cases' are in {}", folder.display());
    Ok(())
}

/// The folder in which a case makes its own.
pub(super) fn work() -> PathBuf {
    Path::new(BASE).join("work")
}

/// A file of the agent.
pub(super) fn file(name: &str) -> PathBuf {
    Path::new(BASE).join(name)
}

/// What of it is left: nothing, after [`World`] was dropped.
pub(super) fn left() -> Vec<String> {
    let namespaces = [SOURCE, SINK].map(|netns| format!("/run/netns/{netns}"));
    namespaces.into_iter().chain([BASE.to_owned()]).filter(|path| Path::new(path).exists()).collect()
}

fn log(case: &Case) -> PathBuf {
    Path::new(BASE).join("log").join(&case.name)
}

fn notes(case: &Case) -> PathBuf {
    Path::new(BASE).join("notes").join(&case.name)
}

/// Starts a case in the source zone. `timeout` makes a process group of it and ends the group as a whole.
fn start(case: &Case, said: &Path, notes: &Path, patience: u64) -> Result<Child> {
    let mut command = netns::command(SOURCE, "timeout");
    command.args(["--kill-after=5", &patience.to_string(), "bash"]).arg(&case.script).arg(work());
    command.args([SOURCE_ADDRESS, SINK_ADDRESS, &PORT.to_string()]);
    let usual = std::env::var_os("PATH").unwrap_or_default();
    command.env("PATH", std::env::join_paths(std::env::split_paths(&usual).chain(tools::path(case)))?);
    command.env("CORPUS", case::folder()).env("CORPUS_NOTES", notes).env("CORPUS_SINK", format!("/run/netns/{SINK}"));
    command.env("CORPUS_MINUTES", case.minutes.to_string());
    let out = File::create(said)?;
    command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
    command.spawn().with_context(|| format!("cannot start {}", case.script.display()))
}

/// The last lines of a file.
fn tail(path: &Path) -> String {
    let said = fs::read(path).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn folders() -> Result<()> {
    fs::create_dir(BASE).with_context(|| format!("cannot make {BASE}"))?;
    for folder in ["agent", "log", "notes", "work"] {
        fs::create_dir(Path::new(BASE).join(folder))?;
    }
    let mut zones = File::create(file("zones.yaml"))?;
    Ok(zones.write_all(include_bytes!("../../corpus/zones.yaml"))?)
}

fn networks() -> Result<()> {
    netns::add(SOURCE)?;
    netns::add(SINK)?;
    ip(&["link", "add", "sink", "netns", SOURCE, "type", "veth", "peer", "name", "source", "netns", SINK])?;
    for (netns, link, address) in [(SOURCE, "sink", SOURCE_ADDRESS), (SINK, "source", SINK_ADDRESS)] {
        ip(&["-netns", netns, "address", "add", &format!("{address}/24"), "dev", link])?;
        ip(&["-netns", netns, "link", "set", link, "up"])?;
    }
    Ok(())
}
