//! The scenarios, and how they are run: most share one agent and look at their own dumps only; the others bring their own.

use std::{
    collections::BTreeSet,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Conclusion, Trial};

use crate::harness::{
    agent::{Agent, Setup},
    guard,
    scene::Scene,
    world::World,
};

mod benign;
mod birth;
mod block;
mod copy;
mod early;
mod entries;
mod export;
mod found;
mod handed;
mod handover;
mod hops;
mod local;
mod memory;
mod names;
mod network;
mod peer;
mod program;
mod scale;
mod seldom;
mod start;
mod uring;

/// A scenario with the shared agent.
type Shared = (&'static str, fn(&Scene<'_>));
/// A scenario with agents of its own.
type Own = (&'static str, fn());

/// What the scenarios of the first part share.
struct Stage {
    agent: Agent,
    world: World,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
        let agent = Agent::start(folder.path(), &Setup::of(&world.config()));
        Self { agent, world, _folder: folder }
    }
}

/// Runs them all, or those that the command line chooses.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list && !rustix::process::geteuid().is_root() {
        eprintln!("scenarios load programs into the kernel, and make network namespaces: run them as root");
        return ExitCode::FAILURE;
    }
    guard::start();
    let stage = Arc::new(OnceLock::new());
    let shared = [
        birth::ALL,
        program::ALL,
        memory::ALL,
        copy::ALL,
        entries::ALL,
        seldom::ALL,
        uring::ALL,
        local::ALL,
        network::ALL,
        hops::ALL,
        handed::ALL,
        names::ALL,
        benign::ALL,
    ]
    .concat();
    let trials = shared.into_iter().map(|scenario| with_stage(&stage, scenario)).collect();
    let first = libtest_mimic::run(&arguments, trials);
    let stopped = Arc::into_inner(stage).and_then(OnceLock::into_inner).is_none_or(|stage| strike(&stage));
    let own = |(name, scenario): Own| {
        Trial::test(name, move || {
            repeat_own(scenario);
            Ok(())
        })
    };
    let long = scale::LONG
        .iter()
        .chain(handover::LONG)
        .chain(early::LONG)
        .map(|scenario| own(*scenario).with_ignored_flag(true));
    let peer = peer::ALL.iter().map(|scenario| own(*scenario).with_ignored_flag(!peer::is_there()));
    let trials = [start::ALL, block::ALL, found::ALL, handover::ALL, program::OWN, names::OWN, export::ALL, scale::ALL]
        .concat()
        .into_iter()
        .map(own);
    let trials = trials.chain(peer).chain(long).collect();
    let second = libtest_mimic::run(&Arguments { test_threads: Some(1), ..arguments }, trials);
    let failed = |conclusion: &Conclusion| conclusion.has_failed();
    if stopped && !failed(&first) && !failed(&second) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The shared agent has told what it lost, and must end as well as any other.
fn strike(stage: &Stage) -> bool {
    let end = || {
        stage.agent.tells_skipped_runs();
        stage.agent.stop()
    };
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(end));
    let _ = &stage.world;
    if stopped.is_err() {
        println!("the shared agent: 0 passed, 1 failed");
    }
    stopped.is_ok()
}

fn with_stage(stage: &Arc<OnceLock<Stage>>, (name, scenario): Shared) -> Trial {
    let stage = Arc::clone(stage);
    Trial::test(name, move || {
        let agent = &stage.get_or_init(Stage::set).agent;
        let mut first: Option<BTreeSet<String>> = None;
        for round in 0..repetitions() {
            let scene = Scene::new(agent);
            scenario(&scene);
            let Some(expected) = scene.settled() else { continue };
            let first = first.get_or_insert_with(|| expected.clone());
            let list = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect::<Vec<_>>();
            let (more, less) = (list(&expected, first), list(first, &expected));
            assert!(*first == expected, "round {round} differs: more {more:?}, less {less:?}\n{}", scene.told_all());
        }
        Ok(())
    })
}

fn repeat_own(scenario: fn()) {
    for _ in 0..repetitions() {
        scenario();
    }
}

fn repetitions() -> usize {
    std::env::var("DUMPTRAIL_REPEAT").map_or(1, |n| n.parse().expect("DUMPTRAIL_REPEAT is a number"))
}
