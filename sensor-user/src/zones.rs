//! Which zone is it in? Pure: what only the host knows (inode numbers of network namespaces, own addresses, prefixes on
//! its links) is handed in. Every answer says which line of the configuration decided.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

mod address;
mod file;
mod lint;
mod process;
pub mod table;

pub use address::normalise;
pub use lint::private_on_the_internet;

use crate::{
    config::{Config, EMBEDDED, schema::ZoneDef},
    step::{Place, Process},
};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The zone.
    pub place: Place,
    /// Which line decided, and what it says: `zones.yaml:7: network 10.10.0.0/16`.
    pub why: Arc<str>,
    /// The address is a relay: the zone is what it reaches.
    pub via_relay: bool,
    /// Two lines of different zones were equally specific, and the lower exposure was taken: worth a notice.
    pub tie: bool,
}

impl Decision {
    fn new(place: &Place, why: &Arc<str>) -> Self {
        Self { place: place.clone(), why: Arc::clone(why), via_relay: false, tie: false }
    }
    fn unknown(why: &str) -> Self {
        Self::new(&Place::unknown(), &why.into())
    }
}

/// What only the host knows.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// Its own addresses.
    pub own_addresses: Vec<IpAddr>,
    /// Prefixes on its links; they are in the embedded zone `private`.
    pub on_link: Vec<IpNet>,
}

/// All zones, ready to answer.
#[derive(Clone, Debug)]
pub struct Zones {
    places: Vec<Place>,
    host: Decision,
    addresses: address::Addresses,
    workloads: Vec<process::Workload>,
    mounts: Vec<file::Mount>,
    on_link_place: Option<Place>,
}

impl Zones {
    /// Builds the zones of `config`. `netns` gives the inode number of a network namespace's path, if it is there.
    pub fn new(config: &Config, netns: &dyn Fn(&str) -> Option<u32>, facts: &HostFacts) -> Self {
        let mut zones = Self {
            places: config.zones.iter().map(place).collect(),
            host: host(config),
            addresses: address::Addresses::default(),
            workloads: Vec::new(),
            mounts: Vec::new(),
            on_link_place: config.zone("private").filter(|_| config.default_zones).map(place),
        };
        for def in &config.zones {
            zones.add(def);
        }
        for relay in &config.relays {
            let reached = config.zone(&relay.reaches.value).map_or_else(Place::unknown, place);
            zones.addresses.add_relay(relay, reached);
        }
        zones.mounts.sort_by_key(|m| std::cmp::Reverse(m.rank()));
        zones.refresh(netns, facts);
        zones
    }

    fn add(&mut self, def: &ZoneDef) {
        let place = place(def);
        for network in &def.networks {
            let why = line(&network.at.line_name(), &format!("network {}", network.net));
            self.addresses.add(network.net, &network.ports, &place, why);
        }
        let workloads = def.workloads.iter();
        self.workloads.extend(workloads.map(|w| process::Workload::new(w.clone(), place.clone())));
        self.mounts.extend(def.mounts.iter().map(|m| file::Mount::new(m, place.clone())));
    }

    /// Looks again at network namespaces named by path. One that is gone counts on until [`Self::forget`]: what its
    /// processes did last may be told after that.
    pub fn follow(&mut self, netns: &dyn Fn(&str) -> Option<u32>) {
        let seen: Vec<Option<u32>> = self.workloads.iter().map(|w| w.seen(netns)).collect();
        let taken: Vec<u32> = seen.iter().flatten().copied().collect();
        self.workloads.iter_mut().zip(seen).for_each(|(w, seen)| w.follow(seen, &taken));
    }

    /// Forgets the network namespaces that are gone: their numbers are given to others.
    pub fn forget(&mut self, netns: &dyn Fn(&str) -> Option<u32>) {
        self.workloads.iter_mut().for_each(|w| w.resolve(netns));
    }

    /// Some workload names a network namespace.
    pub fn name_namespaces(&self) -> bool {
        self.workloads.iter().any(process::Workload::is_of_a_namespace)
    }

    /// Network namespaces that workloads name by path, as they are known now.
    pub fn namespaces(&self) -> Vec<Option<u32>> {
        self.workloads.iter().map(process::Workload::netns).collect()
    }

    /// Takes what the host says now, of all that may be another later.
    fn refresh(&mut self, netns: &dyn Fn(&str) -> Option<u32>, facts: &HostFacts) {
        self.workloads.iter_mut().for_each(|w| w.resolve(netns));
        let private = self.on_link_place.as_ref();
        self.addresses.set_host(&facts.own_addresses, private.map_or(&[], |_| &facts.on_link), private);
    }

    /// The zone of a process: the most specific workload, else the host's.
    pub fn process(&self, process: &Process) -> Decision {
        self.workload(process).unwrap_or_else(|| self.host.clone())
    }

    /// The zone of a process that some workload matches.
    pub fn workload(&self, process: &Process) -> Option<Decision> {
        process::decide(&self.workloads, process)
    }

    /// The zone of an address that no process on this kernel is known to hold. `sender` is the zone of who sends to it.
    pub fn address(&self, address: IpAddr, port: u16, sender: &Place) -> Decision {
        self.addresses.decide(address, port, sender)
    }

    /// The zone of a file by its mount; `None` means that the process that created it decides.
    pub fn file(&self, path: &str, fstype: &str, source: Option<&str>) -> Option<Decision> {
        let mount = self.mounts.iter().find(|m| m.matches(path, fstype, source))?;
        Some(mount.decision())
    }

    /// The host's zone.
    pub fn host(&self) -> Place {
        self.host.place.clone()
    }

    /// The host's zone, and the line that says so.
    pub fn host_decision(&self) -> Decision {
        self.host.clone()
    }
}

fn place(def: &ZoneDef) -> Place {
    Place { zone: Arc::clone(&def.name.value), exposure: def.exposure }
}

fn host(config: &Config) -> Decision {
    let Some(name) = &config.host_zone else { return Decision::unknown("no line sets host_zone") };
    let place = config.zone(&name.value).map_or_else(Place::unknown, place);
    Decision::new(&place, &line(&name.at.line_name(), &format!("host_zone {}", name.value)))
}

/// `file:line: what`; the embedded lines have no number that would help anybody.
fn line(place: &str, what: &str) -> Arc<str> {
    let place = if place.starts_with(EMBEDDED) { EMBEDDED } else { place };
    format!("{place}: {what}").into()
}

#[cfg(test)]
mod tests;
