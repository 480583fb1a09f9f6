//! Wrong configuration: every kind of it is refused with exact place and a hint, and nothing makes the program panic.
//! `fixtures/wrong/expected.txt` holds what is found in each file there; `UPDATE_EXPECTED=1` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sensor_user::{config::Diagnostic, rules};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wrong")
}

fn wrong_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

fn findings(path: &Path) -> Vec<Diagnostic> {
    rules::load(&[path.to_owned()]).err().unwrap_or_default()
}

fn dumptrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dumptrail")).args(args).output().unwrap()
}

/// Runs `check`, which must refuse `path`, and gives its stdout.
fn refused(path: &Path) -> String {
    let output = dumptrail(&["check", path.to_str().unwrap()]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{}\n{out}{err}", path.display());
    assert!(!err.contains("panicked"), "{err}");
    out.into_owned()
}

#[test]
fn every_wrong_file_is_refused_where_it_is_wrong_with_a_hint() {
    let mut found = String::new();
    for path in wrong_files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let findings = findings(&path);
        assert!(!findings.is_empty(), "{name} is accepted");
        let shown = refused(&path);
        for f in findings.iter().filter(|f| f.is_error()) {
            let hint = f.hint.as_deref().unwrap_or_else(|| panic!("{name}: no hint: {}", f.message));
            assert_eq!(*f.file, *path.to_str().unwrap());
            assert!(shown.contains(&format!("{}:{}:{}: {}", path.display(), f.line, f.column, f.message)), "{shown}");
            assert!(shown.contains(&format!("hint: {hint}")), "{shown}");
            let hint = hint.replace(&format!("{}/", fixtures().display()), "");
            writeln!(found, "{name}:{}:{}: {}\n    {hint}", f.line, f.column, f.message).unwrap();
        }
    }
    let golden = fixtures().join("expected.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(golden).unwrap());
    assert!(wrong_files().len() >= 50);
}

/// What cannot be kept as a text file.
#[test]
fn files_that_are_no_text_too_large_or_too_deep() {
    let folder = tempfile::tempdir().unwrap();
    let unit = |unit: String| {
        format!("version: 1\nzones: [{{name: a, exposure: isolated, workloads: [{{unit: \"{unit}\"}}]}}]\n")
            .into_bytes()
    };
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("latin1.yaml", b"version: 1\nhost_zone: caf\xe9\n".to_vec(), "latin1.yaml:2:15: not UTF-8"),
        ("large.yaml", vec![b'#'; (1 << 20) + 1], "large.yaml:1:1: larger than 1048576 bytes"),
        ("empty.yaml", Vec::new(), "empty.yaml:1:1: an empty file"),
        ("comment.yaml", b"# nothing\n".to_vec(), "comment.yaml:1:1: an empty file"),
        ("flow.yaml", [b"zones: ".to_vec(), vec![b'['; 100_000]].concat(), "flow.yaml:1:40: not valid YAML"),
        (
            "block.yaml",
            (0..40).flat_map(|n| format!("{:n$}a:\n", "").into_bytes()).collect(),
            "block.yaml:33:33: not valid",
        ),
        ("nul.yaml", b"version: 1\nhost_zone: a\0b\n".to_vec(), "nul.yaml:"),
        ("glob.yaml", unit("*a".repeat(100_000)), "glob.yaml:2:58: a pattern of more than 1024 bytes"),
        (
            "braces.yaml",
            unit(format!("{}a{}", "{".repeat(400), "}".repeat(400))),
            "braces.yaml:2:58: a pattern nested too deeply",
        ),
    ];
    for (name, bytes, expected) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let shown = refused(&path);
        assert!(shown.contains(expected), "{expected}\n{}", &shown[..shown.len().min(2000)]);
        assert!(shown.contains("hint: "), "{shown}");
    }
}

/// A rule of one's own with the id of a shipped one takes its place, and that is said.
#[test]
fn the_place_of_a_shipped_rule() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.yaml");
    fs::write(&path, "version: 1\nrules: [{id: core-pattern-changed, title: Mine, severity: low, when: 'true'}]\n")
        .unwrap();
    let output = dumptrail(&["check", path.to_str().unwrap()]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(
        shown.contains("own.yaml:2:14: warning: `core-pattern-changed` takes the place of the shipped rule"),
        "{shown}"
    );
    let loaded = rules::load(&[path]).unwrap();
    let titles = loaded
        .config
        .rules
        .iter()
        .filter(|rule| &*rule.id.value == "core-pattern-changed")
        .map(|rule| &*rule.title.value);
    assert_eq!(titles.collect::<Vec<_>>(), ["Mine"]);
}

/// As many wrong names as fit into a file are found in no time, and told in few words.
#[test]
fn many_wrong_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.yaml");
    let zones = |n: u32| format!("  - {{name: zone-number-{n:05}, exposure: isolated}}\n");
    let relays = |n: u32| format!("  - {{address: 10.{}.{}.1, reaches: zone-number-{n:05}x}}\n", n / 250, n % 250);
    let text: String = ["version: 1\nzones:\n".to_owned()]
        .into_iter()
        .chain((0..5000).map(zones))
        .chain(["relays:\n".to_owned()])
        .chain((0..5000).map(relays))
        .collect();
    fs::write(&path, text).unwrap();
    let shown = refused(&path);
    assert!(shown.len() < 400_000, "{} bytes", shown.len());
}

/// One slip is one error, and not also what would follow from it.
#[test]
fn an_error_has_no_followers() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "rules: [{id: r, title: T, severity: low, when: 'to.zone == \"internet\"'}]";
    let zones = |a: &str, b: &str| {
        format!("host_zone: a\nzones: [{{name: a, exposure: isolated, {a}}}, {{name: b, exposure: internal, {b}}}]")
    };
    let cases = [
        (1, format!("arming: nope\n{rule}")),
        (1, format!("zons: [{{name: internet, exposure: internal}}]\n{rule}")),
        (2, format!("zones: [{{nme: internet, exposure: internal}}]\n{rule}")),
        (2, zones("workloads: [{unit: 5}]", "workloads: [{netns: 7}]")),
        (2, zones("mounts: [{fstype: nfs, source: 5}]", "mounts: [{fstype: nfs, source: 7}]")),
    ];
    for (errors, text) in cases {
        let path = folder.path().join("a.yaml");
        fs::write(&path, format!("version: 1\n{text}\n")).unwrap();
        let shown = refused(&path);
        assert!(shown.contains(&format!("\n{errors} error")), "{shown}");
    }
}

#[test]
fn a_hostile_file_of_errors_is_bounded_in_time_and_output() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("zones.yaml", format!("version: 1\nzones: [{}]", "{},".repeat(300_000))),
        ("keys.yaml", (0..90_000).map(|n| format!("k{n}: 1")).collect::<Vec<_>>().join("\n")),
        ("aliases.yaml", format!("version: 1\nzones: [{}]", "*a,".repeat(300_000))),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let start = std::time::Instant::now();
        let shown = refused(&path);
        assert!(shown.len() < 1 << 20);
        assert!(shown.ends_with("the first 500 errors, 0 warnings\n"), "{}", &shown[shown.len() - 100..]);
        // Seconds on a busy machine; more than linear would be hours.
        assert!(start.elapsed().as_secs() < 120, "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn a_directory_is_read_in_bytewise_order_and_without_dot_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("b.yaml", "version: 1\nzones: [{name: two, exposure: internal}]\n");
    write("B.yml", "version: 1\nhost_zone: one\nzones: [{name: one, exposure: isolated}]\n");
    write(".hidden.yaml", "nonsense: true\n");
    write("notes.txt", "nonsense: true\n");
    let loaded = rules::load(&[folder.path().to_owned()]).unwrap_or_else(|f| panic!("{}", f[0]));
    let names: Vec<_> = loaded.config.zones.iter().map(|z| z.name.value.to_string()).collect();
    assert_eq!(names, ["one", "two"]);

    write("c.yaml", "version: 1\nhost_zone: two\nzones: [{name: one, exposure: internal}]\n");
    let shown = refused(folder.path());
    assert!(shown.contains("c.yaml:2:12: `host_zone` is set twice"), "{shown}");
    assert!(shown.contains("c.yaml:3:16: duplicate zone `one`"), "{shown}");
    assert!(shown.contains("B.yml:2"), "{shown}");
}

/// As it is after the installation.
#[test]
fn an_empty_directory_is_the_embedded_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let check = dumptrail(&["check", path]);
    let out = String::from_utf8_lossy(&check.stdout);
    assert_eq!(check.status.code(), Some(0), "{out}");
    assert!(out.contains(&format!("{path}:1:1: warning: no *.yaml or *.yml file in this directory")), "{out}");
    assert!(out.ends_with("ok, 1 warning\n"), "{out}");
    let loaded = rules::load(&[folder.path().to_owned()]).unwrap_or_else(|f| panic!("{}", f[0]));
    assert_eq!(loaded.config.hash, rules::embedded().config.hash);
    fs::write(folder.path().join("a.yaml"), "version: 1\nzones: [{name: a, exposure: nowhere}]\n").unwrap();
    refused(folder.path());
}

#[test]
fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(refused(&folder.path().join("none.yaml")).contains("none.yaml:1:1: cannot read"));
    assert_eq!(dumptrail(&["check"]).status.code(), Some(2));
    assert_eq!(dumptrail(&["nonsense"]).status.code(), Some(2));
}

#[test]
fn good_configuration_is_taken() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good.yaml");
    let good = good.to_str().unwrap();
    let check = dumptrail(&["check", good]);
    let out = String::from_utf8_lossy(&check.stdout);
    assert_eq!(check.status.code(), Some(0), "{out}");
    assert!(out.contains("warning: private range 10.0.0.0/8 falls into Internet-facing zone `internet`"), "{out}");
    let test = dumptrail(&["test", good]);
    let out = String::from_utf8_lossy(&test.stdout);
    assert_eq!(test.status.code(), Some(0), "{out}");
    assert!(out.ends_with("2 tests: 2 ok, 0 failed\n"), "{out}");
    for (what, zone) in
        [("10.10.3.4", "production"), ("10.0.0.5:3128", "internet"), ("/srv/prod-share/x", "production")]
    {
        let zone_of = dumptrail(&["zone", what, "--config", good]);
        let out = String::from_utf8_lossy(&zone_of.stdout).into_owned();
        assert!(out.starts_with(&format!("zone: {zone}\n")), "{what}: {out}");
        assert!(out.contains("decided by: ") && out.contains("good.yaml:"), "{out}");
    }
    assert_eq!(dumptrail(&["zone", "nonsense", "--config", good]).status.code(), Some(2));
}

/// It would be silent for ever, and nobody would know why.
#[test]
fn a_rule_on_steps_that_are_not_made_is_worth_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    for (steps, warned) in [("[passed]", true), ("[passed, read]", false)] {
        let rule = format!("{{id: r, title: T, severity: low, steps: {steps}, when: 'step.crossing'}}");
        fs::write(&path, format!("version: 1\nrules: [{rule}]\n")).unwrap();
        let output = dumptrail(&["check", path.to_str().unwrap()]);
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{out}");
        assert_eq!(out.contains("r.yaml:2:14: warning: rule `r` never fires"), warned, "{out}");
    }
}

/// It says so, lest nobody notices that the wrong files were named.
#[test]
fn files_without_tests_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.yaml");
    fs::write(&path, "version: 1\n").unwrap();
    let output = dumptrail(&["test", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("nothing was tested"), "{err}");
}

#[test]
fn a_failed_test_fails_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.yaml");
    let text =
        "version: 1\ntests: [{name: t, rule: core-pattern-changed, steps: [{step.kind: sent}], expect: {alerts: 1}}]\n";
    fs::write(&path, text).unwrap();
    let output = dumptrail(&["test", path.to_str().unwrap()]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.contains("FAILED  core-pattern-changed: t\n") && out.contains("1 test: 0 ok, 1 failed"), "{out}");
}

/// Bytes of a good file are dropped, doubled and swapped, also within conditions: refused or taken, but no panic.
#[test]
fn no_slip_of_the_hand_makes_it_panic() {
    let good = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good.yaml")).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let alphabet = "'\"{}[]:-,#&*!|>%@`\\ \n\t\u{e9}.()=<x0".chars().collect::<Vec<_>>();
    for _ in 0..1500 {
        let mut bytes = good.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, bytes[random(bytes.len())]),
                _ => {
                    let c = alphabet[random(alphabet.len())].to_string();
                    drop(bytes.splice(at..at, c.bytes()).collect::<Vec<_>>());
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let (config, found) = sensor_user::config::Config::from_text("mutant", &text);
        if let Err(found) = rules::compiled(config, found) {
            assert!(found.iter().filter(|f| f.is_error()).all(|f| f.hint.is_some() && f.line > 0 && f.column > 0));
        }
    }
}
