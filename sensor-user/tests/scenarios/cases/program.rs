//! Dumps that programs write themselves. Python plays them: what counts is which bytes are written, where, and how.

use std::net::IpAddr;

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, DumpKind, Severity, StepKind};

use super::{Own, Shared, birth};
use crate::harness::{
    agent::{Agent, Setup},
    expect::step,
    line::{Line, Step},
    scene::{Dump, SOON, Scene, python},
    world::{
        World,
        Zone::{Internet, Production},
        in_zone,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("program::its_own_heap", its_own_heap),
    ("program::every_format", every_format),
    ("program::on_tmpfs", on_tmpfs),
    ("program::on_overlay", on_overlay),
    ("program::magic_comes_last", magic_comes_last),
    ("program::header_in_the_same_tick", header_in_the_same_tick),
    ("program::header_that_never_comes", header_that_never_comes),
    ("program::patched_is_one_dump", patched_is_one_dump),
    ("program::next_dump_in_the_same_file", next_dump_in_the_same_file),
    ("program::debugger", debugger),
    ("program::a_copy_is_no_birth", a_copy_is_no_birth),
    ("program::look_alikes", look_alikes),
];

pub(super) const OWN: &[Own] = &[("program::nothing_is_armed", nothing_is_armed)];

/// What scripts begin with. A core of no machine, since nobody runs it.
const START: &str = "
import ctypes, os, socket, sys, time
HPROF = b'JAVA PROFILE 1.0.2\\0'
CORE = b'\\x7fELF\\x02\\x01\\x01' + bytes(9) + b'\\x04\\0' + bytes(46)
path, host, port, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
def create(name=path, more=0):
    f = os.open(name, os.O_WRONLY | os.O_CREAT | more, 0o600)
    time.sleep(pause)
    return f
";

/// A program of production; returns its pid. On tmpfs a file is only seen changing from one clock tick to the next.
fn program(scene: &Scene<'_>, path: &str, port: u16, script: &str) -> u32 {
    let folder = std::path::Path::new(path).parent().unwrap();
    let pause = if birth::fstype_of(folder) == "tmpfs" { "0.05" } else { "0" };
    let mut command = in_zone(Production, python());
    let address: IpAddr = Internet.address(Production);
    command.arg("-c").arg(format!("{START}{script}")).args([path, &address.to_string(), &port.to_string(), pause]);
    scene.complete(&mut command).pid
}

/// The births in a file.
fn births(agent: &Agent, path: &str) -> Vec<Step> {
    agent.steps_where(|s| s.kind == StepKind::Created && s.to == path)
}

/// The one dump that was born in a file.
fn born(scene: &Scene<'_>, path: &str, size: u64) -> Dump {
    let find = |lines: &[Line]| {
        lines.iter().find_map(|line| match line {
            Line::Step(s) if s.kind == StepKind::Created && s.to == path => Some(Step::clone(s)),
            _ => None,
        })
    };
    let birth = scene.agent.within(SOON, &format!("a birth in {path}"), find);
    let id = birth.dump.clone().unwrap();
    scene.note(&id);
    assert_eq!(births(scene.agent, path).len(), 1, "one dump in {path}");
    Dump { id, victim: birth.victim.unwrap_or(0), path: path.to_owned(), data: size, size, birth }
}

/// A server dumps its heap and goes on serving: the file is a dump, the server is no carrier.
fn its_own_heap(scene: &Scene<'_>) {
    let path = scene.path("heap.bin");
    let (mut business, port) = scene.sink(Internet, Production, 1 << 20);
    let script = "
f = create(more=os.O_EXCL)
for part in [HPROF + os.urandom(1 << 20), os.urandom(1 << 20)]: os.write(f, part)
os.close(f)
socket.create_connection((host, port)).sendall(os.urandom(1 << 20))";
    let pid = program(scene, &path, port, script);
    assert!(business.within(SOON).success());
    let size = (2 << 20) + 19;
    let dump = born(scene, &path, size);
    let birth = &dump.birth;
    assert_eq!((birth.dump_kind, birth.via, birth.bytes, birth.hops), (Some(DumpKind::HeapDump), Via::File, size, 0));
    assert_eq!((birth.victim, birth.pid, birth.origin_inferred), (Some(pid), Some(pid), true));
    assert_eq!((birth.origin_zone.as_deref(), birth.to_zone.as_str()), (Some("production"), "production"));
    assert_eq!((birth.confidence, birth.file.as_deref()), (Confidence::Direct, Some(path.as_str())));
    birth::identified(scene, &dump);
    scene.quiet(&dump);
    let sent = scene.agent.steps_where(|s| s.kind == StepKind::Sent && s.pid == Some(pid));
    assert!(sent.is_empty(), "who writes a dump holds none by that: {sent:#?}");
    let (mut sink, port) = scene.sink(Internet, Production, size);
    let url = format!("http://{}:{port}/", Internet.address(Production));
    scene.run(Production, "curl", &["-sS", "-T", &path, &url]);
    assert!(sink.within(SOON).success());
    let sent = step(StepKind::Sent).from("curl[]").zones("production", "internet").sure(Confidence::Direct);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &sent);
}

/// Each magic, by each call that writes to a place; where one takes several pieces, the magic is in all of them.
fn every_format(scene: &Scene<'_>) {
    let kinds = [
        ("core", DumpKind::Unknown),
        ("snapshot", DumpKind::HeapDump),
        ("go", DumpKind::HeapDump),
        ("minidump", DumpKind::Minidump),
        ("kdump", DumpKind::Vmcore),
        ("flattened", DumpKind::Vmcore),
        ("windows", DumpKind::Vmcore),
        ("guest", DumpKind::Vmcore),
        ("hprof.gz", DumpKind::HeapDump),
    ];
    let folder = scene.path("");
    let script = "
heads = {
    'core': CORE, 'snapshot': b'{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\"', 'go': b'go1.21 heap dump\\n\\6',
    'minidump': b'MDMP\\x93\\xa7\\0\\0', 'kdump': b'KDUMP   \\6\\0\\0\\0', 'flattened': b'makedumpfile\\0', 'windows': b'PAGEDU64\\17\\0\\0\\0',
    'guest': b'QEVM\\0\\0\\0\\x03', 'hprof.gz': b'\\x1f\\x8b\\x08\\x10\\0\\0\\0\\0\\4\\0HPROF BLOCKSIZE=65536\\0',
}
writers = [
    lambda f, d: os.write(f, d), lambda f, d: os.pwrite(f, d, 0), lambda f, d: os.writev(f, [d[:4], d[4:9], d[9:]]),
    lambda f, d: os.pwritev(f, [d[:3], b'', d[3:6], d[6:]], 0), lambda f, d: os.pwritev(f, [d], 0, os.RWF_DSYNC),
]
for n, (name, head) in enumerate(heads.items()):
    f = create(path + name)
    writers[n % 5](f, head + os.urandom(65536))
    os.close(f)";
    program(scene, &folder, 0, script);
    for (name, kind) in kinds {
        let dump = born(scene, &format!("{folder}{name}"), 0);
        assert_eq!(dump.birth.dump_kind, Some(kind), "{name}");
    }
}

const ONE_HEAP: &str = "f = create(); os.write(f, HPROF + os.urandom(1 << 20)); os.close(f)";

fn on_tmpfs(scene: &Scene<'_>) {
    let (_mounted, at) = birth::mount(scene, "tmpfs", &["-t", "tmpfs", "dt-program"]);
    let path = format!("{at}/heap");
    program(scene, &path, 0, ONE_HEAP);
    assert_eq!(born(scene, &path, 1 << 20).birth.fstype.as_deref(), Some("tmpfs"));
}

/// The writer sees the merged folder; the inode is that of the upper layer.
fn on_overlay(scene: &Scene<'_>) {
    let (_mounted, at) = birth::overlay(scene);
    let path = format!("{at}/heap");
    program(scene, &path, 0, ONE_HEAP);
    let dump = born(scene, &path, (1 << 20) + 19);
    let pid = scene.run(Production, "cat", &[&path]).pid;
    scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{pid}]")).bytes(dump.size));
}

/// The body first, then the header, as gdb does.
fn magic_comes_last(scene: &Scene<'_>) {
    let path = scene.path("late");
    let script = "
f = create()
os.lseek(f, 8192, 0); os.write(f, os.urandom(1 << 20)); time.sleep(0.05)
os.lseek(f, 0, 0); os.write(f, CORE); os.close(f)";
    program(scene, &path, 0, script);
    let dump = born(scene, &path, (1 << 20) + 8192);
    assert_eq!(dump.birth.bytes, dump.size);
}

/// Files whose header comes last, in the clock tick of what was written before: of most of them no event tells then. One
/// leaves room for it, one puts zeroes there.
const BODIES: &str = "
def body(n):
    f = create(path + str(n))
    if n % 2: os.pwrite(f, bytes(64), 0)
    os.pwrite(f, os.urandom(65536), 64)
    return f
";

fn header_in_the_same_tick(scene: &Scene<'_>) {
    let folder = scene.path("core");
    let script = format!("{BODIES}for n in range(8): f = body(n); os.pwrite(f, CORE, 0); os.close(f)");
    let pid = program(scene, &folder, 0, &script);
    for n in 0..8 {
        let dump = born(scene, &format!("{folder}{n}"), 65600);
        assert_eq!((dump.birth.pid, dump.birth.bytes), (Some(pid), dump.size), "{}", dump.birth.told());
        assert_eq!((dump.birth.from_zone.as_str(), dump.birth.to_zone.as_str()), ("production", "production"));
        let reader = scene.complete(in_zone(Internet, "cat").arg(&dump.path)).pid;
        let read = step(StepKind::Read).to(format!("cat[{reader}]")).bytes(dump.size).zones("production", "internet");
        scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &read.sure(Confidence::Direct));
    }
}

/// The same without the header: data with a place for one.
fn header_that_never_comes(scene: &Scene<'_>) {
    let (dump, folder) = (scene.core(), scene.path("data"));
    program(scene, &folder, 0, &format!("{BODIES}for n in range(8): os.close(body(n))"));
    let pids: Vec<u32> =
        (0..8).map(|n| scene.complete(in_zone(Internet, "cat").arg(format!("{folder}{n}"))).pid).collect();
    scene.quiet(&dump);
    let wrong = scene.agent.steps_where(|s| s.kind == StepKind::Created && s.to.starts_with(&folder));
    assert!(wrong.is_empty(), "{wrong:#?}");
    for pid in pids {
        super::benign::unseen(scene, pid);
    }
}

/// A minidump's directory is filled in when the streams are written.
fn patched_is_one_dump(scene: &Scene<'_>) {
    let path = scene.path("patched");
    let script = "
f = create()
os.write(f, b'MDMP\\x93\\xa7\\0\\0' + bytes(240)); os.write(f, os.urandom(1 << 20))
for at in 32, 44, 0: time.sleep(0.02); os.pwrite(f, b'MDMP\\x93\\xa7\\0\\0' + bytes(4), at)
os.close(f)";
    program(scene, &path, 0, script);
    scene.quiet(&born(scene, &path, 0));
}

/// Emptied and written anew: another dump.
fn next_dump_in_the_same_file(scene: &Scene<'_>) {
    let path = scene.path("again");
    program(scene, &path, 0, ONE_HEAP);
    let first = born(scene, &path, 0);
    std::thread::sleep(std::time::Duration::from_millis(50));
    program(scene, &path, 0, "f = create(more=os.O_TRUNC); os.write(f, HPROF + os.urandom(1 << 20)); os.close(f)");
    scene.sees(&first, &step(StepKind::Truncated).from(&path));
    let second = |lines: &[Line]| {
        let mut births =
            lines.iter().filter(|line| matches!(line, Line::Step(s) if s.kind == StepKind::Created && s.to == path));
        births.nth(1).map(|_| ())
    };
    scene.agent.within(SOON, "the second birth", second);
}

/// A program attaches to another and writes its memory: the origin is that other.
fn debugger(scene: &Scene<'_>) {
    let path = scene.path("memory");
    let script = "
libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0: time.sleep(60); os._exit(0)
assert libc.ptrace(16, child, None, None) == 0; os.waitpid(child, 0)
f = create(); os.write(f, CORE + os.urandom(1 << 20)); os.close(f)
open(path + '.child', 'w').write(str(child))
os.kill(child, 9)";
    let pid = program(scene, &path, 0, script);
    let child: u32 = std::fs::read_to_string(format!("{path}.child")).unwrap().parse().unwrap();
    let dump = born(scene, &path, 0);
    assert_eq!((dump.birth.victim, dump.birth.pid), (Some(child), Some(pid)));
    assert!(!dump.birth.origin_inferred && dump.birth.from.ends_with(&format!("[{child}]")), "{}", dump.birth.told());
    assert_eq!(dump.birth.origin_zone.as_deref(), Some("production"));
}

/// Who has read a dump and writes its bytes makes a copy.
fn a_copy_is_no_birth(scene: &Scene<'_>) {
    let (dump, copy) = (scene.core(), scene.path("copy"));
    let script = format!("d = open('{}', 'rb').read(); f = create(); os.write(f, d); os.close(f)", dump.path);
    program(scene, &copy, 0, &script);
    scene.sees(&dump, &step(StepKind::Written).to(&copy).bytes(dump.size));
    assert!(births(scene.agent, &copy).is_empty());
}

/// Files that begin almost like a dump, or hold a dump's beginning elsewhere.
fn look_alikes(scene: &Scene<'_>) {
    let folder = scene.path("");
    let script = "
texts = [
    b'JAVA PROFILE settings for the build', b'{\"snapshot\":{\"meta\":{\"author\":\"ann\"}}}', b'go1.7 heap profile\\n', b'MDMP is the magic',
    b'JAVA PROFILE 1.0.2 is the header', b'KDUMP   is a magic', b'PAGEDUMP of the wiki', b'go1.7 heap dump\\nis a magic',
    b'makedumpfile -d 31 /proc/vmcore', b'PGDMP\\x01\\x0e\\0', b'SQLite format 3\\0', b'x' + HPROF, bytes(4096) + CORE,
]
for n, text in enumerate(texts):
    f = create(path + 'text' + str(n)); os.write(f, text + os.urandom(4096)); os.close(f)
f = create(path + 'program'); os.write(f, open('/proc/self/exe', 'rb').read()); os.close(f)
f = create(path + 'elsewhere'); os.pwrite(f, CORE, 4096); os.close(f)
f = create(path + 'log'); os.write(f, b'a line\\n'); os.close(f)
f = create(path + 'log', os.O_APPEND); os.write(f, CORE); os.close(f)
f = create(path + 'dump'); os.write(f, CORE); os.close(f)";
    program(scene, &folder, 0, script);
    born(scene, &format!("{folder}dump"), 64);
    let wrong = scene.agent.steps_where(|s| s.kind == StepKind::Created && s.to.starts_with(&folder));
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
}

/// Nothing is marked and no flow hook stands: the dump is born all the same, and its reader is seen.
fn nothing_is_armed() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let agent = Agent::start(folder.path(), &Setup::of(&world.config()));
    let scene = Scene::new(&agent);
    let path = scene.path("heap");
    let script = "
f = create(); os.write(f, HPROF + os.urandom(1 << 20)); time.sleep(1); os.write(f, os.urandom(1 << 20)); os.close(f)";
    let pid = program(&scene, &path, 0, script);
    let dump = born(&scene, &path, (2 << 20) + 19);
    assert_eq!(dump.birth.victim, Some(pid));
    let reader = scene.run(Production, "cat", &[&path]).pid;
    let read = step(StepKind::Read).to(format!("cat[{reader}]")).bytes(dump.size).sure(Confidence::Direct);
    scene.sees(&dump, &read);
    // Where programs can be preempted the kernel may have skipped some of their runs, and then that is told.
    let skipped = agent.skipped_runs() > 0;
    let lost: Vec<_> = agent.gaps().into_iter().filter(|gap| !(skipped && gap.cause == "program_skipped")).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    agent.stop();
}
