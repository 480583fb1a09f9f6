//! What the numbers say: medians of pairs, their quartiles, and whether the bars hold.

use std::fmt::{self, Write};

/// One round, each list in the order of the workloads, nanoseconds an operation.
pub(super) struct Round {
    pub(super) none: Vec<f64>,
    /// Without an agent, beside two programs at system calls that do nothing.
    pub(super) empty: Vec<f64>,
    pub(super) idle: Vec<f64>,
    pub(super) armed: Vec<f64>,
    /// Microseconds from the birth of a dump to the flow hooks.
    pub(super) attached: f64,
}

/// All rounds.
pub(super) struct Series {
    names: Vec<String>,
    pub(super) rounds: Vec<Round>,
    /// Without an agent, after the last round.
    pub(super) last: Vec<f64>,
}

/// A promise, and whether it was kept.
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) held: bool,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.held { "held  " } else { "MISSED" }, self.what)
    }
}

/// Workloads in which no hook has any business while nothing is followed.
const UNTOUCHED: [&str; 4] = ["getpid", "read 1 B", "write 1 B", "pread 4 KiB"];
/// What an armed agent may cost, and what it should, in nanoseconds.
const ARMED: [(&str, f64, f64); 2] = [("getpid", 90.0, 47.0), ("read 1 B", 190.0, 75.0)];

impl Series {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, rounds: Vec::new(), last: Vec::new() }
    }

    /// The measurements without an agent: one before each round, one after the last.
    fn none(&self, workload: usize) -> Vec<f64> {
        let all = self.rounds.iter().map(|round| round.none[workload]);
        all.chain([self.last[workload]]).collect()
    }

    /// Pairs of a round's baseline and its measurement in a state.
    fn pairs(&self, workload: usize, state: fn(&Round) -> &Vec<f64>) -> Vec<(f64, f64)> {
        let none = self.none(workload);
        let means = none.windows(2).map(|two| f64::midpoint(two[0], two[1]));
        means.zip(&self.rounds).map(|(mean, round)| (mean, state(round)[workload])).collect()
    }

    fn idle(&self, workload: usize) -> Spread {
        self.added(workload, |round| &round.idle)
    }

    fn armed(&self, workload: usize) -> Spread {
        self.added(workload, |round| &round.armed)
    }

    fn empty(&self, workload: usize) -> Spread {
        self.added(workload, |round| &round.empty)
    }

    fn added(&self, workload: usize, state: fn(&Round) -> &Vec<f64>) -> Spread {
        Spread::of(self.pairs(workload, state).iter().map(|(none, some)| some - none))
    }

    /// One without an agent against the next: what the method itself makes up.
    fn noise(&self, workload: usize) -> Spread {
        Spread::of(self.none(workload).windows(2).map(|two| two[1] - two[0]))
    }

    /// For people; Markdown too.
    pub(super) fn table(&self) -> String {
        let mut text = format!("{} pairs each; nanoseconds an operation, median [quartiles]\n\n", self.rounds.len());
        text += "| workload       |  no agent | idle agent adds           |  ratio | armed agent adds          |  ratio | two empty programs add    | no agent, again           |\n";
        text += "|----------------|-----------|---------------------------|--------|---------------------------|--------|---------------------------|---------------------------|\n";
        for (index, name) in self.names.iter().enumerate() {
            let none = Spread::of(self.none(index)).median;
            let (idle, armed) = (self.idle(index), self.armed(index));
            let (empty, noise) = (self.empty(index), self.noise(index));
            let [quiet, busy] = [&idle, &armed].map(|delta| 1.0 + delta.median / none);
            let _ = writeln!(
                text,
                "| {name:<14} | {none:>9.1} | {idle} | {quiet:>5.3}x | {armed} | {busy:>5.3}x | {empty} | {noise} |"
            );
        }
        let attached = Spread::of(self.rounds.iter().map(|round| round.attached));
        let _ = writeln!(text, "\nfrom a birth to the flow hooks: {attached:#} microseconds");
        text
    }

    pub(super) fn bars(&self) -> Vec<Bar> {
        let index = |name: &str| self.names.iter().position(|other| other == name);
        let idle = UNTOUCHED.into_iter().filter_map(|name| {
            let (idle, noise) = (self.idle(index(name)?), self.noise(index(name)?));
            Some(Bar {
                what: format!("idle, {name}: {:+.1} ns, nothing but noise", idle.median),
                held: idle.is_nothing(&noise),
            })
        });
        let armed = ARMED.into_iter().filter_map(|(name, most, target)| {
            let [median, empty] = [self.armed(index(name)?), self.empty(index(name)?)].map(|spread| spread.median);
            let what = format!(
                "armed, {name}: {median:+.0} ns of at most {most:+.0} (target {target:+.0}; two empty programs {empty:+.0})"
            );
            Some(Bar { what, held: median <= most })
        });
        idle.chain(armed).collect()
    }
}

/// The middle of a list of numbers, and how far they lie apart.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len().max(1) - 1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            let value = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
            value(below) + (value(above) - value(below)) * place.fract()
        };
        Self { low: at(0.25), median: at(0.5), high: at(0.75) }
    }

    /// Not to be told from noise: no more than what the method makes up without any agent, or under two nanoseconds.
    fn is_nothing(&self, noise: &Self) -> bool {
        self.median <= noise.low.abs().max(noise.high.abs()).max(2.0)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, median, high } = self;
        if f.alternate() {
            return write!(f, "{median:.0} [{low:.0}, {high:.0}]");
        }
        write!(f, "{median:>+8.1} {:<16}", format!("[{low:+.1}, {high:+.1}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        let round = |none, idle, armed| Round {
            none: vec![none],
            empty: vec![none + 40.0],
            idle: vec![idle],
            armed: vec![armed],
            attached: 500.0,
        };
        let rounds = vec![round(100.0, 102.0, 190.0), round(104.0, 107.0, 200.0), round(110.0, 113.0, 203.0)];
        Series { names: vec!["getpid".to_owned()], rounds, last: vec![112.0] }
    }

    #[test]
    fn a_drift_is_taken_out() {
        let series = series();
        // Baselines 102, 107, 111.
        let medians = [series.idle(0), series.armed(0), series.noise(0)].map(|spread| spread.median.to_string());
        assert_eq!(medians, ["0", "92", "4"]);
    }

    #[test]
    fn a_bar_is_missed_by_the_median() {
        let bars: Vec<_> = series().bars().iter().map(ToString::to_string).collect();
        assert_eq!(
            bars,
            [
                "held   idle, getpid: +0.0 ns, nothing but noise",
                "MISSED armed, getpid: +92 ns of at most +90 (target +47; two empty programs +38)"
            ]
        );
    }

    #[test]
    fn quartiles_lie_between_the_numbers() {
        let Spread { low, median, high } = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((low, median, high), (1.75, 2.5, 3.25));
    }
}
