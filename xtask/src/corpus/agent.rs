//! The agent under test, and the lines that it writes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::world;
use crate::cmd::{self, within};

/// A line of `dumptrail run --output json --steps`, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Line {
    pub(super) event: String,
    #[serde(rename = "step.kind", default)]
    pub(super) kind: String,
    #[serde(rename = "step.crossing", default)]
    pub(super) crossing: bool,
    #[serde(rename = "step.bytes", default)]
    pub(super) bytes: u64,
    #[serde(rename = "dump.id", default)]
    pub(super) dump: String,
    #[serde(rename = "flow.id", default)]
    pub(super) flow: String,
    #[serde(rename = "file.path", default)]
    pub(super) file: String,
    #[serde(rename = "to.carrier", default)]
    pub(super) to: String,
    #[serde(rename = "to.zone", default)]
    pub(super) to_zone: String,
    #[serde(rename = "destination.address", default)]
    pub(super) address: String,
    #[serde(rename = "destination.port", default)]
    pub(super) port: u16,
    #[serde(rename = "rule.id", default)]
    pub(super) rule: String,
    #[serde(default)]
    pub(super) severity: String,
    #[serde(default)]
    pub(super) cause: String,
    #[serde(default)]
    pub(super) count: u64,
}

/// The running agent.
pub(super) struct Agent {
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    reader: Option<JoinHandle<()>>,
}

/// How long the agent may take to start, and to stop.
const LONG: Duration = Duration::from_secs(30);

impl Agent {
    pub(super) fn start(program: &Path, backend: &str) -> Result<Self> {
        let mut command = cmd::leashed("TERM");
        command.arg(program).args(["run", "--output", "json", "--steps"]);
        command.args(["--backend", backend, "--config"]).arg(world::file("zones.yaml"));
        command.env("DUMPTRAIL_STATE_DIR", world::file("agent")).env("OTEL_SDK_DISABLED", "true");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(world::file("stderr"))?);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let out = child.stdout.take().context("the agent has no stdout")?;
        let lines = Arc::<Mutex<Vec<Line>>>::default();
        let (seen, mut raw) = (Arc::clone(&lines), File::create(world::file("stdout"))?);
        let reader = thread::spawn(move || {
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = writeln!(raw, "{text}");
                let line = serde_json::from_str(&text).unwrap_or_default();
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { child, lines, reader: Some(reader) })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it is ready.
    pub(super) fn ready(&mut self) -> Result<()> {
        within(LONG, "the agent's first line", || {
            self.alive()?;
            Ok(self.lines().first().map(drop))
        })
    }

    /// An error when it has ended.
    pub(super) fn alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = fs::read_to_string(world::file("stderr")).unwrap_or_default();
            bail!("the agent ended ({status}):\n{}", log.trim_end());
        }
        Ok(())
    }

    /// What it has said so far.
    pub(super) fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was lost, and how often.
    pub(super) fn gaps(&self) -> Vec<(String, u64)> {
        let lines = self.lines();
        let gaps = lines.iter().filter(|line| line.event == "gap");
        let mut sums = std::collections::BTreeMap::new();
        for gap in gaps {
            *sums.entry(gap.cause.clone()).or_default() += gap.count;
        }
        sums.into_iter().collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = within(LONG, "the agent's end", || Ok(self.child.try_wait()?));
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.reader.take().map(JoinHandle::join);
    }
}
