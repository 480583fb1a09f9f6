//! What happens in the demonstration, step by step, and what must be true after each.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Parts;
use super::agent::{Agent, Alert};
use super::receiver::{Receiver, attribute};
use super::say::{self, Ink, inked};
use super::world::{self, BASE, SOON, World, Zone};
use crate::cleaner::CORE_PATTERN;
use crate::cmd::{self, within};

/// How soon after a send its alert must stand on the console.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long nothing must be said, to call it silence.
const SILENCE: Duration = Duration::from_secs(2);
/// How long the lines of one event may trickle in.
const PAUSE: Duration = Duration::from_millis(400);

/// The whole of it.
pub(super) fn tell(parts: &Parts) -> Result<()> {
    let start = Instant::now();
    let told = inked(Ink::Heading, "A crash dump goes from an isolated zone to the Internet, by ordinary procedure");
    println!("\n{told}");
    let pattern = fs::read_to_string(CORE_PATTERN)?;
    let latencies = play(parts)?;
    let left = world::left();
    ensure!(left.is_empty(), "not cleaned up: {}", left.join(", "));
    ensure!(fs::read_to_string(CORE_PATTERN)? == pattern, "core_pattern is not what it was: {pattern}");
    lesson(latencies);
    let (held, took) = (inked(Ink::Good, "It all held"), start.elapsed().as_secs_f32());
    println!("\n{held}, in {took:.0} s. Namespaces, processes, files and core_pattern are as before.");
    Ok(())
}

/// What was made ends at the end of this function, the last first.
fn play(parts: &Parts) -> Result<[Latency; 2]> {
    let mut world = zones()?;
    let receiver = parts.python.as_deref().map(Receiver::start).transpose()?;
    let agent = begin(parts, receiver.as_ref(), &mut world);
    let told = agent.and_then(|agent| Stage { agent }.story(&parts.signer, receiver.as_ref()));
    // The log goes with the world.
    told.inspect_err(|_| println!("\nthe agent's log ends with:\n{}", Agent::last_words()))
}

fn zones() -> Result<World> {
    say::step(1, "Three zones, each a network namespace");
    let world = World::build()?;
    for (zone, exposure, what) in [
        (Zone::Production, "isolated", "a signing service; no way to the Internet"),
        (Zone::Debug, "internal", "where engineers debug; an sshd"),
        (Zone::Internet, "internet-facing", "a web server that takes uploads (nginx)"),
    ] {
        say::line(&format!("{:<11} {exposure:<16} {:<11} {what}", zone.name(), zone.address()));
    }
    say::line(&inked(Ink::Faint, &format!("this is all that the agent is told: {BASE}/zones.yaml")));
    Ok(world)
}

fn begin(parts: &Parts, receiver: Option<&Receiver>, world: &mut World) -> Result<Agent> {
    say::step(2, "The agent starts");
    say::command("host", &format!("dumptrail run --config {BASE}/zones.yaml --output text"));
    let mut agent = Agent::start(&parts.agent, receiver.map(|receiver| receiver.endpoint.as_str()))?;
    world.outlive(agent.pid())?;
    agent.ready()?;
    sleep(PAUSE);
    Ok(agent)
}

struct Stage {
    agent: Agent,
}

impl Stage {
    fn story(&self, signer: &Path, receiver: Option<&Receiver>) -> Result<[Latency; 2]> {
        let dump = self.crash(signer)?;
        self.silence(&dump)?;
        let moved = self.procedure(&dump)?;
        self.compress(&dump)?;
        let left = self.leave(&dump)?;
        self.trail(&dump)?;
        telemetry(receiver, &dump)?;
        Ok([moved, left])
    }

    /// The dump is known by the process that crashed: other processes may crash in the meantime.
    fn crash(&self, signer: &Path) -> Result<String> {
        say::step(3, "The signing service crashes; its memory, a (fake) key in it, becomes a core file");
        fs::copy(signer, Zone::Production.folder().join("signer"))?;
        say::command("production", "./signer");
        let mut service = Zone::Production.command("sh");
        let service = service.args(["-c", "ulimit -c unlimited; exec ./signer"]).stdout(Stdio::piped()).spawn()?;
        let pid = u64::from(service.id());
        let Output { status, stdout, .. } = service.wait_with_output()?;
        say::line(String::from_utf8_lossy(&stdout).trim());
        ensure!(status.core_dumped(), "the signing service did not dump core: {status}");
        let dump = within(SOON, "the birth of the dump", || Ok(born_of(&self.agent.trail(None)?, pid)))?;
        // grep -q writes nothing: no byte of the dump leaves the zone by this.
        Zone::Production.run("grep -q -a BEGIN.FAKE.SIGNING.KEY core.signer").context("no key in the core")?;
        sleep(PAUSE);
        say::holds(&format!("{status}: production/core.signer is dump {}, and the key is in it", &dump[..12]));
        Ok(dump)
    }

    fn silence(&self, dump: &str) -> Result<()> {
        say::step(4, "Ordinary work stays silent");
        fs::write(Zone::Debug.folder().join("report.txt"), "Nothing to see here.\n")?;
        let mut actors = Vec::new();
        for (zone, line) in [
            (Zone::Production, "cp core.signer backup/"),
            (Zone::Production, "tar -czf backup/core.tar.gz core.signer"),
            (Zone::Debug, "curl -s -S -f -T report.txt http://10.30.0.80/report.txt"),
        ] {
            say::command(zone.name(), line);
            actors.push(format!("[{}]", zone.run(line)?.0));
        }
        sleep(SILENCE);
        let about = |alert: &Alert| alert.dump == dump || actors.iter().any(|actor| alert.process.ends_with(actor));
        let said: Vec<_> = self.agent.alerts().into_iter().filter(about).collect();
        ensure!(said.is_empty(), "an alert where there should be none: {said:?}");
        ensure!(Zone::Internet.folder().join("www/report.txt").is_file(), "the report did not arrive");
        say::holds("a backup within the zone, and another file to the Internet: no alert");
        Ok(())
    }

    fn procedure(&self, dump: &str) -> Result<Latency> {
        say::step(5, "The debugging procedure: the dump is copied out of production");
        let line = "scp -q -F ../keys/ssh_config core.signer debug:";
        let took = self.provoke(dump, [Zone::Production, Zone::Debug], line, ("dump-rank-raised", "MEDIUM"))?;
        ensure!(Zone::Debug.folder().join("core.signer").is_file(), "the core did not arrive");
        say::holds(&took.told("scp"));
        Ok(took)
    }

    fn compress(&self, dump: &str) -> Result<()> {
        say::step(6, "An engineer makes it smaller");
        let before = self.alerts(dump).len();
        say::command("debug", "gzip core.signer");
        Zone::Debug.run("gzip core.signer")?;
        sleep(PAUSE);
        ensure!(self.alerts(dump).len() == before, "an alert about gzip, which crossed nothing");
        say::holds("nothing left its zone, so nothing is said; core.signer.gz is followed from here on");
        Ok(())
    }

    fn leave(&self, dump: &str) -> Result<Latency> {
        say::step(7, "It leaves for the Internet");
        let line = "curl -s -S -f -T core.signer.gz http://10.30.0.80/core.gz";
        let took = self.provoke(dump, [Zone::Debug, Zone::Internet], line, ("dump-left-isolation", "CRITICAL"))?;
        ensure!(Zone::Internet.folder().join("www/core.gz").is_file(), "the upload did not arrive");
        say::holds(&took.told("curl"));
        Ok(took)
    }

    /// Runs a command, and waits for its alert: of this rule and severity, about this dump, in time.
    fn provoke(&self, dump: &str, [from, to]: [Zone; 2], line: &str, wanted: (&str, &str)) -> Result<Latency> {
        say::command(from.name(), line);
        let start = SystemTime::now();
        from.run(line)?;
        let (rule, severity) = wanted;
        let fits = |alert: &Alert| alert.rule == rule && alert.severity == severity && alert.read >= start;
        let alert =
            within(SOON, &format!("the alert {severity} {rule}"), || Ok(self.alerts(dump).into_iter().find(fits)))?;
        sleep(PAUSE);
        let sent = Movement { kind: "sent", from: from.name(), to: to.name() };
        let trail = self.agent.trail(Some(dump))?;
        let first = edges(&trail).filter(|edge| sent.is(edge)).filter_map(|edge| edge["started"].as_str()).min();
        let first = clock(first.with_context(|| format!("the trail does not show {sent:?}"))?)?;
        let since = |start| alert.read.duration_since(start).context("the alert came before its cause");
        let took = Latency { start: since(start)?, first: since(first)? };
        ensure!(took.first <= AT_ONCE, "the alert came late: {}", took.told(line));
        Ok(took)
    }

    fn trail(&self, dump: &str) -> Result<()> {
        say::step(8, "The evidence: where the dump went, who took it there, and when");
        say::command("host", &format!("dumptrail trail {}", &dump[..12]));
        for line in self.agent.tree(dump)?.lines() {
            say::trail(line);
        }
        let trail = self.agent.trail(Some(dump))?;
        for step in MUST_SHOW {
            ensure!(edges(&trail).any(|edge| step.is(edge)), "the trail does not show {step:?}");
        }
        say::holds("from the crash to the web server, each hand that it went through");
        Ok(())
    }

    fn alerts(&self, dump: &str) -> Vec<Alert> {
        let mut alerts = self.agent.alerts();
        alerts.retain(|alert| alert.dump == dump);
        alerts
    }
}

/// A movement that the trail must show.
#[derive(Debug)]
struct Movement {
    kind: &'static str,
    from: &'static str,
    to: &'static str,
}

const MUST_SHOW: [Movement; 5] = [
    Movement { kind: "created", from: "production", to: "production" },
    Movement { kind: "sent", from: "production", to: "debug" },
    Movement { kind: "read", from: "debug", to: "debug" },
    Movement { kind: "sent", from: "debug", to: "internet" },
    Movement { kind: "written", from: "internet", to: "internet" },
];

impl Movement {
    fn is(&self, edge: &Value) -> bool {
        edge["kind"] == self.kind && edge["from_zone"] == self.from && edge["to_zone"] == self.to
    }
}

fn edges(trail: &Value) -> impl Iterator<Item = &Value> {
    trail["edges"].as_array().into_iter().flatten()
}

/// The dump that process `pid` left.
fn born_of(trails: &Value, pid: u64) -> Option<String> {
    let known = trails.as_array()?.iter().find(|trail| trail["origin"]["who"]["process.pid"] == pid)?;
    known["dump"]["id"].as_str().map(str::to_owned)
}

fn telemetry(receiver: Option<&Receiver>, dump: &str) -> Result<()> {
    say::step(9, "The same alert, as an OpenTelemetry receiver got it");
    let Some(receiver) = receiver else {
        say::line(&inked(Ink::Warning, "not shown: the receiver could not be installed from PyPI (see above)"));
        return Ok(());
    };
    let record = receiver.alert("dump-left-isolation", "critical", dump)?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    say::line(&format!("event     {}", text(&record["eventName"])));
    say::line(&format!("severity  {} ({})", text(&record["severityNumber"]), text(&record["severityText"])));
    say::line(&say::clipped(&format!("body      {}", text(&record["body"]["stringValue"])), 150));
    say::line(&format!("trace     {}", text(&record["traceId"])));
    for key in ["origin.zone", "from.zone", "to.zone"].map(|key| format!("dumptrail.{key}")) {
        say::line(&format!("{key:<23} {}", attribute(&record, &key).unwrap_or_default()));
    }
    ensure!(attribute(&record, "dumptrail.to.zone") == Some("internet"), "the record names another zone: {record}");
    say::holds("the collector has what the console said");
    Ok(())
}

/// How soon an alert stood on the console.
struct Latency {
    /// After the sender was started.
    start: Duration,
    /// After its first byte.
    first: Duration,
}

impl Latency {
    fn told(&self, what: &str) -> String {
        let (start, first) = (self.start.as_secs_f32(), self.first.as_secs_f32());
        format!(
            "the alert stood here {start:.3} s after {what} was started, {first:.3} s after its first byte of the dump"
        )
    }
}

/// The moment that an RFC 3339 time means.
fn clock(text: &str) -> Result<SystemTime> {
    let said = cmd::text(Command::new("date").args(["--date", text, "+%s%N"]))?;
    Ok(UNIX_EPOCH + Duration::from_nanos(said.trim().parse().with_context(|| format!("no time: {text}"))?))
}

fn lesson([moved, left]: [Latency; 2]) {
    say::step(10, "Why it matters");
    for line in [
        "By its vendor's account of Storm-0558 (2023), a signing system crashed, and its dump moved from the isolated",
        "production network to a debugging environment on the Internet, by ordinary procedure. Nobody was told. Later the",
        "vendor added that it never found a dump with the key in it: the logs of that time were no longer kept.",
    ] {
        say::line(line);
    }
    let (moved, left) = (moved.first.as_secs_f32(), left.first.as_secs_f32());
    say::line(&format!(
        "Here both crossings were told at once ({moved:.3} s, {left:.3} s), and a journal keeps the trail."
    ));
}
