//! Rules that block: by ten ways no byte of a dump arrives where it must not go, and everything else goes its way. Where
//! the kernel cannot, they only alert, and say so.

use std::{fs, net::IpAddr, process::Command, time::Duration};

use sensor_user::step::{StepKind, Verdict};

use super::Own;
use crate::harness::{
    agent::{Agent, Setup, binary},
    guard::Running,
    line::{Alert, Line},
    roles,
    scene::{Dump, SOON, Scene, python},
    world::{
        World,
        Zone::{self, Debug, Internet, Production},
        in_zone, port,
    },
};

pub(super) const ALL: &[Own] = &[
    ("block::ten_ways", ten_ways),
    ("block::observe", observe),
    ("block::opened_in_a_forbidden_zone", opened_in_a_forbidden_zone),
    ("block::reload", reload),
    ("block::doctor_and_check", doctor_and_check),
];

const WAYS: &[&str] = &[
    "send",
    "sendfile",
    "splice",
    "mmap_write",
    "io_uring",
    "tee_chain",
    "unix_proxy",
    "fd_passing",
    "connect_before_taint",
    "forked_child",
];
/// Beside the ten.
const MORE: &[&str] = &["false_name", "datagrams", "corked", "corked_many", "narrow_sendfile"];
/// Where the kernel can. The first goes to no port; the second is asked about from 6.5 on.
const MOST: &[&str] = &["echo", "waiting_splice"];
/// Every way out.
const SCRIPT: &str = concat!(include_str!("ring.py"), include_str!("narrow.py"), include_str!("ways.py"));
/// What it ends with when a call got EPERM.
const REFUSED: i32 = 77;

const RULE: &str = "rules:\n\
    - {id: no-way-out, title: A dump is kept inside, severity: high, actions: [block],\n   \
    when: 'origin.exposure == \"isolated\" && to.exposure == \"internet-facing\"'}\n";

/// True where the kernel runs programs that answer: where it does, rules must block.
fn kernel_can() -> bool {
    let fentry = std::env::var("DUMPTRAIL_TEST_BACKEND").is_ok_and(|backend| backend == "fentry");
    let active = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    fentry && active.trim().split(',').any(|name| name == "bpf")
}

/// What splice(2) brings to a socket is a message.
fn splices_are_asked_about() -> bool {
    let release = rustix::system::uname();
    let mut parts = release.release().to_str().unwrap().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(6), Some(5))
}

struct Stage {
    world: World,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        Self { world: World::make(), folder: tempfile::tempdir().unwrap() }
    }

    fn config(&self, enforcement: &str, rule: &str) -> String {
        format!("{}enforcement: {enforcement}\n{rule}", self.world.config())
    }

    /// An agent that says what it can.
    fn agent(&self, enforcement: &str) -> Agent {
        let agent = Agent::start(self.folder.path(), &Setup::of(&self.config(enforcement, RULE)));
        let expected = if kernel_can() { enforcement } else { "alert-only" };
        assert_eq!(agent.ready.blocking, expected, "{:?}", agent.ready.why);
        assert_eq!(agent.ready.why.is_some(), !kernel_can());
        agent
    }
}

/// A receiver that counts what comes, by whatever connections.
struct Counter {
    _running: Running,
    file: String,
    address: IpAddr,
    port: u16,
}

impl Counter {
    fn start(scene: &Scene<'_>, zone: Zone) -> Self {
        let (port, address) = (port(), zone.address(Production));
        let file = scene.path(&format!("counted-{port}"));
        let mut command = in_zone(zone, roles::program("counter"));
        let running = scene.serve(command.args([format!("{address}:{port}"), file.clone()]), port);
        Self { _running: running, file, address, port }
    }

    /// Bytes so far.
    fn bytes(&self) -> u64 {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(|line| line.parse::<u64>().ok()).sum()
    }

    /// Waits until as many have come.
    fn comes_to(&self, bytes: u64) {
        let end = std::time::Instant::now() + SOON;
        while self.bytes() < bytes && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.bytes(), bytes);
    }
}

/// Sends a file in one way. The process, and what it ended with. The script is a file, written once: this process reads how
/// much came, which marks it, and what it writes then, and long arguments, carry that on.
fn goes(scene: &Scene<'_>, zone: Zone, way: &str, path: &str, (address, port): (IpAddr, u16)) -> (u32, Option<i32>) {
    let script = scene.path("ways.py");
    if !fs::exists(&script).unwrap() {
        fs::write(&script, SCRIPT).unwrap();
    }
    let mut command = in_zone(zone, python());
    command.args([&script, way, path, &address.to_string(), &port.to_string()]);
    let mut running = scene.start(&mut command);
    let status = running.within(Duration::from_mins(2));
    (running.pid(), status.code())
}

/// A file that is no dump, of the same size.
fn harmless(scene: &Scene<'_>, dump: &Dump) -> String {
    let path = scene.path("harmless");
    fs::write(&path, vec![b'x'; dump.size as usize]).unwrap();
    path
}

/// The alert of the rule on what this way did: each has a port of its own, and an opened file none.
fn alerted(scene: &Scene<'_>, dump: &Dump, way: &str, port: Option<u16>, verdict: Option<Verdict>) -> Alert {
    let fits = |alert: &Alert| {
        let step = &alert.step;
        alert.rule == "no-way-out"
            && step.dump.as_deref() == Some(&dump.id)
            && (step.port, step.verdict) == (port, verdict)
    };
    scene.agent_within(&dump.id, &format!("the alert on {way}"), |line, _| match line {
        Line::Alert(alert) if fits(alert) => Some(Alert::clone(alert)),
        _ => None,
    })
}

fn ten_ways() {
    let stage = Stage::set();
    let agent = stage.agent("enforce");
    let scene = Scene::new(&agent);
    let dump = scene.core();
    let can = kernel_can();
    // Before 5.19 no tracepoint tells of a request.
    let sees_rings = !agent.ready.missing.iter().any(|lack| lack["hook"] == "uring_began");
    for way in WAYS.iter().chain(MORE) {
        let counter = Counter::start(&scene, Internet);
        let (_, code) = goes(&scene, Production, way, &dump.path, (counter.address, counter.port));
        if can {
            assert_eq!(code, Some(REFUSED), "{way} should end with EPERM\n{}", scene.told(&dump.id));
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(counter.bytes(), 0, "{way} brought bytes out");
            let alert = alerted(&scene, &dump, way, Some(counter.port), Some(Verdict::Blocked));
            assert!(alert.summary.ends_with("; blocked"), "{}", alert.summary);
            assert_eq!((alert.step.bytes, alert.step.to_zone.as_str()), (0, "internet"), "{way}");
        } else {
            assert_eq!(code, Some(0), "{way}");
            if *way != "io_uring" || sees_rings {
                alerted(&scene, &dump, way, Some(counter.port), None);
            }
        }
    }
    for way in MOST.iter().filter(|way| can && (**way == "echo" || splices_are_asked_about())) {
        let counter = Counter::start(&scene, Internet);
        let (_, code) = goes(&scene, Production, way, &dump.path, (counter.address, counter.port));
        assert_eq!(code, Some(REFUSED), "{way} should end with EPERM\n{}", scene.told(&dump.id));
        assert_eq!(counter.bytes(), 0, "{way} brought bytes out");
        let port = if *way == "echo" { 0 } else { counter.port };
        alerted(&scene, &dump, way, Some(port), Some(Verdict::Blocked));
    }
    let file = harmless(&scene, &dump);
    for way in WAYS.iter().chain(MOST) {
        let counter = Counter::start(&scene, Internet);
        let (_, code) = goes(&scene, Production, way, &file, (counter.address, counter.port));
        assert_eq!(code, Some(0), "what is no dump may go out by {way}");
        if MOST.contains(way) {
            continue;
        }
        counter.comes_to(dump.size);
        let counter = Counter::start(&scene, Debug);
        let (_, code) = goes(&scene, Production, way, &dump.path, (counter.address, counter.port));
        assert_eq!(code, Some(0), "a dump may go to the debug zone by {way}\n{}", scene.told(&dump.id));
        counter.comes_to(dump.size);
    }
    drop(scene);
    agent.stop();
}

/// The dry run: everything goes, and what would not have is said.
fn observe() {
    let stage = Stage::set();
    let agent = stage.agent("observe");
    let scene = Scene::new(&agent);
    let dump = scene.core();
    let verdict = kernel_can().then_some(Verdict::WouldBlock);
    for way in ["send", "sendfile", "forked_child"] {
        let counter = Counter::start(&scene, Internet);
        let (_, code) = goes(&scene, Production, way, &dump.path, (counter.address, counter.port));
        assert_eq!(code, Some(0), "{way}");
        counter.comes_to(dump.size);
        let alert = alerted(&scene, &dump, way, Some(counter.port), verdict);
        assert_eq!(alert.summary.ends_with("; would have been blocked"), verdict.is_some(), "{}", alert.summary);
        assert!(alert.step.bytes > 0, "{way}");
    }
    drop(scene);
    agent.stop();
}

/// A process of the Internet's zone on this host may not open it, nor read it by a descriptor that it was given.
fn opened_in_a_forbidden_zone() {
    let stage = Stage::set();
    let agent = stage.agent("enforce");
    let scene = Scene::new(&agent);
    let dump = scene.core();
    let expected = if kernel_can() { REFUSED } else { 0 };
    let nowhere = (Production.address(Internet), 9);
    assert_eq!(goes(&scene, Internet, "opened", &dump.path, nowhere).1, Some(expected));
    if kernel_can() {
        let alert = alerted(&scene, &dump, "opening", None, Some(Verdict::Blocked));
        assert_eq!((alert.step.kind, alert.step.file.as_deref()), (StepKind::Opened, Some(dump.path.as_str())));
        assert_eq!(alert.step.to_zone, "internet");
    }
    for zone in [Production, Debug] {
        assert_eq!(goes(&scene, zone, "opened", &dump.path, nowhere).1, Some(0), "{zone:?}");
    }
    let mut given = in_zone(Internet, "cat");
    given.stdin(fs::File::open(&dump.path).unwrap()).stdout(std::process::Stdio::null());
    let mut given = Running::start(&mut given);
    assert_eq!(given.within(SOON).success(), !kernel_can(), "a descriptor that was given is no way either");
    let script = scene.path("ways.py");
    let mut mapped = in_zone(Internet, python());
    mapped.args([&script, "mapped", &dump.path, "", ""]).stdin(fs::File::open(&dump.path).unwrap());
    let mut mapped = Running::start(&mut mapped);
    assert_eq!(mapped.within(SOON).code(), Some(expected), "nor is mapping it");
    if kernel_can() {
        let has_read = |pid| scene.agent.steps_where(|s| s.pid == Some(pid) && s.kind == StepKind::Read && s.bytes > 0);
        for pid in [given.pid(), mapped.pid()] {
            assert!(has_read(pid).is_empty(), "who was refused has read nothing: {:#?}", has_read(pid));
        }
    }
    drop(scene);
    agent.stop();
}

/// Rules come and go with the configuration.
fn reload() {
    let stage = Stage::set();
    let agent = Agent::start(stage.folder.path(), &Setup::of(&stage.config("enforce", "")));
    assert_eq!((agent.ready.blocking.as_str(), &agent.ready.why), ("off", &None));
    let scene = Scene::new(&agent);
    let dump = scene.core();
    let code = |scene: &Scene<'_>| {
        let counter = Counter::start(scene, Internet);
        goes(scene, Production, "send", &dump.path, (counter.address, counter.port)).1
    };
    assert_eq!(code(&scene), Some(0));
    for (n, (rule, refused)) in [(RULE, true), ("", false), (RULE, true)].into_iter().enumerate() {
        fs::write(agent.config(), stage.config("enforce", rule)).unwrap();
        agent.reload();
        agent.within(SOON, "the notice on the reload", |lines| {
            let told = lines.iter().filter(|l| matches!(l, Line::Notice(n) if n.kind == "config-reloaded")).count();
            (told == n + 1).then_some(())
        });
        assert_eq!(code(&scene), Some(if refused && kernel_can() { REFUSED } else { 0 }), "reload {n}");
    }
    assert_eq!(agent.notices("blocking-unavailable").is_empty(), kernel_can());
    drop(scene);
    agent.stop();
}

/// `doctor` and `check` tell what a rule that blocks will do here.
fn doctor_and_check() {
    let stage = Stage::set();
    let config = stage.folder.path().join("config.yaml");
    fs::write(&config, stage.config("enforce", RULE)).unwrap();
    let backend = std::env::var("DUMPTRAIL_TEST_BACKEND").unwrap_or_else(|_| "auto".to_owned());
    let doctor =
        Command::new(binary()).args(["doctor", "--backend", &backend, "--config"]).arg(&config).output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with("blocking ")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(line.contains("will only alert"), !kernel_can(), "{line}");
    let check = Command::new(binary()).arg("check").arg(&config).output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    let active = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default().contains("bpf");
    assert!(check.status.success() && said.contains("config.yaml:"), "{said}");
    assert_eq!(said.contains("will only alert"), !active, "{said}");
}
