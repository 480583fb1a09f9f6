//! `cargo xtask bench icount`: what the agent costs, in instructions, on kernels in virtual machines. The numbers repeat,
//! so docs/performance.md holds them, and what costs more than it says there fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cmd;
use crate::vm::{
    self,
    costs::{self, Costs},
    payload::Binaries,
};

/// In instructions, on other kernels, in virtual machines
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which kernels, without the patch level
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(costs::series()), default_values = ["6.1", "6.12"])]
    kernels: Vec<String>,
    /// The agent's backends
    #[arg(long, value_delimiter = ',', default_value = "fentry,tracepoint")]
    backends: Vec<String>,
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
}

/// Where the numbers are kept.
const RECORD: &str = "docs/performance.md";
/// A kernel's patch level changes a little, and timer interrupts are instructions too.
const SLACK: f64 = 0.02;
const LEAST: f64 = 8.0;
/// Told, not judged: two runs without an agent differ by more than the agent adds.
const UNSTEADY: [&str; 2] = ["fork+exit", "fork+exec"];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    vm::prepare(args.yes)?;
    let binaries = Binaries::for_costs()?;
    let record = std::fs::read_to_string(cmd::root().join(RECORD)).context(RECORD)?;
    let known = recorded(&record);
    let (mut grown, mut empty) = (0, String::new());
    println!(
        "| kernel, backend | operation | no agent | idle adds | armed adds | blocking adds | no agent, again |\n\
        |---|---|---|---|---|---|---|"
    );
    for kernel in &args.kernels {
        for backend in &args.backends {
            let costs = costs::measure(kernel, backend, &binaries)?;
            let (table, more) = table(&format!("{kernel} {backend}"), &costs, &known);
            print!("{table}");
            empty += &of_empty_hooks(kernel, &costs);
            eprintln!("{} {backend}: measured", costs.release);
            grown += more;
        }
    }
    println!(
        "\n| kernel | operation | no hook | an empty fentry adds | an empty kprobe adds |\n|---|---|---|---|---|\n{empty}"
    );
    Ok(if grown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is added in each state (idle, armed, blocking, where that can be), by kernel, backend and operation.
type Record = BTreeMap<(String, String), [Option<f64>; 3]>;

/// The rows of the table in the document.
fn recorded(text: &str) -> Record {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, place, operation, _, idle, armed, blocking, _, _] = cells[..] else { return None };
        let numbers = [idle, armed, blocking].map(|cell| cell.parse().ok());
        numbers[0].map(|_| ((place.to_owned(), operation.to_owned()), numbers))
    });
    rows.collect()
}

/// Rows as in the document, and how many of them cost more than it says.
fn table(place: &str, costs: &Costs, known: &Record) -> (String, usize) {
    let (mut text, mut grown) = (String::new(), 0);
    for (index, name) in costs.names.iter().enumerate() {
        let none = costs.none[index];
        let added = |state: &Vec<f64>| state[index] - none;
        let now = [Some(&costs.idle), Some(&costs.armed), costs.blocking.as_ref()].map(|state| state.map(added));
        let [idle, armed, blocking] = now.map(|number| number.map_or_else(|| "–".to_owned(), |n| format!("{n:+.0}")));
        let again = added(&costs.again);
        let _ = writeln!(text, "| {place} | {name} | {none:.0} | {idle} | {armed} | {blocking} | {again:+.0} |");
        let Some(old) = known.get(&(place.to_owned(), name.clone())) else { continue };
        let more = |(now, old): (Option<f64>, &Option<f64>)| {
            now.zip(*old).is_some_and(|(now, old)| now > old + LEAST.max(SLACK * (none + old)))
        };
        if !UNSTEADY.contains(&&**name) && now.into_iter().zip(old).any(more) {
            eprintln!("{place}, {name}: {RECORD} says {old:?}");
            grown += 1;
        }
    }
    (text, grown)
}

/// What programs cost that do nothing, on the function below read(2) and write(2).
fn of_empty_hooks(kernel: &str, costs: &Costs) -> String {
    let row = |(index, name): (usize, &String)| {
        let cells = costs.empty.iter().map(|empty| match empty {
            Ok(numbers) => format!("{:+.0}", numbers[index] - costs.none[index]),
            Err(why) => why.clone(),
        });
        format!("| {kernel} | {name} | {:.0} | {} |\n", costs.none[index], cells.collect::<Vec<_>>().join(" | "))
    };
    if costs.empty.is_empty() { String::new() } else { costs.names.iter().enumerate().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(idle: f64, armed: f64) -> Costs {
        let [none, idle, armed, again] = [500.0, 500.0 + idle, 500.0 + armed, 500.0].map(|number| vec![number]);
        let empty = vec![Ok(vec![632.0]), Err("no kprobes".to_owned())];
        let blocking = Some(vec![armed[0] + 100.0]);
        Costs { release: String::new(), names: vec!["read 1 B".to_owned()], none, idle, armed, blocking, again, empty }
    }

    #[test]
    fn empty_hooks_have_rows_of_their_own() {
        let rows = of_empty_hooks("6.1", &costs(0.0, 180.0));
        assert_eq!(rows, "| 6.1 | read 1 B | 500 | +132 | no kprobes |\n");
        assert_eq!(recorded(&rows), Record::new());
    }

    #[test]
    fn a_row_comes_back_and_growth_is_seen() {
        let (row, grown) = table("6.1 fentry", &costs(0.0, 180.0), &Record::new());
        assert_eq!((&*row, grown), ("| 6.1 fentry | read 1 B | 500 | +0 | +180 | +280 | +0 |\n", 0));
        let known = recorded(&row);
        assert_eq!(table("6.1 fentry", &costs(5.0, 185.0), &known).1, 0);
        assert_eq!(table("6.1 fentry", &costs(20.0, 180.0), &known).1, 1);
        assert_eq!(table("6.1 fentry", &costs(0.0, 230.0), &known).1, 1);
    }
}
