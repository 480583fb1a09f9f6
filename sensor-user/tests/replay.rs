//! Records of a real run, decoded and fed to the core: no kernel, no privileges, the same steps and alerts each time.
//!
//! `fixtures/replay/gzip-nc.jsonl` is what `DUMPTRAIL_RECORD` wrote while `sh` crashed, its core went through
//! `cat core | gzip > core.gz`, and `nc` sent that to 127.0.0.9. `fixtures/replay/later.jsonl` is that of a program that read a
//! core and wrote it to a file, and 6.5 s later sent 400,000 random bytes to 127.0.0.9.

use std::sync::Arc;

use bytes::Bytes;
use sensor_abi::{
    flow::Move,
    key::{PairKey, class},
};
use sensor_user::{
    clock::{Clock, Time},
    config::Config,
    core::{Effect, Input, State},
    decode::decode,
    event::{Actor, Birth, Body, Event, File},
    rules::Ruleset,
    step::{Confidence, FileRef, Process, Severity, Step},
    trail::{Host, Looked, Moved},
    zones::{HostFacts, Zones},
};
use zerocopy::FromBytes;

const ZONES: &str = r#"
version: 1
host_zone: production
zones:
  - {name: production, exposure: isolated}
  - {name: internet, exposure: internet-facing, networks: ["127.0.0.9/32"]}
"#;

/// What a run of the core gave.
struct Replayed {
    steps: Vec<Arc<Step>>,
    alerts: Vec<(Severity, String)>,
}

fn core() -> State {
    let (config, findings) = Config::from_text("zones.yaml", ZONES);
    assert!(findings.iter().all(|f| !f.is_error()), "{findings:?}");
    let rules = Ruleset::compile(&config).expect("shipped rules compile");
    let zones = Arc::new(Zones::new(&config, &|_| None, &HostFacts::default()));
    let host = Host { id: "host".into(), boot: "boot".into() };
    State::new(host, Clock::fixed(Time(0)), rules, zones, "core".into(), Time(0))
}

fn replay(fixture: &str) -> Replayed {
    let mut core = core();
    let mut out = Replayed { steps: Vec::new(), alerts: Vec::new() };
    let mut now = 0;
    for line in fixture.lines() {
        let input = input(&serde_json::from_str(line).expect("a line of JSON"));
        if let Input::Event(event, _) = &input {
            now = event.time_ns;
        }
        for effect in core.step(now, input) {
            match effect {
                Effect::Step(step) => out.steps.push(step),
                Effect::Alert(alert) => out.alerts.push((alert.severity, alert.rule.to_string())),
                _ => {}
            }
        }
    }
    out
}

fn input(line: &serde_json::Value) -> Input {
    if let Some(hex) = line["record"].as_str() {
        let event = decode(&Bytes::from(unhex(hex))).expect("a good record");
        let looked = looked(&event);
        return Input::Event(event, looked);
    }
    if let Some(pair) = line["colour"].as_array() {
        let number = |n: usize| pair[n].as_u64().expect("a number");
        return Input::Coloured(number(0), number(1) as u32);
    }
    let bytes = unhex(line["bytes"][0].as_str().expect("record, colour or bytes"));
    let pair = PairKey::read_from_bytes(&bytes).expect("a pair");
    let number = |n: usize| line["bytes"][n].as_u64();
    let bytes = number(1).expect("a number");
    // Older recordings do not say when: at that moment.
    Input::Bytes(pair, Moved { bytes, last_ns: number(2).unwrap_or(u64::MAX) })
}

/// What the host would have added, from the record alone.
fn looked(event: &Event) -> Looked {
    let (actor, file): (&Actor, Option<(&File, u64)>) = match &event.body {
        Body::Birth(b) | Body::Born(b) => (&b.actor, Some((&b.file, b.object.id))),
        Body::Edge(e) => {
            let key = if e.direction == Move::Read { e.pair.from } else { e.pair.to };
            (&e.actor, e.file.as_ref().filter(|f| f.base.mode & 0xf000 == 0x8000).map(|f| (f, key.id)))
        }
        Body::Exec { actor, .. } | Body::Connect { actor, .. } | Body::Crash { actor, .. } => (actor, None),
        _ => return Looked::default(),
    };
    let process = Process { pid: actor.base.tgid, comm: actor.comm(), ..Process::default() };
    let file = file.map(|(f, inode)| FileRef { path: f.path.clone(), inode, fstype: None });
    Looked { process: Some(Arc::new(process)), file, ..Looked::default() }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
}

/// A carrier's name without pids and numbers.
fn name(carrier: &str) -> &str {
    carrier.split('[').next().unwrap_or(carrier)
}

#[test]
fn a_core_through_gzip_and_nc_gives_these_steps_and_one_critical_alert() {
    let out = replay(include_str!("fixtures/replay/gzip-nc.jsonl"));
    let mut seen: Vec<_> = out
        .steps
        .iter()
        .map(|s| (s.kind.name(), name(&s.source.name), name(&s.sink.name), &*s.to.zone, s.hops))
        .collect();
    seen.dedup();
    let core = "/tmp/replay/work/core";
    let packed = "/tmp/replay/work/core.gz";
    for expected in [
        ("created", "sh", core, "production", 0),
        ("read", core, "cat", "production", 1),
        ("sent", "cat", "gzip", "production", 2),
        ("written", "gzip", packed, "production", 3),
        ("read", packed, "nc", "production", 4),
        ("sent", "nc", "127.0.0.9:18077", "internet", 5),
        ("sent", "nc", "nc", "internet", 5),
    ] {
        assert!(seen.contains(&expected), "{expected:?} is not in {seen:#?}");
    }
    let sent = out.steps.iter().rfind(|s| s.crossing()).expect("a crossing");
    assert_eq!((sent.bytes, sent.peer.as_ref().map(|p| p.port)), (22_916, Some(18_077)));
    assert_eq!(out.alerts, [(Severity::Critical, "dump-left-isolation".to_owned())]);
}

#[test]
fn a_replay_repeats_itself() {
    let fixture = include_str!("fixtures/replay/gzip-nc.jsonl");
    assert_eq!(replay(fixture).steps, replay(fixture).steps);
}

/// True for the line of the send to the network.
fn sends(line: &str) -> bool {
    match input(&serde_json::from_str(line).expect("a line of JSON")) {
        Input::Event(Event { body: Body::Edge(edge), .. }, _) => edge.direction == Move::Write && edge.socket.is_some(),
        _ => false,
    }
}

/// The lines with that of the receiver, which reads from its socket, where `place` puts it.
fn with_receiver_at(place: impl Fn(&[&str]) -> usize) -> String {
    let is_receiver = |line: &&str| match input(&serde_json::from_str(line).expect("a line of JSON")) {
        Input::Event(Event { body: Body::Edge(edge), .. }, _) => {
            edge.direction == Move::Read && edge.socket.is_some_and(|s| s.remote_port != 0)
        }
        _ => false,
    };
    let fixture = include_str!("fixtures/replay/gzip-nc.jsonl");
    let (receiver, mut lines): (Vec<&str>, Vec<&str>) = fixture.lines().partition(is_receiver);
    assert_eq!(receiver.len(), 1);
    lines.insert(place(&lines), receiver[0]);
    lines.join("\n")
}

/// A sender that has ended by the time its receiver reads is still the sender.
#[test]
fn a_receiver_may_read_what_a_sender_left_behind() {
    let out = replay(&with_receiver_at(|lines| lines.len()));
    let kinds: Vec<_> = out.steps.iter().map(|s| s.kind.name()).collect();
    assert!(!kinds.contains(&"received"), "{kinds:?}");
    assert!(out.steps.iter().any(|s| name(&s.source.name) == "nc" && name(&s.sink.name) == "nc"), "{kinds:?}");
}

/// The receiver's count may come first; then it is what tells how sure the step is.
#[test]
fn what_has_arrived_was_sent() {
    let out = replay(&with_receiver_at(|lines| 1 + lines.iter().position(|line| sends(line)).expect("the send")));
    let sent = out.steps.iter().find(|s| s.kind.name() == "sent" && s.crossing()).expect("a crossing");
    assert_eq!((sent.bytes, sent.confidence), (16_384, Confidence::Direct));
}

/// However late it is known how much was read, it was read before.
#[test]
fn a_count_that_comes_late_wakes_nobody() {
    let fixture = include_str!("fixtures/replay/later.jsonl");
    let reads = |line: &&str| match input(&serde_json::from_str(line).expect("a line of JSON")) {
        Input::Bytes(pair, _) => pair.to.dev == class::TASK && !pair.from.is_flow(),
        _ => false,
    };
    let (late, lines): (Vec<&str>, Vec<&str>) = fixture.lines().partition(reads);
    assert!(late.len() > 1);
    for place in 0..=lines.len() {
        let told = replay(&[&lines[..place], &late[..], &lines[place..]].concat().join("\n"));
        let sent: Vec<_> = told.steps.iter().filter(|step| step.crossing()).collect();
        assert!(sent.iter().all(|step| step.confidence == Confidence::Weak), "{place}: {sent:?}");
        assert!(!sent.is_empty() && told.alerts.iter().all(|(severity, _)| *severity < Severity::Medium), "{place}");
    }
}

/// What grows within one threshold is told when it rests.
#[test]
fn the_count_of_a_flow_that_rests_is_right() {
    const SECOND: u64 = 1_000_000_000;
    let (mut core, mut now, mut way) = (core(), 0, None);
    for line in include_str!("fixtures/replay/gzip-nc.jsonl").lines() {
        let input = input(&serde_json::from_str(line).expect("a line of JSON"));
        if let Input::Event(event, _) = &input {
            now = event.time_ns;
            way = if let Body::Edge(edge) = &event.body { Some(edge.pair) } else { way };
        }
        core.step(now, input);
        if sends(line) {
            break;
        }
    }
    let mut told = |at: u64, input: Input| {
        let effects = core.step(now + at, input);
        let sent = effects.into_iter().filter_map(|e| if let Effect::Step(step) = e { Some(step.bytes) } else { None });
        sent.collect::<Vec<_>>()
    };
    let tick = || Input::Tick(Clock::fixed(Time(0)));
    let pair = way.expect("a send");
    let count = |bytes| Input::Bytes(pair, Moved { bytes, last_ns: now + SECOND });
    assert_eq!(told(SECOND, count(16_384)), [16_384]);
    assert_eq!(told(SECOND, count(22_916)), [0; 0]);
    assert_eq!(told(2 * SECOND, tick()), [0; 0]);
    assert_eq!(told(3 * SECOND + 1, tick()), [22_916]);
    assert_eq!(told(6 * SECOND, tick()), [0; 0]);
}

/// What was lost by two causes was lost within one window, and few of many dumps are named.
#[test]
fn each_gap_of_a_look_has_the_whole_window() {
    let mut core = core();
    let lost = |core: &mut State, now: u64, cause: &'static str| {
        let effects = core.step(now, Input::Lost { cause, count: 1 });
        let gaps = effects.into_iter().filter_map(|e| if let Effect::Gap(gap) = e { Some(gap) } else { None });
        gaps.map(|gap| (gap.cause, gap.from.0, gap.to.0, gap.dumps.len())).collect::<Vec<_>>()
    };
    assert_eq!(lost(&mut core, 5, "edge_full"), [], "no dump is live");
    assert_eq!(lost(&mut core, 5, "urgent_ring_full"), [("urgent_ring_full", 0, 5, 0)], "it may have been a birth");
    core.told_until(Time(10));
    let birth = |line: &str| match input(&serde_json::from_str(line).expect("a line of JSON")) {
        Input::Event(Event { body: Body::Birth(birth), .. }, looked) => Some((birth, looked)),
        _ => None,
    };
    let (birth, looked) = include_str!("fixtures/replay/gzip-nc.jsonl").lines().find_map(birth).expect("a birth");
    for n in 0..100 {
        let birth = Birth { dump: birth.dump + n, ..birth.clone() };
        core.step(15, Input::Event(Event { time_ns: 15, body: Body::Birth(birth) }, looked.clone()));
    }
    assert_eq!(lost(&mut core, 20, "edge_full"), [("edge_full", 10, 20, 64)]);
    assert_eq!(lost(&mut core, 21, "pair_full"), [("pair_full", 10, 21, 64)]);
    core.told_until(Time(20));
    assert_eq!(lost(&mut core, 30, "edge_full"), [("edge_full", 20, 30, 64)]);
}

#[test]
fn cut_anywhere_the_core_still_answers() {
    let fixture = include_str!("fixtures/replay/gzip-nc.jsonl");
    let lines: Vec<_> = fixture.lines().collect();
    for skip in 0..lines.len() {
        let rest: Vec<_> = lines.iter().enumerate().filter(|(n, _)| *n != skip).map(|(_, l)| *l).collect();
        replay(&rest.join("\n"));
    }
}
