//! The program that does the workloads, on one CPU.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cmd;

/// The running program; it waits while nothing is measured.
pub(super) struct Load {
    child: Child,
    out: BufReader<ChildStdout>,
    millis: u32,
    pub(super) names: Vec<String>,
}

impl Load {
    pub(super) fn start(program: &Path, folder: &Path, cpu: usize, millis: u32) -> Result<Self> {
        let mut command = cmd::leashed("KILL");
        command.args(["taskset", "-c", &cpu.to_string()]).arg(program).arg(folder);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start taskset")?;
        let out = BufReader::new(child.stdout.take().context("it has no stdout")?);
        let mut load = Self { child, out, millis, names: Vec::new() };
        load.names = load.line()?;
        // The first one warms up.
        load.measure()?;
        Ok(load)
    }

    /// Nanoseconds of one operation of each workload.
    pub(super) fn measure(&mut self) -> Result<Vec<f64>> {
        self.ask("")
    }

    /// The same beside two programs that do nothing, at the entry and at the exit of system calls.
    pub(super) fn measure_beside_empty_programs(&mut self) -> Result<Vec<f64>> {
        self.ask(" empty")
    }

    fn ask(&mut self, beside: &str) -> Result<Vec<f64>> {
        let pipe = self.child.stdin.as_mut().context("it has no stdin")?;
        writeln!(pipe, "{}{beside}", self.millis)?;
        let numbers = self.line()?;
        ensure!(numbers.len() == self.names.len(), "the workloads failed: {numbers:?}");
        numbers.iter().map(|number| number.parse().with_context(|| format!("no number: {number}"))).collect()
    }

    fn line(&mut self) -> Result<Vec<String>> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(line.trim_end().split('\t').map(str::to_owned).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
