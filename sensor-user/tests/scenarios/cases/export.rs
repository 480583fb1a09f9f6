//! What leaves the agent: alerts by OTLP, to a receiver that this project did not write; and no secret, by any way.

use std::{fs, path::Path};

use sensor_user::step::{Severity, StepKind};

use super::Own;
use crate::harness::{
    agent::{Agent, Setup},
    expect::step,
    guard::Running,
    roles,
    scene::{Dump, SOON, Scene},
    world::{
        World,
        Zone::{Internet, Production},
        in_zone, port,
    },
};

#[path = "../../otlp/receiver.rs"]
#[expect(dead_code, reason = "the other receiver is used by the tests of export")]
mod receiver;

use receiver::{Tap, attribute, find, text, tools};

pub(super) const ALL: &[Own] =
    &[("export::alert_by_otlp", alert_by_otlp), ("export::no_secret_leaves", no_secret_leaves)];

fn start(world: &World, folder: &Path, port: u16) -> Agent {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://127.0.0.1:{port}"));
    Agent::start(folder, &Setup { env: vec![endpoint], ..Setup::of(&world.config()) })
}

/// curl takes the dump to the Internet, with these words besides.
fn leave(scene: &Scene<'_>, dump: &Dump, words: &[String]) -> crate::harness::line::Alert {
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let mut curl = in_zone(Production, "curl");
    curl.args(["-sS", "-T", &dump.path, &format!("http://{}:{port}/up", Internet.address(Production))]).args(words);
    scene.complete(&mut curl);
    assert!(sink.within(SOON).success());
    scene.alerts(dump, "dump-left-isolation", Severity::Critical, &step(StepKind::Sent).from("curl[]"))
}

fn alert_by_otlp() {
    let Some(tools) = tools() else { return };
    let (world, folder, tap) = (World::make(), tempfile::tempdir().unwrap(), Tap::start(&tools));
    let agent = start(&world, folder.path(), tap.port);
    let scene = Scene::new(&agent);
    let dump = scene.core();
    let content = super::birth::identified(&scene, &dump);
    let alert = leave(&scene, &dump, &[]);
    let record = tap.wait("the alert", |line| {
        let record = find(line, "eventName", "dumptrail.alert")?;
        (attribute(&record, "log.record.uid") == alert.id).then_some(record)
    });
    assert_eq!(record["severityText"], "critical");
    assert!(["SEVERITY_NUMBER_FATAL", "21"].contains(&text(&record["severityNumber"]).as_str()), "{record}");
    assert_eq!(text(&record["traceId"]), content, "the trace is named by the content");
    assert_eq!(record["body"]["stringValue"], alert.summary);
    for (key, value) in [
        ("dumptrail.rule.id", "dump-left-isolation"),
        ("dumptrail.dump.id", &dump.id),
        ("dumptrail.origin.zone", "production"),
        ("dumptrail.to.zone", "internet"),
    ] {
        assert_eq!(attribute(&record, key), value);
    }
    agent.stop();
    for metric in documented() {
        tap.wait(metric, |line| find(line, "name", metric));
    }
}

/// The metrics that docs/telemetry.md promises, but for those that tell of what went wrong or was blocked.
fn documented() -> Vec<&'static str> {
    let docs = include_str!("../../../../docs/telemetry.md");
    let (_, table) = docs.split_once("\n## Metrics\n").unwrap();
    let rows = table.lines().take_while(|line| !line.starts_with("##")).filter_map(|line| line.split('|').nth(1));
    let names = rows.flat_map(|cell| cell.split('`').filter(|name| name.starts_with("dumptrail.")));
    let rare = ["dumptrail.verdicts", "dumptrail.records.lost", "dumptrail.gaps", "dumptrail.rule.undecided"];
    let names: Vec<_> = names.filter(|name| !rare.contains(name)).collect();
    assert!(names.len() >= 12, "{names:?}");
    names
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn holds(bytes: &[u8], marker: &str) -> bool {
    bytes.windows(marker.len()).any(|window| window == marker.as_bytes())
}

/// Secrets in arguments, environment and memory of the victim, and in the arguments of who takes the dump away.
fn no_secret_leaves() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let (port, bodies) = (port(), folder.path().join("bodies"));
    fs::create_dir(folder.path().join("agent")).unwrap();
    let mut collector = std::process::Command::new(roles::program("collector"));
    let collector = Running::start(collector.arg(format!("127.0.0.1:{port}")).arg(&bodies));
    std::thread::sleep(std::time::Duration::from_millis(200));
    let agent = start(&world, &folder.path().join("agent"), port);
    let scene = Scene::new(&agent);
    let [password, token, bare, environment, bearer] =
        ["pw", "tk", "ba", "en", "be"].map(|n| format!("{n}M4rk3rQ7x{:08x}Zk9vLw2TfB6yHd0sPqRn", std::process::id()));
    let mut victim = in_zone(Production, roles::program("victim"));
    victim
        .args(["2097152", &format!("--password={password}"), "--token", &token, &bare])
        .env("SECRET_KEY", &environment);
    let dump = scene.core_of(scene.folder(), &mut victim);
    super::birth::identified(&scene, &dump);
    let core = fs::read(&dump.path).unwrap();
    let markers = [&password, &token, &bare, &environment, &bearer];
    markers[..4].iter().for_each(|marker| assert!(holds(&core, marker), "the dump holds its secrets"));
    let header = format!("Authorization: Bearer {bearer}");
    let words = ["-H", &header, "-u", &format!("me:{password}"), "--oauth2-bearer", &token, "-A", &bare];
    let alert = leave(&scene, &dump, &words.map(str::to_owned));
    let line = alert.step.command_line.clone().expect("the command line is told");
    assert!(line.starts_with("curl ") && line.contains("Authorization"), "what is told is worth telling: {line}");
    let trail = [agent.verb(&["trail", &dump.id]), agent.verb(&["trail", &dump.id, "--format", "json"])];
    agent.stop();
    drop(collector);
    let mut all = files(folder.path());
    assert!(holds(&fs::read(&bodies).unwrap(), &alert.id), "the alert was exported");
    all.extend(trail.map(|output| ("trail".to_owned(), output.stdout)));
    for (name, bytes) in all {
        for marker in &markers {
            assert!(!holds(&bytes, marker), "{marker} is in {name}");
        }
    }
}
