//! Descriptors that change hands: who opened a file says nothing of who reads it.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};

use super::{Shared, benign::unseen};
use crate::harness::{
    expect::step,
    guard::Running,
    roles::program,
    scene::{Dump, SOON, Scene, of_python, python},
    world::{
        Zone::{self, Internet, Production},
        in_zone, port,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("handed::by_message", by_message),
    ("handed::taken", taken),
    ("handed::other_files", other_files),
    ("handed::a_socket_that_refused", a_socket_that_refused),
];

/// Opens a file and hands it over to who connects; or keeps it open for who takes it.
const GIVE: &str = "s = socket.socket(socket.AF_UNIX); s.bind(at); s.listen()
f = os.open(path, os.O_RDONLY)
open(at + '.ready', 'w').close()
c = s.accept()[0]; socket.send_fds(c, [b'x'], [f]); c.recv(1)";

/// Gets a descriptor and reads it to its end.
const GET: &str = "s = socket.socket(socket.AF_UNIX); s.connect(at)
f = socket.recv_fds(s, 1, 1)[1][0]
while os.read(f, 65536): pass";

/// Takes the descriptor of another process by its number: pidfd_getfd(2).
const TAKE: &str = "pid, folder = int(path), f'/proc/{path}/fd'
number = next(int(n) for n in os.listdir(folder) if os.readlink(f'{folder}/{n}') == at)
f = ctypes.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(pid), number, 0)
assert f >= 0, ctypes.get_errno()
while os.read(f, 65536): pass";

fn start(scene: &Scene<'_>, zone: Zone, path: &str, at: &str, line: &str) -> Running {
    let script = format!("import ctypes, os, socket, sys, time\npath, at = sys.argv[1:]\n{line}");
    scene.start(in_zone(zone, python()).args(["-c", &script, path, at]))
}

/// A process of production hands a file to one of the Internet, which reads it. Returns both.
fn hand_over(scene: &Scene<'_>, path: &str, at: &str) -> (u32, u32) {
    let mut giver = start(scene, Production, path, at, GIVE);
    scene.waits_for(&format!("{at}.ready"));
    let mut getter = start(scene, Internet, path, at, GET);
    assert!(getter.within(SOON).success() && giver.within(SOON).success());
    (giver.pid(), getter.pid())
}

/// Who read it is in the Internet, although it could not open it; who opened it has nothing.
fn has_read(scene: &Scene<'_>, dump: &Dump, reader: u32) {
    let name = of_python(reader);
    let read = step(StepKind::Read).via(Via::File).from(&dump.path).to(name).zones("production", "internet");
    let read = read.sure(Confidence::Direct);
    scene.sees(dump, &read.clone().bytes(dump.size).hops(1));
    scene.alerts(dump, "dump-left-isolation", Severity::Critical, &read);
}

fn by_message(scene: &Scene<'_>) {
    let dump = scene.core();
    let (giver, getter) = hand_over(scene, &dump.path, &scene.path("at"));
    has_read(scene, &dump, getter);
    unseen(scene, giver);
}

fn taken(scene: &Scene<'_>) {
    let (dump, ready) = (scene.core(), scene.path("held"));
    let holder = start(scene, Production, &dump.path, &ready, "f = open(path); open(at, 'w').close(); time.sleep(60)");
    scene.waits_for(&ready);
    let mut taker = start(scene, Internet, &holder.pid().to_string(), &dump.path, TAKE);
    assert!(taker.within(SOON).success());
    has_read(scene, &dump, taker.pid());
    unseen(scene, holder.pid());
}

/// Other files go the same ways, also from who has the dump open.
fn other_files(scene: &Scene<'_>) {
    let (dump, other, ready) = (scene.core(), scene.path("other"), scene.path("held"));
    std::fs::write(&other, "business\n".repeat(100_000)).unwrap();
    let (giver, getter) = hand_over(scene, &other, &scene.path("at"));
    let line = format!("f, g = open(path), open('{other}'); open(at, 'w').close(); time.sleep(60)");
    let holder = start(scene, Production, &dump.path, &ready, &line);
    scene.waits_for(&ready);
    let mut taker = start(scene, Internet, &holder.pid().to_string(), &other, TAKE);
    assert!(taker.within(SOON).success());
    scene.quiet(&dump);
    scene.no_alert(&dump, Severity::Info);
    for pid in [giver, getter, holder.pid(), taker.pid()] {
        unseen(scene, pid);
    }
}

/// A process that holds the dump may not send by a socket that it shares with another: its call is refused. What the other
/// sends then has nothing of the dump.
fn a_socket_that_refused(scene: &Scene<'_>) {
    let (dump, port, got) = (scene.core(), port(), scene.path("got"));
    let address = Internet.address(Production);
    let counter = scene.serve(in_zone(Internet, program("counter")).args([&format!("{address}:{port}"), &got]), port);
    // Address 8 is nobody's: EFAULT.
    let line = format!(
        "s = socket.create_connection(('{address}', {port}))
r, w = os.pipe()
if os.fork() == 0: os.close(w); os.read(r, 1); s.sendall(b'business' * 8192); os._exit(0)
libc = ctypes.CDLL(None, use_errno=True)
data = open(path, 'rb').read()
assert libc.send(s.fileno(), ctypes.c_void_p(8), ctypes.c_size_t(65536), 0) == -1 and ctypes.get_errno() == 14
os.close(w); os.wait()"
    );
    let mut sender = start(scene, Production, &dump.path, "", &line);
    assert!(sender.within(SOON).success());
    scene.quiet(&dump);
    unseen(scene, counter.pid());
}
