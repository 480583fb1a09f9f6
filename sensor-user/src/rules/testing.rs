//! Tests of rules, written in YAML next to them: partial steps in, alerts out, no kernel needed.

use std::sync::Arc;

use super::{RuleState, Ruleset, evaluate};
use crate::{
    clock::Time,
    config::{
        Config, Errors,
        schema::{Expect, TestDef},
    },
    step::Severity,
};

mod partial;

/// How one test went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: Arc<str>,
    /// The rule that it tests.
    pub rule: Arc<str>,
    /// Where it is written: `file:line`.
    pub line: String,
    /// Why it failed; absent when it passed.
    pub failure: Option<String>,
}

/// Notes what is wrong with the steps of the tests.
pub(super) fn check(config: &Config, errors: &mut Errors) {
    for test in &config.tests {
        for step in &test.steps {
            partial::step(config, test, step, Time(0), errors);
        }
    }
}

/// Runs all tests of `config` as if they began at `now`.
pub fn run(config: &Config, set: &Ruleset, now: Time) -> Vec<Outcome> {
    config
        .tests
        .iter()
        .map(|test| Outcome {
            name: Arc::clone(&test.name.value),
            rule: Arc::clone(&test.rule.value),
            line: test.name.at.line_name(),
            failure: failure(config, set, now, test),
        })
        .collect()
}

fn failure(config: &Config, set: &Ruleset, now: Time, test: &TestDef) -> Option<String> {
    let mut state = RuleState::default();
    let mut severities = Vec::new();
    for def in &test.steps {
        let now = Time(now.0.saturating_add(def.offset_ns));
        let mut errors = Errors::default();
        let step = partial::step(config, test, def, now, &mut errors);
        let Some(step) = step.filter(|_| errors.is_empty()) else { return Some("a step is not valid".to_owned()) };
        let alerts = evaluate(set, &mut state, now, &Arc::new(step));
        severities.extend(alerts.iter().filter(|a| a.rule == test.rule.value).map(|a| a.severity));
    }
    let mut words = mismatch(test.expect, &severities)?;
    if severities.is_empty() {
        words.push_str(silence(set, &state, test));
    }
    Some(words)
}

/// What came out instead of what was expected.
fn mismatch(expect: Expect, severities: &[Severity]) -> Option<String> {
    let got = match severities {
        [] => "no alert".to_owned(),
        [one] => format!("1 alert: {one}"),
        many => format!("{} alerts: {}", many.len(), many.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")),
    };
    if let Some(wanted) = expect.alerts
        && wanted != severities.len() as u64
    {
        let wanted = if wanted == 0 { "silence".to_owned() } else { format!("{wanted} alert(s)") };
        return Some(format!("expected {wanted}, got {got}"));
    }
    match expect.severity {
        Some(wanted) if severities.iter().max() != Some(&wanted) => {
            Some(format!("expected severity {wanted}, got {got}"))
        }
        _ => None,
    }
}

/// Why there was no alert, as far as that is known.
fn silence(set: &Ruleset, state: &RuleState, test: &TestDef) -> &'static str {
    let rule = set.rules().iter().find(|r| r.id == test.rule.value);
    if rule.is_some_and(|r| !r.enabled) {
        return "; an override switches the rule off";
    }
    if state.counters(&test.rule.value).erroring > 0 {
        return "; a condition failed, because a field was absent";
    }
    "; `when` held for no step of a kind in `steps`, or an exception let it pass"
}

#[cfg(test)]
mod tests;
