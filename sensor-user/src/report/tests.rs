use std::{net::IpAddr, sync::Arc};

use sensor_abi::flow::Via;

use super::*;
use crate::{
    alert,
    clock::Time,
    fields::{self, View},
    step::{Carrier, DumpKind, DumpRef, Exposure, FileRef, Id, Peer, Place, Process, Severity, Step, StepKind},
};

const BIRTH: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn place(zone: &str) -> Place {
    let exposure = match zone {
        "internet" => Exposure::InternetFacing,
        "debug" => Exposure::Internal,
        _ => Exposure::Isolated,
    };
    Place { zone: zone.into(), exposure }
}

fn carrier(name: &str) -> Carrier {
    Carrier { id: Id::of(&[name.as_bytes()]), name: name.into() }
}

/// A movement at `at` seconds after the birth: `from@zone`, `to@zone`.
fn step(at: u64, kind: StepKind, via: Via, from: &str, to: &str, bytes: u64) -> Step {
    let end = |end: &str| {
        let (name, zone) = end.split_once('@').unwrap_or((end, "production"));
        (carrier(name), place(zone))
    };
    let blank = Step::new(kind, via, Time(BIRTH + at * SECOND), end(from), end(to));
    let actor =
        [&blank.source.name, &blank.sink.name].into_iter().find(|n| n.ends_with(']')).cloned().unwrap_or_default();
    let (comm, pid) = actor.trim_end_matches(']').split_once('[').unwrap_or(("x", "1"));
    let flow = Id::of(&[&blank.source.id.0, &blank.sink.id.0, kind.name().as_bytes()]);
    Step {
        dump: Some(DumpRef {
            id: Id::of(&[b"dump"]),
            content: None,
            kind: DumpKind::KernelCore,
            size: Some(595_280),
            created: Time(BIRTH),
            candidates: vec![],
        }),
        origin: Some(crate::step::Origin {
            place: place("production"),
            host: "host-1".into(),
            inferred: false,
            process: Some(Arc::new(Process {
                pid: 812,
                comm: "signer".into(),
                executable: Some("/usr/bin/signer".into()),
                ..Process::default()
            })),
            candidates: Vec::new(),
        }),
        flow,
        bytes,
        hops: 1,
        process: Some(Arc::new(Process {
            pid: pid.parse().unwrap_or(1),
            comm: comm.into(),
            command_line: Some(format!("{comm} -v")),
            user_name: Some("ann".into()),
            ..Process::default()
        })),
        file: Some(FileRef::default()),
        peer: Some(Peer { address: IpAddr::from([203, 0, 113, 9]), port: 443, transport: "tcp", via_relay: false }),
        ..blank
    }
}

/// The NDJSON object of a step or alert, by the field table.
fn object(view: View<'_>) -> Object {
    let mut object = Object::new();
    object.insert("event".into(), if view.alert.is_some() { "alert" } else { "step" }.into());
    object.insert("time".into(), view.alert.map_or(view.step.time, |a| a.time).rfc3339().into());
    for field in fields::all() {
        let value = match (field.get)(&view) {
            Some(fields::Value::Str(s)) => Value::from(s),
            Some(fields::Value::Int(n)) => n.into(),
            Some(fields::Value::Float(n)) => n.into(),
            Some(fields::Value::Bool(b)) => b.into(),
            Some(fields::Value::List(l)) => l.into(),
            Some(fields::Value::Map(m)) => serde_json::to_value(m).unwrap(),
            None => continue,
        };
        object.insert(field.json_key().into(), value);
    }
    object
}

fn said(step: &Step) -> Object {
    object(View { step, alert: None })
}

fn alert(step: Step, severity: Severity, supersedes: Option<Severity>) -> Object {
    let key = alert::Alert::key_of("dump-left-isolation", &step);
    let alert = alert::Alert {
        time: step.time,
        rule: "dump-left-isolation".into(),
        title: "A dump moved".into(),
        severity,
        summary: "scp sent a core of signer from production to internet".into(),
        key,
        id: alert::Alert::id_of(key, severity),
        supersedes: supersedes.map(|s| alert::Alert::id_of(key, s)),
        suppressed: 0,
        config_hash: "c".into(),
        step: Arc::new(step),
    };
    object(View { step: &alert.step.clone(), alert: Some(&alert) })
}

fn notice() -> Object {
    let Value::Object(object) = serde_json::json!({
        "event": "notice", "kind": "identified", "time": Time(BIRTH + SECOND).rfc3339(),
        "dump.id": Id::of(&[b"dump"]).to_string(), "dump.content": Id::of(&[b"content"]).to_string(),
    }) else {
        panic!()
    };
    object
}

fn gap_object() -> Object {
    let Value::Object(object) = serde_json::json!({
        "event": "gap", "time": Time(BIRTH + 9 * SECOND).rfc3339(), "from": Time(BIRTH + 8 * SECOND).rfc3339(),
        "to": Time(BIRTH + 9 * SECOND).rfc3339(), "cause": "flow_ring_full", "count": 3,
        "dumps": [Id::of(&[b"dump"]).to_string()],
    }) else {
        panic!()
    };
    object
}

/// A core is written, copied to a debug share, and sent out by scp; a grep reads it too; the copy goes round once.
fn story() -> Vec<Object> {
    use StepKind::{Created, Opened, Read, Sent, Written};
    let sent = |at, bytes| step(at, Sent, Via::Tcp, "scp[99]", "203.0.113.9:443@internet", bytes);
    vec![
        said(&step(0, Created, Via::Core, "signer[812]", "/var/crash/core.812", 595_280)),
        said(&step(95, Opened, Via::File, "/var/crash/core.812", "cp[90]", 0)),
        said(&step(96, Read, Via::File, "/var/crash/core.812", "cp[90]", 595_280)),
        said(&step(96, Written, Via::File, "cp[90]", "/mnt/debug/core@debug", 595_280)),
        said(&step(200, Read, Via::Mmap, "/var/crash/core.812", "grep[95]", 595_280)),
        said(&step(4000, Read, Via::File, "/mnt/debug/core@debug", "scp[99]", 595_280)),
        said(&sent(4001, 4096)),
        alert(sent(4001, 4096), Severity::Low, None),
        said(&sent(4002, 600_141)),
        alert(sent(4002, 600_141), Severity::Critical, Some(Severity::Low)),
        said(&step(5000, Written, Via::File, "scp[99]", "/mnt/debug/core@debug", 10)),
        notice(),
        gap_object(),
    ]
}

fn only(objects: Vec<Object>) -> Trail {
    let mut all = trails(objects);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn growth_reports_of_a_flow_are_one_edge_with_the_most_bytes() {
    let trail = only(story());
    let sent: Vec<_> = trail.edges.iter().filter(|e| e.kind == "sent").collect();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].bytes, sent[0].crossing, sent[0].alerts.as_slice()), (600_141, true, &[0, 1][..]));
    assert_eq!(sent[0].started, Time(BIRTH + 4001 * SECOND).rfc3339());
    assert_eq!(sent[0].last, Time(BIRTH + 4002 * SECOND).rfc3339());
    assert_eq!(trail.alerts.iter().map(|a| a.superseded).collect::<Vec<_>>(), [true, false]);
    assert_eq!((trail.crossings(), trail.worst()), (4, Some(Severity::Critical)));
    assert_eq!(trail.dump.content, Some(Id::of(&[b"content"]).to_string()));
    assert_eq!(trail.gaps.len(), 1);
}

/// What the journal holds of a send whose receiver is on this host: the address alone is known first, and the alert
/// repeats that first step; then the process that takes the bytes is known.
fn sent_to_a_process() -> Vec<Object> {
    let at = |ms: u64, sink: &str| {
        let mut sent = step(2, StepKind::Sent, Via::Tcp, "curl[94]", sink, 22_852);
        sent.flow = Id::of(&[b"the flow"]);
        sent.time = Time(BIRTH + 2 * SECOND + ms);
        sent
    };
    let address = || at(0, "203.0.113.9:443@internet");
    vec![
        said(&step(1, StepKind::Read, Via::File, "/var/crash/core.812", "curl[94]", 22_852)),
        said(&address()),
        said(&at(1, "python3[50]@internet")),
        alert(address(), Severity::Critical, None),
    ]
}

#[test]
fn a_sink_that_is_known_better_later_is_one_edge_with_the_alert() {
    let trail = only(sent_to_a_process());
    assert_eq!((trail.edges.len(), trail.crossings()), (2, 1));
    let sent = &trail.edges[1];
    assert_eq!((trail.nodes[sent.to].name.as_str(), sent.alerts.as_slice()), ("python3[50]", &[0][..]));
    assert_eq!(sent.destination.as_deref(), Some("203.0.113.9:443"));
    assert!(
        trail.nodes.iter().all(|n| n.name != "203.0.113.9:443"),
        "the first name of the sink is no node of its own"
    );
    let text = tree::text(&trail, false);
    assert!(text.contains("└─ python3[50] (203.0.113.9:443)  sent tcp"), "{text}");
    assert_eq!((text.matches("CROSSING").count(), text.matches("▲ CRITICAL").count()), (1, 1), "{text}");
    assert!(dot::text(&trail).contains("sent tcp\\n203.0.113.9:443\\n"));
}

#[test]
fn an_alert_alone_still_shows_the_step_that_it_was_made_of() {
    let objects: Vec<_> = sent_to_a_process().into_iter().filter(|o| o["event"] == "alert").collect();
    let trail = only(objects);
    let sent = &trail.edges[0];
    assert_eq!((trail.nodes[sent.to].name.as_str(), sent.alerts.as_slice()), ("203.0.113.9:443", &[0][..]));
}

#[test]
fn order_and_repetition_do_not_count() {
    the_same_in_any_order(&story());
    the_same_in_any_order(&sent_to_a_process());
}

fn the_same_in_any_order(story: &[Object]) {
    let expected = only(story.to_vec());
    let mut objects = [story, story].concat();
    for round in 0..objects.len() {
        objects.rotate_left(round);
        objects.reverse();
        assert_eq!(only(objects.clone()), expected);
    }
}

#[test]
fn the_tree_tells_the_story() {
    let text = tree::text(&only(story()), false);
    let expected = "\
dump DUMP (kernel-core, 581.3 KiB)
  content  CONTENT
  born     2023-11-14 22:13:20 UTC in production (isolated) on host-1
  of       signer[812] /usr/bin/signer
  seen     8 movements, 4 crossings, 1 alert, worst critical

signer[812]                                                                         production
│  ann: signer -v
└─ /var/crash/core.812                       created core       581.3 KiB  +0.000s  production
   ├─ cp[90]                                 opened, read file  581.3 KiB   +1m35s  production
   │  │  ann: cp -v
   │  └─ /mnt/debug/core                     written file       581.3 KiB   +1m36s  production ══▶ debug  CROSSING
   │     └─ scp[99]                          read file          581.3 KiB   +1h06m  debug ══▶ production  CROSSING
   │        │  ann: scp -v
   │        ├─ 203.0.113.9:443               sent tcp           586.1 KiB   +1h06m  production ══▶ internet  CROSSING
   │        │     ▲ CRITICAL dump-left-isolation: scp sent a core of signer from production to internet
   │        └─ /mnt/debug/core  ↑ see above  written file            10 B   +1h23m  production ══▶ debug  CROSSING
   └─ grep[95]                               read mmap          581.3 KiB   +3m20s  production
         ann: grep -v
! lost between 2023-11-14 22:13:28 UTC and 2023-11-14 22:13:29 UTC: 3 × flow_ring_full
";
    let expected = expected.replace("DUMP", &Id::of(&[b"dump"]).to_string());
    let expected = expected.replace("CONTENT", &Id::of(&[b"content"]).to_string());
    assert_eq!(text, expected);
}

#[test]
fn colour_only_where_asked_for() {
    let trail = only(story());
    assert!(!tree::text(&trail, false).contains('\x1b'));
    let coloured = tree::text(&trail, true);
    assert!(coloured.contains("\x1b[1;31m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, tree::text(&trail, false), "colour changes nothing else");
}

#[test]
fn hostile_names_cannot_drive_the_terminal_or_break_the_graph() {
    let evil = "/x\x1b[2J\"];\n}evil";
    let objects = vec![said(&step(0, StepKind::Created, Via::Core, "a[1]", evil, 1))];
    let trail = only(objects);
    assert!(!tree::text(&trail, false).contains('\x1b'));
    let dot = dot::text(&trail);
    assert!(!dot.contains('\x1b') && !dot.lines().any(|l| l.starts_with("}evil")), "{dot}");
    assert!(dot.contains("\\\"];"));
}

#[test]
fn a_loop_is_written_once() {
    let objects = vec![
        said(&step(1, StepKind::Read, Via::File, "/a", "cp[1]", 1)),
        said(&step(2, StepKind::Written, Via::File, "cp[1]", "/b", 1)),
        said(&step(3, StepKind::Read, Via::File, "/b", "mv[2]", 1)),
        said(&step(4, StepKind::Written, Via::File, "mv[2]", "/a", 1)),
        said(&step(5, StepKind::Written, Via::File, "mv[2]", "mv[2]", 1)),
    ];
    let text = tree::text(&only(objects), false);
    assert_eq!(text.matches("see above").count(), 2, "{text}");
    assert_eq!(text.matches("cp[1]").count(), 1, "{text}");
}

/// A chain, a fan and a loop over ten thousand steps: soon, and not wide.
/// Processor time of this thread, in seconds: what else the machine does is not in it.
fn busy() -> i64 {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec
}

#[test]
fn ten_thousand_steps_are_fast_and_stay_narrow() {
    let mut objects = Vec::new();
    for n in 0..5000u64 {
        objects.push(said(&step(n, StepKind::Read, Via::File, &format!("/f{n}"), &format!("cp[{n}]"), n)));
        objects.push(said(&step(n, StepKind::Written, Via::File, &format!("cp[{n}]"), &format!("/f{}", n + 1), n)));
        objects.push(said(&step(n, StepKind::Read, Via::File, "/f1", &format!("grep[{n}]"), n)));
    }
    let began = busy();
    let trail = only(objects);
    let text = tree::text(&trail, false);
    assert!(dot::text(&trail).len() > 100_000 && trail.to_json().is_object());
    // A step costs as much however many there are: else this takes minutes.
    assert!(busy() - began < 5, "{} s", busy() - began);
    assert_eq!(trail.edges.len(), 15_000);
    for n in [0, 2500, 4999] {
        assert!(text.contains(&format!(" cp[{n}] ")) && text.contains(&format!(" grep[{n}] ")), "{n}");
    }
    assert!(text.lines().all(|l| l.chars().count() < 200));
}

#[test]
fn dumps_are_listed_and_found_by_the_start_of_id_or_content() {
    let all = trails(story());
    let text = list::text(&all, false);
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.contains("kernel-core  581.3 KiB  2023-11-14 22:13:20 UTC  production  4          1 (critical)"),
        "{text}"
    );
    assert_eq!(list::text(&[], false), "no dumps are known\n");
    assert_eq!(list::json(&all)[0]["crossings"], 4);
    let (id, content) = (all[0].dump.id.clone(), all[0].dump.content.clone().unwrap());
    for prefix in [&id[..6], &id, &content[..6]] {
        assert_eq!(trails_of(prefix, story()).len(), 1);
    }
    assert!(trails_of("zz", story()).is_empty());
}

#[test]
fn strange_objects_are_left_out() {
    for json in [
        "{}",
        r#"{"event":"step"}"#,
        r#"{"dump.id":7}"#,
        r#"{"dump.id":"a","from.id":"x"}"#,
        r#"{"event":"gap","dumps":[1,"q"]}"#,
    ] {
        let Value::Object(object) = serde_json::from_str(json).unwrap() else { panic!() };
        assert!(trails([object]).is_empty(), "{json}");
    }
}

#[test]
fn graphviz_takes_the_graph() {
    let dot = dot::text(&only(story()));
    assert_eq!(dot.matches(" -> ").count(), 8);
    assert!(dot.contains("color=red") && dot.contains("shape=note") && dot.contains("shape=ellipse"));
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
}
