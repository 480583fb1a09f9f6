//! Lines that show how far a guest is, while it runs.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(20);

/// Of one guest.
pub(crate) struct Progress {
    name: String,
    start: Instant,
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), start: Instant::now(), shown: None }
    }

    /// Shows the state now and then, from all that the guest has said.
    pub(crate) fn show(&mut self, said: &[u8]) {
        if self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        println!("     {:<14} {:>7.1} s  {}", self.name, self.start.elapsed().as_secs_f64(), state(said));
    }
}

/// How many scenarios or cases have ended, and the one that runs, or that was the last.
fn state(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let (mut ended, mut now, mut what) = (0, "the doctor", "scenarios");
    for line in said.lines() {
        if let Some((name, result)) = line.strip_prefix("test ").and_then(|test| test.split_once(" ... ")) {
            ended += usize::from(!result.is_empty());
            now = name.trim();
        } else if let Some(case) = ["ok   ", "FAIL ", "skip "].iter().find_map(|word| line.strip_prefix(word)) {
            ended += 1;
            (now, what) = (case.split_whitespace().next().unwrap_or_default(), "cases");
        }
    }
    format!("{ended} {what}, {now}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_scenario_is_named() {
        let said = b"#doctor\n{}\n#scenarios\ntest a::b   ... ok\ntest a::c   ... ";
        assert_eq!(state(said), "1 scenarios, a::c");
        let said = b"#corpus\nok   A-x    3 steps\nskip A-y no z\n";
        assert_eq!(state(said), "2 cases, A-y");
    }
}
