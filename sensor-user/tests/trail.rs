//! `dumptrail trail` on a state directory that is not as it should be: exit code and stderr.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::{fs, path::Path, process::Command};

fn trail(state_dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumptrail"));
    let output = command.arg("trail").args(args).env("DUMPTRAIL_STATE_DIR", state_dir).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn before_the_first_agent_the_list_is_empty() {
    let base = tempfile::tempdir().unwrap();
    let (code, out, err) = trail(base.path(), &["--format", "json"]);
    assert_eq!((code, out.as_str()), (Some(0), "[]\n"), "{err}");
    assert!(err.contains("no agent has written") && err.contains("/journal"), "{err}");
    let (code, _, err) = trail(base.path(), &["--format", "dot"]);
    assert_eq!(code, Some(2), "what is wrong with the command line comes first: {err}");
    assert!(!err.contains("no agent"), "{err}");
}

#[test]
fn a_damaged_journal_is_told_and_fails() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("journal")).unwrap();
    fs::write(base.path().join("journal/0000000000000001.seg"), "not what an agent writes, but 40 bytes..").unwrap();
    let (code, out, err) = trail(base.path(), &["--format", "json"]);
    assert_eq!((code, out.as_str()), (Some(1), "[]\n"), "{err}");
    assert!(err.contains("cannot be read from 1:16") && err.contains("is damaged: 1 part"), "{err}");
}
