//! What only the running host knows about zones: its addresses, its links, its network namespaces.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::MetadataExt as _,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    config::Config,
    enrich::mounts::Mounts,
    zones::{HostFacts, Zones},
};

/// Zones as the host is now.
pub fn zones(config: &Config) -> Zones {
    let mounts = Mounts::of_host();
    Zones::new(config, &|path| netns_inode(&mounts, path), &facts())
}

/// Inode number of a network namespace's path on the host.
pub fn netns_inode(mounts: &Mounts, path: &str) -> Option<u32> {
    fs::metadata(mounts.here(path)).ok().and_then(|m| u32::try_from(m.ino()).ok())
}

/// Own addresses and on-link prefixes of the network namespace that this process is in.
fn facts() -> HostFacts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut facts =
        HostFacts { own_addresses: own_v4(&read("/proc/net/fib_trie")), on_link: on_link_v4(&read("/proc/net/route")) };
    for net in v6(&read("/proc/net/if_inet6")) {
        facts.own_addresses.push(net.addr().into());
        facts.on_link.push(net.trunc().into());
    }
    facts.own_addresses.sort_unstable();
    facts.own_addresses.dedup();
    facts
}

/// In the trie a leaf `|-- ADDRESS` is followed by `/32 host LOCAL` for each own address.
fn own_v4(trie: &str) -> Vec<IpAddr> {
    let mut leaf = None;
    let mut own = Vec::new();
    for line in trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            leaf = address.trim().parse::<IpAddr>().ok();
        } else if line.trim() == "/32 host LOCAL" {
            own.extend(leaf.filter(|a| !a.is_loopback()));
        }
    }
    own
}

/// Routes without a gateway, the default excluded. Addresses are hex in host byte order.
fn on_link_v4(routes: &str) -> Vec<IpNet> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |n: usize| u32::from_str_radix(fields.get(n)?, 16).ok().map(v4_of);
        let (net, gateway, mask) = (hex(1)?, hex(2)?, hex(7)?);
        if gateway != Ipv4Addr::UNSPECIFIED || mask == Ipv4Addr::UNSPECIFIED {
            return None;
        }
        Ipv4Net::with_netmask(net, mask).ok().map(IpNet::from)
    };
    routes.lines().skip(1).filter_map(parse).collect()
}

/// The kernel prints an address in network byte order as if it were a number of this machine.
fn v4_of(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(number.to_ne_bytes())
}

/// Own v6 addresses with their prefix length; loopback and link-local excluded.
fn v6(table: &str) -> Vec<Ipv6Net> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
        let bits = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let local = address.is_loopback() || address.segments()[0] & 0xffc0 == 0xfe80;
        Ipv6Net::new(address, bits).ok().filter(|_| !local)
    };
    table.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_kernel_are_understood() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8\n        \
                    |-- 127.0.0.1\n           /32 host LOCAL\n     |-- 192.0.2.7\n        /32 host LOCAL\n";
        assert_eq!(own_v4(trie), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        let le = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\nlo\t00000000\t010200C0\t3\t0\t0\t0\t00000000\n\
                  eth0\t000200C0\t00000000\t1\t0\t0\t0\t00FFFFFF\n";
        if cfg!(target_endian = "little") {
            assert_eq!(on_link_v4(le), ["192.0.2.0/24".parse::<IpNet>().unwrap()]);
        }
        let table =
            "20010db8000000000000000000000007 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(v6(table), ["2001:db8::7/64".parse::<Ipv6Net>().unwrap()]);
    }
}
