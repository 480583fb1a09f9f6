//! The table of cases.

use std::process::ExitCode;
use std::time::Duration;

use super::case::Case;
use crate::stage::coloured;

/// How a case ended.
pub(super) struct Verdict {
    end: End,
    said: String,
    steps: usize,
    took: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    Skipped,
}

impl Verdict {
    pub(super) fn of(judged: Result<String, String>) -> Self {
        match judged {
            Ok(said) => Self::new(End::Passed, said),
            Err(said) => Self::failed(said),
        }
    }

    pub(super) fn failed(said: String) -> Self {
        Self::new(End::Failed, said)
    }

    pub(super) fn skipped(why: String) -> Self {
        Self::new(End::Skipped, why)
    }

    /// A blind spot that is known is no failure. One that is seen after all is: the case's head says what is not true.
    pub(super) fn with_blind_spot(self, reason: Option<&str>) -> Self {
        let Some(reason) = reason else { return self };
        match self.end {
            End::Passed => Self { end: End::Failed, said: format!("no longer blind: {reason}"), ..self },
            End::Failed => Self { end: End::Skipped, said: format!("blind: {reason} ({})", self.said), ..self },
            End::Skipped => self,
        }
    }

    pub(super) fn measured(self, steps: usize, took: Duration) -> Self {
        Self { steps, took, ..self }
    }

    fn new(end: End, said: String) -> Self {
        Self { end, said, steps: 0, took: Duration::ZERO }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Report {
    passed: usize,
    skipped: usize,
    failed: Vec<String>,
    /// What the agent says that it lost, in all cases together, and how often.
    pub(super) gaps: Vec<(String, u64)>,
}

impl Report {
    /// Shows a case at once.
    pub(super) fn add(&mut self, case: &Case, verdict: Verdict) {
        let Verdict { end, said, steps, took } = verdict;
        let said = said.replace('\n', "\n       ");
        let name = &case.name;
        match end {
            End::Skipped => {
                self.skipped += 1;
                println!("{} {name:<24} {said}", coloured("skip", 33));
                return;
            }
            End::Passed => self.passed += 1,
            End::Failed => self.failed.push(name.clone()),
        }
        let word = if end == End::Passed { coloured("ok  ", 32) } else { coloured("FAIL", 31) };
        println!("{word} {name:<24} {steps:>4} steps {:>6.1} s  {said}", took.as_secs_f64());
    }

    /// The names of what failed, and the line that counts.
    pub(super) fn end(&self) -> ExitCode {
        for (cause, count) in &self.gaps {
            println!("     gap {cause}: {count}");
        }
        if !self.failed.is_empty() {
            println!("failed: {}", self.failed.join(" "));
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped);
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blind_spot_that_is_seen_after_all_is_a_failure() {
        let end = |judged| Verdict::of(judged).with_blind_spot(Some("no hook")).end;
        assert!(end(Ok("seen".to_owned())) == End::Failed);
        assert!(end(Err("not seen".to_owned())) == End::Skipped);
        assert!(Verdict::of(Err("not seen".to_owned())).with_blind_spot(None).end == End::Failed);
    }
}
