//! What a configuration file may hold: the types, and how each is read from the tree.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use jiff::civil::Date;

use super::{
    read::{Errors, Glob, Table, boolean, duration, glob, id, integer, list, one_of, parsed, text, wrong},
    spans::{At, Key, Node, Text, Value},
};
use crate::step::{Exposure, Severity, StepKind};

/// `arming`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arming {
    /// Flow hooks are attached while a marked carrier is live.
    #[default]
    Auto,
    /// Flow hooks stay attached.
    Always,
}

/// `enforcement`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// `block` only says what it would have done.
    #[default]
    Observe,
    /// `block` blocks.
    Enforce,
}

/// `privacy.command_line`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommandLine {
    /// argv is not stored.
    None,
    /// argv[0] and at most 256 bytes, credential forms masked.
    #[default]
    Masked,
    /// As it is.
    Full,
}

/// A zone.
#[derive(Clone, Debug)]
pub struct ZoneDef {
    /// Its name.
    pub name: Text,
    /// Its exposure.
    pub exposure: Exposure,
    /// Address prefixes in it.
    pub networks: Vec<NetworkDef>,
    /// Local processes in it.
    pub workloads: Vec<WorkloadDef>,
    /// Mounts in it.
    pub mounts: Vec<MountDef>,
}

/// A prefix, perhaps of some ports only.
#[derive(Clone, Debug)]
pub struct NetworkDef {
    /// The prefix.
    pub net: IpNet,
    /// Ports; empty means all.
    pub ports: Vec<u16>,
    /// Where.
    pub at: At,
}

/// A selector of processes: all that is given must match.
#[derive(Clone, Debug)]
pub struct WorkloadDef {
    /// Kubernetes namespace.
    pub namespace: Option<Glob>,
    /// Pod labels.
    pub pod_labels: Vec<(Arc<str>, Glob)>,
    /// systemd unit.
    pub unit: Option<Glob>,
    /// cgroup v2 path, or one above.
    pub cgroup: Option<Glob>,
    /// Path of a network namespace.
    pub netns: Option<Text>,
    /// User name or number.
    pub user: Option<Glob>,
    /// Where.
    pub at: At,
}

/// A mount.
#[derive(Clone, Debug)]
pub enum MountDef {
    /// Everything below a path.
    Path(Text),
    /// Everything of a type of file system, perhaps from one source.
    Type {
        /// Type of the file system.
        fstype: Text,
        /// What is mounted.
        source: Option<Glob>,
        /// Where.
        at: At,
    },
}

/// A relay.
#[derive(Clone, Debug)]
pub struct RelayDef {
    /// Its address.
    pub address: IpAddr,
    /// Its port; `None` means all.
    pub port: Option<u16>,
    /// The zone that it reaches.
    pub reaches: Text,
    /// Where.
    pub at: At,
}

/// A declassifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedDef {
    /// Path of the executable.
    pub path: Text,
    /// SHA-256 of it, hex, small letters.
    pub sha256: Text,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct RuleDef {
    /// `rule.id`.
    pub id: Text,
    /// `rule.title`.
    pub title: Text,
    /// The floor.
    pub severity: Severity,
    /// Conditions that raise it; the last true one wins.
    pub escalate: Vec<(Text, Severity)>,
    /// Step kinds that it looks at; empty means all.
    pub steps: Vec<StepKind>,
    /// The condition.
    pub when: Text,
    /// What it lets pass.
    pub exceptions: Vec<ExceptionDef>,
    /// How often it may repeat itself.
    pub throttle: Option<ThrottleDef>,
    /// `block` is among its actions.
    pub block: bool,
    /// Where.
    pub at: At,
    /// Hash of its content: the shipped rule word for word is no duplicate.
    pub content: blake3::Hash,
}

/// What a rule lets pass, on whose word and until when.
#[derive(Clone, Debug)]
pub struct ExceptionDef {
    /// Its id.
    pub id: Text,
    /// Its condition.
    pub when: Text,
    /// Who answers for it.
    pub owner: Text,
    /// The last day on which it applies, UTC.
    pub expires: Date,
    /// Where that day stands.
    pub expires_at: At,
    /// Why.
    pub reason: Text,
}

/// `throttle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleDef {
    /// The window, ns.
    pub every_ns: u64,
    /// One alert per dump, not per flow.
    pub by_dump: bool,
}

/// `overrides`.
#[derive(Clone, Debug)]
pub struct OverrideDef {
    /// The rule.
    pub rule: Text,
    /// Another floor.
    pub severity: Option<Severity>,
    /// On or off.
    pub enabled: Option<bool>,
}

/// A rule test.
#[derive(Clone, Debug)]
pub struct TestDef {
    /// Its name.
    pub name: Text,
    /// The rule.
    pub rule: Text,
    /// Its steps, in order.
    pub steps: Vec<TestStep>,
    /// What must come out.
    pub expect: Expect,
}

/// A partial step.
#[derive(Clone, Debug)]
pub struct TestStep {
    /// Time since the start of the test, ns.
    pub offset_ns: u64,
    /// Fields by their short names.
    pub fields: Vec<(Key, Node)>,
    /// Where.
    pub at: At,
}

/// What a test expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// The highest severity.
    pub severity: Option<Severity>,
    /// The number of alerts; `Some(0)` for `silent`.
    pub alerts: Option<u64>,
}

/// `networks` of a zone.
pub fn network(node: &Node, errors: &mut Errors) -> Option<NetworkDef> {
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
    let net = match text.value.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => match text.value.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => {
                let found = text.at.error(format!("`{}` is not an address prefix", text.value));
                errors.push(found.hint("for example 10.10.0.0/16 or fd00:10::/32"));
                return None;
            }
        },
    };
    if net.trunc() != net {
        let found = text.at.error(format!("`{net}` has bits set behind the prefix"));
        errors.push(found.hint(format!("did you mean {} or {}?", net.trunc(), IpNet::from(net.addr()))));
        return None;
    }
    Some(net)
}

fn workload(node: &Node, errors: &mut Errors) -> Option<WorkloadDef> {
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
    Some(WorkloadDef { namespace, pod_labels, unit, cgroup, netns, user, at: node.at.clone() })
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
    let read = |(key, value): &(Key, Node)| Some((Arc::clone(&key.name), glob(text(value, errors), errors)?));
    table.entries().iter().filter_map(read).collect()
}

fn mount(node: &Node, errors: &mut Errors) -> Option<MountDef> {
    if !matches!(node.value, Value::Map(_)) {
        return Some(MountDef::Path(absolute(text(node, errors), errors)?));
    }
    let mut table = Table::open(node, "mount", errors)?;
    let fstype = table.need_text("fstype", errors);
    let source = glob(table.take_text("source", errors), errors);
    table.close(errors);
    Some(MountDef::Type { fstype: fstype?, source, at: node.at.clone() })
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

fn severity(node: &Node, errors: &mut Errors) -> Option<Severity> {
    one_of(node, Severity::NAMES, Severity::from_name, errors)
}

/// An item of `rules`.
pub fn rule(node: &Node, errors: &mut Errors) -> Option<RuleDef> {
    let mut table = Table::open(node, "rule", errors)?;
    let id = id(table.need_text("id", errors), errors);
    let title = table.need_text("title", errors);
    let floor = table.need("severity", errors).and_then(|n| severity(n, errors));
    let escalate = table.take_list("escalate", errors, escalation);
    let kind = |n: &Node, errors: &mut Errors| one_of(n, StepKind::NAMES, StepKind::from_name, errors);
    let steps = table.take_list("steps", errors, kind);
    let when = table.need_text("when", errors);
    let exceptions = table.take_list("exceptions", errors, exception);
    let throttle = table.take("throttle").and_then(|n| throttle(n, errors));
    let action = |n: &Node, errors: &mut Errors| one_of(n, &["alert", "block"], |a| action(a), errors);
    let block = table.take_list("actions", errors, action).contains(&true);
    table.close(errors);
    let mut hasher = blake3::Hasher::new();
    node.digest(&mut hasher);
    // A missing part was noted above; the rule is kept, so that what names it is no error as well.
    let id = id?;
    let (at, missing) = (id.at.clone(), Text::made(String::new(), &id.at));
    Some(RuleDef {
        title: title.unwrap_or_else(|| missing.clone()),
        severity: floor.unwrap_or(Severity::Info),
        when: when.unwrap_or(missing),
        content: hasher.finalize(),
        id,
        escalate,
        steps,
        exceptions,
        throttle,
        block,
        at,
    })
}

fn action(name: &str) -> Option<bool> {
    match name {
        "alert" => Some(false),
        "block" => Some(true),
        _ => None,
    }
}

fn escalation(node: &Node, errors: &mut Errors) -> Option<(Text, Severity)> {
    let mut table = Table::open(node, "escalation", errors)?;
    let when = table.need_text("when", errors);
    let to = table.need("severity", errors).and_then(|n| severity(n, errors));
    table.close(errors);
    // A severity that was noted as wrong must not hide errors in the condition.
    Some((when?, to.unwrap_or(Severity::Info)))
}

fn exception(node: &Node, errors: &mut Errors) -> Option<ExceptionDef> {
    let mut table = Table::open(node, "exception", errors)?;
    let id = id(table.need_text("id", errors), errors);
    let when = table.need_text("when", errors);
    let owner = table.need_text("owner", errors);
    let expires_node = table.need("expires", errors);
    let expires = expires_node.and_then(|n| parsed::<Date>(n, "a date", "2026-12-31", errors));
    let reason = table.need_text("reason", errors);
    table.close(errors);
    let expires_at = expires_node?.at.clone();
    Some(ExceptionDef { id: id?, when: when?, owner: owner?, expires: expires?, expires_at, reason: reason? })
}

fn throttle(node: &Node, errors: &mut Errors) -> Option<ThrottleDef> {
    let mut table = Table::open(node, "throttle", errors)?;
    let every = table.need("every", errors).and_then(|n| duration(n, errors));
    let by = |name: &str| ["flow", "dump"].contains(&name).then_some(name == "dump");
    let by_dump = table.take("by").and_then(|n| one_of(n, &["flow", "dump"], by, errors));
    table.close(errors);
    Some(ThrottleDef { every_ns: every?, by_dump: by_dump.unwrap_or(false) })
}

/// An item of `overrides`.
pub fn override_(node: &Node, errors: &mut Errors) -> Option<OverrideDef> {
    let mut table = Table::open(node, "override", errors)?;
    let rule = table.need_text("rule", errors);
    let floor = table.take("severity").and_then(|n| severity(n, errors));
    let enabled = table.take("enabled").and_then(|n| boolean(n, errors));
    table.close(errors);
    Some(OverrideDef { rule: rule?, severity: floor, enabled })
}

/// An item of `tests`.
pub fn test(node: &Node, errors: &mut Errors) -> Option<TestDef> {
    let mut table = Table::open(node, "test", errors)?;
    let name = table.need_text("name", errors);
    let rule = table.need_text("rule", errors);
    let steps = table.need("steps", errors).map(|n| list(n, errors, test_step)).unwrap_or_default();
    let expect = table.need("expect", errors).and_then(|n| expect(n, errors));
    table.close(errors);
    let order = |pair: &[TestStep]| pair[1].offset_ns < pair[0].offset_ns;
    if let Some(late) = steps.windows(2).position(order) {
        let found = steps[late + 1].at.error("a step before the one above it").hint("order steps by `at`");
        errors.push(found);
    }
    // A wrong expectation must not hide what is wrong with the steps.
    Some(TestDef { name: name?, rule: rule?, steps, expect: expect.unwrap_or_default() })
}

fn test_step(node: &Node, errors: &mut Errors) -> Option<TestStep> {
    let table = Table::open(node, "step", errors)?;
    let offset = table.entries().iter().find(|(k, _)| &*k.name == "at").map(|(_, n)| n);
    let offset_ns = offset.and_then(|n| duration(n, errors)).unwrap_or(0);
    let fields = table.entries().iter().filter(|(k, _)| &*k.name != "at").cloned().collect();
    Some(TestStep { offset_ns, fields, at: node.at.clone() })
}

fn expect(node: &Node, errors: &mut Errors) -> Option<Expect> {
    match &node.value {
        Value::Text(t) if &*t.value == "silent" => return Some(Expect { severity: None, alerts: Some(0) }),
        Value::Map(_) => {}
        _ => {
            wrong(node, "`silent` or a mapping of severity and alerts", errors);
            return None;
        }
    }
    let mut table = Table::open(node, "expect", errors)?;
    let severity = table.take("severity").and_then(|n| severity(n, errors));
    let alerts = table.take("alerts").and_then(|n| integer(n, 0, 1_000_000, errors)).map(i64::unsigned_abs);
    if table.entries().is_empty() {
        errors.push(node.at.error("expects nothing").hint("write `silent`, or severity, or alerts"));
    }
    table.close(errors);
    Some(Expect { severity, alerts })
}
