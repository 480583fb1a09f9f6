//! What happens in the demonstration, step by step, and what must be true after each.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Parts;
use super::agent::{Agent, Alert};
use super::receiver::{Receiver, attribute};
use super::say::{self, Ink, inked};
use super::world::{BASE, SOON, World, Zone, within};

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
    play(parts)?;
    println!(
        "\n{} in {:.0} s; everything is cleaned up",
        inked(Ink::Good, "It all held"),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

/// What was made ends at the end of this function, the last first.
fn play(parts: &Parts) -> Result<()> {
    let mut world = zones()?;
    let receiver = parts.python.as_deref().map(Receiver::start).transpose()?;
    let agent = begin(parts, receiver.as_ref(), &mut world);
    let told = agent.and_then(|agent| Stage { agent }.story(&parts.signer, receiver.as_ref()));
    // The log goes with the world.
    told.map_err(|error| error.context(format!("the agent's log ends with:\n{}", Agent::last_words())))
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
    fn story(&self, signer: &Path, receiver: Option<&Receiver>) -> Result<()> {
        let dump = self.crash(signer)?;
        self.silence(&dump)?;
        let moved = self.procedure(&dump)?;
        self.compress(&dump)?;
        let left = self.leave(&dump)?;
        self.trail(&dump)?;
        telemetry(receiver, &dump)?;
        lesson(moved, left);
        Ok(())
    }

    /// The dump is known by the process that crashed: other processes may crash in the meantime.
    fn crash(&self, signer: &Path) -> Result<String> {
        say::step(3, "The signing service crashes; its memory, a (fake) key in it, becomes a core file");
        fs::copy(signer, Zone::Production.folder().join("signer"))?;
        say::command("production", "./signer");
        let mut service = Zone::Production.command("sh");
        let mut service = service.args(["-c", "ulimit -c unlimited; exec ./signer"]).spawn()?;
        let (pid, status) = (u64::from(service.id()), service.wait()?);
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
        for (zone, line) in [
            (Zone::Production, "cp core.signer backup/"),
            (Zone::Production, "tar -czf backup/core.tar.gz core.signer"),
            (Zone::Debug, "curl -s -S -f -T report.txt http://10.30.0.80/report.txt"),
        ] {
            say::command(zone.name(), line);
            zone.run(line)?;
        }
        sleep(SILENCE);
        let said = self.alerts(dump);
        ensure!(said.is_empty(), "an alert where there should be none: {said:?}");
        ensure!(Zone::Internet.folder().join("www/report.txt").is_file(), "the report did not arrive");
        say::holds("a backup within the zone, and another file to the Internet: no alert");
        Ok(())
    }

    fn procedure(&self, dump: &str) -> Result<Duration> {
        say::step(5, "The debugging procedure: the dump is copied out of production");
        let line = "scp -q -F ../keys/ssh_config core.signer debug:";
        let took = self.provoke(dump, Zone::Production, line, ("dump-rank-raised", "MEDIUM"))?;
        ensure!(Zone::Debug.folder().join("core.signer").is_file(), "the core did not arrive");
        say::holds(&format!("the alert stood here {} after scp was started", seconds(took)));
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

    fn leave(&self, dump: &str) -> Result<Duration> {
        say::step(7, "It leaves for the Internet");
        let line = "curl -s -S -f -T core.signer.gz http://10.30.0.80/core.gz";
        let took = self.provoke(dump, Zone::Debug, line, ("dump-left-isolation", "CRITICAL"))?;
        ensure!(Zone::Internet.folder().join("www/core.gz").is_file(), "the upload did not arrive");
        say::holds(&format!("the alert stood here {} after curl was started", seconds(took)));
        Ok(took)
    }

    /// Runs a command, and waits for its alert: of this rule and severity, about this dump, in time.
    fn provoke(&self, dump: &str, zone: Zone, line: &str, wanted: (&str, &str)) -> Result<Duration> {
        say::command(zone.name(), line);
        let start = Instant::now();
        zone.run(line)?;
        let (rule, severity) = wanted;
        let fits = |alert: &Alert| alert.rule == rule && alert.severity == severity && alert.read >= start;
        let alert =
            within(SOON, &format!("the alert {severity} {rule}"), || Ok(self.alerts(dump).into_iter().find(fits)))?;
        sleep(PAUSE);
        let took = alert.read - start;
        ensure!(took <= AT_ONCE, "the alert came only {} after the start of {line}", seconds(took));
        Ok(took)
    }

    fn trail(&self, dump: &str) -> Result<()> {
        say::step(8, "The evidence: where the dump went, who took it there, and when");
        say::command("host", &format!("dumptrail trail {}", &dump[..12]));
        for line in self.agent.tree(dump)?.lines() {
            println!("   {}", say::clipped(line, 170));
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

fn lesson(moved: Duration, left: Duration) {
    say::step(10, "Why it matters");
    for line in [
        "By its vendor's account of Storm-0558 (2023), a signing system crashed, and its dump moved from the isolated",
        "production network to a debugging environment on the Internet, by ordinary procedure. Nobody was told. Later the",
        "vendor added that it never found a dump with the key in it: the logs of that time were no longer kept.",
    ] {
        say::line(line);
    }
    let (moved, left) = (seconds(moved), seconds(left));
    say::line(&format!("Here both crossings were told at once ({moved}, {left}), and the trail stays in the journal."));
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f32())
}
