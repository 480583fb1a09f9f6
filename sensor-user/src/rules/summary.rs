//! The sentence of an alert: which dump, what happened, from where to where, by whom, how much.

use std::fmt::Write as _;

use crate::{
    step::{Place, Step, StepKind, Verdict},
    units,
};

/// What happened, as a person reads it at a glance.
pub(super) fn sentence(step: &Step) -> String {
    if step.dump.is_none() {
        return host_event(step);
    }
    let mut text = dump(step);
    let (from, to) = (place(&step.from), place(&step.to));
    let target = step.peer.as_ref().map_or_else(|| step.sink.name.clone(), |p| destination(p.address, p.port));
    let _ = match step.kind {
        StepKind::Opened | StepKind::Read | StepKind::Mapped => {
            write!(text, " {} in {to} from {} of {from}", step.kind, step.source.name)
        }
        StepKind::Created => write!(text, " created at {target} in {to}"),
        StepKind::Found => write!(text, " found at {} in {to}", step.source.name),
        StepKind::Received => write!(text, " received in {to} from {} of {from}", step.source.name),
        StepKind::Deleted | StepKind::Truncated | StepKind::Aged => {
            write!(text, " {} at {} in {to}", step.kind, step.sink.name)
        }
        _ => write!(text, " {} from {from} to {target} in {to}", step.kind),
    };
    text.push_str(&actor(step));
    if step.bytes > 0 {
        let _ = write!(text, "; {} so far", units::bytes(step.bytes));
    }
    text.push_str(match step.verdict {
        Some(Verdict::Blocked) => "; blocked",
        Some(Verdict::WouldBlock) => "; would have been blocked",
        None => "",
    });
    text
}

fn host_event(step: &Step) -> String {
    let what = match step.kind {
        StepKind::HandlerChanged => "the kernel's dump handler changed",
        StepKind::AgentStopped => "dumptrail was stopped",
        StepKind::ConfigRejected => "a configuration was refused",
        StepKind::AgentDegraded => "dumptrail is partly blind",
        _ => step.kind.name(),
    };
    // The first line is the sentence, what follows are findings.
    let detail = step.detail.as_ref().and_then(|d| d.lines().next()).map_or_else(String::new, |d| format!(": {d}"));
    format!("{what}{}{detail}", actor(step))
}

/// `core of payments-signer (kernel-core, 604 KiB)`.
fn dump(step: &Step) -> String {
    let Some(dump) = &step.dump else { return String::new() };
    let owner = step.origin.as_ref().and_then(|o| o.process.as_ref()).map(|p| format!(" of {}", program(p)));
    let size = dump.size.map_or_else(String::new, |s| format!(", {}", units::bytes(s)));
    let unsure = if dump.candidates.is_empty() { "" } else { ", or another" };
    let noun = match dump.kind.name() {
        "kernel-core" => "core",
        "unknown" | "derived" => "dump",
        other => return format!("{other}{} ({}{size}{unsure})", owner.unwrap_or_default(), short_id(step)),
    };
    format!("{noun}{} ({}{size}{unsure})", owner.unwrap_or_default(), dump.kind)
}

fn short_id(step: &Step) -> String {
    step.dump.as_ref().map_or_else(String::new, |d| d.id.to_string()[..8].to_owned())
}

fn program(process: &crate::step::Process) -> &str {
    let path = process.executable.as_deref().unwrap_or(&process.comm);
    path.rsplit('/').next().unwrap_or(path)
}

fn place(place: &Place) -> String {
    if &*place.zone == "unknown" {
        "an unknown zone".to_owned()
    } else {
        format!("zone {} ({})", place.zone, place.exposure)
    }
}

fn destination(address: std::net::IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// ` by curl[812] as root`.
fn actor(step: &Step) -> String {
    let Some(process) = &step.process else { return String::new() };
    let user = process.user_name.clone().unwrap_or_else(|| format!("user {}", process.user_id));
    format!(" by {}[{}] as {user}", program(process), process.pid)
}
