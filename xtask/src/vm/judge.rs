//! What a guest said, and whether it is what the agent promises.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::kernels::Kernel;
use super::known;
use crate::stage::Outcome;

/// `dumptrail doctor --json --load`, as far as it matters here.
#[derive(Deserialize)]
struct Doctor {
    ok: bool,
    problems: Vec<String>,
    missing: Vec<Missing>,
    differences: Vec<Difference>,
    verified_instructions: Option<BTreeMap<String, Option<u32>>>,
    /// Tracepoints, then functions.
    attach_ms: Option<[f64; 2]>,
}

/// What the backends see of one thing.
#[derive(Deserialize)]
struct Difference {
    id: String,
    fentry: bool,
    tracepoint: bool,
}

#[derive(Deserialize)]
struct Missing {
    program: String,
    reason: String,
}

/// The line with the costs of the programs, and what passed and failed under this backend.
pub(crate) fn judge(
    kernel: &Kernel,
    backend: &str,
    said: &str,
    chosen: Option<&[String]>,
) -> Result<(String, Outcome)> {
    let doctor: Doctor = serde_json::from_str(section(said, "#doctor"))
        .with_context(|| format!("the doctor did not answer:\n{said}"))?;
    let mut checks = Checks::default();
    checks.kernel(kernel, backend, &doctor);
    checks.scenarios(kernel.series, backend, section(said, "#scenarios"), chosen);
    // A program that broke down between two scenarios.
    let good = section(said, "#status").trim() == "0";
    checks.check("the scenarios' program fails only where a scenario does", good || checks.any_failed);
    if checks.failed > 0 {
        checks.said.push_str(section(said, "#errors"));
    }
    let Checks { passed, failed, said, .. } = checks;
    Ok((costs(&doctor), Outcome::Tests { passed, failed, said }))
}

fn costs(doctor: &Doctor) -> String {
    let costs = doctor.verified_instructions.iter().flatten();
    let known: Vec<_> = costs.filter_map(|(program, cost)| Some(format!("{program} {}", (*cost)?))).collect();
    let known = if known.is_empty() { "not told by this kernel".to_owned() } else { known.join(", ") };
    let [tracepoints, functions] = doctor.attach_ms.unwrap_or_default();
    format!("{known}; tracepoints attached in {tracepoints:.1} ms, functions in {functions:.0} ms")
}

/// What stands between a line that is `name` and the next that begins with `#`.
pub(super) fn section<'a>(said: &'a str, name: &str) -> &'a str {
    let rest = said.split_once(&format!("{name}\n")).map_or("", |(_, rest)| rest);
    let end = if rest.starts_with('#') { 0 } else { rest.find("\n#").unwrap_or(rest.len()) };
    &rest[..end]
}

/// Names of scenarios and whether each passed, from the lines of the program that runs them.
pub(super) fn results(said: &str) -> BTreeMap<&str, bool> {
    let mut results = BTreeMap::new();
    for line in said.lines() {
        let test = line.strip_prefix("test ").and_then(|test| test.split_once(" ... "));
        let passed = test.and_then(|(name, result)| match result.trim() {
            "ok" => Some((name.trim(), true)),
            "FAILED" => Some((name.trim(), false)),
            _ => None,
        });
        results.extend(passed);
    }
    results
}

#[derive(Default)]
struct Checks {
    passed: usize,
    failed: usize,
    said: String,
    /// A scenario failed, expectedly or not.
    any_failed: bool,
}

impl Checks {
    fn check(&mut self, what: &str, good: bool) {
        *(if good { &mut self.passed } else { &mut self.failed }) += 1;
        let _ = writeln!(self.said, "{what} ... {}", if good { "ok" } else { "FAILED" });
    }

    /// The verifier takes all programs, and exactly the hooks are missing that are known to be.
    fn kernel(&mut self, kernel: &Kernel, backend: &str, doctor: &Doctor) {
        let expected = kernel.missing(backend);
        self.check(&format!("programs load and attach {}", doctor.problems.join("; ")), doctor.ok);
        let found: Vec<_> = doctor.missing.iter().map(|missing| missing.program.as_str()).collect();
        let reasons: Vec<_> = doctor.missing.iter().map(|missing| missing.reason.as_str()).collect();
        let what = format!("missing are {expected:?}, found {found:?}: {}", reasons.join("; "));
        self.check(&what, found == expected);
        for (backend, unseen) in [("fentry", known::UNSEEN_BY_FENTRY), ("tracepoint", kernel.unseen)] {
            let sees = |row: &&Difference| if backend == "fentry" { row.fentry } else { row.tracepoint };
            let found: Vec<_> = doctor.differences.iter().filter(|row| !sees(row)).map(|row| row.id.as_str()).collect();
            self.check(&format!("{backend} does not see {unseen:?}, found {found:?}"), found == unseen);
        }
    }

    /// Each chosen scenario came to an end: a good one, or the one that this kernel is known for.
    fn scenarios(&mut self, kernel: &str, backend: &str, said: &str, chosen: Option<&[String]>) {
        let results = results(said);
        for (name, passed) in &results {
            self.any_failed |= !passed;
            match known::limit(name, kernel, backend) {
                Some(limit) if limit.always => self.check(&format!("{name} fails: {}", limit.why), !passed),
                Some(limit) => self.check(&format!("{name} fails by chance: {}", limit.why), true),
                None => self.check(name, *passed),
            }
        }
        for name in chosen.unwrap_or_default().iter().filter(|name| !results.contains_key(name.as_str())) {
            self.check(&format!("{name} runs"), false);
        }
        self.check("scenarios ran", !results.is_empty());
        if self.failed > 0 {
            self.said.push_str(said);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::kernels::KERNELS;

    fn said(scenarios: &str, status: u8) -> String {
        let missing: Vec<_> =
            KERNELS[3].missing("b").iter().map(|m| format!("{{\"program\":{m:?},\"reason\":\"\"}}")).collect();
        let difference = |(id, seen): (&str, &str)| format!("{{\"id\":{id:?},{seen}}}");
        let by_fentry = KERNELS[3].unseen.iter().map(|id| (*id, "\"fentry\":true,\"tracepoint\":false"));
        let by_calls = known::UNSEEN_BY_FENTRY.iter().map(|id| (*id, "\"fentry\":false,\"tracepoint\":true"));
        let differences: Vec<_> = by_fentry.chain(by_calls).map(difference).collect();
        format!(
            "#doctor\n{{\"ok\":true,\"problems\":[],\"missing\":[{}],\"differences\":[{}],\"verified_instructions\":null}}\n\
             #scenarios\n{scenarios}\n#status\n{status}\n#errors\n#end\n",
            missing.join(","),
            differences.join(",")
        )
    }

    fn failed(scenarios: &str, status: u8, chosen: &[&str]) -> usize {
        let chosen: Vec<_> = chosen.iter().map(|name| (*name).to_owned()).collect();
        match judge(&KERNELS[3], "b", &said(scenarios, status), Some(&chosen)).unwrap().1 {
            Outcome::Tests { failed, .. } => failed,
            _ => panic!("a guest holds tests"),
        }
    }

    #[test]
    fn a_scenario_counts_by_its_line() {
        assert_eq!(failed("test a  ... ok\ntest b  ... ok\ntest result: ok. 2 passed", 0, &["a", "b"]), 0);
        assert_eq!(failed("test a  ... ok\ntest b  ... FAILED", 101, &["a", "b"]), 1);
    }

    #[test]
    fn silence_is_a_failure() {
        assert_eq!(failed("", 0, &[]), 1);
        assert_eq!(failed("test a ... ok\ntest b ... ", 0, &["a", "b"]), 1);
        assert_eq!(failed("test a ... ok", 101, &["a"]), 1);
    }
}
