//! Names of a dump, and the end of one.

use std::{
    fs::File,
    time::{Duration, Instant},
};

use sensor_abi::flow::Via;
use sensor_user::step::StepKind;

use super::{Own, Shared, birth::mount, copy::by_python};
use crate::harness::{
    agent::{Agent, Setup},
    expect::step,
    scene::Scene,
    world::{
        World,
        Zone::{Internet, Production},
    },
};

pub(super) const ALL: &[Shared] = &[
    ("names::file_system_goes", file_system_goes),
    ("names::first_name", first_name),
    ("names::rename_link_unlink", rename_link_unlink),
    ("names::truncated_is_no_dump", truncated_is_no_dump),
];

pub(super) const OWN: &[Own] = &[
    ("names::gone_before_it_was_looked_at", gone_before_it_was_looked_at),
    ("names::gone_with_its_file_system", gone_with_its_file_system),
];

/// A copy that is deleted before the agent has heard of it, and whose inode's memory others have got by then.
fn gone_before_it_was_looked_at() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let agent = Agent::start(folder.path(), &Setup::of(&world.config()));
    let scene = Scene::new(&agent);
    let dump = scene.core();
    let (copy, other, pid) = (scene.path("copy"), scene.path("other"), agent.pid());
    scene.shell(
        Production,
        &format!(
            "kill -STOP {pid}; trap 'kill -CONT {pid}' EXIT; taskset -pc 0 $$ >/dev/null
            cp {} {copy}; rm {copy}; sleep 0.2; for i in $(seq 4000); do : >{other}$i; done",
            dump.path
        ),
    );
    scene.sees(&dump, &step(StepKind::Deleted).from(&copy));
    agent.stop();
}

/// What was on a file system without a device is gone with it, though nobody deleted it: nothing is followed any more.
fn gone_with_its_file_system() {
    let (world, folder) = (World::make(), tempfile::tempdir().unwrap());
    let agent = Agent::start(folder.path(), &Setup::of(&world.config()));
    let scene = Scene::new(&agent);
    let idle = agent.attached();
    let dump = scene.core();
    let (mounted, at) = mount(&scene, "gone", &["-t", "tmpfs", "dt-gone"]);
    let copy = format!("{at}/copy");
    scene.run(Production, "cp", &[&dump.path, &copy]);
    scene.sees(&dump, &step(StepKind::Written).to(&copy));
    scene.run(Production, "rm", &[&dump.path]);
    if !Agent::is_always_armed() {
        std::thread::sleep(Duration::from_secs(15));
        assert!(agent.attached() > idle, "the copy is followed");
        drop(mounted);
        let end = Instant::now() + Duration::from_mins(1);
        while agent.attached() > idle {
            assert!(Instant::now() < end, "{} programs are attached, before the dump {idle}", agent.attached());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    agent.stop();
}

/// Names are followed on a file system that may be unmounted all the same.
fn file_system_goes(scene: &Scene<'_>) {
    let dump = scene.core();
    let (_mounted, at) = mount(scene, "goes", &["-t", "tmpfs", "dt-goes"]);
    let (copy, moved) = (format!("{at}/copy"), format!("{at}/moved"));
    scene.run(Production, "cp", &[&dump.path, &copy]);
    scene.sees(&dump, &step(StepKind::Written).to(&copy));
    scene.run(Production, "mv", &[&copy, &moved]);
    scene.sees(&dump, &step(StepKind::Renamed).to(&moved));
    // Who looks at its content for a moment may still be there.
    scene.shell(Production, &format!("for i in 1 2 3 4 5 6 7 8 9; do umount {at} && exit; sleep 0.2; done; exit 1"));
}

/// As systemd-coredump stores: a file without a name gets one when it is whole, at once or later.
fn first_name(scene: &Scene<'_>) {
    for pause in ["0", "1.5"] {
        let (dump, stored) = (scene.core(), scene.path(&format!("stored{pause}")));
        let line = format!(
            "import ctypes, time
fd = os.open(os.path.dirname(b), os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, open(a, 'rb').read())
time.sleep({pause})
AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400
name = f'/proc/self/fd/{{fd}}'.encode()
assert ctypes.CDLL(None).linkat(AT_FDCWD, name, AT_FDCWD, b.encode(), AT_SYMLINK_FOLLOW) == 0"
        );
        by_python(scene, &dump, &stored, &line);
        scene.sees(&dump, &step(StepKind::Renamed).to(&stored));
        let reader = scene.run(Production, "cat", &[&stored]).pid;
        scene.sees(&dump, &step(StepKind::Read).from(&stored).to(format!("cat[{reader}]")));
    }
}

fn rename_link_unlink(scene: &Scene<'_>) {
    let dump = scene.core();
    let (second, third) = (scene.path("second"), scene.path("third"));
    scene.run(Production, "ln", &[&dump.path, &second]);
    scene.sees(&dump, &step(StepKind::Linked).via(Via::Name));
    scene.run(Production, "mv", &[&second, &third]);
    let pid = scene.run(Production, "cat", &[&third]).pid;
    scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{pid}]")).bytes(dump.size));
    scene.run(Production, "rm", &[&dump.path]);
    let pid = scene.run(Production, "cat", &[&third]).pid;
    scene.sees(&dump, &step(StepKind::Read).to(format!("cat[{pid}]")).bytes(dump.size));
    let deleted = |s: &crate::harness::line::Step| s.kind == StepKind::Deleted;
    assert!(!scene.agent.steps(&dump.id).iter().any(deleted), "one name is left:\n{}", scene.told(&dump.id));
    scene.run(Production, "rm", &[&third]);
    scene.sees(&dump, &step(StepKind::Deleted).via(Via::Name));
}

/// What is written in the place of a dump's bytes is no dump; the file may go where it likes.
fn truncated_is_no_dump(scene: &Scene<'_>) {
    let dump = scene.core();
    File::options().write(true).truncate(true).open(&dump.path).unwrap();
    scene.sees(&dump, &step(StepKind::Truncated).from(&dump.path));
    std::fs::write(&dump.path, "other text\n".repeat(1000)).unwrap();
    let (mut sink, port) = scene.sink(Internet, Production, 1000);
    let url = format!("http://{}:{port}/up", Internet.address(Production));
    let pid = scene.run(Production, "curl", &["-sS", "-T", &dump.path, &url]).pid;
    assert!(sink.within(crate::harness::scene::SOON).success());
    std::thread::sleep(std::time::Duration::from_secs(2));
    let sent = scene.agent.steps_where(|s| s.pid == Some(pid));
    assert!(sent.is_empty(), "{sent:#?}");
}
