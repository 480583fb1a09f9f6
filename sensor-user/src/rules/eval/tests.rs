use super::*;
use crate::{
    config::Config,
    rules::{Loaded, compiled},
    step::{Carrier, DumpKind, DumpRef, Exposure, Origin, Peer, Place, Process, StepKind},
};

const HOUR: u64 = 3_600_000_000_000;
const NOW: Time = Time(1_800_000_000_000_000_000);

fn loaded(rules: &str) -> Loaded {
    let (config, findings) = Config::from_text("t.yaml", &format!("version: 1\nshipped_rules: false\n{rules}"));
    compiled(config, findings).unwrap_or_else(|e| panic!("{}", e[0]))
}

fn zone(name: &str, exposure: Exposure) -> Place {
    Place { zone: name.into(), exposure }
}

fn crossing() -> Step {
    let process = |exe: &str, pid| Process {
        pid,
        comm: "x".into(),
        executable: Some(exe.to_owned()),
        user_name: Some("root".into()),
        ..Process::default()
    };
    let end = |name: &str, place: Place| (Carrier { id: Id::of(&[name.as_bytes()]), name: name.to_owned() }, place);
    let source = end("curl[812]", zone("production", Exposure::Isolated));
    let sink = end("203.0.113.9:443", zone("internet", Exposure::InternetFacing));
    Step {
        dump: Some(DumpRef {
            id: Id::of(&[b"dump"]),
            content: None,
            kind: DumpKind::KernelCore,
            size: Some(604 * 1024),
            created: NOW,
            candidates: vec![],
        }),
        origin: Some(Origin {
            place: zone("production", Exposure::Isolated),
            host: "h".into(),
            inferred: false,
            process: Some(Arc::new(process("/opt/payments-signer", 7))),
            candidates: vec![],
        }),
        flow: Id::of(&[b"flow"]),
        bytes: 600 * 1024,
        read_bytes: 604 * 1024,
        age_ns: Some(0),
        hops: 2,
        process: Some(Arc::new(process("/usr/bin/curl", 812))),
        peer: Some(Peer { address: [203, 0, 113, 9].into(), port: 443, transport: "tcp", via_relay: false }),
        ..Step::new(StepKind::Sent, sensor_abi::flow::Via::Tcp, NOW, source, sink)
    }
}

/// Feeds steps at times and gives the severities of the alerts of each.
fn feed(loaded: &Loaded, state: &mut RuleState, steps: &[(u64, Step)]) -> Vec<Vec<Alert>> {
    let mut one =
        |(at, step): &(u64, Step)| evaluate(&loaded.ruleset, state, Time(NOW.0 + at), &Arc::new(step.clone()));
    steps.iter().map(&mut one).collect()
}

fn names(alerts: &[Vec<Alert>]) -> Vec<String> {
    alerts.iter().map(|a| a.iter().map(|a| a.severity.name()).collect::<Vec<_>>().join(",")).collect()
}

const RULE: &str = r#"
rules:
  - id: left
    title: Left
    severity: low
    escalate:
      - {when: 'step.bytes >= 4096', severity: critical}
      - {when: 'step.bytes >= 8192', severity: info}
    when: 'step.crossing && origin.exposure == "isolated"'
    throttle: {every: 1h}
"#;

fn of_bytes(bytes: u64) -> Step {
    Step { bytes, ..crossing() }
}

#[test]
fn the_shipped_rules_say_it_in_one_sentence() {
    let loaded = crate::rules::embedded();
    let alerts = evaluate(&loaded.ruleset, &mut RuleState::default(), NOW, &Arc::new(crossing()));
    assert_eq!(alerts.len(), 1, "one rule is loud per incident");
    let alert = &alerts[0];
    assert_eq!((&*alert.rule, alert.severity), ("dump-left-isolation", Severity::Critical));
    assert_eq!(
        alert.summary,
        "core of payments-signer (kernel-core, 604.0 KiB) sent from zone production (isolated) to 203.0.113.9:443 in zone \
         internet (internet-facing) by curl[812] as root; 600.0 KiB so far"
    );
    assert_eq!(alert.id, Alert::id_of(alert.key, Severity::Critical));
    assert_eq!(alert.config_hash, loaded.config.hash);
}

#[test]
fn the_last_escalation_that_holds_wins_but_only_upward() {
    let loaded = loaded(RULE);
    for (bytes, severity) in [(1, "low"), (4096, "critical"), (8192, "low")] {
        let alerts = feed(&loaded, &mut RuleState::default(), &[(0, of_bytes(bytes))]);
        assert_eq!(names(&alerts), [severity], "{bytes}");
    }
}

#[test]
fn one_alert_per_flow_and_severity_and_a_rise_supersedes() {
    let loaded = loaded(RULE);
    let steps = [(0, of_bytes(1)), (1, of_bytes(2)), (2, of_bytes(4096)), (3, of_bytes(5000))];
    let mut state = RuleState::default();
    let alerts = feed(&loaded, &mut state, &steps);
    assert_eq!(names(&alerts), ["low", "", "critical", ""]);
    assert_eq!(alerts[2][0].supersedes, Some(alerts[0][0].id));
    assert_eq!((alerts[2][0].suppressed, alerts[2][0].key), (1, alerts[0][0].key));
    let counters = state.counters("left");
    assert_eq!((counters.fired, counters.suppressed, counters.erroring), (2, 2, 0));
}

#[test]
fn the_window_ends_and_another_flow_is_another_incident() {
    let loaded = loaded(RULE);
    let other = Step { flow: Id::of(&[b"other"]), ..of_bytes(1) };
    let steps = [(0, of_bytes(1)), (HOUR - 1, of_bytes(1)), (HOUR, of_bytes(1)), (HOUR, other)];
    assert_eq!(names(&feed(&loaded, &mut RuleState::default(), &steps)), ["low", "", "low", "low"]);
    let forever = loaded_without_throttle();
    assert_eq!(names(&feed(&forever, &mut RuleState::default(), &steps)), ["low", "", "", "low"]);
}

fn loaded_without_throttle() -> Loaded {
    loaded(&RULE.replace("    throttle: {every: 1h}\n", ""))
}

#[test]
fn throttling_by_dump_joins_flows_but_hides_nothing_new() {
    let loaded = loaded(&RULE.replace("every: 1h", "every: 1h, by: dump"));
    let flow = |n: u8, step: Step| Step { flow: Id::of(&[&[n]]), ..step };
    let mut elsewhere = flow(2, of_bytes(1));
    elsewhere.peer = Some(Peer { address: [198, 51, 100, 1].into(), port: 443, transport: "tcp", via_relay: false });
    let with = |change: fn(&mut Process)| {
        let mut step = flow(3, of_bytes(1));
        let mut process = step.process.as_deref().cloned().unwrap();
        change(&mut process);
        step.process = Some(Arc::new(process));
        step
    };
    let steps = [
        (0, flow(0, of_bytes(1))),
        (1, flow(1, of_bytes(1))),
        (2, elsewhere.clone()),
        (3, elsewhere),
        (4, with(|p| p.user_id = 1000)),
        (5, with(|p| p.executable = Some("/bin/nc".into()))),
        (6, flow(4, of_bytes(4096))),
        (7, flow(5, of_bytes(4096))),
    ];
    let alerts = feed(&loaded, &mut RuleState::default(), &steps);
    assert_eq!(names(&alerts), ["low", "", "low", "", "low", "low", "critical", ""]);
    assert_eq!(alerts[6][0].supersedes, Some(alerts[5][0].id));
}

/// What a record names was sent, and no two have one id: backends drop the second.
#[test]
fn a_repetition_is_another_record_and_a_rise_names_one_that_was_sent() {
    let medium = "escalate:\n      - {when: 'step.bytes >= 100', severity: medium}";
    let loaded = loaded(&RULE.replace("escalate:", medium).replace("every: 1h", "every: 1h, by: dump"));
    let step = |flow: u8, user_id, bytes| {
        let process = Process { user_id, ..crossing().process.as_deref().cloned().unwrap() };
        Step { flow: Id::of(&[&[flow]]), process: Some(Arc::new(process)), ..of_bytes(bytes) }
    };
    let steps = [
        (0, step(0, 0, 100)),
        (1, step(1, 1, 1)),
        (2, step(1, 2, 1)),
        (3, step(1, 2, 4096)),
        (HOUR, step(0, 0, 100)),
        (2 * HOUR, step(0, 0, 100)),
    ];
    let alerts = feed(&loaded, &mut RuleState::default(), &steps).concat();
    let severities: Vec<_> = alerts.iter().map(|a| a.severity.name()).collect();
    assert_eq!(severities, ["medium", "low", "low", "critical", "medium", "medium"]);
    assert_eq!(alerts[3].supersedes, Some(alerts[0].id));
    for first in [0, 1, 3].map(|n: usize| &alerts[n]) {
        assert_eq!(first.id, Alert::id_of(first.key, first.severity));
    }
    let ids: std::collections::BTreeSet<_> = alerts.iter().map(|a| a.id).collect();
    assert_eq!(ids.len(), alerts.len());
}

#[test]
fn memory_is_bounded_and_forgetting_repeats_rather_than_hides() {
    let loaded = loaded(RULE);
    let mut state = RuleState::default();
    let flow = |n: u32| Arc::new(Step { flow: Id::of(&[&n.to_le_bytes()]), ..of_bytes(1) });
    for n in 0..5000 {
        assert_eq!(evaluate(&loaded.ruleset, &mut state, NOW, &flow(n)).len(), 1);
    }
    assert_eq!(evaluate(&loaded.ruleset, &mut state, NOW, &flow(4999)).len(), 0);
    assert_eq!(evaluate(&loaded.ruleset, &mut state, NOW, &flow(0)).len(), 1);
}

#[test]
fn an_exception_lets_pass_until_it_expires() {
    let exception = |expires: &str| {
        format!(
            "{RULE}    exceptions:\n      - {{id: SEC-1, when: 'process.executable.path == \"/usr/bin/curl\"', owner: \
             sre, expires: {expires}, reason: r}}\n"
        )
    };
    // NOW is 2027-01-15T08:00:00Z.
    for (expires, alerts, warned) in [("2027-01-15", 0, 0), ("2027-01-14", 1, 1)] {
        let loaded = loaded(&exception(expires));
        assert_eq!(feed(&loaded, &mut RuleState::default(), &[(0, of_bytes(1))])[0].len(), alerts, "{expires}");
        assert_eq!(loaded.ruleset.expired(NOW).len(), warned, "{expires}");
    }
    let loaded = loaded(&exception("2030-01-01"));
    let mut unknown = of_bytes(1);
    unknown.process = None;
    let mut state = RuleState::default();
    assert_eq!(feed(&loaded, &mut state, &[(0, unknown)])[0].len(), 1, "who cannot be named gets no exception");
    assert_eq!(state.counters("left").erroring, 1);
}

#[test]
fn overrides_change_the_floor_and_switch_off() {
    let over = |o: &str| loaded(&format!("{RULE}overrides: [{{rule: left, {o}}}]\n"));
    assert_eq!(names(&feed(&over("severity: high"), &mut RuleState::default(), &[(0, of_bytes(1))])), ["high"]);
    assert_eq!(names(&feed(&over("enabled: false"), &mut RuleState::default(), &[(0, of_bytes(1))])), [""]);
}

#[test]
fn a_condition_that_fails_on_an_absent_field_is_false_and_counted() {
    let loaded = loaded("rules: [{id: r, title: R, severity: low, when: 'file.path == \"/x\" || step.bytes == 7'}]\n");
    let mut state = RuleState::default();
    assert_eq!(names(&feed(&loaded, &mut state, &[(0, of_bytes(1)), (1, of_bytes(7))])), ["", "low"]);
    assert_eq!(state.counters("r").erroring, 1);
}

#[test]
fn memory_outlives_a_reload_by_rule_id() {
    let loaded = loaded(RULE);
    let mut state = RuleState::default();
    feed(&loaded, &mut state, &[(0, of_bytes(1))]);
    let again = super::tests::loaded(&RULE.replace("title: Left", "title: Gone"));
    state.retain(&again.ruleset);
    assert_eq!(names(&feed(&again, &mut state, &[(1, of_bytes(1))])), [""]);
    let other = super::tests::loaded(&RULE.replace("id: left", "id: other"));
    state.retain(&other.ruleset);
    assert_eq!(state.counters("left"), super::super::Counters::default());
}

#[test]
fn hashing_executables_is_asked_for_only_when_read() {
    assert!(!crate::rules::embedded().ruleset.wants_sha256());
    let loaded = loaded("rules: [{id: r, title: R, severity: low, when: 'process.executable.sha256 == \"x\"'}]\n");
    assert!(loaded.ruleset.wants_sha256());
}

#[test]
fn no_field_is_both_a_value_and_a_group() {
    let names: Vec<_> = crate::fields::all().iter().map(|f| f.name).collect();
    for name in &names {
        assert!(!names.iter().any(|n| n.starts_with(&format!("{name}."))), "{name}");
    }
}
