//! Zones as tables, for who cannot ask: the kernel decides by them. They say what [`Zones::address`] and [`Zones::process`]
//! say, but for pods, which the kernel does not know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ipnet::IpNet;
use sensor_abi::policy::class;

use super::{Zones, process::Parts};
use crate::step::{Exposure, Place};

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// In this zone.
    Zone(Place),
    /// In the zone of who sends there.
    Sender,
}

/// What has this prefix, and no longer one that is in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix.
    pub net: IpNet,
    /// Where that is.
    pub whose: Whose,
    /// Ports that are elsewhere.
    pub ports: Vec<(u16, Whose)>,
}

/// What the host has that workloads may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Control groups: id and path.
    pub cgroups: Vec<(u64, String)>,
    /// Users: number and name.
    pub users: Vec<(u32, String)>,
}

/// Processes: what is told from others by some workload has a class, all else is of class 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// (kind, id) to class; kinds are those of `sensor_abi::policy::class`.
    pub classes: BTreeMap<(u32, u64), u32>,
    /// By the classes of control group, network namespace and user.
    pub places: BTreeMap<[u32; 3], Place>,
}

impl Zones {
    /// Every zone that some line defines.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// Some workload names control groups, or units.
    pub fn look_at_cgroups(&self) -> bool {
        self.workloads.iter().any(super::process::Workload::is_of_a_cgroup)
    }

    /// Some workload names users.
    pub fn look_at_users(&self) -> bool {
        self.workloads.iter().any(super::process::Workload::is_of_a_user)
    }

    /// Every prefix that some line speaks of, and the two that hold all addresses.
    pub fn prefixes(&self) -> Vec<Prefix> {
        let sender = Place { zone: Arc::from("sender"), exposure: Exposure::Unknown };
        let whose = |net: &IpNet, port: u16| {
            let place = self.addresses.decide_prefix(*net, port, &sender).place;
            if Arc::ptr_eq(&place.zone, &sender.zone) { Whose::Sender } else { Whose::Zone(place) }
        };
        let nets: BTreeSet<IpNet> = self.addresses.prefixes().collect();
        let of_net = |net: IpNet| {
            let listed = self.addresses.ports(net);
            // A port that no line lists stands for all of them; port 0 is none.
            let all = whose(&net, 0);
            let ports = listed.into_iter().map(|port| (port, whose(&net, port))).filter(|(_, w)| *w != all).collect();
            Prefix { net, whose: all, ports }
        };
        nets.into_iter().map(of_net).collect()
    }

    /// The zones of processes, by what `named` has.
    pub fn processes(&self, named: &Named) -> Processes {
        let mut table = Processes::default();
        let mut kinds = Kinds::of(self);
        for (id, path) in &named.cgroups {
            kinds.add(class::CGROUP, *id, self.parts(|w| w.has_cgroup(path)), &mut table);
        }
        for number in self.workloads.iter().filter_map(super::process::Workload::netns) {
            kinds.add(class::NETNS, u64::from(number), self.parts(|w| w.has_netns(number)), &mut table);
        }
        for (number, name) in &named.users {
            kinds.add(class::USER, u64::from(*number), self.parts(|w| w.has_user(*number, Some(name))), &mut table);
        }
        for number in self.workloads.iter().filter_map(super::process::Workload::user_number) {
            let known = named.users.iter().any(|(n, _)| *n == number);
            if !known {
                kinds.add(class::USER, u64::from(number), self.parts(|w| w.has_user(number, None)), &mut table);
            }
        }
        self.put_places(&kinds, &mut table);
        table
    }

    fn parts(&self, has: impl Fn(&super::process::Workload) -> bool) -> Parts {
        self.workloads.iter().map(has).collect()
    }

    fn put_places(&self, kinds: &Kinds, table: &mut Processes) {
        let [cgroups, namespaces, users] = &kinds.0;
        for (c, cgroup) in cgroups.iter().enumerate() {
            for (n, netns) in namespaces.iter().enumerate() {
                for (u, user) in users.iter().enumerate() {
                    let decision = super::process::decide_by(&self.workloads, [cgroup, netns, user]);
                    let place = decision.map_or_else(|| self.host(), |d| d.place);
                    table.places.insert([c as u32, n as u32, u as u32], place);
                }
            }
        }
    }
}

/// Of each kind the classes, by which workloads they fit.
struct Kinds([Vec<Parts>; 3]);

impl Kinds {
    /// Class 0 of each: what no workload names.
    fn of(zones: &Zones) -> Self {
        let none = [
            zones.parts(|w| w.has_cgroup("")),
            zones.parts(|w| w.has_netns(0)),
            zones.parts(|w| w.has_user(u32::MAX, None)),
        ];
        Self(none.map(|parts| vec![parts]))
    }

    fn add(&mut self, kind: u32, id: u64, parts: Parts, table: &mut Processes) {
        let known = &mut self.0[kind as usize];
        let class = known.iter().position(|other| *other == parts).unwrap_or_else(|| {
            known.push(parts);
            known.len() - 1
        });
        if class != 0 {
            table.classes.insert((kind, id), class as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{config::Config, step::Process, zones::HostFacts};

    const ZONES: &str = "version: 1
host_zone: production
zones:
  - name: production
    exposure: isolated
    networks: [10.10.0.0/16, {cidr: 10.9.0.1/32, ports: [443, 8443]}, 'fd00:10::/32']
    workloads:
      - {cgroup: /system.slice/signer.service}
      - {netns: /n/prod, user: '1000'}
  - name: debug
    exposure: internal
    networks: [10.0.0.0/8, 169.254.7.0/24]
    workloads: [{netns: /n/debug}, {unit: 'debug-*.service', user: root}]
  - name: internet
    exposure: internet-facing
    networks: [0.0.0.0/0, '::/0', 10.10.7.0/24]
relays: [{address: 10.0.0.5, port: 3128, reaches: internet}]
";

    fn zones() -> Zones {
        let (config, errors) = Config::from_text("t.yaml", ZONES);
        assert!(errors.is_empty(), "{errors:?}");
        let netns = |path: &str| match path {
            "/n/prod" => Some(7),
            "/n/debug" => Some(8),
            _ => None,
        };
        let facts = HostFacts { own_addresses: vec!["10.10.0.4".parse().unwrap()], on_link: Vec::new() };
        Zones::new(&config, &netns, &facts)
    }

    /// As the kernel looks it up: the longest prefix, then its ports.
    fn by_table(table: &[Prefix], address: IpAddr, port: u16, sender: &Place) -> Place {
        let longest = table.iter().filter(|p| p.net.contains(&address)).max_by_key(|p| p.net.prefix_len()).unwrap();
        let listed = longest.ports.iter().find(|(p, _)| *p == port).map(|(_, whose)| whose);
        match listed.unwrap_or(&longest.whose) {
            Whose::Zone(place) => place.clone(),
            Whose::Sender => sender.clone(),
        }
    }

    #[test]
    fn the_table_of_addresses_says_what_the_zones_say() {
        let zones = zones();
        let (table, sender) = (zones.prefixes(), Place { zone: "s".into(), exposure: Exposure::Internal });
        let addresses = [
            "10.10.0.1",
            "10.10.7.1",
            "10.10.0.4",
            "10.9.0.1",
            "10.0.0.5",
            "192.0.2.1",
            "127.0.0.1",
            "169.254.7.1",
            "169.254.8.1",
            "224.0.0.1",
            "255.255.255.255",
            "fd00:10::1",
            "2001:db8::1",
            "::1",
            "fe80::1",
            "0.0.0.0",
            "::",
        ];
        for address in addresses {
            for port in [80, 443, 8443, 3128] {
                let address: IpAddr = address.parse().unwrap();
                let expected = zones.address(address, port, &sender).place;
                assert_eq!(by_table(&table, address, port, &sender), expected, "{address}:{port}");
            }
        }
    }

    #[test]
    fn the_table_of_processes_says_what_the_zones_say() {
        let zones = zones();
        let cgroups = ["/", "/system.slice/signer.service", "/system.slice/signer.service/a", "/debug-1.service"];
        let named = Named {
            cgroups: cgroups.iter().zip(1..).map(|(path, id)| (id, (*path).to_owned())).collect(),
            users: vec![(0, "root".to_owned()), (5, "games".to_owned())],
        };
        let table = zones.processes(&named);
        for (id, cgroup) in named.cgroups {
            for netns in [7, 8, 9] {
                for user_id in [0, 5, 1000, 1001] {
                    let user_name = named.users.iter().find(|(n, _)| *n == user_id).map(|(_, name)| name.clone());
                    let process =
                        Process { cgroup: Some(cgroup.clone()), netns, user_id, user_name, ..Process::default() };
                    let class = |kind, id| table.classes.get(&(kind, id)).copied().unwrap_or(0);
                    let key = [
                        class(class::CGROUP, id),
                        class(class::NETNS, u64::from(netns)),
                        class(class::USER, u64::from(user_id)),
                    ];
                    assert_eq!(table.places[&key], zones.process(&process).place, "{process:?}");
                }
            }
        }
    }
}
