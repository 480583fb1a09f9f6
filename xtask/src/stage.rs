//! A verb with several stages runs them all, whatever fails, and ends with one line that counts.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

/// One stage of a verb. `C` is what the verb's arguments say.
pub(crate) struct Stage<C> {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&C) -> Result<Outcome>,
}

/// How a stage ended. An `Err` of the stage counts as one failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is one check, and it passed.
    Passed,
    /// It holds tests of its own; `said` is shown when one failed.
    Tests { passed: usize, failed: usize, said: String },
    /// It does not apply here, and why.
    Skipped(String),
}

impl Outcome {
    /// The outcome of a test program from its exit and from what it wrote. A program that failed without a failed test
    /// (it did not compile, it crashed) is one failure.
    pub(crate) fn of_tests(good: bool, said: String) -> Self {
        let (passed, failed) = tally(&said);
        Self::Tests { passed, failed: failed.max(usize::from(!good)), said }
    }
}

/// Runs the stages in their order, whatever fails, and ends with the line that counts.
pub(crate) fn run_all<'a, C: 'a>(stages: impl IntoIterator<Item = &'a Stage<C>>, context: &C) -> ExitCode {
    run_named(stages.into_iter().map(|stage| (stage.name, || (stage.run)(context))))
}

/// The same for stages that are not known in advance.
pub(crate) fn run_named<'a, R>(stages: impl IntoIterator<Item = (&'a str, R)>) -> ExitCode
where
    R: FnOnce() -> Result<Outcome>,
{
    let (passed, failed) = counts(stages);
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A stage that may run beside others.
pub(crate) type Job<'a> = (String, Box<dyn FnOnce() -> Result<Outcome> + Send + 'a>);

/// Runs as many jobs at once as `width` says, whatever fails; each is reported when it ends.
pub(crate) fn run_side_by_side(jobs: Vec<Job<'_>>, width: usize) -> ExitCode {
    let (jobs, counts) = (Mutex::new(jobs.into_iter()), Mutex::new((0, 0)));
    let work = || {
        while let Some((name, run)) = { lock(&jobs).next() } {
            let start = Instant::now();
            let outcome = run();
            // Held over the report, whose lines belong together.
            let mut counts = lock(&counts);
            let (good, bad) = report(&name, start.elapsed(), &outcome);
            *counts = (counts.0 + good, counts.1 + bad);
        }
    };
    std::thread::scope(|scope| (0..width.max(1)).for_each(|_| drop(scope.spawn(work))));
    let (passed, failed) = *lock(&counts);
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn counts<'a, R>(stages: impl IntoIterator<Item = (&'a str, R)>) -> (usize, usize)
where
    R: FnOnce() -> Result<Outcome>,
{
    stages.into_iter().fold((0, 0), |(passed, failed), (name, run)| {
        let start = Instant::now();
        let outcome = run();
        let (good, bad) = report(name, start.elapsed(), &outcome);
        (passed + good, failed + bad)
    })
}

fn report(name: &str, took: Duration, outcome: &Result<Outcome>) -> (usize, usize) {
    let seconds = took.as_secs_f64();
    match outcome {
        Ok(Outcome::Passed) => {
            println!("{} {name:<14} {seconds:>7.1} s", coloured("ok  ", 32));
            (1, 0)
        }
        Ok(Outcome::Skipped(why)) => {
            println!("{} {name:<14} {why}", coloured("skip", 33));
            (0, 0)
        }
        Ok(Outcome::Tests { passed, failed: 0, .. }) => {
            println!("{} {name:<14} {seconds:>7.1} s  {passed} passed", coloured("ok  ", 32));
            (*passed, 0)
        }
        Ok(Outcome::Tests { passed, failed, said }) => {
            println!("{} {name:<14} {seconds:>7.1} s  {passed} passed, {failed} failed", coloured("FAIL", 31));
            println!("{}", interesting(said));
            (*passed, *failed)
        }
        Err(error) => {
            println!("{} {name:<14} {seconds:>7.1} s", coloured("FAIL", 31));
            println!("{}", interesting(&format!("{error:#}")));
            (0, 1)
        }
    }
}

/// As many lines of a failure as one reads; the whole output is in the stage's log.
const SHOWN: usize = 120;

/// Output without the lines that say that something went well, and not without end.
fn interesting(said: &str) -> String {
    let dull = |line: &&str| !(line.ends_with("... ok") || line.trim_start().starts_with("Compiling "));
    let mut lines: Vec<_> = said.lines().filter(dull).map(|line| format!("     {line}")).collect();
    if let Some(more) = lines.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let half = SHOWN / 2;
        lines.splice(half..half + more, [format!("     … {more} lines more, below target/xtask or target/vm")]);
    }
    lines.join("\n")
}

/// A word in this colour of a terminal, on one; see no-color.org.
pub(crate) fn coloured(word: &str, colour: u8) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stdout().is_terminal() && !plain { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

/// Sums the lines that count both, as in `test result: ok. 3 passed; 0 failed` and `3 passed, 0 failed`.
fn tally(said: &str) -> (usize, usize) {
    let counts =
        said.lines().filter_map(|line| Some((number_before(line, " passed")?, number_before(line, " failed")?)));
    counts.fold((0, 0), |(passed, failed), (good, bad)| (passed + good, failed + bad))
}

fn number_before(line: &str, word: &str) -> Option<usize> {
    line[..line.find(word)?].rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_sums_every_test_program() {
        let said = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored\nx\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored\n12 passed, 0 failed\n";
        assert_eq!(tally(said), (16, 2));
    }

    #[test]
    fn a_long_failure_keeps_both_ends() {
        let lines: Vec<_> = (0..500).map(|n| format!("line {n}")).collect();
        let said = lines.join("\n") + "\ntest a ... ok";
        let shown = interesting(&said);
        assert_eq!(shown.lines().count(), SHOWN + 1);
        assert!(shown.starts_with("     line 0\n") && shown.ends_with("line 499") && shown.contains("380 lines more"));
        assert_eq!(interesting("one\ntest b ... ok"), "     one");
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let outcome = Outcome::of_tests(false, "error: could not compile".to_owned());
        assert_eq!(outcome, Outcome::Tests { passed: 0, failed: 1, said: "error: could not compile".to_owned() });
    }

    #[test]
    fn jobs_beside_each_other_all_run() {
        let job = |n: u8| -> Job<'_> {
            (n.to_string(), Box::new(move || if n == 3 { anyhow::bail!("3") } else { Ok(Outcome::Passed) }))
        };
        assert_eq!(run_side_by_side((0..5).map(job).collect(), 2), ExitCode::FAILURE);
        assert_eq!(run_side_by_side((0..2).map(job).collect(), 4), ExitCode::SUCCESS);
    }

    #[test]
    fn one_failure_stops_no_other_stage() {
        type Run = fn() -> Result<Outcome>;
        let stages: [(&str, Run); 3] = [
            ("first", || anyhow::bail!("broken")),
            ("second", || Ok(Outcome::Skipped("not here".to_owned()))),
            ("third", || Ok(Outcome::Tests { passed: 2, failed: 1, said: String::new() })),
        ];
        assert_eq!(counts(stages), (2, 2));
    }
}
