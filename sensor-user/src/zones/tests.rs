use super::*;
use crate::step::{Exposure, Pod};

const YAML: &str = r#"
version: 1
host_zone: office
zones:
  - name: production
    exposure: isolated
    networks: ["10.10.0.0/16", "fd00:10::/32", {cidr: 10.9.0.1/32, ports: [443]}, "::ffff:10.77.0.0/112"]
    workloads:
      - {namespace: "payments-*", pod_labels: {tier: signing}}
      - {cgroup: "/system.slice/signer.service"}
      - {netns: "/run/netns/prod"}
      - {user: signer}
      - {namespace: "tie-*"}
    mounts: ["/srv/prod-share/", {fstype: nfs, source: "filer.prod:/*"}]
  - name: office
    exposure: internal
    networks: ["10.0.0.0/8", "169.254.0.0/16", "127.0.0.2"]
    workloads:
      - {namespace: "payments-*"}
      - {namespace: "*-two"}
      - {cgroup: "/system.slice"}
    mounts: ["/srv", {fstype: nfs}]
  - name: internet
    exposure: internet-facing
    networks: ["0.0.0.0/0", "::/0"]
relays:
  - {address: 10.0.0.5, port: 3128, reaches: internet}
  - {address: 10.0.0.5, port: 3128, reaches: production}
  - {address: 10.0.0.6, reaches: office}
"#;

fn config(text: &str) -> Config {
    let (config, errors) = Config::from_text("z.yaml", text);
    assert!(errors.is_empty(), "{}", errors[0]);
    config
}

fn zones() -> Zones {
    let facts = HostFacts { own_addresses: vec!["10.10.0.7".parse().unwrap()], on_link: vec![] };
    Zones::new(&config(YAML), &|path| (path == "/run/netns/prod").then_some(4242), &facts)
}

fn at(address: &str, port: u16) -> (String, bool) {
    let sender = Place { zone: "sender".into(), exposure: Exposure::Isolated };
    let d = zones().address(address.parse().unwrap(), port, &sender);
    (d.place.zone.to_string(), d.via_relay)
}

#[test]
fn the_longest_prefix_decides() {
    for (address, port, zone) in [
        ("10.10.1.1", 80, "production"),
        ("10.11.1.1", 80, "office"),
        ("10.9.0.1", 443, "production"),
        ("10.9.0.1", 80, "office"),
        ("10.77.0.3", 80, "production"),
        ("::ffff:10.10.1.1", 80, "production"),
        ("fd00:10::1", 80, "production"),
        ("203.0.113.9", 443, "internet"),
        ("2001:db8::1", 443, "internet"),
    ] {
        assert_eq!(at(address, port), (zone.to_owned(), false), "{address}:{port}");
    }
}

#[test]
fn what_stays_on_the_host_or_link_has_the_senders_zone_unless_listed() {
    for address in ["127.0.0.1", "::1", "0.0.0.0", "::", "fe80::1", "224.0.0.1", "ff02::1", "10.10.0.7"] {
        assert_eq!(at(address, 80).0, "sender", "{address}");
    }
    assert_eq!(at("169.254.1.1", 80).0, "office");
    assert_eq!(at("127.0.0.2", 80).0, "office");
}

#[test]
fn a_relay_is_the_highest_exposure_that_it_reaches() {
    assert_eq!(at("10.0.0.5", 3128), ("internet".to_owned(), true));
    assert_eq!(at("::ffff:10.0.0.5", 3128), ("internet".to_owned(), true));
    assert_eq!(at("10.0.0.5", 80), ("office".to_owned(), false));
    assert_eq!(at("10.0.0.6", 1), ("office".to_owned(), true));
}

#[test]
fn nothing_matches_is_unknown() {
    let text = "version: 1\nhost_zone: a\nzones: [{name: a, exposure: isolated, networks: [10.0.0.0/8]}]\n";
    let zones = Zones::new(&config(text), &|_| None, &HostFacts::default());
    let d = zones.address("192.0.2.1".parse().unwrap(), 1, &zones.host());
    assert_eq!((&*d.place.zone, d.place.exposure, &*d.why), ("unknown", Exposure::Unknown, "no line matches"));
}

fn pod(namespace: &str, tier: &str) -> Process {
    let labels = [("tier".to_owned(), tier.to_owned())].into();
    let pod = Pod { namespace: namespace.into(), labels, ..Pod::default() };
    Process { k8s: Some(Arc::new(pod)), ..Process::default() }
}

#[test]
fn the_most_specific_workload_decides() {
    let zones = zones();
    let zone = |p: &Process| zones.process(p).place.zone.to_string();
    assert_eq!(zone(&pod("payments-eu", "signing")), "production");
    assert_eq!(zone(&pod("payments-eu", "web")), "office");
    let cgroup = |path: &str| Process { cgroup: Some(path.into()), ..Process::default() };
    assert_eq!(zone(&cgroup("/system.slice/signer.service")), "production");
    assert_eq!(zone(&cgroup("/system.slice/signer.service/worker")), "production");
    assert_eq!(zone(&cgroup("/system.slice/other.service")), "office");
    assert_eq!(zone(&cgroup("/system.slice2/signer.service")), "office");
    assert_eq!(zone(&Process { netns: 4242, ..Process::default() }), "production");
    assert_eq!(zone(&Process { user_name: Some("signer".into()), ..Process::default() }), "production");
    assert_eq!(&*zones.process(&Process::default()).why, "z.yaml:3: host_zone office");
    assert_eq!(&*zones.process(&pod("payments-eu", "signing")).why, "z.yaml:9: workload of zone production");
}

#[test]
fn a_tie_takes_the_lower_exposure_and_says_so() {
    let d = zones().process(&pod("tie-two", "x"));
    assert_eq!((&*d.place.zone, d.tie), ("production", true));
    assert!(!zones().process(&pod("tie-x", "x")).tie);
}

#[test]
fn a_network_namespace_may_appear_late() {
    let mut zones = Zones::new(&config(YAML), &|_| None, &HostFacts::default());
    let process = Process { netns: 7, ..Process::default() };
    assert_eq!(&*zones.process(&process).place.zone, "office");
    zones.follow(&|_| Some(7));
    assert_eq!(&*zones.process(&process).place.zone, "production");
    zones.follow(&|_| None);
    assert_eq!(&*zones.process(&process).place.zone, "production", "what it did may be told late");
    zones.forget(&|_| None);
    assert_eq!(&*zones.process(&process).place.zone, "office", "its number may be another's");
}

#[test]
fn a_number_that_another_path_has_is_not_the_old_ones() {
    let text = "version: 1\nhost_zone: a\nzones:\n- {name: a, exposure: isolated, workloads: [{netns: /n/a}]}\n\
                - {name: b, exposure: internal, workloads: [{netns: /n/b}]}\n";
    let mut zones = Zones::new(&config(text), &|path| (path == "/n/b").then_some(7), &HostFacts::default());
    let process = Process { netns: 7, ..Process::default() };
    assert_eq!(&*zones.process(&process).place.zone, "b");
    zones.follow(&|path| (path == "/n/a").then_some(7));
    assert_eq!(&*zones.process(&process).place.zone, "a");
    assert_eq!(zones.namespaces(), [Some(7), None]);
}

#[test]
fn the_longest_mount_decides() {
    let zones = zones();
    let zone = |path, fstype, source| zones.file(path, fstype, source).map(|d| d.place.zone.to_string());
    assert_eq!(zone("/srv/prod-share/core", "ext4", None).as_deref(), Some("production"));
    assert_eq!(zone("/srv/prod-share2/core", "ext4", None).as_deref(), Some("office"));
    assert_eq!(zone("/srv/prod-share/core", "nfs", Some("other:/x")).as_deref(), Some("production"));
    assert_eq!(zone("/mnt/x", "nfs4", Some("filer.prod:/a/b")).as_deref(), Some("production"));
    assert_eq!(zone("/mnt/x", "nfs4", Some("other:/x")).as_deref(), Some("office"));
    assert_eq!(zone("/home/x", "ext4", Some("/dev/sda1")), None);
}

#[test]
fn the_embedded_default_is_useful_at_once() {
    let facts = HostFacts { on_link: vec!["198.51.100.7/24".parse().unwrap()], ..HostFacts::default() };
    let zones = Zones::new(&Config::embedded(), &|_| None, &facts);
    let zone = |a: &str| zones.address(a.parse().unwrap(), 443, &zones.host());
    assert_eq!(zones.host().exposure, Exposure::Isolated);
    assert_eq!(&*zones.host_decision().why, "embedded default: host_zone host");
    for (address, name) in [
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12::1", "private"),
        ("fe80::1", "private"),
        ("198.51.100.9", "private"),
        ("8.8.8.8", "internet"),
        ("2001:db8::1", "internet"),
        ("127.0.0.1", "host"),
    ] {
        assert_eq!(&*zone(address).place.zone, name, "{address}");
    }
    assert_eq!(&*zone("198.51.100.9").why, "embedded default: on-link network 198.51.100.0/24");
}
