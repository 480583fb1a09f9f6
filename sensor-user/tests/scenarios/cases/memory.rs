//! Memory of another process, read or written; and memory that processes share.

use std::collections::BTreeSet;

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, DumpKind, Severity, StepKind};

use super::Shared;
use crate::harness::{
    expect::{Expect, step},
    line::{Line, Step},
    scene::{Dump, SOON, Scene, of_python, python},
    world::Zone::{Internet, Production},
};

pub(super) const ALL: &[Shared] = &[
    ("memory::process_vm_readv", process_vm_readv),
    ("memory::proc_mem_becomes_a_core", proc_mem_becomes_a_core),
    ("memory::core_is_begun_first", core_is_begun_first),
    ("memory::a_look_is_no_dump", a_look_is_no_dump),
    ("memory::by_pages_or_by_a_tracer", by_pages_or_by_a_tracer),
    ("memory::out_of_a_holder", out_of_a_holder),
    ("memory::into_another", into_another),
    ("memory::system_v_segment", system_v_segment),
    ("memory::shared_before_it_is_read", shared_before_it_is_read),
    ("memory::mapped_before_it_is_written", mapped_before_it_is_written),
    ("memory::system_v_queue", system_v_queue),
    ("memory::next_queue_is_clean", next_queue_is_clean),
    ("memory::posix_queue", posix_queue),
];

/// What scripts begin with. `child` is a process with a megabyte that nobody else has.
const START: &str = "
import ctypes, mmap, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
CORE = b'\\x7fELF\\x02\\x01\\x01' + bytes(9) + b'\\x04\\0' + bytes(46)
path, dump, host, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
SIZE = 1 << 20
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
def address(memory): return ctypes.addressof(ctypes.c_char.from_buffer(memory))
def victim():
    global memory
    memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(os.urandom(SIZE))
    child = os.fork()
    if child == 0: time.sleep(60); os._exit(0)
    return child, address(memory)
def vm(call, pid, local, remote, size):
    a, b = Part(local, size), Part(remote, size)
    n = call(pid, ctypes.byref(a), ctypes.c_ulong(1), ctypes.byref(b), ctypes.c_ulong(1), ctypes.c_ulong(0))
    assert n == size, ctypes.get_errno()
def send(data): socket.create_connection((host, port)).sendall(data)
def end(pid): os.kill(pid, 9); os.waitpid(pid, 0)
";

/// A program of production: arguments are a path of the scene, a dump, and where the sink is. Returns its pid.
fn program(scene: &Scene<'_>, path: &str, dump: &str, port: u16, script: &str) -> u32 {
    let (script, address) = (format!("{START}{script}"), Internet.address(Production).to_string());
    let arguments = ["-c", &script, path, dump, &address, &port.to_string()];
    scene.run(Production, python().to_str().unwrap(), &arguments).pid
}

/// The dump that a process made of another's memory.
fn taken(scene: &Scene<'_>, by: u32) -> Dump {
    let of_it = |s: &Step| s.kind == StepKind::Created && s.pid == Some(by);
    let find = |lines: &[Line]| {
        lines.iter().find_map(|line| match line {
            Line::Step(s) if of_it(s) => Some(Step::clone(s)),
            _ => None,
        })
    };
    let birth = scene.agent.within(SOON, &format!("a dump made by {by}"), find);
    let (id, path) = (birth.dump.clone().unwrap(), birth.to.clone());
    scene.note(&id);
    Dump { id, victim: birth.victim.unwrap_or(0), path, data: 0, size: 1 << 20, birth }
}

/// The dumps that this process made: one that moves before it is whole is told again when it is.
fn made(scene: &Scene<'_>, by: u32) -> BTreeSet<String> {
    let births = scene.agent.steps_where(|s| s.kind == StepKind::Created && s.pid == Some(by));
    births.into_iter().filter_map(|s| s.dump).collect()
}

fn leaves(from: &str) -> Expect {
    let sent = step(StepKind::Sent).via(Via::Tcp).zones("production", "internet");
    sent.from(from).sure(Confidence::Direct)
}

fn process_vm_readv(scene: &Scene<'_>) {
    // While a dump lies there, calls are seen.
    let lies = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let path = scene.path("child");
    let script = "
child, there = victim()
open(path, 'w').write(str(child))
here = bytearray(SIZE)
vm(libc.process_vm_readv, child, address(here), there, SIZE)
send(here); time.sleep(0.5); end(child)";
    let pid = program(scene, &path, &lies.path, port, script);
    assert!(sink.within(SOON).success());
    let child: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    let dump = taken(scene, pid);
    let birth = &dump.birth;
    assert_eq!((birth.dump_kind, birth.via, birth.victim), (Some(DumpKind::MemoryRead), Via::Memory, Some(child)));
    assert!(birth.from.ends_with(&format!("[{child}]")) && birth.to.ends_with(&format!("[{pid}]")), "{}", birth.told());
    assert!(!birth.origin_inferred && birth.origin_zone.as_deref() == Some("production"));
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &leaves(&birth.to));
    assert_eq!(made(scene, pid).len(), 1);
}

const READ_MEM: &str = "
def read_mem(child, there):
    f, data = os.open(f'/proc/{child}/mem', os.O_RDONLY), b''
    while len(data) < SIZE: data += os.pread(f, 65536, there + len(data))
    os.close(f); return data
";

/// As gdb does: the memory first, then an ELF core of it. One dump, and the core is a copy of it.
fn proc_mem_becomes_a_core(scene: &Scene<'_>) {
    let lies = scene.core();
    let path = scene.path("core");
    let script = format!(
        "{READ_MEM}
child, there = victim()
data = read_mem(child, there)
f = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600); os.write(f, CORE + data); os.close(f)
end(child)"
    );
    let pid = program(scene, &path, &lies.path, 0, &script);
    let dump = taken(scene, pid);
    scene.sees(&dump, &step(StepKind::Written).from(&dump.birth.to).to(&path).bytes(1 << 20));
    assert_eq!(made(scene, pid).len(), 1);
}

/// As createdump does: the header first. The file is the dump, and what is read next is of the same.
fn core_is_begun_first(scene: &Scene<'_>) {
    let lies = scene.core();
    let path = scene.path("core");
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = format!(
        "{READ_MEM}
child, there = victim()
f = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600); os.write(f, CORE)
data = read_mem(child, there)
os.write(f, data); os.close(f); end(child); send(data)"
    );
    let pid = program(scene, &path, &lies.path, port, &script);
    assert!(sink.within(SOON).success());
    let dump = taken(scene, pid);
    assert_eq!(dump.birth.to, path);
    scene.sees(&dump, &step(StepKind::Read).via(Via::Memory).bytes(1 << 20));
    scene.alerts(
        &dump,
        "dump-left-isolation",
        Severity::Critical,
        &step(StepKind::Sent).zones("production", "internet"),
    );
    assert_eq!(made(scene, pid).len(), 1);
}

/// A debugger looks at variables; a program looks at itself. strace reads pages of what it traces, and gdb the vDSO.
fn a_look_is_no_dump(scene: &Scene<'_>) {
    let lies = scene.core();
    let script = format!(
        "{READ_MEM}
child, there = victim()
here = bytearray(4096)
for at in range(0, SIZE, 4096): vm(libc.process_vm_readv, child, address(here), there + at, 4095)
vm(libc.process_vm_readv, os.getpid(), address(here), there, 4096)
read_mem(os.getpid(), there)
here = bytearray(8192)
assert libc.ptrace(16, child, None, None) == 0; os.waitpid(child, 0)
for at in range(0, SIZE, 8192): vm(libc.process_vm_readv, child, address(here), there + at, 8192)
assert libc.ptrace(17, child, None, None) == 0
end(child)"
    );
    let pid = program(scene, "", &lies.path, 0, &script);
    scene.settle(&lies);
    assert!(made(scene, pid).is_empty(), "{:#?}", made(scene, pid));
}

/// Page by page, by who does not trace the process; and by who does in larger pieces.
fn by_pages_or_by_a_tracer(scene: &Scene<'_>) {
    let lies = scene.core();
    let attach = "assert libc.ptrace(16, child, None, None) == 0; os.waitpid(child, 0)";
    for (first, piece) in [("", 4096), (attach, 16384)] {
        let script = format!(
            "child, there = victim()
{first}
here = bytearray({piece})
for at in range(0, SIZE, {piece}): vm(libc.process_vm_readv, child, address(here), there + at, {piece})
os.kill(child, 9)"
        );
        let pid = program(scene, "", &lies.path, 0, &script);
        let dump = taken(scene, pid);
        assert_eq!((dump.birth.dump_kind, made(scene, pid).len()), (Some(DumpKind::MemoryRead), 1));
    }
}

/// One process holds a dump in memory, another takes it from there.
fn out_of_a_holder(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 4095);
    let script = "
down, up = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    data = bytearray(open(dump, 'rb').read())
    os.write(up[1], address(data).to_bytes(8, 'little')); os.read(down[0], 1); os._exit(0)
there = int.from_bytes(os.read(up[0], 8), 'little')
here = bytearray(4095)
vm(libc.process_vm_readv, child, address(here), there, 4095)
end(child); send(here)";
    let pid = program(scene, "", &dump.path, port, script);
    assert!(sink.within(SOON).success());
    let (to, read) = (format!("[{pid}]"), step(StepKind::Read).via(Via::Memory).bytes(4095));
    let read = scene.sees(&dump, &read);
    assert!(read.to.ends_with(&to) && read.from != read.to, "{}", read.told());
    scene.sees(&dump, &step(StepKind::Sent).from(&read.to).zones("production", "internet").bytes(4095));
    assert!(made(scene, pid).is_empty(), "a movement, no birth");
}

/// Into a process that never asked for it.
fn into_another(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = "
down = os.pipe()
memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
child = os.fork()
if child == 0:
    os.read(down[0], 1); send(memory); os._exit(0)
data = bytearray(open(dump, 'rb').read(SIZE))
vm(libc.process_vm_writev, child, address(data), address(memory), SIZE)
os.write(down[1], b'x'); assert os.waitpid(child, 0)[1] == 0";
    let pid = program(scene, "", &dump.path, port, script);
    assert!(sink.within(SOON).success());
    let into =
        scene.sees(&dump, &step(StepKind::Sent).via(Via::Memory).bytes(1 << 20).zones("production", "production"));
    assert!(into.from.ends_with(&format!("[{pid}]")) && into.to != into.from, "{}", into.told());
    // Who is written to may be gone before its name is looked up; its number is in the record.
    let (_, child) = into.to.split_once('[').unwrap();
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &leaves(&format!("python3[{child}")));
}

/// One attaches a segment after it has read the dump, another attaches it then.
fn system_v_segment(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = "
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
segment = libc.shmget(0, SIZE, 0o1600)
down = os.pipe()
child = os.fork()
if child == 0:
    os.read(down[0], 1)
    send(ctypes.string_at(libc.shmat(segment, None, 0o10000), SIZE)); os._exit(0)
data = open(dump, 'rb').read(SIZE)
at = libc.shmat(segment, None, 0)
ctypes.memmove(at, data, SIZE)
os.write(down[1], b'x'); status = os.waitpid(child, 0)[1]
libc.shmctl(segment, 0, None); assert status == 0";
    program(scene, "", &dump.path, port, script);
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Written).via(Via::Mmap).bytes(1 << 20));
    let got = scene.sees(&dump, &step(StepKind::Mapped).via(Via::Mmap).bytes(1 << 20));
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &leaves(&got.to));
}

/// Memory that parent and child have shared since before the parent read the dump: storing and loading make no call.
fn shared_before_it_is_read(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = "
memory = mmap.mmap(-1, SIZE)
child = os.fork()
if child == 0: time.sleep(3); send(memory); os._exit(0)
memory[:] = open(dump, 'rb').read(SIZE)
assert os.waitpid(child, 0)[1] == 0";
    let pid = program(scene, "", &dump.path, port, script);
    assert!(sink.within(SOON).success());
    let stored = step(StepKind::Written).via(Via::Mmap).to("/dev/zero (deleted)").bytes(1 << 20);
    scene.sees(&dump, &stored.sure(Confidence::Direct));
    let sent = scene.sees(&dump, &step(StepKind::Sent).zones("production", "internet").sure(Confidence::Swept));
    assert_ne!(sent.pid, Some(pid), "the child sends");
    let child =
        scene.agent.steps_where(|s| s.kind == StepKind::Sent && s.pid != Some(pid) && s.dump == Some(dump.id.clone()));
    assert!(child.iter().all(|s| s.confidence == Confidence::Swept), "{child:#?}");
    scene.alerts(&dump, "dump-left-isolation", Severity::High, &leaves(&sent.from).sure(Confidence::Swept));
}

/// A file that somebody has mapped gets the dump by a call: who has it mapped reads it without one.
fn mapped_before_it_is_written(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = "
open(path, 'wb').truncate(SIZE)
memory = mmap.mmap(os.open(path, os.O_RDONLY), SIZE, prot=mmap.PROT_READ)
child = os.fork()
if child == 0:
    del memory; open(path, 'r+b').write(open(dump, 'rb').read(SIZE)); os._exit(0)
assert os.waitpid(child, 0)[1] == 0
time.sleep(2); send(memory)";
    let path = scene.path("mapped");
    let pid = program(scene, &path, &dump.path, port, script);
    assert!(sink.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Written).to(&path).bytes(1 << 20).sure(Confidence::Direct));
    scene.alerts(&dump, "dump-left-isolation", Severity::High, &leaves(&of_python(pid)).sure(Confidence::Swept));
}

const QUEUE: &str = "
class Message(ctypes.Structure): _fields_ = [('kind', ctypes.c_long), ('data', ctypes.c_char * 4096)]
libc.msgrcv.restype = ctypes.c_ssize_t
def queue(): q = libc.msgget(0, 0o1600); assert q >= 0; return q
def put(q, part): assert libc.msgsnd(q, ctypes.byref(Message(1, part)), ctypes.c_size_t(len(part)), 0) == 0
def get(q):
    m = Message(); n = libc.msgrcv(q, ctypes.byref(m), ctypes.c_size_t(4096), ctypes.c_long(0), 0); assert n > 0
    return ctypes.string_at(ctypes.addressof(m) + 8, n)
";

fn system_v_queue(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = format!(
        "{QUEUE}
q = queue()
child = os.fork()
if child == 0:
    got = b''
    while len(got) < SIZE: got += get(q)
    send(got); os._exit(0)
data = open(dump, 'rb').read(SIZE).replace(b'\\0', b'x')
for at in range(0, SIZE, 4096): put(q, data[at:at + 4096])
status = os.waitpid(child, 0)[1]; libc.msgctl(q, 0, None); assert status == 0"
    );
    program(scene, "", &dump.path, port, &script);
    assert!(sink.within(SOON).success());
    let through = step(StepKind::Sent).via(Via::Queue).zones("production", "production");
    let through = scene.sees(&dump, &through.bytes(1 << 20).sure(Confidence::Direct));
    assert_ne!(through.from, through.to);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &leaves(&through.to));
}

/// A queue that comes after one which held a dump, most likely at the same address.
fn next_queue_is_clean(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 16);
    let script = format!(
        "{QUEUE}
q = queue()
if os.fork() == 0: put(q, open(dump, 'rb').read(4096).replace(b'\\0', b'x')); os._exit(0)
os.wait(); libc.msgctl(q, 0, None)
q = queue()
if os.fork() == 0:
    for n in range(4): put(q, b'business' * 512)
    os._exit(0)
os.wait()
got = b''.join(get(q) for n in range(4)); libc.msgctl(q, 0, None)
send(got * 4)"
    );
    let pid = program(scene, "", &dump.path, port, &script);
    assert!(sink.within(SOON).success());
    scene.quiet(&dump);
    let sent = scene.agent.steps_where(|s| s.kind == StepKind::Sent && s.pid == Some(pid));
    assert!(sent.is_empty(), "the first queue is gone: {sent:#?}");
}

fn posix_queue(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 1 << 20);
    let script = "
rt = ctypes.CDLL('librt.so.1', use_errno=True)
name = f'/dt-{os.getpid()}'.encode()
queue = rt.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None); assert queue >= 0
rt.mq_unlink(name)
child = os.fork()
if child == 0:
    part, data = ctypes.create_string_buffer(8192), b''
    while len(data) < SIZE:
        n = rt.mq_receive(queue, part, ctypes.c_size_t(8192), None); assert n > 0
        data += part.raw[:n]
    send(data); os._exit(0)
data = open(dump, 'rb').read(SIZE)
for at in range(0, SIZE, 8192): assert rt.mq_send(queue, data[at:at + 8192], ctypes.c_size_t(8192), 0) == 0
assert os.waitpid(child, 0)[1] == 0";
    program(scene, "", &dump.path, port, script);
    assert!(sink.within(SOON).success());
    scene.alerts(
        &dump,
        "dump-left-isolation",
        Severity::Critical,
        &step(StepKind::Sent).via(Via::Tcp).zones("production", "internet"),
    );
}
