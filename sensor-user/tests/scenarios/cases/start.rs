//! Starting and reloading: what is refused, with which exit code and words, and what is used instead.

use std::{fs, path::Path, process::Command, time::Duration};

use sensor_user::step::{Severity, StepKind};

use super::Own;
use crate::harness::{
    agent::{Agent, Setup, binary},
    expect::step,
    guard::Undo,
    line::{Alert, Line},
    roles,
    scene::Scene,
};

pub(super) const ALL: &[Own] = &[
    ("start::not_root", not_root),
    ("start::without_a_capability", without_a_capability),
    ("start::unknown_backend", unknown_backend),
    ("start::backend_that_is_not_there", backend_that_is_not_there),
    ("start::strict_refuses_wrong_yaml", strict_refuses_wrong_yaml),
    ("start::wrong_yaml_uses_the_last_good", wrong_yaml_uses_the_last_good),
    ("start::reload", reload),
    ("start::a_namespace_that_comes_later", a_namespace_that_comes_later),
];

const GOOD: &str = "version: 1\nhost_zone: here\nzones:\n- {name: here, exposure: isolated}\n";
const BETTER: &str = "version: 1\nhost_zone: there\nzones:\n- {name: there, exposure: isolated}\n";
const WRONG: &str = "version: 1\nhost_zone: nowhere\nzones:\n- {name: here, exposure: isolatd}\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// The agent with fewer rights.
fn fewer(folder: &Path, setpriv: &[&str]) -> (Option<i32>, String) {
    let copy = folder.join("dumptrail");
    fs::copy(binary(), &copy).unwrap();
    let mut command = Command::new("setpriv");
    command.args(setpriv).arg(copy).args(["run", "--output", "json"]).env("DUMPTRAIL_STATE_DIR", folder.join("state"));
    let (status, said) = Agent::refused_by(command, folder);
    (status.code(), said)
}

/// Exit 3 names what is missing, and how to get it.
fn cannot_run((code, said): (Option<i32>, String), words: &[&str]) {
    assert_eq!(code, Some(3), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

fn not_root() {
    let folder = folder();
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    cannot_run(fewer(folder.path(), &nobody), &["CAP_BPF", "run as root"]);
}

fn without_a_capability() {
    let folder = folder();
    cannot_run(fewer(folder.path(), &["--bounding-set=-bpf,-sys_admin"]), &["CAP_BPF", "grant"]);
    cannot_run(fewer(folder.path(), &["--bounding-set=-perfmon,-sys_admin"]), &["CAP_PERFMON", "grant"]);
}

fn unknown_backend() {
    let folder = folder();
    let mut command = Command::new(binary());
    command.args(["run", "--backend", "nonsense"]);
    let (status, said) = Agent::refused_by(command, folder.path());
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("tracepoint") && said.contains("fentry"), "{said}");
}

/// A backend that the kernel or the build lacks is never replaced in silence: it runs as asked, or says why not.
fn backend_that_is_not_there() {
    let folder = folder();
    let mut command = Command::new("timeout");
    command.args(["--signal=TERM", "5"]).arg(binary()).args(["run", "--backend", "fentry", "--output", "none"]);
    command.env("DUMPTRAIL_STATE_DIR", folder.path());
    let (status, said) = Agent::refused_by(command, folder.path());
    match status.code() {
        Some(3) => assert!(said.contains("fentry") && said.contains("--backend tracepoint"), "{said}"),
        code => assert_eq!(code, Some(124), "{said}"),
    }
}

fn strict_refuses_wrong_yaml() {
    let folder = folder();
    let setup = Setup { args: vec!["--strict".into()], ..Setup::of(WRONG) };
    let (status, said) = Agent::refused(folder.path(), &setup);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("config.yaml:4:") && said.contains("isolated"), "{said}");
    assert!(said.contains("nowhere"), "all errors at once: {said}");
}

/// The alert on a configuration that was refused.
fn rejected(agent: &Agent) -> Alert {
    agent.within(Duration::from_secs(15), "the alert on the configuration", |lines| {
        lines.iter().find_map(|line| match line {
            Line::Alert(a) if a.step.kind == StepKind::ConfigRejected => Some(Alert::clone(a)),
            _ => None,
        })
    })
}

fn wrong_yaml_uses_the_last_good() {
    let folder = folder();
    let first = Agent::start(folder.path(), &Setup::of(GOOD));
    assert_eq!(first.ready.pid, first.pid());
    assert!(first.ready.ok && is_fit(&first), "{:?}", first.ready);
    first.stop();
    let second = Agent::start(folder.path(), &Setup::of(WRONG));
    assert_eq!(second.ready.config_hash, first.ready.config_hash, "the last good one is in force");
    let alert = rejected(&second);
    assert_eq!((alert.severity, alert.step.from_zone.as_str()), (Severity::High, "here"));
    assert!(alert.step.detail.as_ref().is_some_and(|text| text.contains("config.yaml:4:")), "{alert:#?}");
    let summary = &alert.summary;
    assert!(summary.ends_with("; the last good one is in force") && !summary.contains('\n'), "{summary}");
    assert!(!second.ready.ok && second.ready.problems[0].contains("the last good one"), "{:?}", second.ready);
    assert!(!is_fit(&second));
    fs::write(second.config(), BETTER).unwrap();
    second.reload();
    second.within(Duration::from_secs(15), "the notice on the reload", |lines| {
        lines.iter().any(|l| matches!(l, Line::Notice(n) if n.kind == "config-reloaded")).then_some(())
    });
    assert!(is_fit(&second), "the configuration is in force");
    second.stop();
}

/// What a readiness probe is told.
fn is_fit(agent: &Agent) -> bool {
    let mut probe = Command::new(binary());
    let output = probe.args(["doctor", "--ready"]).env("DUMPTRAIL_STATE_DIR", agent.state()).output().unwrap();
    output.status.code() == Some(0)
}

fn reload() {
    let folder = folder();
    let agent = Agent::start(folder.path(), &Setup::of(GOOD));
    fs::write(agent.config(), BETTER).unwrap();
    agent.reload();
    let told = |n: usize| {
        agent.within(Duration::from_secs(15), "the notice on the reload", |lines| {
            let notices = lines.iter().filter(|l| matches!(l, Line::Notice(n) if n.kind == "config-reloaded"));
            (notices.count() == n).then_some(())
        });
    };
    told(1);
    let notice = agent.notices("config-reloaded").remove(0);
    assert!(!notice.text.contains(&agent.ready.config_hash), "another configuration has another hash: {}", notice.text);
    fs::write(agent.config(), WRONG).unwrap();
    agent.reload();
    let alert = rejected(&agent);
    assert_eq!(
        (alert.severity, alert.step.from_zone.as_str()),
        (Severity::High, "there"),
        "the old one stays in force"
    );
    assert_eq!(agent.notices("config-reloaded").len(), 1);
    let steps = agent.stop().steps;
    assert!(steps >= 2, "the refusal and the end are steps: {steps}");
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// A zone may name a network namespace that is not there yet. Once it is, its processes are in that zone; once another is
/// made under its name, those of that one are, and those of whatever took over its number are not.
fn a_namespace_that_comes_later() {
    let (folder, [late, other]) = (folder(), ["late", "other"].map(|name| format!("dt-{name}-{}", std::process::id())));
    let config = format!(
        "version: 1\nhost_zone: here\nzones:\n- {{name: here, exposure: isolated}}\n\
         - {{name: late, exposure: internal, workloads: [{{netns: /run/netns/{late}}}]}}\n"
    );
    let agent = Agent::start(folder.path(), &Setup::of(&config));
    let scene = Scene::new(&agent);
    let dump = scene.core_of(folder.path(), Command::new(roles::program("victim")).arg("2097152"));
    let _undo = [&late, &other].map(|name| Undo::by(format!("ip netns del {name} 2>/dev/null")));
    let reads_in = |netns: &str, zone: &str| {
        let cat =
            scene.complete(Command::new("nsenter").args([&format!("--net=/run/netns/{netns}"), "cat", &dump.path]));
        scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{}]", cat.pid)).zones("here", zone));
    };
    ip(&["netns", "add", &late]);
    reads_in(&late, "late");
    ip(&["netns", "del", &late]);
    ip(&["netns", "add", &other]);
    // What was done in a namespace may be told a moment after its name is gone.
    std::thread::sleep(Duration::from_secs(3));
    reads_in(&other, "here");
    ip(&["netns", "add", &late]);
    reads_in(&late, "late");
    drop(scene);
    agent.stop();
}
