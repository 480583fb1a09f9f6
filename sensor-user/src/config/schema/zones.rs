//! Reads what says where things are: zones, relays, trusted programs.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::{MountDef, NetworkDef, RelayDef, TrustedDef, WorkloadDef, ZoneDef};
use crate::{
    config::{
        read::{Errors, Glob, Table, glob, id, integer, one_of, parsed, text},
        spans::{Key, Node, Text, Value},
    },
    step::Exposure,
};

/// `networks` of a zone.
fn network(node: &Node, errors: &mut Errors) -> Option<NetworkDef> {
    let at = node.at.clone();
    if !matches!(node.value, Value::Map(_)) {
        return Some(NetworkDef { net: prefix(node, errors)?, ports: Vec::new(), at });
    }
    let mut table = Table::open(node, "network", errors)?;
    let net = table.need("cidr", errors).and_then(|n| prefix(n, errors));
    let ports = table.take_list("ports", errors, port);
    table.close(errors);
    Some(NetworkDef { net: net?, ports, at })
}

fn port(node: &Node, errors: &mut Errors) -> Option<u16> {
    integer(node, 1, 65535, errors).map(|n| n as u16)
}

fn prefix(node: &Node, errors: &mut Errors) -> Option<IpNet> {
    let text = text(node, errors)?;
    let single = || text.value.parse::<IpAddr>().map(IpNet::from);
    let Ok(net) = text.value.parse::<IpNet>().or_else(|_| single()) else {
        let found = text.at.error(format!("`{}` is not an address prefix", text.value));
        errors.push(found.hint("for example 10.10.0.0/16 or fd00:10::/32"));
        return None;
    };
    if net.trunc() != net {
        let found = text.at.error(format!("`{net}` has bits set behind the prefix"));
        errors.push(found.hint(format!("did you mean {} or {}?", net.trunc(), IpNet::from(net.addr()))));
        return None;
    }
    Some(net)
}

fn workload(node: &Node, errors: &mut Errors) -> Option<WorkloadDef> {
    let before = errors.len();
    let mut table = Table::open(node, "workload", errors)?;
    let namespace = glob(table.take_text("namespace", errors), errors);
    let pod_labels = table.take("pod_labels").map(|n| labels(n, errors)).unwrap_or_default();
    let unit = glob(table.take_text("unit", errors), errors);
    let cgroup = glob(table.take_text("cgroup", errors), errors);
    let netns = table.take_text("netns", errors);
    let user = table.take("user").and_then(|n| user(n, errors));
    if table.entries().is_empty() {
        errors.push(node.at.error("a workload that selects everything").hint("use `host_zone` for the rest"));
    }
    table.close(errors);
    // What is left of a wrong one selects something else, which would be wrong once more.
    let good = errors.len() == before;
    good.then(|| WorkloadDef { namespace, pod_labels, unit, cgroup, netns, user, at: node.at.clone() })
}

fn user(node: &Node, errors: &mut Errors) -> Option<Glob> {
    if let Value::Int(n) = node.value {
        let number = Text::made(n.to_string(), &node.at);
        return glob(Some(number), errors);
    }
    glob(text(node, errors), errors)
}

fn labels(node: &Node, errors: &mut Errors) -> Vec<(Arc<str>, Glob)> {
    let Some(table) = Table::open(node, "pod_labels", errors) else { return Vec::new() };
    if table.entries().is_empty() {
        errors.push(node.at.error("labels that select everything").hint("name a label, or leave `pod_labels` out"));
    }
    let read = |(key, value): &(Key, Node)| Some((Arc::clone(&key.name), glob(text(value, errors), errors)?));
    table.entries().iter().filter_map(read).collect()
}

fn mount(node: &Node, errors: &mut Errors) -> Option<MountDef> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(MountDef::Path(absolute(text(node, errors), errors)?));
    }
    let before = errors.len();
    let mut table = Table::open(node, "mount", errors)?;
    let fstype = table.need_text("fstype", errors);
    let source = glob(table.take_text("source", errors), errors);
    table.close(errors);
    let fstype = fstype.filter(|_| errors.len() == before)?;
    Some(MountDef::Type { fstype, source, at: node.at.clone() })
}

/// A path that starts with `/`.
pub fn absolute(text: Option<Text>, errors: &mut Errors) -> Option<Text> {
    let text = text?;
    if !text.value.starts_with('/') {
        errors.push(text.at.error(format!("`{}` is not an absolute path", text.value)).hint("start it with `/`"));
        return None;
    }
    Some(text)
}

/// An item of `zones`.
pub fn zone(node: &Node, errors: &mut Errors) -> Option<ZoneDef> {
    let mut table = Table::open(node, "zone", errors)?;
    let name = id(table.need_text("name", errors), errors);
    // `unknown` is what no line says, so no line may say it.
    let names = &Exposure::NAMES[..3];
    let known = |n: &str| Exposure::from_name(n).filter(|e| *e != Exposure::Unknown);
    let exposure = table.need("exposure", errors).and_then(|n| one_of(n, names, known, errors));
    let networks = table.take_list("networks", errors, network);
    let workloads = table.take_list("workloads", errors, workload);
    let mounts = table.take_list("mounts", errors, mount);
    table.close(errors);
    let name = name?;
    if &*name.value == "unknown" {
        errors.push(name.at.error("`unknown` is no name for a zone").hint("it is what no line says; use another"));
        return None;
    }
    // A zone without a valid exposure still has a name that others may use: that is one error, not many.
    Some(ZoneDef { name, exposure: exposure.unwrap_or(Exposure::Isolated), networks, workloads, mounts })
}

/// An item of `relays`.
pub fn relay(node: &Node, errors: &mut Errors) -> Option<RelayDef> {
    let mut table = Table::open(node, "relay", errors)?;
    let address = table.need("address", errors).and_then(|n| parsed::<IpAddr>(n, "an address", "10.0.0.5", errors));
    let port = table.take("port").and_then(|n| port(n, errors));
    let reaches = table.need_text("reaches", errors);
    table.close(errors);
    Some(RelayDef { address: address?.to_canonical(), port, reaches: reaches?, at: node.at.clone() })
}

/// An item of `trusted`.
pub fn trusted(node: &Node, errors: &mut Errors) -> Option<TrustedDef> {
    let mut table = Table::open(node, "trusted", errors)?;
    let path = absolute(table.need_text("path", errors), errors);
    let sha256 = table.need_text("sha256", errors);
    table.close(errors);
    let sha256 = sha256?;
    if sha256.value.len() != 64 || !sha256.value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        let found = sha256.at.error("not a SHA-256").hint("64 hex digits in small letters, as sha256sum(1) prints");
        errors.push(found);
    }
    Some(TrustedDef { path: path?, sha256 })
}
