//! Look-alikes: people do this every day. None may raise an alert of medium or above, and none at all where nothing of a
//! dump is read.

use std::fs;

use sensor_user::step::{Confidence, Severity, StepKind};

use super::{
    Shared,
    network::{nginx, readable},
};
use crate::harness::{
    expect::step,
    guard::Running,
    scene::{Dump, SOON, Scene, by_another_agent, python, tool},
    world::{
        Zone::{Internet, Production},
        in_zone, ip_netns_exec, port,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("benign::agent_reads_heads", agent_reads_heads),
    ("benign::backup_on_loopback", backup_on_loopback),
    ("benign::checksum_of_a_dump", checksum_of_a_dump),
    ("benign::crashed_service_with_connections", crashed_service_with_connections),
    ("benign::daemon_that_sends_all_the_time", daemon_that_sends_all_the_time),
    ("benign::events_and_rings_have_no_file", events_and_rings_have_no_file),
    ("benign::executables_named_core", executables_named_core),
    ("benign::interrupted_by_others_packets", interrupted_by_others_packets),
    ("benign::lock_in_shared_memory", lock_in_shared_memory),
    ("benign::logrotate_renames", logrotate_renames),
    ("benign::looked_at_without_reading", looked_at_without_reading),
    ("benign::other_file_of_the_folder", other_file_of_the_folder),
    ("benign::overwritten_by_text", overwritten_by_text),
    ("benign::report_with_a_checksum", report_with_a_checksum),
    ("benign::rsync_compares", rsync_compares),
    ("benign::shell_with_two_pipelines", shell_with_two_pipelines),
    ("benign::text_that_quotes_magics", text_that_quotes_magics),
    ("benign::web_server_answers_head", web_server_answers_head),
];

/// curl sends a file of production to the Internet. Returns its process id.
fn upload(scene: &Scene<'_>, path: &str, least: u64) -> u32 {
    let (mut sink, port) = scene.sink(Internet, Production, least);
    let url = format!("http://{}:{port}/up", Internet.address(Production));
    let pid = scene.run(Production, "curl", &["-sS", "-T", path, &url]).pid;
    assert!(sink.within(SOON).success());
    pid
}

/// Nothing at all was said about what this process did.
pub(super) fn unseen(scene: &Scene<'_>, pid: u32) {
    let steps = scene.agent.steps_where(|s| s.pid == Some(pid) && s.kind != StepKind::Created);
    assert!(steps.is_empty(), "process {pid} touched no dump: {steps:#?}");
}

/// A program and its sink come to a good end, and nothing was said about what the program did.
fn ends_unseen(scene: &Scene<'_>, dump: &Dump, [program, sink]: [&mut Running; 2]) {
    assert!(program.within(SOON).success() && sink.within(SOON).success());
    scene.settle(dump);
    scene.no_alert(dump, Severity::Info);
    unseen(scene, program.pid());
}

/// A script that is given the dump's path, an address and a port of the Internet.
fn script(scene: &Scene<'_>, path: &str, port: u16, script: &str) -> std::process::Command {
    let mut command = in_zone(Production, python());
    let address = Internet.address(Production).to_string();
    let script = format!("import os, socket, sys, time\npath, host, port = sys.argv[1:]\n{script}");
    command.args(["-c", &script, path, &address, &port.to_string()]).current_dir(scene.folder());
    command
}

/// A triage agent types new files by their first bytes, and reports the type.
fn agent_reads_heads(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 100);
    let line = "head = open(path, 'rb', buffering=0).read(64)
socket.create_connection((host, int(port))).sendall(b'type=%d is-core\\n' % head[16] * 20)";
    scene.complete(&mut script(scene, &dump.path, port, line));
    assert!(sink.within(SOON).success());
    scene.quiet(&dump);
    let sent = step(StepKind::Sent).zones("production", "internet");
    scene.alerts(&dump, "dump-left-isolation", Severity::Low, &sent);
}

/// `sha256sum` and a report of the sum.
fn checksum_of_a_dump(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 60);
    let address = Internet.address(Production);
    scene.shell(Production, &format!("sha256sum {} | nc -N {address} {port}", dump.path));
    assert!(sink.within(SOON).success());
    scene.quiet(&dump);
    scene.alerts(&dump, "dump-left-isolation", Severity::Low, &step(StepKind::Sent).zones("production", "internet"));
}

/// A few words made from a dump in a large file, which another program sends. That it was read is told then; of another
/// one, which copies it within the zone, nothing is.
fn report_with_a_checksum(scene: &Scene<'_>) {
    let dump = scene.core();
    let report = scene.path("report");
    scene.shell(Production, &format!("(sha256sum {}; seq 40000) > {report}", dump.path));
    let copies = scene.run(Production, "cp", &[&report, &scene.path("copy")]).pid;
    let sender = upload(scene, &report, 200_000);
    let read = step(StepKind::Read).from(&report).to(format!("curl[{sender}]")).sure(Confidence::Weak);
    scene.sees(&dump, &read);
    scene.quiet(&dump);
    let sent = step(StepKind::Sent).zones("production", "internet").sure(Confidence::Weak);
    scene.alerts(&dump, "dump-left-isolation", Severity::Low, &sent);
    unseen(scene, copies);
}

/// A backup service on loopback: nothing leaves the zone.
fn backup_on_loopback(scene: &Scene<'_>) {
    let (dump, port) = (scene.core(), port());
    let mut sink = in_zone(Production, crate::harness::roles::program("sink"));
    let mut sink = scene.serve(sink.args([format!("127.0.0.1:{port}"), dump.size.to_string()]), port);
    scene.shell(Production, &format!("tar -cf - {} | nc -N 127.0.0.1 {port}", dump.path));
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Sent).from("nc[]").to("sink[]").zones("production", "production"));
    scene.settle(&dump);
    scene.no_alert(&dump, Severity::Info);
}

/// A service that talks to the Internet crashes; another of its kind goes on.
fn crashed_service_with_connections(scene: &Scene<'_>) {
    let (mut sink, port) = scene.sink(Internet, Production, 1000);
    let line = "s = socket.create_connection((host, int(port)))
for i in range(40): s.sendall(b'business %d\\n' % i * 10)
import resource; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)); os.abort()";
    let dump = scene.core_of(scene.folder(), &mut script(scene, "-", port, line));
    assert!(sink.within(SOON).success());
    scene.settle(&dump);
    scene.no_alert(&dump, Severity::Info);
    unseen(scene, dump.victim);
}

/// A daemon that was there before sends while a dump is made and read by others.
fn daemon_that_sends_all_the_time(scene: &Scene<'_>) {
    let (mut sink, port) = scene.sink(Internet, Production, 1000);
    let line = "s = socket.create_connection((host, int(port)))
for i in range(150): s.sendall(b'heartbeat %d\\n' % i * 10); time.sleep(.02)";
    let mut daemon: Running = scene.start(&mut script(scene, "-", port, line));
    let dump = scene.core();
    scene.run(Production, "cat", &[&dump.path]);
    ends_unseen(scene, &dump, [&mut daemon, &mut sink]);
}

/// Event counters and rings of all processes are files of one and the same inode: who holds a dump and uses one has marked
/// none of the others.
fn events_and_rings_have_no_file(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let start = "import ctypes, mmap, struct
libc = ctypes.CDLL(None, use_errno=True)
event = libc.eventfd(0, 0); assert event >= 0
ring = libc.syscall(425, 64, ctypes.create_string_buffer(120))
def use():
    os.write(event, struct.pack('Q', 1)); assert os.read(event, 8)
    if ring >= 0: mmap.mmap(ring, 4096, offset=0)[:64]
";
    let holder = format!("{start}open(path, 'rb').read(); use()");
    scene.complete(&mut script(scene, &dump.path, port, &holder));
    scene.settle(&dump);
    let line = format!("{start}use(); socket.create_connection((host, int(port))).sendall(b'business' * 131072)");
    let mut other = scene.start(&mut script(scene, "-", port, &line));
    ends_unseen(scene, &dump, [&mut other, &mut sink]);
}

/// Workers share a page with a lock in it; one of them reads a dump, another sends something else.
fn lock_in_shared_memory(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let line = "import mmap
lock = mmap.mmap(-1, 4096)
if os.fork() == 0: open(path, 'rb').read(); lock[0] = 1; time.sleep(2); os._exit(0)
os.wait(); assert lock[0] == 1
socket.create_connection((host, int(port))).sendall(b'business' * 131072)";
    let mut worker = scene.start(&mut script(scene, &dump.path, port, line));
    ends_unseen(scene, &dump, [&mut worker, &mut sink]);
}

/// ELF, but no core: whatever the name.
fn executables_named_core(scene: &Scene<'_>) {
    for (name, from) in [("core", tool("true")), ("core.1", std::env::current_exe().unwrap())] {
        let path = scene.path(name);
        fs::copy(from, &path).unwrap();
        unseen(scene, upload(scene, &path, 1000));
    }
    let dump = scene.core();
    scene.quiet(&dump);
    scene.no_alert(&dump, Severity::Info);
}

fn logrotate_renames(scene: &Scene<'_>) {
    let dump = scene.core();
    let (config, state) = (scene.path("rotate.conf"), scene.path("rotate.state"));
    fs::write(&config, format!("{} {{\n rotate 2\n nocreate\n su root root\n}}\n", dump.path)).unwrap();
    scene.complete(in_zone(Production, tool("logrotate")).args(["-f", "-s", &state, &config]));
    let rotated = format!("{}.1", dump.path);
    scene.sees(&dump, &step(StepKind::Renamed).from(&dump.path).to(&rotated));
    scene.settle(&Dump { path: rotated, ..dump.clone() });
    scene.no_alert(&dump, Severity::Info);
}

/// find, du, stat, ls; and an upload by the same shell.
fn looked_at_without_reading(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 5);
    let (folder, address) = (scene.path(""), Internet.address(Production));
    let line = format!(
        "find {folder} -name 'core*' -size +1k > list; du -s {folder} >> list; stat {} >> list; ls -lR {folder} >> list
         echo hello | curl -sS --data-binary @- http://{address}:{port}/up",
        dump.path
    );
    let shell = scene.shell(Production, &line);
    assert!(sink.within(SOON).success());
    unseen(scene, shell.pid);
    let steps = scene.agent.steps(&dump.id);
    let others = steps.iter().filter(|s| s.kind != StepKind::Created && !by_another_agent(s));
    let others: Vec<_> = others.collect();
    assert!(others.is_empty(), "nothing of the dump was read: {others:#?}");
    scene.quiet(&dump);
    scene.no_alert(&dump, Severity::Info);
}

fn other_file_of_the_folder(scene: &Scene<'_>) {
    let (dump, other) = (scene.core(), scene.path("app.log"));
    fs::write(&other, "a line of a log\n".repeat(20_000)).unwrap();
    unseen(scene, upload(scene, &other, 300_000));
    scene.quiet(&dump);
    scene.no_alert(&dump, Severity::Info);
}

fn overwritten_by_text(scene: &Scene<'_>) {
    let dump = scene.core();
    scene.shell(Production, &format!("seq 5000 > {}", dump.path));
    unseen(scene, upload(scene, &dump.path, 20_000));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    scene.no_alert(&dump, Severity::Info);
}

/// The whole dump is read, a few checksums leave.
fn rsync_compares(scene: &Scene<'_>) {
    let (dump, port) = (scene.core(), port());
    let folder = scene.path("there");
    fs::create_dir(&folder).unwrap();
    scene.run(Production, "cp", &["-p", &dump.path, &folder]);
    let config = scene.path("rsyncd.conf");
    fs::write(&config, format!("use chroot=no\nuid=root\ngid=root\n[m]\npath={folder}\nread only=no\n")).unwrap();
    let address = Internet.address(Production).to_string();
    let mut daemon = in_zone(Internet, "rsync");
    daemon.args(["--daemon", "--no-detach", "--config", &config, "--address", &address, "--port", &port.to_string()]);
    let _daemon = scene.serve(&mut daemon, port);
    let to = format!("rsync://{address}:{port}/m/");
    scene.run(Production, "rsync", &["-c", &dump.path, &to]);
    scene.run(Production, "rsync", &["-n", &dump.path, &to]);
    scene.sees(&dump, &step(StepKind::Read).to("rsync[]").bytes(dump.size));
    scene.settle(&dump);
    let loud = scene.agent.alerts(&dump.id).into_iter();
    // The daemon of the other side reads its own copy: that is another thing.
    let loud: Vec<_> = loud.filter(|a| a.step.kind == StepKind::Sent && a.severity >= Severity::Medium).collect();
    assert!(loud.is_empty(), "{loud:#?}");
}

/// The dump goes to `wc`, other data to the network, by one shell.
fn shell_with_two_pipelines(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 10_000);
    let address = Internet.address(Production);
    let line = format!(
        "cat {} | wc -c > /dev/null; seq 3000 | curl -sS --data-binary @- http://{address}:{port}/up",
        dump.path
    );
    scene.shell(Production, &line);
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Sent).from("cat[]").to("wc[]").bytes(dump.size));
    scene.settle(&dump);
    scene.no_alert(&dump, Severity::Info);
}

fn text_that_quotes_magics(scene: &Scene<'_>) {
    let texts =
        ["JAVA PROFILE settings", "MDMP is a magic", "makedumpfile", "{\"snapshot\":{\"id\":\"snap-1\"}}", "KDUMP"];
    for (n, text) in texts.iter().enumerate() {
        let path = scene.path(&format!("core.{n}"));
        fs::write(&path, format!("{text}\n").repeat(500)).unwrap();
        unseen(scene, upload(scene, &path, 1000));
    }
}

/// nginx opens the dump and tells its size.
fn web_server_answers_head(scene: &Scene<'_>) {
    let (dump, port) = (scene.core(), port());
    readable(&dump.path);
    let _nginx = nginx(scene, port);
    let name = dump.path.rsplit('/').next().unwrap();
    let url = format!("http://{}:{port}/{name}", Production.address(Internet));
    scene.run(Internet, "curl", &["-sSI", "-f", "-o", "/dev/null", &url]);
    scene.quiet(&dump);
    scene.no_alert(&dump, Severity::Info);
}

/// Packets of others reach a receiver in interrupts of the process that copies a dump: it is on the processor to which the
/// host steers them. Neither who sends them nor who gets them has anything to do with it.
fn interrupted_by_others_packets(scene: &Scene<'_>) {
    let (dump, port) = (scene.core(), port());
    let last = std::thread::available_parallelism().unwrap().get() - 1;
    let steer = format!("echo {:x} > /sys/class/net/to-production/queues/rx-0/rps_cpus", 1 << last);
    scene.complete(ip_netns_exec(Internet, "sh").args(["-c", &steer]));
    let (ready, address) = (scene.path("ready"), Internet.address(Production).to_string());
    let receive = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], int(sys.argv[2]))); s.settimeout(15)
open(sys.argv[3], 'w').close()
n = 0
while s.recv(65536) != b'end': n += 1
assert n > 1000, n";
    let mut receiver =
        scene.start(in_zone(Internet, python()).args(["-c", receive, &address, &port.to_string(), &ready]));
    scene.waits_for(&ready);
    let flood = "os.sched_setaffinity(0, {0})
s, end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.monotonic() + 2
s.bind(('0.0.0.0', 0))
while time.monotonic() < end: s.sendto(b'business' * 8, (host, int(port)))
for _ in range(50): s.sendto(b'end', (host, int(port))); time.sleep(.01)";
    let mut sender = scene.start(&mut script(scene, &dump.path, port, flood));
    let copy = format!(
        "os.sched_setaffinity(0, {{{last}}})
data, end, copy = open(path, 'rb').read(), time.monotonic() + 1.5, os.open('copy', os.O_CREAT | os.O_RDWR)
while time.monotonic() < end: os.pwrite(copy, data, 0)"
    );
    scene.complete(&mut script(scene, &dump.path, port, &copy));
    assert!(receiver.within(SOON).success() && sender.within(SOON).success());
    scene.quiet(&dump);
    unseen(scene, receiver.pid());
    unseen(scene, sender.pid());
}
