//! Addresses to zones: relay, else longest prefix; what never leaves the link or the host stays with its sender.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Decision, line};
use crate::{config::schema::RelayDef, step::Place};

/// Ranges that mean something else on every host. Only a line at least as long as the range speaks of them.
const LOCAL: &[(IpNet, &str)] = &[
    (v4(Ipv4Addr::new(127, 0, 0, 0), 8), "loopback"),
    (v6(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v4(Ipv4Addr::new(169, 254, 0, 0), 16), "link-local"),
    (v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), "link-local"),
    (v4(Ipv4Addr::new(224, 0, 0, 0), 4), "multicast"),
    (v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8), "multicast"),
    (v4(Ipv4Addr::BROADCAST, 32), "broadcast"),
];

const fn v4(address: Ipv4Addr, bits: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(address, bits))
}
const fn v6(address: Ipv6Addr, bits: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(address, bits))
}

/// A v4-mapped v6 address is v4; the unspecified address as a destination is loopback.
pub fn normalise(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(a) if a.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(a) if a.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}

/// A v4-mapped prefix is the v4 prefix that it maps.
fn normalise_net(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(mapped), Some(bits)) => Ipv4Net::new(mapped, bits).map_or(net, IpNet::V4),
        _ => net,
    }
}

/// As destinations they are loopback, see [`normalise`].
const EVERYWHERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

#[derive(Clone, Debug)]
struct Network {
    net: IpNet,
    ports: Vec<u16>,
    place: Place,
    why: Arc<str>,
}

impl Network {
    fn matches(&self, range: &IpNet, port: u16) -> bool {
        self.net.contains(range) && (self.ports.is_empty() || self.ports.contains(&port))
    }
    /// Longer prefixes first; of the same prefix those of some ports first.
    fn rank(&self) -> (u8, bool) {
        (self.net.prefix_len(), !self.ports.is_empty())
    }
}

#[derive(Clone, Debug)]
struct Relay {
    address: IpAddr,
    port: Option<u16>,
    place: Place,
    why: Arc<str>,
}

/// All lines that speak of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    declared: Vec<Network>,
    networks: Vec<Network>,
    relays: Vec<Relay>,
    own: Vec<IpAddr>,
}

impl Addresses {
    pub(super) fn add(&mut self, net: IpNet, ports: &[u16], place: &Place, why: Arc<str>) {
        self.declared.push(Network { net: normalise_net(net), ports: ports.to_vec(), place: place.clone(), why });
    }

    pub(super) fn add_relay(&mut self, def: &RelayDef, place: Place) {
        let why = line(&def.at.line_name(), &format!("relay {} reaches {}", def.address, place.zone));
        self.relays.push(Relay { address: normalise(def.address), port: def.port, place, why });
    }

    /// Takes what the host told; `on_link` prefixes are in `place`.
    pub(super) fn set_host(&mut self, own: &[IpAddr], on_link: &[IpNet], place: Option<&Place>) {
        self.own = own.iter().map(IpAddr::to_canonical).collect();
        self.networks = self.declared.clone();
        for net in on_link.iter().filter(|n| n.prefix_len() > 0) {
            let (Some(place), net) = (place.cloned(), normalise_net(net.trunc())) else { continue };
            let why = line(super::EMBEDDED, &format!("on-link network {net}"));
            self.networks.push(Network { net, ports: Vec::new(), place, why });
        }
        self.networks.sort_by_key(|n| std::cmp::Reverse(n.rank()));
    }

    pub(super) fn decide(&self, address: IpAddr, port: u16, sender: &Place) -> Decision {
        self.decide_prefix(IpNet::from(address), port, sender)
    }

    /// The same for what has this prefix, and none that is longer and in [`Self::prefixes`].
    pub(super) fn decide_prefix(&self, net: IpNet, port: u16, sender: &Place) -> Decision {
        let net = if is_single(&net) { IpNet::from(normalise(net.addr())) } else { net };
        if let Some(relay) = self.relay(net, port) {
            return Decision { via_relay: true, ..Decision::new(&relay.place, &relay.why) };
        }
        let (least, local) = self.own_range(net);
        let mut longest = self.networks.iter().filter(|n| n.matches(&net, port));
        match (longest.find(|n| n.net.prefix_len() >= least), local) {
            (Some(network), _) => Decision::new(&network.place, &network.why),
            (None, Some(what)) => Decision::new(sender, &format!("{what}: the sender's zone").into()),
            (None, None) => Decision::unknown("no line matches"),
        }
    }

    /// Of all relay lines for this address, the one that reaches the highest exposure.
    fn relay(&self, net: IpNet, port: u16) -> Option<&Relay> {
        let lines = self.relays.iter().filter(|r| IpNet::from(r.address) == net && r.port.is_none_or(|p| p == port));
        lines.reduce(|a, b| if b.place.exposure > a.place.exposure { b } else { a })
    }

    /// The shortest prefix that may speak of this address, and what the address is if it is local.
    fn own_range(&self, range: IpNet) -> (u8, Option<&'static str>) {
        if let Some((net, what)) = LOCAL.iter().find(|(net, _)| net.contains(&range)) {
            return (net.prefix_len(), Some(what));
        }
        if is_single(&range) && self.own.contains(&range.addr()) {
            return (range.max_prefix_len(), Some("this host's own address"));
        }
        (0, None)
    }

    /// Every prefix of which some line, or what every host has, says something else than of those around it.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        let single =
            self.own.iter().copied().chain(self.relays.iter().map(|r| r.address)).chain(EVERYWHERE).map(IpNet::from);
        let lines = self.networks.iter().map(|n| n.net).chain(LOCAL.iter().map(|(net, _)| *net));
        lines.chain(single).chain([v4(Ipv4Addr::UNSPECIFIED, 0), v6(Ipv6Addr::UNSPECIFIED, 0)])
    }

    /// Ports that lines on this prefix, or around it, list.
    pub(super) fn ports(&self, range: IpNet) -> BTreeSet<u16> {
        let networks = self.networks.iter().filter(|n| n.net.contains(&range)).flat_map(|n| n.ports.iter().copied());
        let relays = self.relays.iter().filter(|r| IpNet::from(r.address) == range).filter_map(|r| r.port);
        networks.chain(relays).collect()
    }
}
