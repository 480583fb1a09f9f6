//! Where the kernel writes a core to.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, DumpKind, Severity, StepKind};

use super::Shared;
use crate::harness::{
    crash::{Pattern, crash},
    expect::step,
    guard::Undo,
    line::Line,
    roles,
    scene::{Dump, SOON, Scene, python},
    world::{Zone, in_zone},
};

pub(super) const ALL: &[Shared] = &[
    ("birth::file_on_this_disk", file_on_this_disk),
    ("birth::file_on_tmpfs", file_on_tmpfs),
    ("birth::file_on_overlay", file_on_overlay),
    ("birth::relative_to_the_victim", relative_to_the_victim),
    ("birth::a_new_core_takes_the_old_ones_name", a_new_core_takes_the_old_ones_name),
    ("birth::handler_that_stores", handler_that_stores),
    ("birth::handler_that_compresses", handler_that_compresses),
    ("birth::handler_that_sends", handler_that_sends),
    ("birth::one_dump_of_a_busy_process", one_dump_of_a_busy_process),
    ("birth::read_while_it_is_written", read_while_it_is_written),
    ("birth::of_who_holds_another", of_who_holds_another),
];

/// Who crashes has read another dump: that is in its core, too.
fn of_who_holds_another(scene: &Scene<'_>) {
    let (dump, folder) = (scene.core(), scene.path("second"));
    fs::create_dir(&folder).unwrap();
    let script = "import os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
held = open(sys.argv[1], 'rb').read()
os.abort()";
    let mut victim = in_zone(Zone::Production, python());
    let second = scene.core_of(Path::new(&folder), victim.args(["-c", script, &dump.path]));
    let reader = scene.run(Zone::Production, "cat", &[&second.path]).pid;
    let read = || step(StepKind::Read).from(&second.path).to(format!("cat[{reader}]")).bytes(second.size);
    scene.sees(&second, &read().sure(Confidence::Direct));
    scene.sees(&dump, &read().sure(Confidence::Swept));
}

/// What every core in a file has in common.
fn check(scene: &Scene<'_>, dump: &Dump, fstype: &str) {
    let victim = format!("victim[{}]", dump.victim);
    let wanted = step(StepKind::Created).via(Via::Core).from(&victim).to(&dump.path).zones("production", "production");
    let birth = scene.sees(dump, &wanted.bytes(dump.size).sure(Confidence::Direct).file(&dump.path).hops(0));
    assert_eq!((birth.dump_kind, birth.dump_size), (Some(DumpKind::KernelCore), Some(dump.size)));
    assert_eq!((birth.origin_zone.as_deref(), birth.origin_inferred), (Some("production"), false));
    assert_eq!(birth.fstype.as_deref(), Some(fstype));
    assert!(dump.data > 2_000_000, "{dump:?}");
    let births = scene.agent.steps_where(|s| s.kind == StepKind::Created && s.victim == Some(dump.victim));
    assert_eq!(births.len(), 1, "one crash is one dump: {births:#?}");
    scene.no_alert(dump, Severity::Info);
}

/// The type of the file system below a folder.
pub(super) fn fstype_of(path: &Path) -> String {
    let output = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output().unwrap();
    let name = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    if name == "ext2/ext3" { "ext4".to_owned() } else { name }
}

fn file_on_this_disk(scene: &Scene<'_>) {
    let dump = scene.core();
    check(scene, &dump, &fstype_of(scene.folder()));
    let content = identified(scene, &dump);
    let copied = scene.run(Zone::Production, "cat", &[&dump.path]).pid;
    let read = scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{copied}]")).by("cat").bytes(dump.size).hops(1));
    assert_eq!(read.content, Some(content), "later steps name the content");
}

/// The content of a dump, as the notice tells it.
pub(super) fn identified(scene: &Scene<'_>, dump: &Dump) -> String {
    scene.agent.within(SOON, "the notice `identified`", |lines| {
        lines.iter().find_map(|line| match line {
            Line::Notice(n) if n.kind == "identified" && n.dump.as_ref() == Some(&dump.id) => n.content.clone(),
            _ => None,
        })
    })
}

/// Mounts something on a folder of the scene.
pub(super) fn mount(scene: &Scene<'_>, name: &str, arguments: &[&str]) -> (Undo, String) {
    let at = scene.path(name);
    fs::create_dir_all(&at).unwrap();
    let status = std::process::Command::new("mount").args(arguments).arg(&at).status().unwrap();
    assert!(status.success(), "mount {arguments:?} {at}");
    (Undo::by(format!("umount -l {at} 2>/dev/null")), at)
}

fn file_on_tmpfs(scene: &Scene<'_>) {
    let (_mounted, at) = mount(scene, "tmpfs", &["-t", "tmpfs", "dt-tmpfs"]);
    let dump = scene.core_in(Path::new(&at));
    check(scene, &dump, "tmpfs");
    identified(scene, &dump);
}

/// An overlay of three folders of the scene.
pub(super) fn overlay(scene: &Scene<'_>) -> (Undo, String) {
    let layers = ["lower", "upper", "work"].map(|name| scene.path(name));
    for layer in &layers {
        fs::create_dir(layer).unwrap();
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", layers[0], layers[1], layers[2]);
    mount(scene, "merged", &["-t", "overlay", "-o", &options, "dt-overlay"])
}

fn file_on_overlay(scene: &Scene<'_>) {
    let (_mounted, at) = overlay(scene);
    let merged = scene.core_in(Path::new(&at));
    // The dump is named by the layer that has its bytes; whoever reads it there or above reads the same dump.
    let layer = scene.path("upper");
    let upper = format!("{layer}/core.{}", merged.victim);
    let dump = Dump { path: upper, ..merged.clone() };
    check(scene, &dump, &fstype_of(Path::new(&layer)));
    for path in [&merged.path, &dump.path] {
        let pid = scene.run(Zone::Production, "cat", &[path]).pid;
        scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{pid}]")).bytes(dump.size));
    }
    identified(scene, &dump);
}

fn relative_to_the_victim(scene: &Scene<'_>) {
    let folder = scene.folder().join("work");
    fs::create_dir(&folder).unwrap();
    let pid = {
        let _pattern = Pattern::set("memory-%P.txt");
        crash(in_zone(Zone::Production, roles::program("victim")).arg("2097152").current_dir(&folder))
    };
    let dump = scene.dump_at(pid, &folder.join(format!("memory-{pid}.txt")));
    check(scene, &dump, &fstype_of(&folder));
}

fn a_new_core_takes_the_old_ones_name(scene: &Scene<'_>) {
    let path = scene.folder().join("core");
    let [first, second] = [1, 2].map(|_| {
        let pid = {
            let _pattern = Pattern::set(path.to_str().unwrap());
            crash(in_zone(Zone::Production, roles::program("victim")).arg("2097152"))
        };
        scene.dump_at(pid, &path)
    });
    assert_ne!(first.id, second.id);
    scene.sees(&first, &step(StepKind::Deleted).from(&first.path));
    let pid = scene.run(Zone::Production, "cat", &[&second.path]).pid;
    let reader = format!("cat[{pid}]");
    scene.sees(&second, &step(StepKind::Read).to(&reader).bytes(second.size));
    let wrong = scene.agent.steps(&first.id).into_iter().filter(|s| s.to == reader).count();
    assert_eq!(wrong, 0, "the old dump went with its inode:\n{}", scene.told(&first.id));
}

/// A handler script; returns the pattern that names it.
fn handler(scene: &Scene<'_>, body: &str) -> String {
    let path = scene.path("handler");
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("|{path} %P")
}

fn crash_to(pattern: &str) -> u32 {
    let _pattern = Pattern::set(pattern);
    crash(in_zone(Zone::Production, roles::program("victim")).arg("2097152"))
}

/// A dump that began in a pipe.
fn piped(scene: &Scene<'_>, victim: u32) -> Dump {
    let birth = scene.birth(victim);
    let id = birth.dump.clone().unwrap();
    assert_eq!((birth.via, birth.from.as_str()), (Via::Core, format!("victim[{victim}]").as_str()));
    assert!(birth.to.starts_with("pipe:["), "{}", birth.told());
    Dump { id, victim, path: String::new(), data: 0, size: 0, birth }
}

fn handler_that_stores(scene: &Scene<'_>) {
    let victim = crash_to(&handler(scene, &format!("exec cat > {}/stored.$1", scene.folder().display())));
    let dump = piped(scene, victim);
    let stored = scene.path(&format!("stored.{victim}"));
    let written = step(StepKind::Written).from("cat[]").to(&stored).zones("production", "production").by("cat");
    let written = scene.sees(&dump, &written.between(2_000_000, u64::MAX).sure(Confidence::Direct));
    assert!(written.handler, "the handler is known as one");
    let read = step(StepKind::Read).via(Via::Pipe).to("cat[]").between(2_000_000, u64::MAX);
    scene.sees(&dump, &read);
    identified(scene, &dump);
    scene.quiet(&Dump { path: stored, ..dump });
}

fn handler_that_compresses(scene: &Scene<'_>) {
    let victim = crash_to(&handler(scene, &format!("gzip -1 > {}/stored.gz", scene.folder().display())));
    let dump = piped(scene, victim);
    let stored = scene.path("stored.gz");
    scene.sees(&dump, &step(StepKind::Written).from("gzip[]").to(&stored).by("gzip").between(2_000_000, u64::MAX));
    identified(scene, &dump);
}

fn handler_that_sends(scene: &Scene<'_>) {
    let (mut sink, port) = scene.sink(Zone::Internet, Zone::Production, 2_000_000);
    let address = Zone::Internet.address(Zone::Production);
    // A handler runs in the first network namespace; this one steps into production's.
    let ns = in_zone(Zone::Production, "nc");
    let words: Vec<_> = ns.get_args().map(|a| a.to_str().unwrap()).collect();
    let victim = crash_to(&handler(scene, &format!("exec nsenter {} -N {address} {port}", words.join(" "))));
    let dump = piped(scene, victim);
    assert!(sink.within(SOON).success());
    let sent =
        step(StepKind::Sent).via(Via::Tcp).from("nc[]").zones("production", "internet").destination(address, port);
    let alert = scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &sent);
    assert!(alert.step.handler, "{alert:#?}");
}

/// It holds a rewritten log, an unlinked file and a shared mapping, and writes while it dies: one dump, of one file.
fn one_dump_of_a_busy_process(scene: &Scene<'_>) {
    let script = "
import mmap, os, resource, threading, sys
log = open(sys.argv[1] + '/app.log', 'wb', buffering=0)
lost = open(sys.argv[1] + '/lost', 'w+b', buffering=0); lost.truncate(65536); os.unlink(sys.argv[1] + '/lost')
shared = open(sys.argv[1] + '/shared', 'w+b'); shared.truncate(65536)
memory = mmap.mmap(shared.fileno(), 65536); gone = mmap.mmap(lost.fileno(), 65536)
def work():
    while True:
        log.seek(0); log.write(b'line of a log\\n' * 400); lost.seek(0); lost.write(b'x' * 4096); memory[:4096] = b'y' * 4096; gone[:9] = b'z' * 9
threading.Thread(target=work, daemon=True).start()
resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
threading.Event().wait(0.1)
os.abort()";
    let folder = scene.path("");
    let mut command = in_zone(Zone::Production, crate::harness::scene::python());
    let dump = scene.core_of(scene.folder(), command.args(["-c", script, &folder]));
    scene.sees(&dump, &step(StepKind::Created).to(&dump.path));
    let births = scene.agent.steps_where(|s| s.kind == StepKind::Created && s.victim == Some(dump.victim));
    assert!(births.iter().all(|s| s.dump == dump.birth.dump), "{births:#?}");
    scene.quiet(&dump);
    let others = scene.agent.steps_where(|s| s.to.ends_with("/app.log") && s.to.starts_with(&folder));
    assert!(others.is_empty(), "the log holds no dump: {others:#?}");
}

/// Somebody reads the core before the kernel has written it to the end, when its path is not known: that comes after.
fn read_while_it_is_written(scene: &Scene<'_>) {
    let folder = scene.path("");
    let reader = "
import glob, os, sys, time
while not (cores := glob.glob(sys.argv[1] + '/core.*')): pass
core = open(cores[0], 'rb', buffering=0)
while not core.read(4096): pass";
    let mut reads = in_zone(Zone::Production, crate::harness::scene::python());
    let mut reading = scene.start(reads.args(["-c", reader, &folder]));
    let script = "
import os, resource
memory = bytearray(os.urandom(1 << 20) * 64)
resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)); os.abort()";
    let mut command = in_zone(Zone::Production, crate::harness::scene::python());
    let dump = scene.core_of(scene.folder(), command.args(["-c", script]));
    assert!(reading.within(SOON).success());
    scene.sees(&dump, &step(StepKind::Created).to(&dump.path).bytes(dump.size));
    scene.sees(&dump, &step(StepKind::Read).to(crate::harness::scene::of_python(reading.pid())));
}
