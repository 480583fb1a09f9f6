//! Whether the agent said what a case did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::agent::{Agent, Line};
use super::case::{Bytes, Case, Expect, Port, Severity};
use super::report::Verdict;
use super::world::{self, PORT, Played, SINK_ADDRESS};
use crate::cmd::within;

/// How long after a case its steps and alerts may come: a flow's last bytes are told when its ends are gone.
const SOON: Duration = Duration::from_secs(6);
/// How long nothing must be said, to call it silence.
const SILENCE: Duration = Duration::from_millis(2500);
/// What a protocol may add to the bytes of a file without being called encoded: a head.
const HEAD: u64 = 512;

/// Plays one case and judges it.
pub(super) fn round(case: &Case, agent: &mut Agent) -> Result<Verdict> {
    let start = Instant::now();
    let before = agent.lines().len();
    let played = world::play(case)?;
    agent.alive()?;
    if case.minutes > 0 {
        println!("{}", played.said);
    }
    let verdict = match played.code {
        Some(0) => Verdict::of(judge(case, &notes(&played)?, agent, before)).with_blind_spot(case.blind.as_deref()),
        Some(77) => Verdict::skipped(played.said.lines().last().unwrap_or_default().to_owned()),
        Some(code) => Verdict::failed(format!("the case itself failed ({code}):\n{}", played.said)),
        None => Verdict::failed(format!("the case took too long:\n{}", played.said)),
    };
    let steps = Seen::since(&agent.lines(), before).steps();
    Ok(verdict.measured(steps, start.elapsed()))
}

/// Looks until the agent has said it, or it is late. What must stay away is waited for.
fn judge(case: &Case, notes: &Notes, agent: &Agent, before: usize) -> Result<String, String> {
    let look = || Seen::since(&agent.lines(), before).holds(case.expect, notes);
    let patient = match case.expect {
        Expect::Silent => true,
        Expect::Sent { severity, .. } => severity < Severity::Critical,
        Expect::Known => false,
    };
    if patient {
        std::thread::sleep(SILENCE);
    }
    let mut last = Err(String::new());
    let _ = within(SOON, &case.name, || {
        last = look();
        Ok(last.is_ok().then_some(()))
    });
    last
}

/// What a case says that it did.
#[derive(Default)]
struct Notes {
    /// Files that are dumps, or made of one.
    dumps: Vec<String>,
    /// Bytes that the sink got.
    arrived: u64,
}

fn notes(played: &Played) -> Result<Notes> {
    let mut notes = Notes::default();
    for line in played.notes.lines() {
        match line.split_once(' ') {
            Some(("dump", path)) => notes.dumps.push(path.to_owned()),
            Some(("arrived", bytes)) => notes.arrived += bytes.parse::<u64>().context("arrived: not a number")?,
            _ => anyhow::bail!("a note that nobody understands: {line}"),
        }
    }
    Ok(notes)
}

/// What the agent has said of the dumps of one case.
struct Seen(Vec<Line>);

impl Seen {
    /// Lines from `before` on, but those of dumps that were there earlier.
    fn since(lines: &[Line], before: usize) -> Self {
        let (earlier, now) = lines.split_at(before);
        let known: BTreeSet<&str> = earlier.iter().map(|line| line.dump.as_str()).collect();
        Self(now.iter().filter(|line| line.dump.is_empty() || !known.contains(line.dump.as_str())).cloned().collect())
    }

    fn steps(&self) -> usize {
        self.0.iter().filter(|line| line.event == "step").count()
    }

    /// A sentence about what held, or about what did not.
    fn holds(&self, expect: Expect, notes: &Notes) -> Result<String, String> {
        for path in &notes.dumps {
            self.is_known(path)?;
        }
        match expect {
            Expect::Known => known(notes),
            Expect::Silent => self.silent(notes),
            Expect::Sent { bytes, port, severity } => {
                let dumps = self.born(notes);
                let sent = self.sent(&dumps, port)?;
                counted(bytes, sent, notes.arrived)?;
                self.once(&dumps)?;
                let worst = self.worst(|line| line.to_zone == "sink" && dumps.contains(line.dump.as_str()));
                check(worst == severity, || format!("{}, not {}: {sent} bytes", worst.name(), severity.name()))?;
                Ok(format!("{sent} bytes sent, {}", worst.name()))
            }
        }
    }

    fn is_known(&self, path: &str) -> Result<(), String> {
        let kinds = ["created", "found", "received", "written", "renamed", "linked"];
        let known = self.0.iter().any(|line| kinds.contains(&line.kind.as_str()) && line.names(path));
        check(known, || format!("{path} is not known"))
    }

    /// The dumps that the case's files are the births of.
    fn born<'a>(&'a self, notes: &Notes) -> BTreeSet<&'a str> {
        let births = ["created", "found", "received"];
        let of_case = |line: &&Line| births.contains(&line.kind.as_str()) && notes.dumps.iter().any(|p| line.names(p));
        self.0.iter().filter(of_case).map(|line| line.dump.as_str()).collect()
    }

    /// Bytes of these dumps that crossed to the sink.
    fn sent(&self, dumps: &BTreeSet<&str>, port: Port) -> Result<u64, String> {
        let steps = self.0.iter().filter(|line| line.event == "step" && line.kind == "sent");
        let sent = steps.filter(|line| dumps.contains(line.dump.as_str()));
        // The last word counts: a redirected connection turns out to end on this machine.
        let flows: BTreeMap<&str, &Line> = sent.map(|line| (line.flow.as_str(), line)).collect();
        let crossed: Vec<u64> = flows.values().filter(|line| line.is_to_sink(port)).map(|line| line.bytes).collect();
        check(!crossed.is_empty(), || "no step `sent` of this dump to the sink".to_owned())?;
        Ok(crossed.iter().sum())
    }

    /// One alert for each flow and severity, and a loud one only of what has left the zone by the last word.
    fn once(&self, dumps: &BTreeSet<&str>) -> Result<(), String> {
        let of_dump = |line: &&Line| dumps.contains(line.dump.as_str());
        let steps = self.0.iter().filter(of_dump).filter(|line| line.event == "step");
        let last: BTreeMap<&str, &Line> = steps.map(|line| (line.flow.as_str(), line)).collect();
        let mut told = BTreeSet::new();
        for alert in self.0.iter().filter(of_dump).filter(|line| line.event == "alert") {
            let twice = !told.insert((&alert.rule, &alert.flow, &alert.severity));
            check(!twice, || format!("two alerts of severity {} on one flow", alert.severity))?;
            let stayed = last.get(alert.flow.as_str()).is_some_and(|line| alert.crossing && !line.crossing);
            let loud = Severity::named(&alert.severity) >= Severity::High;
            check(!(loud && stayed), || format!("{} alert on a flow that ended in its zone", alert.severity))?;
        }
        Ok(())
    }

    /// Low alerts are counted: whoever touched a dump and sends is told of, but nobody is woken up.
    fn silent(&self, notes: &Notes) -> Result<String, String> {
        let false_birth = self.0.iter().find(|line| {
            line.kind == "created" && line.event == "step" && line.is_of_case() && !notes.dumps.contains(&line.file)
        });
        check(false_birth.is_none(), || format!("{} is no dump", false_birth.map_or("", |line| &line.file)))?;
        let worst = self.worst(|line| !line.dump.is_empty());
        check(worst < Severity::Medium, || format!("an alert of severity {}", worst.name()))?;
        let alerts = self.0.iter().filter(|line| line.event == "alert" && !line.dump.is_empty()).count();
        Ok(if alerts == 0 { "silent".to_owned() } else { format!("{alerts} alerts, at most {}", worst.name()) })
    }

    fn worst(&self, about: impl Fn(&Line) -> bool) -> Severity {
        let alerts = self.0.iter().filter(|line| line.event == "alert" && about(line));
        alerts.map(|line| Severity::named(&line.severity)).max().unwrap_or(Severity::None)
    }
}

impl Line {
    fn names(&self, path: &str) -> bool {
        self.event == "step" && (self.file == path || self.to == path)
    }

    fn is_to_sink(&self, port: Port) -> bool {
        let there = self.crossing && self.to_zone == "sink" && self.address == SINK_ADDRESS;
        there && (port == Port::Any || self.port == PORT)
    }

    fn is_of_case(&self) -> bool {
        world::work().to_str().is_some_and(|work| self.file.starts_with(work))
    }
}

/// What was looked for already.
fn known(notes: &Notes) -> Result<String, String> {
    check(!notes.dumps.is_empty(), || "the case names no dump".to_owned())?;
    let names = notes.dumps.iter().filter_map(|path| path.rsplit('/').next());
    Ok(format!("{} known", names.collect::<Vec<_>>().join(" ")))
}

fn counted(bytes: Bytes, sent: u64, arrived: u64) -> Result<(), String> {
    check(arrived > 0, || "the case counted no bytes at the sink".to_owned())?;
    let right = bytes == Bytes::Encoded || sent.abs_diff(arrived) <= arrived / 100 + HEAD;
    check(right, || format!("{sent} bytes sent, but {arrived} arrived"))
}

fn check(good: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(why()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORE: &str = "/var/lib/dumptrail-corpus/work/B-x.1/core";
    const WHOLE: Expect = Expect::Sent { bytes: Bytes::Counted, port: Port::Given, severity: Severity::Critical };

    fn line(event: &str, kind: &str) -> Line {
        Line { event: event.to_owned(), kind: kind.to_owned(), dump: "d1".to_owned(), ..Line::default() }
    }

    fn born(path: &str) -> Line {
        Line { file: path.to_owned(), ..line("step", "created") }
    }

    fn sent(event: &str, flow: &str, bytes: u64) -> Line {
        let to = |text: &str| text.to_owned();
        Line {
            flow: to(flow),
            bytes,
            crossing: true,
            to_zone: to("sink"),
            address: to(SINK_ADDRESS),
            port: PORT,
            severity: to(if event == "alert" { "critical" } else { "" }),
            ..line(event, "sent")
        }
    }

    fn notes(arrived: u64) -> Notes {
        Notes { dumps: vec![CORE.to_owned()], arrived }
    }

    #[test]
    fn a_flow_counts_once_and_all_flows_together() {
        let alert = sent("alert", "f1", 4096);
        let seen = Seen(vec![born(CORE), sent("step", "f1", 4096), sent("step", "f1", 60_000), alert]);
        assert_eq!(seen.holds(WHOLE, &notes(60_100)), Ok("60000 bytes sent, critical".to_owned()));
        assert!(seen.holds(WHOLE, &notes(70_000)).unwrap_err().contains("70000 arrived"));
        let seen = Seen([seen.0, vec![sent("step", "f2", 10_000)]].concat());
        assert!(seen.holds(WHOLE, &notes(70_000)).is_ok());
    }

    #[test]
    fn another_dump_port_zone_or_severity_does_not_count() {
        let good = [born(CORE), sent("step", "f1", 60_000), sent("alert", "f1", 60_000)];
        assert!(Seen(good.to_vec()).holds(WHOLE, &notes(60_000)).is_ok());
        let wrong: [fn(&mut Line); 5] = [
            |line| line.dump = "d2".to_owned(),
            |line| line.port = 1,
            |line| line.crossing = false,
            |line| line.to_zone = "source".to_owned(),
            |line| line.severity = "low".to_owned(),
        ];
        for change in wrong {
            let mut lines = good.to_vec();
            lines[1..].iter_mut().for_each(change);
            assert!(Seen(lines).holds(WHOLE, &notes(60_000)).is_err());
        }
    }

    #[test]
    fn a_case_sees_only_its_own_dumps() {
        let lines = [line("alert", "sent"), line("alert", "sent")];
        assert_eq!(Seen::since(&lines, 1).0.len(), 0);
        assert_eq!(Seen::since(&lines, 0).0.len(), 2);
    }

    #[test]
    fn silence_needs_the_dump_itself_and_no_other() {
        let low = Line { severity: "low".to_owned(), ..line("alert", "sent") };
        let seen = |lines: &[Line]| Seen(lines.to_vec()).holds(Expect::Silent, &notes(0));
        assert_eq!(seen(&[born(CORE)]), Ok("silent".to_owned()));
        assert_eq!(seen(&[born(CORE), low]), Ok("1 alerts, at most low".to_owned()));
        assert!(seen(&[]).is_err());
        assert!(seen(&[born(CORE), born("/var/lib/dumptrail-corpus/work/core.py")]).is_err());
        assert!(seen(&[born(CORE), sent("alert", "f1", 1)]).is_err());
    }
}
