//! Bytes that are on their way while the flow hooks are being attached: under `fentry` functions take over from system
//! calls meanwhile. Each is counted, and once.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, StepKind};
use serde::Deserialize;

use super::Own;
use crate::harness::{
    agent::{Agent, Setup},
    expect::{Expect, step},
    guard::Running,
    line::{Gap, Step},
    scene::{Dump, SOON, Scene, appears, python},
    world::{
        World,
        Zone::{Internet, Production},
        in_zone,
    },
};

pub(super) const ALL: &[Own] = &[
    ("handover::bytes_on_their_way", bytes_on_their_way),
    ("handover::who_has_waited_for_long", who_has_waited_for_long),
    ("handover::armed_again", armed_again),
];

/// Many times: they run with `-- --ignored`. Two, since a guest that says nothing for ten minutes is given up.
pub(super) const LONG: &[Own] = &[("handover::ten_times", ten_times), ("handover::ten_times_more", ten_times)];

/// What `mover.py` says in the end.
#[derive(Deserialize)]
struct Said {
    sums: BTreeMap<String, u64>,
    children: BTreeMap<String, u32>,
}

fn stage(folder: &Path) -> (World, Agent) {
    let world = World::make();
    let agent = Agent::start(folder, &Setup::talkative(&world.config()));
    (world, agent)
}

fn bytes_on_their_way() {
    rounds(1);
}

/// The flow hooks are taken off and attached anew, or are still there.
fn armed_again() {
    rounds(2);
}

fn ten_times() {
    rounds(10);
}

fn rounds(count: u32) {
    let folder = tempfile::tempdir().unwrap();
    let (_world, agent) = stage(folder.path());
    for round in 0..count {
        if round > 0 {
            disarmed(&agent, round as usize);
        }
        let gaps = agent.gaps().len();
        let moved = round_of(&agent, Duration::from_secs(1));
        eprintln!("round {round}: {moved:?}");
        let is_lost = |gap: &Gap| ["hand_over", "arming_failed"].contains(&gap.cause.as_str());
        let lost: Vec<_> = agent.gaps().split_off(gaps).into_iter().filter(is_lost).collect();
        assert!(lost.is_empty(), "in round {round}: {lost:?}");
    }
    agent.stop();
}

/// After so many births, none of which has left anything to follow, the flow hooks are taken off again, if the kernel lets
/// them be attached once more: as the agent logs it.
pub(super) fn disarmed(agent: &Agent, births: usize) {
    let count = |what: &str| agent.stderr().matches(what).count();
    let until = Instant::now() + Duration::from_secs(40);
    while count("flow hooks taken off") < births && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub(super) fn wait_for(path: &str) {
    assert!(appears(path, Duration::from_mins(1)), "{path} did not come");
}

/// A program that was there before the dump.
fn before(scene: &Scene<'_>, script: &str, arguments: &[&str]) -> Running {
    let mut command = in_zone(Production, python());
    command.args(["-c", script]).args(arguments);
    scene.start(&mut command)
}

/// What was moved, as the programs say that moved it.
fn round_of(agent: &Agent, time: Duration) -> BTreeMap<String, u64> {
    let scene = Scene::new(agent);
    let (mut sink, port) = scene.sink(Internet, Production, 1);
    let (dump, copy, said) = (scene.path("dump"), scene.path("copy"), scene.path("said"));
    let (host, port, time) =
        (Internet.address(Production).to_string(), port.to_string(), time.as_secs_f64().to_string());
    let mut mover = before(&scene, include_str!("mover.py"), &[&dump, &copy, &host, &port, &said, &time]);
    wait_for(&format!("{said}.waits"));
    let core = scene.core();
    fs::hard_link(&core.path, &dump).unwrap();
    assert!(mover.within(SOON * 4).success(), "{}", scene.told(&core.id));
    assert!(sink.within(SOON).success());
    let said: Said = serde_json::from_str(&fs::read_to_string(&said).unwrap()).unwrap();
    let name = |pid: u32| format!("python3[{pid}]");
    let from = name(mover.pid());
    let through = |child: &str, via: Via| step(StepKind::Sent).via(via).from(&from).to(name(said.children[child]));
    let all = [
        (said.sums["read"], step(StepKind::Read).to(&from)),
        (said.sums["file"], step(StepKind::Written).from(&from).to(&copy)),
        (said.sums["tcp"], step(StepKind::Sent).via(Via::Tcp).from(&from)),
        (said.sums["fast"], through("pipe_waits_for_it", Via::Pipe)),
        (said.sums["slow"], through("waits_for_a_pipe", Via::Pipe)),
        (said.sums["socket"], through("socket", Via::Unix)),
    ];
    for (bytes, wanted) in all {
        exactly(&scene, &core, bytes, &wanted);
    }
    said.sums
}

/// The flow has so many bytes in the end: never more, and no fewer, unless the kernel skipped runs, which is told.
fn exactly(scene: &Scene<'_>, dump: &Dump, bytes: u64, wanted: &Expect) {
    scene.sees(dump, &wanted.clone().between(bytes, u64::MAX));
    let flows = scene.agent.steps(&dump.id).into_iter().filter(|step| wanted.fits(step));
    let most = flows.map(|step| step.bytes).max().unwrap_or(0);
    let lossy = scene.agent.gaps().iter().any(|gap| gap.cause == "program_skipped");
    assert!(most == bytes || lossy && most < bytes, "{most} of {bytes}, {wanted:?}:\n{}", scene.told(&dump.id));
}

/// Two have waited in a read since before there was any dump: one until the functions stand alone. What it reads is not
/// seen, which is told, and it is found holding the dump.
fn who_has_waited_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let (_world, agent) = stage(folder.path());
    let scene = Scene::new(&agent);
    let script = "
import os, sys, time
dump, there, go, copy = sys.argv[1:5]
pipe = os.pipe()
child = os.fork()
if child == 0:
    os.close(pipe[1]); data = os.read(pipe[0], 65536); time.sleep(5); open(copy, 'wb').write(data); os._exit(0)
open(there, 'w').write(str(child))
while not os.path.exists(go): time.sleep(0.01)
data = open(dump, 'rb').read(65536)
os.write(pipe[1], data)
os.waitpid(child, 0)";
    let paths = ["dump", "there", "go", "copy"].map(|name| scene.path(name));
    let arguments = paths.each_ref().map(String::as_str);
    let mut waits = before(&scene, script, &arguments);
    wait_for(&paths[1]);
    let core = scene.core();
    fs::hard_link(&core.path, &paths[0]).unwrap();
    std::thread::sleep(Duration::from_secs(13));
    fs::write(&paths[2], "").unwrap();
    assert!(waits.within(SOON).success());
    let reader = format!("python3[{}]", fs::read_to_string(&paths[1]).unwrap());
    let written = scene.sees(&core, &step(StepKind::Written).from(&reader).to(&paths[3]).bytes(65536));
    let sent = agent.steps_where(|s: &Step| s.kind == StepKind::Sent && s.to == reader);
    let gaps = agent.gaps().into_iter().filter(|gap| gap.cause == "hand_over").count();
    let unseen = agent.ready.backend == "fentry" && std::env::var("DUMPTRAIL_TEST_ARMING").as_deref() != Ok("always");
    let told = (written.confidence, sent.iter().map(|s| s.bytes).max(), gaps);
    let expected = if unseen { (Confidence::Swept, None, 1) } else { (Confidence::Direct, Some(65536), 0) };
    assert_eq!(told, expected, "{}", scene.told(&core.id));
    drop(scene);
    agent.stop();
}
