//! The agent under demonstration, and its console.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use serde_json::Value;

use super::say;
use super::world::{BASE, SOON};
use crate::cmd::{self, within};

/// An alert as it stood on the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) severity: String,
    pub(super) rule: String,
    pub(super) dump: String,
    /// The process, as in `curl[812]`.
    pub(super) process: String,
    /// When its first line was read.
    pub(super) read: SystemTime,
}

/// Lines as they were read.
type Lines = Arc<Mutex<Vec<(SystemTime, String)>>>;

/// The running agent.
pub(super) struct Agent {
    program: PathBuf,
    child: Child,
    lines: Lines,
    reader: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts it with the demonstration's zones, and shows what it prints from now on.
    pub(super) fn start(program: &Path, endpoint: Option<&str>) -> Result<Self> {
        let mut command = cmd::leashed("TERM");
        command.arg(program);
        command.args(["run", "--output", "text", "--config", &format!("{BASE}/zones.yaml")]);
        command.env("DUMPTRAIL_STATE_DIR", state()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(log())?);
        match endpoint {
            Some(endpoint) => command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            None => command.env("OTEL_SDK_DISABLED", "true"),
        };
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let out = child.stdout.take().context("the agent has no stdout")?;
        let lines = Lines::default();
        let seen = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| {
                // The moment first: showing it takes time.
                seen.lock().unwrap_or_else(PoisonError::into_inner).push((SystemTime::now(), line.clone()));
                say::console(&line);
            });
        });
        Ok(Self { program: program.to_owned(), child, lines, reader: Some(reader) })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it is ready.
    pub(super) fn ready(&mut self) -> Result<()> {
        within(SOON * 4, "the agent's first line", || {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the agent ended ({status})");
            }
            Ok(self.text().contains(" ready ").then_some(()))
        })
    }

    /// Every whole alert so far.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        alerts(&self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// What `dumptrail trail` says, as JSON: all dumps, or one.
    pub(super) fn trail(&self, dump: Option<&str>) -> Result<Value> {
        let mut command = self.command();
        command.args(["trail", "--format", "json"]).args(dump);
        Ok(serde_json::from_str(&cmd::text(&mut command)?)?)
    }

    /// `dumptrail trail DUMP`, for people.
    pub(super) fn tree(&self, dump: &str) -> Result<String> {
        cmd::text(self.command().args(["trail", dump]))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("DUMPTRAIL_STATE_DIR", state());
        command
    }

    /// The end of its log, for when something went wrong.
    pub(super) fn last_words() -> String {
        let text = fs::read_to_string(log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let end = Instant::now() + SOON;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.reader.take().map(JoinHandle::join);
    }
}

fn state() -> PathBuf {
    Path::new(BASE).join("agent")
}

fn log() -> PathBuf {
    Path::new(BASE).join("agent.log")
}

/// Reads blocks of a head line and indented facts; the fact `trail` is the last of a block.
fn alerts(lines: &[(SystemTime, String)]) -> Vec<Alert> {
    let mut found = Vec::new();
    let mut head: Option<(SystemTime, &str)> = None;
    let mut facts: Vec<(&str, &str)> = Vec::new();
    for (read, line) in lines {
        let Some(fact) = line.strip_prefix("    ") else {
            (head, facts) = (Some((*read, line.as_str())), Vec::new());
            continue;
        };
        let (name, value) = fact.split_once(' ').unwrap_or((fact, ""));
        facts.push((name, value.trim_start()));
        if let ("trail", Some((read, head))) = (name, head) {
            found.push(alert(read, head, &facts));
        }
    }
    found
}

fn alert(read: SystemTime, head: &str, facts: &[(&str, &str)]) -> Alert {
    let fact = |name: &str| facts.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| *value);
    let first = |text: &str, end: char| text.split(end).next().unwrap_or_default().to_owned();
    Alert {
        severity: head.split_whitespace().nth(1).unwrap_or_default().to_owned(),
        rule: first(fact("rule"), ':'),
        dump: first(fact("dump"), ' '),
        process: first(fact("process"), ' '),
        read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_console() {
        let text = "\
2026-11-22T03:13:50.886Z notice   dump d6 has the content 3f
    dump     d6
    content  3f
2026-11-22T03:13:55.935Z CRITICAL core of signer sent to internet by curl[1103] as root
    rule     dump-left-isolation: A dump moved
    dump     d6 kernel-core, 2.5 MiB, born 2026-11-22T03:13:50.629Z
    process  curl[1103] of user root: curl -T core
    trail    dumptrail trail d6
2026-11-22T03:13:57.950Z LOW      core of signer
    rule     dump-left-isolation: not whole yet";
        let now = SystemTime::now();
        let lines: Vec<_> = text.lines().map(|line| (now, line.to_owned())).collect();
        let text = |text: &str| text.to_owned();
        let expected = Alert {
            severity: text("CRITICAL"),
            rule: text("dump-left-isolation"),
            dump: text("d6"),
            process: text("curl[1103]"),
            read: now,
        };
        assert_eq!(alerts(&lines), [expected]);
    }
}
