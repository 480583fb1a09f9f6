use super::*;
use crate::config::{
    read,
    spans::{self, Source, Value},
};

/// The findings on `condition`, as `column message | hint`.
fn findings(condition: &str, host_events: bool, block: bool) -> Vec<String> {
    let text = format!("w: |-\n  {}\n", condition.replace('\n', "\n  "));
    let source = std::sync::Arc::new(Source { name: "c".into(), text });
    let mut errors = Errors::default();
    let tree = spans::parse(&source, &mut errors).unwrap();
    let Value::Map(entries) = &tree.value else { panic!("no mapping") };
    let text = read::text(&entries[0].1, &mut errors).unwrap();
    let mut used = BTreeSet::new();
    let ok =
        Scope { host_events, block, zones: &zones(), used: &mut used, errors: &mut errors }.condition(&text).is_some();
    assert_eq!(ok, errors.is_empty());
    errors.iter().map(|e| format!("{} {} | {}", e.column - 2, e.message, e.hint.as_deref().unwrap_or("-"))).collect()
}

/// Zone `a` alone.
fn zones() -> Vec<ZoneDef> {
    let text = "version: 1\nhost_zone: a\nzones: [{name: a, exposure: isolated}]\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zones.yaml");
    std::fs::write(&path, text).unwrap();
    crate::config::Config::read(&[path]).0.zones
}

fn good(condition: &str) {
    assert_eq!(findings(condition, false, false), Vec::<String>::new(), "{condition}");
}

#[track_caller]
fn bad(condition: &str, expected: &str) {
    let found = findings(condition, true, false);
    assert!(found.first().is_some_and(|f| f.starts_with(expected)), "{condition}\n{found:#?}");
}

#[test]
fn what_the_language_offers() {
    for condition in [
        r#"step.crossing && origin.exposure == "isolated" && to.exposure == "internet-facing""#,
        r#"process.executable.path == "/usr/bin/vault-upload" && process.executable.sha256 == "abc""#,
        "step.bytes >= 4096 && step.ratio > 1 && step.ratio < 2.5",
        r#"step.kind in ["sent", "read"] && destination.port in [80, 443]"#,
        r#""/usr/sbin/sshd" in process.ancestors"#,
        r#"process.ancestors.exists(a, a.startsWith("/usr/bin/"))"#,
        r#"has(process.ancestors) && !process.ancestors.all(a, a == "/bin/sh")"#,
        r#"k8s.pod.labels["app"] == "web""#,
        r#""app" in k8s.pod.labels && k8s.pod.labels["app"] != "web""#,
        r#"k8s.namespace.name == "x" && size(process.ancestors) > 2"#,
        "to.rank > origin.rank",
        "(has(step.age) ? step.age : 0) < 3600",
        "!has(process.pid) || process.pid != 1",
        "!(origin.exposure == \"isolated\")",
        "true",
        "-step.bytes < 0 && step.bytes % 2 == 0",
        r#"file.path.endsWith(".hprof") || file.path.contains("core")"#,
    ] {
        good(condition);
    }
}

#[test]
fn what_is_refused_and_where() {
    bad("step.bites > 1", "1 unknown field `step.bites` | did you mean `step.bytes`?");
    bad(r#"origin.zone == "b""#, "16 undefined zone `b` | defined are: a");
    bad(r#"!(to.zone in ["a", "unknown", "prod"])"#, "31 undefined zone `prod`");
    bad("true && process", "9 `process` is a group of fields | pick one: process.pid");
    bad(r#"k8s.pod.labels.app == "x""#, "1 unknown field `k8s.pod.labels.app` | labels are a map");
    bad(r#"step.bytes > "1""#, "12 text has no order | only numbers");
    bad(r#"from.exposure < "internal""#, "15 text has no order | compare from.rank");
    bad("step.started < step.ended", "14 text has no order | use dump.age");
    bad(r#"step.bytes == "1""#, "12 a whole number is never equal to text | write the number without quotes");
    bad(r#"to.exposure == "isolatd""#, "16 `to.exposure` is never \"isolatd\" | did you mean \"isolated\"?");
    bad(r#"step.kind in ["sent", "reed"]"#, "23 `step.kind` is never \"reed\" | did you mean \"read\"?");
    bad("step.bytes", "1 expected true or false, found a whole number | compare it: step.bytes > 0");
    bad("step.bytes + 1.5 > 2.0", "12 a whole number and a number do not mix");
    bad(r#"file.path.matches("x")"#, "11 `matches` is not supported in conditions | functions are");
    bad("[1, 2].map(x, x) == [1]", "11 this macro is not supported");
    bad("process.pid == null", "16 null is not supported");
    bad("severity == \"high\"", "1 `severity` is not known before the alert");
    bad("step.bytes >", "13 not a valid condition: mismatched input end of condition");
    bad("a b", "3 not a valid condition");
    bad("step.crossing &&\nstep.bites > 1", "1 unknown field");
    bad("step.kind ? true : false", "1 expected true or false, found text");
    bad("process.ancestors[0] == \"x\"", "18 this index");
    bad(&"!".repeat(90), "");
    bad(&format!("{}1 > 0", "1+".repeat(100)), "");
    bad(&"x".repeat(5000), "");
}

/// Over 16 ancestors eight within one another are 4 billion looks for one step.
#[test]
fn macros_nest_twice_and_no_more() {
    let nested =
        |n: usize| (0..n).rev().fold("x0 == \"y\"".to_owned(), |c, x| format!("process.ancestors.exists(x{x}, {c})"));
    good(&nested(2));
    good(&format!("{} && {}", nested(2), nested(2)));
    let hint = "split it into several rules";
    for n in [3, 8] {
        let found = findings(&nested(n), false, false);
        assert_eq!(found, [format!("83 more than 2 of exists and all within one another | {hint}")], "{n}");
    }
}

#[test]
fn several_errors_show_at_once() {
    let found = findings(r#"step.bites > 1 && to.exposure == "nowhere" && step.crossing > 1"#, false, false);
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn what_may_be_absent_must_not_silence_a_rule() {
    for condition in [
        r#"process.executable.path != "/usr/bin/x""#,
        r#"!(process.executable.path == "/usr/bin/x")"#,
        r#"!(process.executable.path in ["/usr/bin/x"])"#,
        r#"!process.executable.path.startsWith("/usr")"#,
        r#"(process.executable.path == "/usr/bin/x") == false"#,
        r#"process.executable.path == "x" ? false : true"#,
        r#"step.crossing || process.executable.path != "x""#,
        r#"has(process.pid) && process.executable.path != "x""#,
    ] {
        let found = findings(condition, false, false);
        assert_eq!(found.len(), 1, "{condition} {found:?}");
        assert!(found[0].contains("`process.executable.path` may be absent"), "{found:?}");
        assert!(found[0].contains("has(process.executable.path)"), "{found:?}");
    }
    bad(r#"k8s.pod.labels["a"] != "b""#, r#"1 `k8s.pod.labels["a"]` may be absent"#);
    good(r#"!has(process.executable.path) || process.executable.path != "x""#);
    good(r#"has(process.executable.path) && !(process.executable.path == "x")"#);
    good("!(!has(process.pid) || process.pid == 1)");
}

#[test]
fn dump_and_origin_are_absent_on_host_events_only() {
    let condition = r#"origin.exposure != "isolated""#;
    assert_eq!(findings(condition, false, false).len(), 0);
    assert_eq!(findings(condition, true, false).len(), 1);
}

#[test]
fn a_rule_that_blocks_knows_what_the_kernel_knows() {
    let ok = r#"origin.rank < to.rank && dump.kind == "kernel-core" && from.zone == "a" && to.exposure == "internal""#;
    assert_eq!(findings(ok, false, true).len(), 0);
    let found = findings("to.rank > 1 && step.bytes > 1", false, true);
    assert!(found[0].starts_with("16 a rule that blocks cannot use `step.bytes`"), "{found:?}");
}
