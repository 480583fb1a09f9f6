//! `cargo xtask`: builds, checks, tests and demonstrates Dumptrail. One file a verb, no product logic.

mod bench;
mod check;
mod cleaner;
mod cmd;
mod corpus;
mod demo;
mod image;
mod netns;
mod run;
mod setup;
mod stage;
mod test;
mod toolchain;
mod vm;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
enum Verb {
    Setup(setup::Args),
    Check(check::Args),
    Test(test::Args),
    Run(run::Args),
    Demo(demo::Args),
    Corpus(corpus::Args),
    Bench(bench::Args),
    Image(image::Args),
    Vm(vm::Args),
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Setup(args) => setup::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Run(args) => run::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Corpus(args) => corpus::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Image(args) => image::run(&args),
        Verb::Vm(args) => vm::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
