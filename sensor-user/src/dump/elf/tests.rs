use std::{os::unix::process::ExitStatusExt, process::Command};

use super::*;
use crate::dump::testing;

#[test]
fn a_core_taken_by_gdb_tells_whose_it_is() {
    let Some((_dir, path)) = testing::core() else { return };
    let facts = facts_of(&testing::open(&path)).unwrap();
    assert!(facts.comm.as_deref().is_some_and(|c| c.starts_with("python")), "{facts:?}");
    assert!(facts.executable.as_deref().is_some_and(|e| e.contains("python")), "{facts:?}");
    assert!(!facts.command_line.as_deref().unwrap().contains("hunter2"), "{facts:?}");
    assert_eq!((facts.uid, facts.machine), (Some(rustix::process::getuid().as_raw()), false));
    assert_eq!(facts.kind(), DumpKind::Unknown, "not written by the kernel");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(facts_in(&bytes), Some(facts));
}

/// A real crash: the kernel itself writes the core.
#[test]
fn a_core_of_the_kernel_tells_whose_it_is() {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.trim().is_empty() || pattern.starts_with(['|', '@', '/']) {
        eprintln!("SKIPPED: core_pattern {pattern:?} leads out of the test's folder");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "ulimit -c unlimited && exec sh -c 'kill -SEGV $$' victim --password=hunter2";
    let status = Command::new("sh").args(["-c", script]).current_dir(dir.path()).status().unwrap();
    assert_eq!(status.signal(), Some(11));
    if !status.core_dumped() {
        eprintln!("SKIPPED: this host does not let cores be written");
        return;
    }
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let facts = facts_of(&testing::open(&path)).unwrap();
    assert_eq!((facts.signal, facts.kind()), (Some(11), DumpKind::KernelCore), "{facts:?}");
    assert_eq!(facts.comm.as_deref(), Some("sh"));
    let shell = std::fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(facts.executable.as_deref(), shell.to_str());
    assert_eq!(facts.command_line.as_deref(), Some("sh -c kill -SEGV $$ victim --password=***"));
}

#[test]
fn what_is_no_core_has_no_facts() {
    assert_eq!(facts_of(&testing::open(&std::env::current_exe().unwrap())), None);
    assert_eq!(facts_in(b""), None);
    assert_eq!(facts_in(b"\x7fELF"), None);
}

/// A core cut anywhere, or with any byte of its headers changed, gives facts or none, and never panics.
#[test]
fn broken_cores_never_panic() {
    let Some((_dir, path)) = testing::core() else { return };
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(64 * 1024);
    for len in (0..bytes.len()).step_by(61) {
        let _ = facts_in(&bytes[..len]);
    }
    for at in 0..2048.min(bytes.len()) {
        for value in [0, 0x7f, 0xff] {
            let old = std::mem::replace(&mut bytes[at], value);
            let _ = facts_in(&bytes);
            bytes[at] = old;
        }
    }
}

#[test]
fn a_full_psargs_loses_its_last_word() {
    let line = format!("app {} --key=AKI", "x".repeat(65));
    assert_eq!(line.len(), 79);
    assert!(masked_psargs(&line).ends_with("xx …") || masked_psargs(&line).ends_with("*** …"));
    assert_eq!(masked_psargs("sleep 60 "), "sleep 60");
}
