//! Rules that block, as the kernel applies them: by the zones of origin, source and destination and the kind of dump, and
//! by nothing else. So each can be asked beforehand what it says to any of these.

use std::sync::Arc;

use sensor_abi::{
    flow::Via,
    policy::{PORTS, ZONES},
};

use super::{Rule, Ruleset, throttle::Memory};
use crate::{
    clock::Time,
    config::{
        Config, Diagnostic, Errors,
        schema::{Arming, RuleDef},
    },
    step::{Carrier, DumpKind, DumpRef, Id, Origin, Place, Step, StepKind},
};

/// What the kernel can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Sending, and connecting in order to.
    Send,
    /// Opening a dump's file, and reading it.
    Open,
}

impl Act {
    /// The steps that it is.
    const fn steps(self) -> &'static [StepKind] {
        match self {
            Self::Send => &[StepKind::Sent],
            Self::Open => &[StepKind::Opened, StepKind::Read, StepKind::Mapped],
        }
    }
}

/// What a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Zone of the birth.
    pub origin: &'a Place,
    /// Kind of the dump.
    pub kind: DumpKind,
    /// Zone of the sender.
    pub from: &'a Place,
    /// Zone of the destination, or of the process that opens.
    pub to: &'a Place,
}

impl Ruleset {
    /// True when some enabled rule blocks.
    pub fn blocks(&self) -> bool {
        self.blocking().next().is_some()
    }

    fn blocking(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|r| r.enabled && r.block)
    }

    /// True when some rule that blocks reads a field of this name, or of this group.
    pub fn blocks_by(&self, name: &str) -> bool {
        self.blocking().any(|rule| rule.reads.iter().any(|field| is_of(field, name)))
    }

    /// True when some rule forbids it.
    pub fn forbids(&self, act: Act, question: &Question<'_>, now: Time) -> bool {
        let kinds = act.steps().iter().map(|kind| supposed(*kind, question, now));
        let mut steps = kinds.filter(|step| self.blocking().any(|rule| rule.looks_at(step)));
        steps.any(|step| {
            let context = self.context(&step);
            let mut memory = Memory::default();
            self.blocking().filter(|rule| rule.looks_at(&step)).any(|rule| rule.holds(&context, &mut memory, now))
        })
    }

    /// When the next exception of a rule that blocks ends.
    pub fn next_end(&self, now: Time) -> Option<Time> {
        self.blocking().flat_map(|rule| &rule.exceptions).map(|e| e.ends).filter(|ends| *ends > now).min()
    }
}

fn is_of(field: &str, name: &str) -> bool {
    field == name || field.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

/// A step of which only that is known which the kernel knows.
fn supposed(kind: StepKind, question: &Question<'_>, now: Time) -> Step {
    let end = |place: &Place| (Carrier { id: Id::default(), name: String::new() }, place.clone());
    let mut step = Step::new(kind, Via::File, now, end(question.from), end(question.to));
    step.dump = Some(DumpRef {
        id: Id::default(),
        content: None,
        kind: question.kind,
        size: None,
        created: now,
        candidates: Vec::new(),
    });
    step.origin = Some(Origin {
        place: question.origin.clone(),
        host: Arc::from(""),
        inferred: false,
        process: None,
        candidates: Vec::new(),
    });
    step
}

/// Notes what a rule that blocks asks of the kernel and cannot have. `reads` are the fields of its conditions.
pub(super) fn check(def: &RuleDef, reads: &[&'static str], config: &Config, errors: &mut Errors) {
    if !def.block {
        return;
    }
    if !sees(def, Act::Send) && !sees(def, Act::Open) {
        let found = def.at.error("a rule that blocks, but nothing that can be blocked is among its steps");
        errors
            .push(found.hint("the kernel can refuse `sent`, and `opened`, `read` and `mapped` of the file of a dump"));
    }
    if sees(def, Act::Open) && reads.iter().any(|field| is_of(field, "from")) {
        let found =
            def.at.error("a rule that blocks opening cannot use `from`: the kernel does not know a file's zone");
        errors.push(found.hint("use `origin`, or write `steps: [sent]`"));
    }
    if config.zones.len() >= ZONES as usize {
        let found = def.at.error(format!(
            "rules that block can tell {} zones apart, there are {}",
            ZONES - 1,
            config.zones.len()
        ));
        errors.push(found.hint("join zones that such rules treat alike"));
    }
    for network in config.zones.iter().flat_map(|z| &z.networks).filter(|n| n.ports.len() > PORTS) {
        let found = network.at.error(format!("with rules that block a network can list {PORTS} ports"));
        errors.push(found.hint("list the network without ports, or take `block` out of the rules"));
    }
}

fn sees(def: &RuleDef, act: Act) -> bool {
    def.steps.is_empty() || act.steps().iter().any(|kind| def.steps.contains(kind))
}

/// What is allowed, but probably not known: what such rules only alert on, what they cost, and that on this host they
/// may not block at all. `lsm` are the active LSMs of this host, if they can be read.
pub fn lint(config: &Config, lsm: &[String]) -> Vec<Diagnostic> {
    let off =
        |rule: &RuleDef| config.overrides.iter().any(|o| o.rule.value == rule.id.value && o.enabled == Some(false));
    let rules: Vec<&RuleDef> = config.rules.iter().filter(|rule| rule.block && !off(rule)).collect();
    let mut found: Vec<Diagnostic> = rules.iter().filter_map(|rule| alerts_only(rule)).collect();
    if let Some(why) = unavailable(lsm) {
        let hint = "`dumptrail doctor` on the host where it is to run tries it";
        found.extend(
            rules.iter().map(|r| r.at.error(format!("here `block` will only alert: {why}")).hint(hint).warning()),
        );
    }
    if let Some(rule) = rules.first().filter(|_| config.arming == Arming::Auto) {
        let message =
            "a rule that blocks keeps all hooks attached, so that no byte is missed: `arming: auto` has no effect";
        found.push(
            rule.at
                .error(message)
                .hint("docs/performance.md has the price; `arming: always` says that it is known")
                .warning(),
        );
    }
    found
}

/// Why BPF LSM cannot be used, as far as the list of active ones tells.
pub fn unavailable(lsm: &[String]) -> Option<String> {
    if lsm.is_empty() {
        return Some("the active LSMs cannot be read (/sys/kernel/security/lsm)".to_owned());
    }
    (!lsm.iter().any(|name| name == "bpf")).then(|| {
        format!("`bpf` is not among the active LSMs ({}); boot with `lsm={},bpf`", lsm.join(","), lsm.join(","))
    })
}

fn alerts_only(rule: &RuleDef) -> Option<Diagnostic> {
    let decidable = |kind: &&StepKind| [Act::Send, Act::Open].iter().any(|act| act.steps().contains(kind));
    let others: Vec<_> = rule.steps.iter().filter(|kind| !decidable(kind)).map(|kind| kind.name()).collect();
    if others.is_empty() {
        return None;
    }
    let message = format!("on steps of the kind {} this rule only alerts", others.join(", "));
    Some(
        rule.at
            .error(message)
            .hint("the kernel can refuse `sent`, and `opened`, `read` and `mapped` of the file of a dump")
            .warning(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rules, samples::place, step::Exposure};

    const HEAD: &str = "version: 1\nhost_zone: prod\nshipped_rules: false\nzones:\n  - {name: prod, exposure: isolated}\n  \
                        - {name: net, exposure: internet-facing, networks: [0.0.0.0/0]}\nrules:\n";

    fn loaded(rule: &str) -> Result<rules::Loaded, Vec<Diagnostic>> {
        let (config, findings) = Config::from_text("b.yaml", &format!("{HEAD}{rule}"));
        rules::compiled(config, findings)
    }

    fn rule(more: &str) -> String {
        format!("  - {{id: r, title: T, severity: low, actions: [block], {more}}}\n")
    }

    fn places() -> [Place; 3] {
        [place("prod", Exposure::Isolated), place("lab", Exposure::Internal), place("net", Exposure::InternetFacing)]
    }

    #[test]
    fn a_rule_forbids_by_origin_and_destination() {
        let set = loaded(&rule(r#"steps: [sent], when: 'origin.exposure == "isolated" && to.zone == "net"'"#))
            .unwrap()
            .ruleset;
        let [prod, lab, net] = places();
        let ask = |act, origin, to| {
            set.forbids(act, &Question { origin, kind: DumpKind::KernelCore, from: &lab, to }, Time(1))
        };
        assert!(ask(Act::Send, &prod, &net));
        assert!(!ask(Act::Send, &lab, &net) && !ask(Act::Send, &prod, &lab));
        assert!(!ask(Act::Open, &prod, &net), "not among its steps");
        assert!(set.blocks() && set.blocks_by("origin") && !set.blocks_by("from") && !set.blocks_by("dump.kind"));
    }

    #[test]
    fn kind_exception_and_its_end_count() {
        let exception = r#"exceptions: [{id: E, when: 'to.zone == "net"', owner: o, expires: 2026-11-22, reason: x}]"#;
        let set = loaded(&rule(&format!(r#"when: 'dump.kind == "heap-dump"', {exception}"#))).unwrap().ruleset;
        let [prod, lab, net] = places();
        let ask = |kind, to, now| set.forbids(Act::Open, &Question { origin: &prod, kind, from: &lab, to }, now);
        let during = crate::samples::NOON;
        let end = set.next_end(during).unwrap();
        assert!(ask(DumpKind::HeapDump, &lab, during) && !ask(DumpKind::KernelCore, &lab, during));
        assert!(!ask(DumpKind::HeapDump, &net, during) && ask(DumpKind::HeapDump, &net, end));
        assert_eq!(set.next_end(end), None);
    }

    #[test]
    fn what_the_kernel_cannot_decide_is_an_error_at_its_place() {
        let first = |more: &str| loaded(&rule(more)).unwrap_err().remove(0);
        let never = first(r#"steps: [written, renamed], when: 'to.zone == "net"'"#);
        assert_eq!((never.line, never.message.contains("nothing that can be blocked")), (8, true), "{never}");
        let file = first(r"steps: [read], when: 'from.zone != to.zone'");
        assert!(file.message.contains("`from`"), "{file}");
        assert!(loaded(&rule(r"steps: [sent], when: 'from.zone != to.zone'")).is_ok());
    }

    #[test]
    fn what_only_alerts_is_said() {
        let config = loaded(&rule(r#"steps: [sent, written], when: 'to.zone == "net"'"#)).unwrap().config;
        let said = |lsm: &[&str]| -> Vec<String> {
            let lsm: Vec<String> = lsm.iter().map(|name| (*name).to_owned()).collect();
            lint(&config, &lsm).into_iter().map(|d| d.to_string()).collect()
        };
        let here = said(&["capability", "bpf"]);
        assert!(here.len() == 2 && here[0].starts_with("b.yaml:8:") && here[0].contains("written"), "{here:#?}");
        let there = said(&["capability", "yama"]);
        assert!(
            there.len() == 3 && there[1].contains("will only alert") && there[1].contains("lsm=capability,yama,bpf"),
            "{there:#?}"
        );
    }
}
