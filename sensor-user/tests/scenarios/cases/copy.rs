//! A dump copied, moved and packed on one host, by ordinary tools.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};

use super::{Shared, birth::identified, birth::mount};
use crate::harness::{
    expect::step,
    guard::Undo,
    line::Line,
    scene::{Dump, SOON, Scene, of_python, python},
    world::Zone::Production,
};

pub(super) const ALL: &[Shared] = &[
    ("copy::cp", cp),
    ("copy::mv_within_a_file_system", mv_within_a_file_system),
    ("copy::mv_to_another_file_system", mv_to_another_file_system),
    ("copy::gzip", gzip),
    ("copy::tar", tar),
    ("copy::copy_file_range", copy_file_range),
    ("copy::sendfile_to_a_file", sendfile_to_a_file),
    ("copy::the_same_copy_again", the_same_copy_again),
    ("copy::splice", splice),
    ("copy::vmsplice", vmsplice),
    ("copy::mmap", mmap),
    ("copy::libaio", libaio),
    ("copy::loop_device", loop_device),
    ("copy::emptied_by_creat_and_openat2", emptied_by_creat_and_openat2),
];

/// Read in full by a process, and written in full to a file: both one hop further.
fn copied(scene: &Scene<'_>, dump: &Dump, by: &str, to: &str, bytes: u64) {
    let home = |kind| step(kind).zones("production", "production").sure(Confidence::Direct);
    scene.sees(dump, &home(StepKind::Read).from(&dump.path).to(by).bytes(bytes).hops(1));
    scene.sees(dump, &home(StepKind::Written).from(by).to(to).bytes(bytes).hops(2));
}

fn cp(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let pid = scene.run(Production, "cp", &[&dump.path, &copy]).pid;
    copied(scene, &dump, &format!("cp[{pid}]"), &copy, dump.data);
    let content = identified(scene, &dump);
    // The copy is the same dump for whoever reads it.
    let pid = scene.run(Production, "cat", &[&copy]).pid;
    let wanted = step(StepKind::Read).from(&copy).to(format!("cat[{pid}]")).by("cat").bytes(dump.size).hops(3);
    assert_eq!(scene.sees(&dump, &wanted).content, Some(content));
    scene.no_alert(&dump, Severity::Info);
}

fn mv_within_a_file_system(scene: &Scene<'_>) {
    let (dump, moved) = (scene.core(), scene.path("moved"));
    scene.run(Production, "mv", &[&dump.path, &moved]);
    scene.sees(&dump, &step(StepKind::Renamed).via(Via::Name).from(&dump.path).to(&moved));
    let pid = scene.run(Production, "cat", &[&moved]).pid;
    scene.sees(&dump, &step(StepKind::Read).from(&moved).to(format!("cat[{pid}]")).bytes(dump.size).hops(1));
}

fn mv_to_another_file_system(scene: &Scene<'_>) {
    let (_mounted, at) = mount(scene, "other", &["-t", "tmpfs", "dt-tmpfs"]);
    let (dump, moved) = (scene.core(), format!("{at}/moved"));
    let pid = scene.run(Production, "mv", &[&dump.path, &moved]).pid;
    copied(scene, &dump, &format!("mv[{pid}]"), &moved, dump.data);
    scene.sees(&dump, &step(StepKind::Deleted).from(&dump.path));
    let pid = scene.run(Production, "cat", &[&moved]).pid;
    scene.sees(&dump, &step(StepKind::Read).from(&moved).to(format!("cat[{pid}]")).bytes(dump.size));
}

fn gzip(scene: &Scene<'_>) {
    let dump = scene.core();
    let pid = scene.run(Production, "gzip", &["-1", "-k", &dump.path]).pid;
    let (packed, by) = (format!("{}.gz", dump.path), format!("gzip[{pid}]"));
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to(&by).by("gzip").bytes(dump.size));
    let size = std::fs::metadata(&packed).unwrap().len();
    let written = step(StepKind::Written).from(&by).to(&packed).by("gzip");
    scene.sees(&dump, &written.bytes(size).sure(Confidence::Direct).hops(2));
}

fn tar(scene: &Scene<'_>) {
    let (dump, archive) = (scene.core(), scene.path("all.tar"));
    let pid = scene.run(Production, "tar", &["-cf", &archive, &dump.path]).pid;
    copied(scene, &dump, &format!("tar[{pid}]"), &archive, dump.size);
}

/// A line of Python with two paths in `a` and `b`.
pub(super) fn by_python(scene: &Scene<'_>, dump: &Dump, to: &str, line: &str) -> String {
    let script = format!("import os, sys, mmap\na, b = sys.argv[1:]\nsize = os.stat(a).st_size\n{line}");
    let pid = scene.run(Production, python().to_str().unwrap(), &["-c", &script, &dump.path, to]).pid;
    of_python(pid)
}

fn through(scene: &Scene<'_>, via: Via, line: &str) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let by = by_python(scene, &dump, &copy, line);
    scene.sees(&dump, &step(StepKind::Read).via(via).from(&dump.path).to(&by).bytes(dump.size).hops(1));
    scene.sees(&dump, &step(StepKind::Written).via(via).from(&by).to(&copy).bytes(dump.size).hops(2));
}

fn copy_file_range(scene: &Scene<'_>) {
    through(
        scene,
        Via::Copy,
        "x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)
while os.copy_file_range(x, y, 1 << 20): pass",
    );
}

/// A copy is emptied and made again by the same way: a movement of its own, and the dump itself for whoever reads it.
fn the_same_copy_again(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let line = "x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
while os.copy_file_range(x, y, 1 << 20): pass";
    let copied = |by: &str| step(StepKind::Written).via(Via::Copy).from(by).to(&copy).bytes(dump.size);
    let first = by_python(scene, &dump, &copy, line);
    scene.sees(&dump, &copied(&first));
    let again = by_python(scene, &dump, &copy, line);
    scene.sees(&dump, &step(StepKind::Truncated).from(&copy));
    scene.sees(&dump, &copied(&again));
    let pid = scene.run(Production, "cat", &[&copy]).pid;
    scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{pid}]")).bytes(dump.size).sure(Confidence::Direct));
}

fn sendfile_to_a_file(scene: &Scene<'_>) {
    through(
        scene,
        Via::Sendfile,
        "x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)
while os.sendfile(y, x, None, 1 << 20): pass",
    );
}

fn splice(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let line = "x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)
r, w = os.pipe()
while n := os.splice(x, w, 1 << 16):
    while n: n -= os.splice(r, y, n)";
    let by = by_python(scene, &dump, &copy, line);
    scene.sees(&dump, &step(StepKind::Read).via(Via::Splice).from(&dump.path).to(&by).bytes(dump.size).hops(1));
    scene.sees(&dump, &step(StepKind::Written).via(Via::Splice).to(&copy).bytes(dump.size));
}

/// Pages of memory are given to a pipe, and taken from it by the same call.
fn vmsplice(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let line = "from ctypes import *
class Part(Structure): _fields_ = [('base', c_void_p), ('length', c_size_t)]
memory = create_string_buffer(1 << 16)
def pages(pipe, at, n): return CDLL(None).vmsplice(pipe, byref(Part(addressof(memory) + at, n)), 1, 0)
r, w = os.pipe()
if os.fork():
    os.close(r)
    x = os.open(a, os.O_RDONLY)
    while n := os.readv(x, [memory]):
        at = 0
        while at < n: at += pages(w, at, n - at)
    os.close(w)
    sys.exit(os.wait()[1])
os.close(w)
y = os.open(b, os.O_WRONLY | os.O_CREAT)
while (n := pages(r, 0, 1 << 16)) > 0: os.write(y, memory[:n])";
    let by = by_python(scene, &dump, &copy, line);
    scene.sees(&dump, &step(StepKind::Sent).from(&by).bytes(dump.size).hops(2));
    scene.sees(&dump, &step(StepKind::Written).to(&copy).bytes(dump.size).hops(3));
}

fn mmap(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let line = "m = mmap.mmap(os.open(a, os.O_RDONLY), 0, prot=mmap.PROT_READ)\nopen(b, 'wb').write(m)";
    let by = by_python(scene, &dump, &copy, line);
    scene.sees(&dump, &step(StepKind::Mapped).via(Via::Mmap).from(&dump.path).to(&by).hops(1));
    scene.sees(&dump, &step(StepKind::Written).from(&by).to(&copy).bytes(dump.size).hops(2));
    let content = identified(scene, &dump);
    scene.shell(Production, &format!("cat {} > /dev/null", dump.path));
    scene.agent.within(SOON, "steps with content", |lines| {
        let named = |l: &&Line| matches!(l, Line::Step(s) if s.content.as_ref() == Some(&content));
        lines.iter().any(|l| named(&l)).then_some(())
    });
}

/// Two requests in one call: the first reads, the second writes what was there before.
fn libaio(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let line = "import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
x, y = os.open(a, os.O_RDONLY), os.open(b, os.O_WRONLY | os.O_CREAT)
context, data = ctypes.c_ulong(0), ctypes.create_string_buffer(size)
assert libc.syscall(206, 8, ctypes.byref(context)) == 0
def request(opcode, fd): return ctypes.create_string_buffer(struct.pack('<QIIHhIQQq', 0, 0, 0, opcode, 0, fd, ctypes.addressof(data), size, 0) + bytes(16), 64)
def submit(*requests):
    n = len(requests)
    list = (ctypes.c_void_p * n)(*[ctypes.addressof(r) for r in requests])
    assert libc.syscall(209, context, ctypes.c_long(n), list) == n, ctypes.get_errno()
    events = ctypes.create_string_buffer(32 * n)
    assert libc.syscall(208, context, ctypes.c_long(n), ctypes.c_long(n), events, None) == n
submit(request(0, x)); submit(request(0, x), request(1, y))";
    let by = by_python(scene, &dump, &copy, line);
    let read = step(StepKind::Read).from(&dump.path).to(&by).hops(1);
    scene.sees(&dump, &read.bytes(2 * dump.size));
    scene.sees(&dump, &step(StepKind::Written).from(&by).to(&copy).bytes(dump.size).hops(2));
}

/// Whoever reads the device never opens the dump.
fn loop_device(scene: &Scene<'_>) {
    let dump = scene.core();
    let output = std::process::Command::new("losetup").args(["-rf", "--show", &dump.path]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let _attached = Undo::by(format!("losetup -d {device}"));
    let pid = scene.run(Production, "cat", &[&device]).pid;
    scene.sees(&dump, &step(StepKind::Read).from(&dump.path).to(format!("cat[{pid}]")).bytes(dump.size).hops(1));
}

/// What is written after the file was emptied is no dump, on tmpfs too, where the emptying changes nothing that is seen.
fn emptied_by_creat_and_openat2(scene: &Scene<'_>) {
    let (_mounted, at) = mount(scene, "emptied", &["-t", "tmpfs", "dt-emptied"]);
    for call in
        ["libc.syscall(85, path, 0o600)", "libc.syscall(437, -100, path, struct.pack('<QQQ', 0o1001, 0, 0), 24)"]
    {
        let (dump, copy) = (scene.core(), format!("{at}/copy"));
        let line = format!(
            "import ctypes, struct
libc = ctypes.CDLL(None)
open(b, 'wb').write(open(a, 'rb').read())
path = b.encode(); assert {call} >= 0"
        );
        let by = by_python(scene, &dump, &copy, &line);
        scene.sees(&dump, &step(StepKind::Written).from(&by).to(&copy).bytes(dump.size));
        scene.sees(&dump, &step(StepKind::Truncated).from(&copy));
        std::fs::remove_file(&copy).unwrap();
    }
}
