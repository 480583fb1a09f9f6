//! The command line. One error taxonomy, mapped to exit codes here and nowhere else; stdout carries results, stderr the
//! rest.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod check;
pub mod doctor;
pub mod endpoints;
pub mod run;
pub mod terminal;
pub mod test;
pub mod trail;
pub mod zone;

use crate::{config::Diagnostic, probe::plan};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line is wrong; exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Invalid input, a failed test or a broken chain; exit code 1.
    #[error("{0}")]
    Invalid(String),
    /// It cannot run here; says what is missing and how to get it. Exit code 3.
    #[error("{0}")]
    Unsupported(String),
    /// It failed while running; exit code 4.
    #[error("{0}")]
    Runtime(String),
}

impl Failure {
    /// The exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Invalid(_) => 1,
            Self::Usage(_) => 2,
            Self::Unsupported(_) => 3,
            Self::Runtime(_) => 4,
        }
    }
    /// A configuration that was refused: all findings, one after the other.
    pub fn of_findings(findings: &[Diagnostic]) -> Self {
        let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
        Self::Invalid(format!("invalid configuration\n{}", texts.join("\n")))
    }
}

/// Follows memory dumps from birth to the moment their bytes leave their trust zone.
#[derive(Debug, Parser)]
#[command(name = "dumptrail", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent in the foreground.
    Run(RunArgs),
    /// Say what this kernel offers, where dumps go, and what is missing.
    Doctor(DoctorArgs),
    /// Validate configuration, zones and rules; shows all errors at once.
    Check(CheckArgs),
    /// Run the tests of rules; no kernel needed.
    Test(TestArgs),
    /// List known dumps, or show the trail of one.
    Trail(TrailArgs),
    /// Say which zone an address, a process or a path is in, and which line decided.
    Zone(ZoneArgs),
}

/// Arguments of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// File or directory of configuration; may be given several times. Without: the embedded default.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Which kind of kernel hooks to use.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    pub backend: Backend,
    /// What to write to stdout. Without: text on a terminal, else json.
    #[arg(long, value_enum)]
    pub output: Option<Output>,
    /// Write every step, not only alerts.
    #[arg(long)]
    pub steps: bool,
    /// Exit with 1 when the configuration is invalid, instead of using the last good one.
    #[arg(long)]
    pub strict: bool,
    /// Run even where something is missing that makes the agent partly blind.
    #[arg(long)]
    pub allow_degraded: bool,
}

/// Kind of kernel hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// fentry where the kernel has it, else tracepoints.
    Auto,
    /// BPF trampolines.
    Fentry,
    /// Raw tracepoints.
    Tracepoint,
}

impl Backend {
    /// What was asked for; `None` leaves it to the kernel.
    pub const fn wish(self) -> Option<plan::Backend> {
        match self {
            Self::Auto => None,
            Self::Fentry => Some(plan::Backend::Fentry),
            Self::Tracepoint => Some(plan::Backend::Tracepoint),
        }
    }
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// File or directory of configuration; may be given several times.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// The kind of kernel hooks that `run` would be asked for.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    pub backend: Backend,
    /// JSON instead of text.
    #[arg(long)]
    pub json: bool,
    /// Only say whether the agent that runs here is fit, for readiness probes: exit 0 when it is.
    #[arg(long, conflicts_with_all = ["config", "json", "load"])]
    pub ready: bool,
    /// Load and attach all programs too, and tell how many instructions the verifier walked.
    #[arg(long, hide = true)]
    pub load: bool,
}

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Files or directories.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Form of the findings.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub output: Form,
}

/// Arguments of `test`.
#[derive(Args, Clone, Debug)]
pub struct TestArgs {
    /// Files or directories.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Form of the results.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub output: Form,
}

/// Arguments of `zone`.
#[derive(Args, Clone, Debug)]
pub struct ZoneArgs {
    /// An address (`203.0.113.9`, `[::1]:443`), a process id, or an absolute path.
    #[arg(value_name = "ADDRESS|PID|PATH")]
    pub what: String,
    /// File or directory of configuration; may be given several times. Without: the embedded default.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub output: Form,
}

/// Arguments of `trail`.
#[derive(Args, Clone, Debug)]
pub struct TrailArgs {
    /// The dump (`dump.id`, or the start of it). Without: lists all known dumps.
    #[arg(value_name = "DUMP_ID")]
    pub dump: Option<String>,
    /// Form of the trail.
    #[arg(long, value_enum, default_value_t = TrailFormat::Tree)]
    pub format: TrailFormat,
}

/// Form of a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TrailFormat {
    /// A tree for a terminal.
    Tree,
    /// JSON.
    Json,
    /// Graphviz.
    Dot,
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "dumptrail: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    if matches!(command, Command::Run(_)) {
        terminal::log();
    } else {
        terminal::warn();
    }
    match command {
        Command::Run(args) => run::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Trail(args) => trail::show(&args),
        Command::Zone(args) => zone::run(&args),
    }
}

/// Writes a result to stdout. A reader that has gone away has had enough: that is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Runtime(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// `1 error`, `2 errors`.
fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["dumptrail", "check"]).is_err());
        assert!(Cli::try_parse_from(["dumptrail", "run", "--config", "a", "--config", "b", "--strict"]).is_ok());
    }
}
