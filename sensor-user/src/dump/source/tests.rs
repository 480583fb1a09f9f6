use std::process::Command;

use super::*;
use crate::dump::{
    format::{Format, Packing},
    testing::{Guard, core, have, sh},
};

fn mounts() -> Mounts {
    Mounts::read("/proc/self/mountinfo".as_ref()).unwrap()
}

fn names(search: &Search) -> Vec<&str> {
    search.found.iter().map(|f| f.path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn dumps_are_found_by_content_not_by_name() {
    let Some((dir, _)) = core() else { return };
    sh(
        dir.path(),
        "cp core photo.jpg; gzip -c core > b.gz; tar cf c.tar core; echo text > core.txt; cp /bin/sh core.sh
         mkdir -p 1/2/3; cp core 1/d; cp core 1/2/e; cp core 1/2/3/too-deep; ln -s core link; mkfifo fifo",
    );
    let search = find(&[dir.path().to_owned(), dir.path().to_owned()], &mounts(), Bounds::default());
    assert_eq!(names(&search), ["e", "d", "b.gz", "c.tar", "core", "photo.jpg"]);
    let packed = search.found.iter().find(|f| f.path.ends_with("b.gz")).unwrap();
    assert_eq!((packed.look.format, packed.look.layers.as_slice()), (Format::ElfCore, &[Packing::Gzip][..]));
    let plain = search.found.iter().find(|f| f.path.ends_with("photo.jpg")).unwrap();
    assert!(plain.look.facts.as_ref().unwrap().comm.as_ref().unwrap().starts_with("python"));
    let meta = std::fs::metadata(&packed.path).unwrap();
    assert_eq!((packed.ino, packed.size, packed.dev), (meta.ino(), meta.len(), s_dev_of(&meta)));
    assert!(!search.cut);
    assert!(find(&[dir.path().to_owned()], &mounts(), Bounds { files: 2, depth: 2 }).cut);
}

#[test]
fn systemds_mark_makes_it_a_core_of_the_kernel() {
    let Some((dir, path)) = core() else { return };
    let set = rustix::fs::setxattr(&path, "user.coredump.pid", b"7", rustix::fs::XattrFlags::empty());
    if set.is_err() {
        eprintln!("SKIPPED: no extended attributes here");
        return;
    }
    let search = find(&[dir.path().to_owned()], &mounts(), Bounds::default());
    assert_eq!(search.found[0].kind(), DumpKind::KernelCore);
    assert_eq!(search.found[0].look.kind(), DumpKind::Unknown);
}

#[test]
fn remote_mounts_are_never_touched_not_even_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    sh(dir.path(), "mkdir remote local; ln -s ../remote/x local/link; ln -s local good; echo a > local/f");
    let table = format!("1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / {at}/remote rw - fuse.sshfs b rw\n");
    let mounts = Mounts::parse(&table);
    let path = |p: &str| dir.path().join(p);
    assert_eq!(resolve(&path("remote/core"), &mounts), Resolved::Remote);
    assert_eq!(resolve(&path("local/link/y"), &mounts), Resolved::Remote);
    assert_eq!(resolve(&path("local/../remote"), &mounts), Resolved::Remote);
    assert_eq!(resolve(&path("good"), &mounts), Resolved::Local(path("local")));
    assert_eq!(resolve(&path("none"), &mounts), Resolved::Missing);
    sh(dir.path(), "ln -s loop loop");
    assert_eq!(resolve(&path("loop"), &mounts), Resolved::Missing);
    let search = find(&[dir.path().to_owned()], &mounts, Bounds::default());
    assert_eq!((search.found.len(), search.remote), (0, vec![path("remote")]));
}

#[test]
fn dumps_held_open_are_found_deleted_ones_too() {
    let Some((dir, path)) = core() else { return };
    let script = "import sys,time,os\na=open('core'); b=open('core'); os.unlink('core') if sys.argv[1]=='d' else 0\nc=open('/etc/passwd'); print('r',flush=True); time.sleep(60)";
    let hold = |how: &str| Guard::ready(Command::new("python3").args(["-c", script, how]).current_dir(dir.path()));
    let ino = std::fs::metadata(&path).unwrap().ino();
    let (first, second) = (hold("k"), hold("d"));
    let held = held_dumps("/proc".as_ref(), Bounds::default());
    let ours = held.iter().find(|h| h.ino == ino).unwrap();
    let mut pids = vec![first.pid(), second.pid()];
    pids.sort_unstable();
    assert_eq!((&ours.pids, ours.deleted), (&pids, true));
    assert_eq!(Path::new(&ours.path), std::fs::canonicalize(dir.path()).unwrap().join("core"));
    assert_eq!(ours.look.format, Format::ElfCore);
    assert_eq!(mounts().of_path(&ours.path).unwrap().dev, ours.dev);
    assert!(!held.iter().any(|h| h.path == "/etc/passwd"));
    let (pid, fd) = ours.descriptor;
    assert!(File::open(format!("/proc/{pid}/fd/{fd}")).is_ok());
}

#[test]
fn a_memfd_that_holds_a_dump_is_found() {
    if !have(&["python3"]) {
        return;
    }
    let script = "import os,time\nf=os.memfd_create('x'); os.write(f, b'JAVA PROFILE 1.0.2\\0'+bytes(99)); print('r',flush=True); time.sleep(60)";
    let child = Guard::ready(Command::new("python3").args(["-c", script]));
    let held = held_dumps("/proc".as_ref(), Bounds::default());
    assert!(held.iter().any(|h| h.pids == [child.pid()] && h.path.starts_with("/memfd:x")), "{held:?}");
}

#[test]
fn the_folders_are_the_configured_the_handlers_and_the_usual() {
    let handler = Settings { core_pattern: "/cores/%e/x".into(), ..Settings::default() }.handler();
    let all = folders(&["/srv".into(), "/var/crash".into()], &handler);
    let expected = ["/srv", "/var/crash", "/cores", "/var/lib/systemd/coredump", "/var/lib/apport/coredump"];
    assert_eq!(all, expected.map(PathBuf::from));
}
