//! From the definitions of rules to conditions that can be evaluated.

use std::collections::BTreeSet;

use jiff::{ToSpan as _, tz::TimeZone};

use super::{Condition, Exception, Rule, block, check};
use crate::{
    clock::Time,
    config::{
        Config, Errors,
        schema::{ExceptionDef, OverrideDef, RuleDef, ZoneDef},
        spans::Text,
    },
    step::{Severity, StepKind},
};

/// Compiles every rule of `config`; notes the fields that conditions read in `used`.
pub(super) fn rules(config: &Config, used: &mut BTreeSet<&'static str>, errors: &mut Errors) -> Vec<Rule> {
    let change = |rule: &RuleDef| config.overrides.iter().find(|o| o.rule.value == rule.id.value);
    let one = |def| {
        let mut reads = BTreeSet::new();
        let rule = rule(def, change(def), &config.zones, &mut reads, errors);
        used.extend(&reads);
        let rule = rule?;
        block::check(def, &rule.reads, config, errors);
        Some(rule)
    };
    config.rules.iter().filter_map(one).collect()
}

fn rule(
    def: &RuleDef,
    change: Option<&OverrideDef>,
    zones: &[ZoneDef],
    used: &mut BTreeSet<&'static str>,
    errors: &mut Errors,
) -> Option<Rule> {
    let host_events = sees_host_events(&def.steps);
    let mut scope = check::Scope { host_events, block: def.block, zones, used, errors };
    let when = scope.condition(&def.when);
    let exceptions: Vec<_> = def.exceptions.iter().map(|e| exception(e, &mut scope)).collect();
    let reads = scope.used.iter().copied().collect();
    // Severity is for people; the kernel never asks for it.
    scope.block = false;
    let escalate: Vec<_> = def.escalate.iter().map(|e| escalation(e, &mut scope)).collect();
    Some(Rule {
        id: def.id.value.clone(),
        title: def.title.value.clone(),
        severity: change.and_then(|o| o.severity).unwrap_or(def.severity),
        enabled: change.and_then(|o| o.enabled).unwrap_or(true),
        block: def.block,
        reads,
        line: def.at.line_name(),
        steps: def.steps.clone(),
        throttle: def.throttle,
        when: when?,
        exceptions: exceptions.into_iter().collect::<Option<_>>()?,
        escalate: escalate.into_iter().collect::<Option<_>>()?,
    })
}

/// A rule without `steps` sees host events too, and they have no dump.
fn sees_host_events(steps: &[StepKind]) -> bool {
    steps.is_empty() || steps.iter().any(|s| s.is_host_event())
}

fn escalation((when, severity): &(Text, Severity), scope: &mut check::Scope<'_>) -> Option<(Condition, Severity)> {
    Some((scope.condition(when)?, *severity))
}

fn exception(def: &ExceptionDef, scope: &mut check::Scope<'_>) -> Option<Exception> {
    let when = scope.condition(&def.when)?;
    // It applies through the whole of its last day, in the last place on earth that is fair to all: UTC.
    let next = def.expires.checked_add(1.day()).unwrap_or(def.expires);
    let at = next.to_zoned(TimeZone::UTC).map_or(i128::MAX, |z| z.timestamp().as_nanosecond());
    // What comes after the year 2554 never ends.
    let ends = Time(u64::try_from(at.max(0)).unwrap_or(u64::MAX));
    Some(Exception { id: def.id.value.clone(), ends, when, at: def.expires_at.clone() })
}
