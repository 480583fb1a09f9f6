//! The agent under test: started with a configuration and a state directory of its own, read line by line, stopped.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    guard::Running,
    line::{Alert, Gap, Line, Notice, Ready, Step, Stopped},
};

/// The agent's binary: the one that cargo built with this program, unless a guest has it elsewhere.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("DUMPTRAIL_TEST_AGENT").map_or_else(|| env!("CARGO_BIN_EXE_dumptrail").into(), PathBuf::from)
}

/// How an agent is started.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) config: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) args: Vec<String>,
}

impl Setup {
    pub(crate) fn of(config: &str) -> Self {
        Self { config: config.to_owned(), ..Self::default() }
    }

    /// The agent logs what it does.
    pub(crate) fn talkative(config: &str) -> Self {
        let env = [("DUMPTRAIL_LOG", "warn,sensor_user=debug"), ("NO_COLOR", "1")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { env, ..Self::of(config) }
    }
}

/// A running agent.
pub(crate) struct Agent {
    running: Mutex<Running>,
    log: Arc<Log>,
    reader: Mutex<Option<JoinHandle<()>>>,
    pid: u32,
    folder: PathBuf,
    pub(crate) ready: Ready,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[expect(clippy::struct_field_names, reason = "lines are what it has")]
#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    /// What could not be read: the agent broke its contract.
    broken: Option<String>,
    ended: bool,
}

const LONG: Duration = Duration::from_mins(1);

impl Agent {
    /// Starts it below `folder` and waits until it is ready.
    pub(crate) fn start(folder: &Path, setup: &Setup) -> Self {
        let mut command = command(folder, setup);
        let stderr = File::create(folder.join("stderr")).unwrap();
        let mut running = Running::start(command.stdout(Stdio::piped()).stderr(stderr));
        let stdout = running.child().stdout.take().unwrap();
        let log = Arc::<Log>::default();
        let sink = Arc::clone(&log);
        let raw = folder.join("stdout");
        let reader = std::thread::spawn(move || sink.read(BufReader::new(stdout), &raw));
        let ready = Ready::default();
        let (pid, reader) = (running.pid(), Mutex::new(Some(reader)));
        let mut agent = Self { running: Mutex::new(running), log, reader, pid, folder: folder.to_owned(), ready };
        agent.ready = agent.within(LONG, "`ready`", |lines| match lines.first() {
            Some(Line::Ready(ready)) => Some(ready.clone()),
            _ => None,
        });
        agent
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("config.yaml")
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    pub(crate) fn reload(&self) {
        self.running.lock().unwrap().signal(Signal::HUP);
    }

    /// The first thing that `find` finds in what was or will be written.
    pub(crate) fn within<T>(&self, deadline: Duration, what: &str, find: impl Fn(&[Line]) -> Option<T>) -> T {
        let end = Instant::now() + deadline;
        let mut lines = self.log.lock();
        loop {
            if let Some(found) = find(&lines.lines) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if let Some(why) = lines.broken.clone().or_else(|| lines.ended.then(|| "the agent has ended".to_owned())) {
                drop(lines);
                panic!("{what}: {why}\n{}", self.stderr());
            }
            if left.is_zero() {
                drop(lines);
                panic!("{what} did not come within {deadline:?}");
            }
            lines = self.log.more.wait_timeout(lines, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// How many lines were written so far.
    pub(crate) fn said(&self) -> usize {
        self.log.lock().lines.len()
    }

    fn pick<T>(&self, pick: impl FnMut(&Line) -> Option<T>) -> Vec<T> {
        self.log.lock().lines.iter().filter_map(pick).collect()
    }

    /// Steps of a dump.
    pub(crate) fn steps(&self, dump: &str) -> Vec<Step> {
        self.pick(|line| match line {
            Line::Step(step) if step.dump.as_deref() == Some(dump) => Some(Step::clone(step)),
            _ => None,
        })
    }

    /// All steps for which this holds.
    pub(crate) fn steps_where(&self, wanted: impl Fn(&Step) -> bool) -> Vec<Step> {
        self.pick(|line| match line {
            Line::Step(step) if wanted(step) => Some(Step::clone(step)),
            _ => None,
        })
    }

    /// Alerts of a dump.
    pub(crate) fn alerts(&self, dump: &str) -> Vec<Alert> {
        self.alerts_where(|alert| alert.step.dump.as_deref() == Some(dump))
    }

    /// All alerts for which this holds.
    pub(crate) fn alerts_where(&self, wanted: impl Fn(&Alert) -> bool) -> Vec<Alert> {
        self.pick(|line| match line {
            Line::Alert(alert) if wanted(alert) => Some(Alert::clone(alert)),
            _ => None,
        })
    }

    pub(crate) fn gaps(&self) -> Vec<Gap> {
        self.pick(|line| if let Line::Gap(gap) = line { Some(gap.clone()) } else { None })
    }

    pub(crate) fn notices(&self, kind: &str) -> Vec<Notice> {
        self.pick(|line| match line {
            Line::Notice(notice) if notice.kind == kind => Some(notice.clone()),
            _ => None,
        })
    }

    /// Runs of its programs that the kernel skipped, as the kernel counts them (from 5.12 on).
    pub(crate) fn skipped_runs(&self) -> u64 {
        let files = fs::read_dir(format!("/proc/{}/fdinfo", self.pid)).unwrap().flatten();
        let programs = files.filter_map(|file| {
            let info = fs::read_to_string(file.path()).ok()?;
            let number = |key| info.lines().find_map(|l| l.strip_prefix(key)?.trim().parse::<u64>().ok());
            Some((number("prog_id:")? as u32, number("recursion_misses:")?))
        });
        let skipped: BTreeMap<u32, u64> = programs.collect();
        let names: BTreeMap<u32, String> = aya::programs::loaded_programs()
            .flatten()
            .filter(|info| skipped.contains_key(&info.id()))
            .map(|info| (info.id(), info.name_as_str().unwrap_or_default().to_owned()))
            .collect();
        // What has a twin has lost only what that has lost.
        let has_twin = |name: &String| names.values().any(|other| other.strip_suffix("_again") == Some(name));
        skipped.iter().filter(|(id, _)| !names.get(id).is_some_and(has_twin)).map(|(_, count)| count).sum()
    }

    /// How many programs are attached: more while something is followed.
    pub(crate) fn attached(&self) -> usize {
        let folder = format!("/proc/{}/fdinfo", self.pid());
        let files = fs::read_dir(folder).unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
        files.filter(|info| info.contains("link_type:")).count()
    }

    /// The flow hooks stand all the time.
    pub(crate) fn is_always_armed() -> bool {
        arming().contains("always")
    }

    /// Each run that the kernel skipped so far is in a gap, once the second has passed in which they are counted. With flow
    /// hooks that stand always, some are skipped while no dump is live: then nothing was missed, and no gap tells of it.
    pub(crate) fn tells_skipped_runs(&self) {
        if Self::is_always_armed() {
            return;
        }
        let skipped = self.skipped_runs();
        std::thread::sleep(Duration::from_millis(1500));
        let told: u64 = self.gaps().iter().filter(|gap| gap.cause == "program_skipped").map(|gap| gap.count).sum();
        assert!(told >= skipped, "{skipped} runs of programs were skipped, gaps tell of {told}");
    }

    /// A verb of the same binary over this agent's state.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).env("DUMPTRAIL_STATE_DIR", self.state()).output().unwrap()
    }

    /// Stops it as a supervisor does; it must end well, and say so in its last line.
    pub(crate) fn stop(&self) -> Stopped {
        let mut running = self.running.lock().unwrap();
        running.signal(Signal::TERM);
        let status = running.within(LONG);
        self.reader.lock().unwrap().take().expect("it is stopped once").join().unwrap();
        assert!(status.success(), "the agent ended with {status}\n{}", self.stderr());
        let lines = self.log.lock();
        assert!(lines.broken.is_none(), "{:?}", lines.broken);
        match lines.lines.last() {
            Some(Line::Stopped(stopped)) => {
                assert_eq!(stopped.reason, "SIGTERM");
                stopped.clone()
            }
            last => panic!("the last line is {last:?}"),
        }
    }

    /// The exit of an agent that must not start, and what it said on stderr.
    pub(crate) fn refused(folder: &Path, setup: &Setup) -> (ExitStatus, String) {
        Self::refused_by(command(folder, setup), folder)
    }

    /// The same for a command that wraps the agent.
    pub(crate) fn refused_by(mut command: Command, folder: &Path) -> (ExitStatus, String) {
        let stderr = folder.join("stderr");
        let status =
            Running::start(command.stdout(Stdio::null()).stderr(File::create(&stderr).unwrap())).within(3 * LONG);
        (status, fs::read_to_string(stderr).unwrap())
    }
}

/// The line of the configuration that `DUMPTRAIL_TEST_ARMING` asks for.
fn arming() -> String {
    std::env::var("DUMPTRAIL_TEST_ARMING").map_or_else(|_| String::new(), |when| format!("arming: {when}\n"))
}

/// The command line of `run`; writes the configuration.
fn command(folder: &Path, setup: &Setup) -> Command {
    let config = folder.join("config.yaml");
    fs::write(&config, setup.config.clone() + &arming()).unwrap();
    let mut command = Command::new(binary());
    command.args(["run", "--output", "json", "--steps"]).arg("--config").arg(config).args(&setup.args);
    if let Some(backend) = std::env::var_os("DUMPTRAIL_TEST_BACKEND") {
        command.arg("--backend").arg(backend);
    }
    command.env("DUMPTRAIL_STATE_DIR", folder.join("state"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.envs(setup.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
    command
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Reads to the end, keeping the text as well.
    fn read(&self, stdout: impl BufRead, raw: &Path) {
        use std::io::Write;
        let mut raw = File::create(raw).unwrap();
        for text in stdout.lines().map_while(Result::ok) {
            writeln!(raw, "{text}").unwrap();
            let parsed = Line::parse(&text);
            let mut lines = self.lock();
            match parsed {
                Ok(line) => lines.lines.push(line),
                Err(why) => lines.broken = Some(format!("a line is not as promised: {why}\n{text}")),
            }
            drop(lines);
            self.more.notify_all();
        }
        self.lock().ended = true;
        self.more.notify_all();
    }
}
