//! What a guest said, and whether it is what the agent promises.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::kernels::Kernel;
use crate::stage::Outcome;

/// `dumptrail doctor --json --load`, as far as it matters here.
#[derive(Deserialize)]
struct Doctor {
    ok: bool,
    problems: Vec<String>,
    missing: Vec<Missing>,
    verified_instructions: Option<BTreeMap<String, Option<u32>>>,
}

#[derive(Deserialize)]
struct Missing {
    program: String,
    reason: String,
}

/// A line of `dumptrail run --output json --steps`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(rename = "step.kind", default)]
    kind: String,
    #[serde(rename = "step.bytes", default)]
    bytes: u64,
    #[serde(rename = "from.carrier", default)]
    from: String,
    #[serde(rename = "to.carrier", default)]
    to: String,
    #[serde(rename = "to.zone", default)]
    to_zone: String,
    #[serde(rename = "destination.address", default)]
    address: String,
    #[serde(rename = "destination.port", default)]
    port: u16,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    count: u64,
}

impl Line {
    fn is_for(&self, address: &str, port: u16) -> bool {
        self.address == address && self.port == port
    }
}

/// The line with the costs of the programs, and what passed and failed.
pub(crate) fn judge(kernel: &Kernel, said: &str) -> Result<(String, Outcome)> {
    let doctor: Doctor = serde_json::from_str(section(said, "#doctor"))
        .with_context(|| format!("the doctor did not answer:\n{said}"))?;
    let lines: Vec<Line> = section(said, "#steps").lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut checks = Checks::default();
    checks.kernel(kernel, &doctor);
    checks.chain("/mnt/ext4/dumps", &lines);
    if doctor.missing.iter().any(|missing| missing.program == "ctime_changed") {
        checks.blind("/tmp/dumps", &lines);
    } else {
        checks.chain("/tmp/dumps", &lines);
    }
    checks.sent(&lines, section(said, "#received").trim().parse().context("the receiver counted nothing")?);
    checks.skips(&lines, section(said, "#skipped"));
    checks.check("the agent ends cleanly", section(said, "#log").contains("agent exit 0"));
    if checks.failed > 0 {
        checks.said.push_str(said);
    }
    let Checks { passed, failed, said } = checks;
    Ok((costs(&doctor), Outcome::Tests { passed, failed, said }))
}

fn costs(doctor: &Doctor) -> String {
    let costs = doctor.verified_instructions.iter().flatten();
    let known: Vec<_> = costs.filter_map(|(program, cost)| Some(format!("{program} {}", (*cost)?))).collect();
    if known.is_empty() { "not told by this kernel".to_owned() } else { known.join(", ") }
}

/// What stands between a line that is `name` and the next that begins with `#`.
fn section<'a>(said: &'a str, name: &str) -> &'a str {
    let rest = said.split_once(&format!("{name}\n")).map_or("", |(_, rest)| rest);
    let end = if rest.starts_with('#') { 0 } else { rest.find("\n#").unwrap_or(rest.len()) };
    &rest[..end]
}

/// Runs of programs that were skipped, by the gaps that tell of them.
fn skipped_runs(lines: &[Line]) -> u64 {
    lines.iter().filter(|line| line.event == "gap" && line.cause == "program_skipped").map(|line| line.count).sum()
}

#[derive(Default)]
struct Checks {
    passed: usize,
    failed: usize,
    said: String,
}

impl Checks {
    fn check(&mut self, what: &str, good: bool) {
        *(if good { &mut self.passed } else { &mut self.failed }) += 1;
        let _ = writeln!(self.said, "{what} ... {}", if good { "ok" } else { "FAILED" });
    }

    /// The verifier takes all programs, and exactly the hooks are missing that are known to be.
    fn kernel(&mut self, kernel: &Kernel, doctor: &Doctor) {
        self.check(&format!("programs load and attach {}", doctor.problems.join("; ")), doctor.ok);
        let found: Vec<_> = doctor.missing.iter().map(|missing| missing.program.as_str()).collect();
        let reasons: Vec<_> = doctor.missing.iter().map(|missing| missing.reason.as_str()).collect();
        let what = format!("missing are {:?}, found {found:?}: {}", kernel.missing, reasons.join("; "));
        self.check(&what, found == kernel.missing);
    }

    /// Core, copy of it, archive of the copy: each is born, read and written.
    fn chain(&mut self, folder: &str, lines: &[Line]) {
        let (core, copy) = (format!("{folder}/core"), format!("{folder}/copy"));
        let archive = format!("{copy}.gz");
        let step = |kind: &str, from: &str, to: &str| {
            lines.iter().any(|line| {
                line.event == "step" && line.kind == kind && line.from.ends_with(from) && line.to.ends_with(to)
            })
        };
        self.check(&format!("{core} is created"), step("created", "", &core));
        self.check(&format!("{core} is read"), step("read", &core, "]"));
        self.check(&format!("{copy} is written"), step("written", "]", &copy));
        self.check(&format!("{copy} is read"), step("read", &copy, "]"));
        self.check(&format!("{archive} is written"), step("written", "]", &archive));
    }

    /// What the doctor says is blind is blind: else the doctor is wrong.
    fn blind(&mut self, folder: &str, lines: &[Line]) {
        let seen = lines.iter().any(|line| line.from.starts_with(folder) || line.to.starts_with(folder));
        self.check(&format!("nothing is seen in {folder}, as the doctor says"), !seen);
    }

    /// Of the runs that the kernel skipped between the first and the last count, each is in a gap.
    fn skips(&mut self, lines: &[Line], counts: &str) {
        let counts: Vec<u64> = counts.lines().filter_map(|line| line.parse().ok()).collect();
        let skipped = counts.last().zip(counts.first()).map(|(last, first)| last - first);
        let told = skipped_runs(lines);
        let what = format!("{skipped:?} runs of programs were skipped, told are {told}");
        self.check(&what, counts.len() == 2 && skipped.is_some_and(|skipped| told >= skipped));
    }

    /// `received` is what the far end counted. Less may be told only where a gap says that runs of programs were skipped.
    fn sent(&mut self, lines: &[Line], received: u64) {
        let sent = |line: &&Line| line.kind == "sent" && line.to_zone == "internet" && line.is_for("127.0.0.9", 9000);
        let bytes = lines.iter().filter(|line| line.event == "step").filter(sent).map(|line| line.bytes).max();
        let what = format!("{received} bytes of the copy are sent to 127.0.0.9:9000, told are {bytes:?}");
        let lossy = skipped_runs(lines) > 0;
        let fits = bytes.is_some_and(|bytes| bytes == received || lossy && bytes < received);
        self.check(&what, received >= 4096 && fits);
        let critical = lines.iter().filter(sent).any(|line| line.event == "alert" && line.severity == "critical");
        self.check("a critical alert tells of it", critical);
    }
}
