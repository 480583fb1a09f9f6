//! Three network namespaces: production, debug, internet. Production reaches debug, debug reaches internet, and there is
//! one link that should not be: production to internet.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use super::guard::Undo;

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Production,
    Debug,
    Internet,
}

use Zone::{Internet, Production};

impl Zone {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Production => "production",
            Self::Debug => "debug",
            Internet => "internet",
        }
    }

    fn netns(self) -> String {
        format!("dt-{}-{}", self.name(), std::process::id())
    }

    /// The file that names its network namespace.
    pub(crate) fn namespace(self) -> String {
        format!("/run/netns/{}", self.netns())
    }
}

/// The namespaces; gone when dropped.
pub(crate) struct World {
    _undo: Vec<Undo>,
}

static PORT: AtomicU16 = AtomicU16::new(20_000);

impl World {
    pub(crate) fn make() -> Self {
        let zones = [Production, Zone::Debug, Internet];
        let undo = zones.iter().map(|zone| {
            ip(&["netns", "add", &zone.netns()]);
            Undo::by(format!("ip netns del {} 2>/dev/null", zone.netns()))
        });
        let undo = undo.collect();
        for zone in &zones {
            ip(&["-n", &zone.netns(), "link", "set", "lo", "up"]);
        }
        for (a, b) in [(Production, Zone::Debug), (Zone::Debug, Internet), (Production, Internet)] {
            link(a, b);
        }
        Self { _undo: undo }
    }

    /// Zones and networks as an agent is to know them. The host is production, too: its own processes make dumps.
    #[expect(clippy::unused_self, reason = "without the world there are no such networks")]
    pub(crate) fn config(&self) -> String {
        let listed = |zone: Zone, others: [Zone; 2]| {
            others.map(|other| format!("{}/32", zone.address(other))).map(|n| format!("{n:?}")).join(", ")
        };
        // Addresses of IPv6 that no line names belong to the Internet; production's namespace is production by its name.
        let netns = |zone: Zone| format!("[{{netns: {}}}]", zone.namespace());
        format!(
            "version: 1\nhost_zone: production\nzones:\n\
             - {{name: production, exposure: isolated, networks: [{}], workloads: {}}}\n\
             - {{name: debug, exposure: internal, networks: [{}], workloads: {}}}\n\
             - {{name: internet, exposure: internet-facing, networks: [\"0.0.0.0/0\", \"::/0\"], workloads: {}}}\n",
            listed(Production, [Zone::Debug, Internet]),
            netns(Production),
            listed(Zone::Debug, [Production, Internet]),
            netns(Zone::Debug),
            netns(Internet),
        ) + &others()
    }
}

/// Agents that run on this machine anyway are trusted: they look into every dump, and their journals and logs have
/// readers.
fn others() -> String {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let agents =
        processes.filter_map(|p| fs::read_link(p.path().join("exe")).ok()).filter(|e| e.ends_with("dumptrail"));
    let agents: BTreeSet<PathBuf> = agents.filter(|exe| exe.is_file()).collect();
    let sum = |path: &PathBuf| {
        let output = Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap_or_default().to_owned()
    };
    let line = |path: PathBuf| format!("- {{path: \"{}\", sha256: \"{}\"}}\n", path.display(), sum(&path));
    let lines: String = agents.into_iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("trusted:\n{lines}") }
}

/// A command in a zone's network; it keeps the mounts, and the process id is the program's own.
pub(crate) fn in_zone(zone: Zone, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", zone.namespace())).arg("--").arg(program);
    command
}

/// The same as an administrator does it: with mounts of its own as well.
pub(crate) fn ip_netns_exec(zone: Zone, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &zone.netns()]).arg(program);
    command
}

impl Zone {
    /// This zone's address on its link to `other`.
    pub(crate) fn address(self, other: Self) -> IpAddr {
        let host = if (self as u8) < other as u8 { 1 } else { 2 };
        IpAddr::V4(Ipv4Addr::new(10, 77, self as u8 + other as u8, host))
    }
}

/// A port that no other scenario uses.
pub(crate) fn port() -> u16 {
    PORT.fetch_add(1, Ordering::SeqCst)
}

fn link(a: Zone, b: Zone) {
    let (near, far) = (format!("to-{}", b.name()), format!("to-{}", a.name()));
    ip(&["-n", &a.netns(), "link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &b.netns()]);
    for (zone, other, name) in [(a, b, near), (b, a, far)] {
        ip(&["-n", &zone.netns(), "address", "add", &format!("{}/24", zone.address(other)), "dev", &name]);
        if (a, b) == (Production, Internet) {
            let v6 = format!("2001:db8::{}/64", zone as u8 / 2 + 1);
            ip(&["-n", &zone.netns(), "address", "add", &v6, "dev", &name, "nodad"]);
        }
        ip(&["-n", &zone.netns(), "link", "set", &name, "up"]);
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip (iproute2) is needed");
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}
