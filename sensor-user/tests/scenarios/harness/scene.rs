//! One run of one scenario: its folder, its dumps, its tools.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sensor_user::step::{Severity, StepKind};

use super::{
    agent::Agent,
    crash::{Pattern, crash},
    expect::Expect,
    guard::Running,
    line::{Alert, Line, Step},
    roles,
    world::{Zone, in_zone},
};

/// A step or an alert comes within this time.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// A dump that a scenario made.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    pub(crate) id: String,
    pub(crate) victim: u32,
    pub(crate) path: String,
    /// Bytes of data: a core has holes, and tools leave them out.
    pub(crate) data: u64,
    pub(crate) size: u64,
    pub(crate) birth: Step,
}

/// A command that has ended well.
pub(crate) struct Ran {
    pub(crate) pid: u32,
}

/// See the module.
pub(crate) struct Scene<'a> {
    pub(crate) agent: &'a Agent,
    folder: tempfile::TempDir,
    dumps: RefCell<Vec<String>>,
    /// Lines of the agent that were there before.
    before: usize,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(agent: &'a Agent) -> Self {
        let folder = tempfile::Builder::new().prefix("dt-").tempdir().unwrap();
        // Servers that give up root read it.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { agent, folder, dumps: RefCell::default(), before: agent.said() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A process of production crashes with two megabytes of noise in its memory; the kernel writes its core to a file.
    pub(crate) fn core(&self) -> Dump {
        self.core_in(self.folder())
    }

    pub(crate) fn core_in(&self, folder: &Path) -> Dump {
        self.core_of(folder, in_zone(Zone::Production, roles::program("victim")).arg("2097152"))
    }

    pub(crate) fn core_of(&self, folder: &Path, victim: &mut Command) -> Dump {
        let pid = {
            let _pattern = Pattern::set(folder.join("core.%P").to_str().unwrap());
            crash(victim)
        };
        let path = folder.join(format!("core.{pid}"));
        assert!(path.exists(), "the kernel wrote no core to {}", path.display());
        self.dump_at(pid, &path)
    }

    /// The dump of this victim, whose core lies here.
    pub(crate) fn dump_at(&self, victim: u32, path: &Path) -> Dump {
        let birth = self.birth(victim);
        let (data, size) = extent(path);
        let path = path.to_str().unwrap().to_owned();
        Dump { id: birth.dump.clone().unwrap(), victim, path, data, size, birth }
    }

    /// The birth of a victim's dump.
    pub(crate) fn birth(&self, victim: u32) -> Step {
        let born = |line: &Line| match line {
            Line::Step(s) if s.kind == StepKind::Created && s.victim == Some(victim) => Some(Step::clone(s)),
            _ => None,
        };
        let what = format!("the birth of the dump of process {victim}");
        let birth = self.agent.within(SOON, &what, |lines| lines.iter().find_map(born));
        self.note(birth.dump.as_deref().unwrap());
        birth
    }

    /// This scenario's result covers the dump.
    pub(crate) fn note(&self, dump: &str) {
        self.dumps.borrow_mut().push(dump.to_owned());
    }

    /// Runs a program in a zone; it must end well. Its output goes to a file that nobody reads unless it fails: who reads
    /// what a marked process writes holds the mark.
    pub(crate) fn run(&self, zone: Zone, program: &str, arguments: &[impl AsRef<OsStr>]) -> Ran {
        let mut command = in_zone(zone, program);
        self.complete(command.args(arguments))
    }

    /// A line of shell in a zone.
    pub(crate) fn shell(&self, zone: Zone, line: &str) -> Ran {
        self.run(zone, "sh", &["-c", line])
    }

    pub(crate) fn complete(&self, command: &mut Command) -> Ran {
        let mut running = self.start(command);
        let status = running.within(Duration::from_mins(1));
        assert!(status.success(), "{command:?} ended with {status}: {}", self.said());
        Ran { pid: running.pid() }
    }

    /// Starts a program that ends with the scenario, or before.
    pub(crate) fn start(&self, command: &mut Command) -> Running {
        let said = File::options().create(true).append(true).open(self.folder.path().join("said")).unwrap();
        Running::start(command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// Starts a server and waits until it listens, without a connection: that would be one more.
    pub(crate) fn serve(&self, command: &mut Command, port: u16) -> Running {
        let mut running = self.start(command);
        let end = Instant::now() + SOON;
        while !listens(running.pid(), port) {
            assert!(Instant::now() < end, "{command:?} does not listen on {port}: {}", self.said());
            assert!(running.child().try_wait().unwrap().is_none(), "{command:?} has ended: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        running
    }

    /// Waits until something has made this file.
    pub(crate) fn waits_for(&self, path: &str) {
        assert!(appears(path, SOON), "{path} is not there: {}", self.said());
    }

    /// A receiver in a zone that keeps nothing, and ends well once so many bytes have come by one connection.
    pub(crate) fn sink(&self, zone: Zone, other: Zone, bytes: u64) -> (Running, u16) {
        let port = super::world::port();
        let mut command = in_zone(zone, roles::program("sink"));
        command.args([format!("{}:{port}", zone.address(other)), bytes.to_string()]);
        (self.serve(&mut command, port), port)
    }

    /// Waits for a step of this dump.
    pub(crate) fn sees(&self, dump: &Dump, wanted: &Expect) -> Step {
        self.sees_of(&dump.id, wanted)
    }

    pub(crate) fn sees_of(&self, dump: &str, wanted: &Expect) -> Step {
        let less = wanted.clone().or_less();
        self.agent_within(dump, &format!("{wanted:?}"), |line, lossy| match line {
            Line::Step(s) if s.dump.as_deref() == Some(dump) && if lossy { &less } else { wanted }.fits(s) => {
                Some(Step::clone(s))
            }
            _ => None,
        })
    }

    /// Waits for an alert on this dump.
    pub(crate) fn alerts(&self, dump: &Dump, rule: &str, severity: Severity, wanted: &Expect) -> Alert {
        let what = format!("the {severity} alert of {rule} on {wanted:?}");
        let fits = |a: &Alert| a.rule == rule && a.severity == severity && wanted.fits(&a.step);
        self.agent_within(&dump.id, &what, |line, _| match line {
            Line::Alert(a) if a.step.dump.as_deref() == Some(&dump.id) && fits(a) => Some(Alert::clone(a)),
            _ => None,
        })
    }

    /// `find` is told whether a gap has said that runs of programs were skipped: then bytes are missing.
    pub(crate) fn agent_within<T>(&self, dump: &str, what: &str, find: impl Fn(&Line, bool) -> Option<T>) -> T {
        let skipped = |line: &Line| matches!(line, Line::Gap(gap) if gap.cause == "program_skipped");
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.agent.within(SOON, what, |lines| {
                let lossy = lines.iter().skip(self.before).any(skipped);
                lines.iter().find_map(|line| find(line, lossy))
            })
        }));
        waited.unwrap_or_else(|_| panic!("{what} did not come. What came of this dump:\n{}", self.told(dump)))
    }

    /// What is known of all dumps of this scene.
    pub(crate) fn told_all(&self) -> String {
        self.dumps.borrow().iter().map(|dump| self.told(dump)).collect::<Vec<_>>().join("\n\n")
    }

    /// What is known of a dump, for people.
    pub(crate) fn told(&self, dump: &str) -> String {
        let steps = self.agent.steps(dump).iter().map(Step::told).collect::<Vec<_>>();
        let alert = |a: &Alert| format!("ALERT {} {} {}", a.severity, a.rule, a.summary);
        let alerts = self.agent.alerts(dump).iter().map(alert).collect::<Vec<_>>();
        let gaps = self.agent.gaps().iter().map(|g| format!("GAP {} {}", g.cause, g.count)).collect::<Vec<_>>();
        [steps, alerts, gaps].concat().join("\n")
    }

    /// Waits until everything that happened before has been said: a fresh reader of the dump has come out at the end, and
    /// the second has passed in which byte counts are read.
    pub(crate) fn settle(&self, dump: &Dump) {
        let pid = self.run(Zone::Production, "head", &["-c", "1", &dump.path]).pid;
        self.sees(dump, &super::expect::step(StepKind::Read).to(format!("head[{pid}]")));
        std::thread::sleep(Duration::from_millis(1500));
    }

    /// The dump raised no alert of medium or above, after everything has settled.
    pub(crate) fn quiet(&self, dump: &Dump) {
        self.settle(dump);
        self.no_alert(dump, Severity::Medium);
    }

    /// The dump raised no alert of at least this severity.
    pub(crate) fn no_alert(&self, dump: &Dump, least: Severity) {
        let loud = self.agent.alerts(&dump.id).into_iter().filter(|a| a.severity >= least).count();
        assert!(loud == 0, "there should be no alert of {least} or above:\n{}", self.told(&dump.id));
    }

    /// What a repetition must repeat, once it has settled. None when nothing is repeated.
    pub(crate) fn settled(&self) -> Option<BTreeSet<String>> {
        std::env::var_os("DUMPTRAIL_REPEAT")?;
        std::thread::sleep(Duration::from_millis(2500));
        Some(self.result())
    }

    fn result(&self) -> BTreeSet<String> {
        let mut result = BTreeSet::new();
        for dump in self.dumps.borrow().iter() {
            let steps = self.agent.steps(dump);
            let foreign = foreign(&steps);
            let own = |s: &Step| !foreign.contains(&s.from_id) && !foreign.contains(&s.to_id);
            let steps = steps.iter().filter(|s| own(s));
            result.extend(steps.map(|s| format!("{} {} {} -> {}", s.kind, s.via.name(), s.from_zone, s.to_zone)));
            let alerts = self.agent.alerts(dump).into_iter().filter(|a| own(&a.step));
            result.extend(alerts.map(|a| format!("{} {}", a.rule, a.severity)));
        }
        result
    }
}

/// Carriers that got the dump from another agent on this machine, which looks at it as well; and those agents.
fn foreign(steps: &[Step]) -> BTreeSet<String> {
    let mut foreign = BTreeSet::new();
    for step in steps {
        if by_another_agent(step) {
            let process = if step.pid.is_some_and(|pid| step.to.ends_with(&format!("[{pid}]"))) {
                &step.to_id
            } else {
                &step.from_id
            };
            foreign.insert(process.clone());
        }
        if foreign.contains(&step.from_id) {
            foreign.insert(step.to_id.clone());
        }
    }
    foreign
}

/// Another agent on this machine reads the dump as well.
pub(crate) fn by_another_agent(step: &Step) -> bool {
    step.executable.as_deref().is_some_and(|path| path.ends_with("/dumptrail"))
}

/// Bytes of data and size of a file with holes.
pub(crate) fn extent(path: &Path) -> (u64, u64) {
    use rustix::fs::{SeekFrom, seek};
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let (mut data, mut at) = (0, 0);
    while let Ok(start) = seek(&file, SeekFrom::Data(at)) {
        at = seek(&file, SeekFrom::Hole(start)).unwrap();
        data += at - start;
    }
    (data, size)
}

/// True when a socket of the process's network listens on this port.
fn listens(pid: u32, port: u16) -> bool {
    let listening = |table: &str| {
        let lines = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        lines.lines().any(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let (local, state) = (words.next().unwrap_or_default(), words.nth(1));
            local.ends_with(&format!(":{port:04X}")) && state == Some("0A")
        })
    };
    listening("tcp") || listening("tcp6")
}

/// The path of a tool; says so when it is missing.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|f| f.join(name)).find(|p| p.is_file()).unwrap_or_else(|| panic!("{name} is not installed"))
}

/// What a script of Python with this pid is called in steps.
pub(crate) fn of_python(pid: impl std::fmt::Display) -> String {
    format!("{}[{pid}]", python().file_name().unwrap().to_str().unwrap())
}

/// The interpreter itself: what is in PATH may be a script that finds it.
pub(crate) fn python() -> &'static Path {
    static PYTHON: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let output = output.expect("python3 is needed");
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}

/// Waits for a file that a script makes. False when it does not come.
pub(crate) fn appears(path: impl AsRef<Path>, within: Duration) -> bool {
    let end = Instant::now() + within;
    while !path.as_ref().exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    path.as_ref().exists()
}
