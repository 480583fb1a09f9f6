//! What a configuration file may hold: the types here, how each is read from the tree below.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;
use jiff::civil::Date;

use super::{
    read::Glob,
    spans::{At, Key, Node, Text},
};
use crate::step::{Exposure, Severity, StepKind};

mod rules;
mod tests;
mod zones;

pub use rules::{override_, rule};
pub use tests::test;
pub use zones::{absolute, relay, trusted, zone};

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

impl Enforcement {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
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

impl NetworkDef {
    /// What no other zone may name: the prefix, or each of its ports. Mapped addresses are those of IPv4.
    pub fn parts(&self) -> Vec<String> {
        let mapped = |net: ipnet::Ipv6Net| {
            let (v4, bits) = (net.addr().to_ipv4_mapped()?, net.prefix_len().checked_sub(96)?);
            ipnet::Ipv4Net::new(v4, bits).ok().map(IpNet::V4)
        };
        let net = match self.net {
            IpNet::V6(net) => mapped(net).unwrap_or(self.net),
            IpNet::V4(_) => self.net,
        };
        if self.ports.is_empty() {
            return vec![net.to_string()];
        }
        self.ports.iter().map(|port| format!("{net} port {port}")).collect()
    }
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
