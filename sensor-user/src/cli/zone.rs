//! `dumptrail zone`: which zone something is in, and which line decided.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use super::{Failure, Form, ZoneArgs, print};
use crate::{
    enrich::{mask::escape, mounts::Mounts},
    host, rules,
    step::Process,
    zones::{Decision, Zones},
};

/// Prints the zone.
pub fn run(args: &ZoneArgs) -> Result<(), Failure> {
    let loaded = rules::load(&args.config).map_err(|f| Failure::of_findings(&f))?;
    let zones = host::zones(&loaded.config);
    let decision = decide(&zones, &args.what)?;
    print(&shown(&args.what, &decision, args.output))
}

fn decide(zones: &Zones, what: &str) -> Result<Decision, Failure> {
    if let Some((address, port)) = address(what) {
        return Ok(zones.address(address, port, &zones.host()));
    }
    if let Ok(pid) = what.parse::<u32>() {
        let process = process(pid).map_err(|e| Failure::Invalid(format!("cannot look up process {pid}: {e}")))?;
        return Ok(zones.process(&process));
    }
    if what.starts_with('/') {
        return Ok(file(zones, what));
    }
    Err(Failure::Usage(format!("`{what}` is neither an address nor a process id nor an absolute path")))
}

/// An address, perhaps with a port. A scope id goes.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Some((both.ip(), both.port()));
    }
    let bare = text.split('%').next().unwrap_or(text);
    bare.parse().ok().map(|address| (address, 0))
}

fn file(zones: &Zones, path: &str) -> Decision {
    let real = fs::canonicalize(path).unwrap_or_else(|_| Path::new(path).to_owned());
    let real = real.to_string_lossy();
    let mounts = Mounts::of_host();
    let (fstype, source) = mounts.of_path(&real).map_or(("", None), |m| (m.fstype.as_str(), Some(m.source.as_str())));
    zones.file(&real, fstype, source).unwrap_or_else(|| {
        let host = zones.host_decision();
        let why = format!("no mount matches: the zone of the process that creates it, else {}", host.why);
        Decision { why: why.into(), ..host }
    })
}

/// A process as far as /proc tells without a container runtime: user, cgroup, network namespace.
fn process(pid: u32) -> io::Result<Process> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let status = read("status")?;
    let real_uid = |line: &str| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok();
    let user_id: u32 = status.lines().find_map(real_uid).unwrap_or_default();
    let cgroup = read("cgroup")?.lines().find_map(|l| l.strip_prefix("0::").map(str::to_owned));
    let mounts = Mounts::of_host();
    let users = fs::read_to_string(mounts.here("/etc/passwd")).unwrap_or_default();
    Ok(Process {
        pid,
        user_id,
        user_name: user_name(&users, user_id),
        cgroup,
        netns: host::netns_inode(&mounts, &format!("/proc/{pid}/ns/net")).unwrap_or_default(),
        comm: read("comm")?.trim_end().to_owned(),
        ..Process::default()
    })
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>());
    lines.find(|f| f.get(2).and_then(|n| n.parse().ok()) == Some(uid)).map(|f| f[0].to_owned())
}

fn shown(what: &str, decision: &Decision, form: Form) -> String {
    let Decision { place, why, via_relay, tie } = decision;
    if form == Form::Json {
        let json = serde_json::json!({
            "what": what, "zone": *place.zone, "exposure": place.exposure.name(), "decided_by": **why,
            "via_relay": via_relay, "tie": tie,
        });
        return format!("{json}\n");
    }
    let tie = if *tie { "\nnotice: another zone is as specific; the lower exposure was taken" } else { "" };
    // The line names a file and what is written there.
    format!("zone: {}\nexposure: {}\ndecided by: {}{tie}\n", place.zone, place.exposure, escape(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_with_and_without_port_and_scope() {
        assert_eq!(address("203.0.113.9:443").map(|a| a.1), Some(443));
        assert_eq!(address("[2001:db8::1]:80").map(|a| a.1), Some(80));
        assert_eq!(address("fe80::1%eth0").map(|a| a.1), Some(0));
        assert_eq!(address("/srv"), None);
        assert_eq!(address("812"), None);
    }

    #[test]
    fn what_a_file_says_does_not_reach_the_terminal_as_it_is() {
        let mut decision =
            Zones::new(&rules::embedded().config, &|_| None, &crate::zones::HostFacts::default()).host_decision();
        decision.why = "a.yaml:3: mount /x\u{9b}2J\nzone: safe".into();
        let text = shown("/x", &decision, Form::Text);
        assert_eq!(text.lines().last(), Some("decided by: a.yaml:3: mount /x\\u{9b}2J\\x0azone: safe"));
    }

    #[test]
    fn this_very_process_is_in_the_host_zone() {
        let zones = Zones::new(&rules::embedded().config, &|_| None, &crate::zones::HostFacts::default());
        let decision = decide(&zones, &std::process::id().to_string()).unwrap();
        assert_eq!(&*decision.place.zone, "host");
        assert_eq!(&*decide(&zones, "/tmp/x").unwrap().place.zone, "host");
        assert!(matches!(decide(&zones, "nonsense"), Err(Failure::Usage(_))));
        assert!(matches!(decide(&zones, "4294967295"), Err(Failure::Invalid(_))));
    }
}
