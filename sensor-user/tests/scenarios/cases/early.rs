//! Who reads a dump as soon as it has any bytes, and sends them at once: by a connection that stood before, or as the
//! dump's handler. With `arming: always` it is told where they went. With `auto` that holds for the handler; of who waited
//! it is told at least that it had the dump open, or that a window was missed.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use sensor_abi::flow::Via;
use sensor_user::step::{StepKind, StepKind::Sent};

use super::{Own, handover};
use crate::harness::{
    agent::{Agent, Setup},
    crash::{Pattern, crash},
    expect::step,
    line::Step,
    roles,
    scene::{SOON, Scene},
    world::{
        World,
        Zone::{Internet, Production},
        in_zone,
    },
};

/// Many times: they run with `-- --ignored`. With `auto` the flow hooks are off before each dump, which takes its time
/// where the clock does not leap.
pub(super) const LONG: &[Own] = &[("early::who_waits", who_waits), ("early::handler", handler)];

/// So many, unless `DUMPTRAIL_ROUNDS` says how many.
const ROUNDS: usize = 200;

/// One dump, and where its first bytes went.
struct Round {
    birth: Step,
    to: SocketAddr,
    /// So long after the birth.
    after: Duration,
}

fn who_waits() {
    play(!is_always(), |scene, arguments| {
        let core = scene.path("core");
        let mut waits = scene.start(in_zone(Production, roles::program("early")).args(arguments).arg(&core));
        handover::wait_for(&arguments[1]);
        let victim = crash_to(&core);
        assert!(waits.within(SOON).success());
        fs::remove_file(core).unwrap();
        victim
    });
}

fn handler() {
    play(false, |_, [to, said]| {
        let program = roles::program("early");
        // Without `--`, since a pattern has little room.
        let ns = in_zone(Production, &program).get_args().next().unwrap().to_str().unwrap().to_owned();
        crash_to(&format!("|/usr/bin/nsenter {ns} {} {to} {said} %P", program.display()))
    });
}

fn is_always() -> bool {
    std::env::var("DUMPTRAIL_TEST_ARMING").as_deref() == Ok("always")
}

fn crash_to(pattern: &str) -> u32 {
    let _pattern = Pattern::set(pattern);
    crash(in_zone(Production, roles::program("victim")).arg("65536"))
}

/// All rounds; `one` makes a dump and sends from it. With `late` what is sent may be missed, if that is told.
fn play(late: bool, one: impl Fn(&Scene<'_>, &[String; 2]) -> u32) {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let agent = Agent::start(folder.path(), &Setup::talkative(&world.config()));
    let scene = Scene::new(&agent);
    let count = std::env::var("DUMPTRAIL_ROUNDS").map_or(ROUNDS, |n| n.parse().expect("DUMPTRAIL_ROUNDS is a number"));
    let rounds: Vec<_> = (0..count).map(|number| round(&scene, number, &one)).collect();
    judge(&scene, &rounds, late);
    drop(scene);
    agent.stop();
}

/// Nobody who got any of it lives on, or the flow hooks would stand before the next one.
fn round(scene: &Scene<'_>, number: usize, one: impl Fn(&Scene<'_>, &[String; 2]) -> u32) -> Round {
    if number > 0 && !is_always() {
        handover::disarmed(scene.agent, number);
    }
    let (mut sink, port) = scene.sink(Internet, Production, 1);
    let to = SocketAddr::new(Internet.address(Production), port);
    let said = scene.path(&format!("s{number}"));
    let birth = scene.birth(one(scene, &[to.to_string(), said.clone()]));
    assert!(sink.within(SOON).success());
    let sent = fs::metadata(said).unwrap().modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let after = sent.as_secs_f64() % 86400.0 - second_of_day(&birth.time);
    Round { birth, to, after: Duration::try_from_secs_f64(after).unwrap_or_default() }
}

/// Of a time as the agent writes it.
fn second_of_day(time: &str) -> f64 {
    let clock = time.split(['T', 'Z']).nth(1).unwrap();
    clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

/// The agent says where the bytes went.
fn is_sent(agent: &Agent, Round { birth, to, .. }: &Round) -> bool {
    let wanted = step(Sent).via(Via::Tcp).zones("production", "internet").destination(to.ip(), to.port());
    agent.steps(birth.dump.as_ref().unwrap()).iter().any(|step| wanted.fits(step))
}

/// Somebody is told to have had it, or a gap says that this may be.
fn is_told(agent: &Agent, round: &Round) -> bool {
    let dump = round.birth.dump.as_ref().unwrap();
    let has = |step: &Step| {
        step.kind != StepKind::Created && [&step.to, &step.from].iter().any(|end| end.starts_with("early["))
    };
    agent.steps(dump).iter().any(has) || agent.gaps().iter().any(|gap| gap.dumps.contains(dump))
}

fn judge(scene: &Scene<'_>, rounds: &[Round], late: bool) {
    let agent = scene.agent;
    // What is still on its way.
    std::thread::sleep(Duration::from_secs(5));
    let mut after: Vec<_> = rounds.iter().map(|round| round.after).collect();
    let unsent: Vec<_> = rounds.iter().filter(|round| !is_sent(agent, round)).collect();
    let untold: Vec<_> = unsent.iter().filter(|round| !is_told(agent, round)).collect();
    let soon = after.iter().filter(|after| **after < Duration::from_millis(1)).count();
    let mut armed = armed(agent);
    eprintln!(
        "of {} dumps {} were sent with a destination, {} told otherwise; sent {} after birth, {soon} within 1 ms; \
         armed {} times, {} after birth",
        rounds.len(),
        rounds.len() - unsent.len(),
        unsent.len() - untold.len(),
        quantiles(&mut after),
        armed.len(),
        quantiles(&mut armed),
    );
    let told = |round: &Round| scene.told(round.birth.dump.as_ref().unwrap());
    let first = untold.first().map(|round| told(round));
    assert!(untold.is_empty(), "nothing tells what came of {}, this first: {first:#?}", untold.len());
    let first = unsent.first().map(|round| told(round));
    assert!(late || unsent.is_empty(), "{} have no destination, this first: {first:#?}", unsent.len());
    assert!(is_always() || armed.len() == rounds.len(), "the flow hooks were off before each: {}", armed.len());
}

/// From births until the flow hooks stood, as the agent logs it.
fn armed(agent: &Agent) -> Vec<Duration> {
    let log = agent.stderr();
    let times = log.lines().filter_map(|line| line.split_once("flow hooks stood after a birth us="));
    times.map(|(_, us)| Duration::from_micros(us.trim().parse().unwrap())).collect()
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}
