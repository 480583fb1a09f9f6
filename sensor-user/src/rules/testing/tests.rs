use super::*;
use crate::{
    config::{SHIPPED, spans::Source},
    rules::{compiled, load},
};

const NOW: Time = Time(1_800_000_000_000_000_000);

fn outcomes(text: &str) -> Vec<Outcome> {
    let (config, findings) = Config::from_text("t.yaml", text);
    let loaded = compiled(config, findings).unwrap_or_else(|e| panic!("{}", e[0]));
    run(&loaded.config, &loaded.ruleset, NOW)
}

#[test]
fn the_shipped_rules_pass_their_tests_and_each_has_both_kinds() {
    let sources: Vec<_> =
        SHIPPED.iter().map(|(n, t)| Arc::new(Source { name: (*n).into(), text: (*t).to_owned() })).collect();
    let (config, findings) = Config::from_sources(&sources, crate::config::Errors::default());
    let loaded = compiled(config, findings).unwrap_or_else(|e| panic!("{}", e[0]));
    let outcomes = run(&loaded.config, &loaded.ruleset, NOW);
    for outcome in &outcomes {
        assert_eq!(outcome.failure, None, "{}: {}", outcome.line, outcome.name);
    }
    for rule in loaded.ruleset.rules() {
        let of_rule = || loaded.config.tests.iter().filter(|t| t.rule.value == rule.id);
        assert!(of_rule().any(|t| t.expect.alerts == Some(0)), "{} has no test that must not fire", rule.id);
        assert!(of_rule().any(|t| t.expect.alerts != Some(0)), "{} has no test that must fire", rule.id);
    }
    assert!(outcomes.len() > 30);
}

#[test]
fn a_failed_test_says_why() {
    let text = r"
version: 1
rules:
  - {id: r, title: R, severity: low, when: 'process.pid == 1'}
tests:
  - {name: a, rule: r, steps: [{step.kind: sent, process.pid: 1}], expect: silent}
  - {name: b, rule: r, steps: [{step.kind: sent, process.pid: 2}], expect: {severity: low}}
  - {name: c, rule: r, steps: [{step.kind: sent}], expect: {alerts: 1}}
  - {name: d, rule: r, steps: [{step.kind: sent, process.pid: 1}], expect: {severity: high, alerts: 1}}
  - {name: e, rule: r, steps: [{step.kind: sent, process.pid: 1}], expect: {severity: low, alerts: 1}}
";
    let failures: Vec<_> = outcomes(text).into_iter().map(|o| o.failure.unwrap_or_default()).collect();
    assert_eq!(failures[0], "expected silence, got 1 alert: low");
    assert!(failures[1].starts_with("expected severity low, got no alert; `when` held for no step"), "{}", failures[1]);
    assert!(failures[2].ends_with("a field was absent"), "{}", failures[2]);
    assert_eq!(failures[3], "expected severity high, got 1 alert: low");
    assert_eq!(failures[4], "");
}

#[test]
fn every_field_can_be_set_or_says_that_it_cannot() {
    let derived = [
        "dump.created",
        "dump.candidates",
        "origin.candidates",
        "origin.rank",
        "from.rank",
        "to.rank",
        "step.crossing",
        "step.ratio",
        "step.started",
        "step.ended",
        "process.executable.name",
    ];
    for field in crate::fields::all().iter().filter(|f| f.get_step_group()) {
        let value = match field.ty {
            crate::fields::Type::Str if field.name == "destination.address" => "192.0.2.1",
            crate::fields::Type::Str if crate::fields::is_zone(field.name) => "host",
            crate::fields::Type::Str => field.values.first().copied().unwrap_or("x"),
            crate::fields::Type::Int => "7",
            crate::fields::Type::Float => "1.5",
            crate::fields::Type::Bool => "true",
            crate::fields::Type::List => "[x]",
            crate::fields::Type::Map => "{x: y}",
        };
        let kind = if field.name == "step.kind" { String::new() } else { "step.kind: sent, ".into() };
        let rule = "rules: [{id: r, title: R, severity: low, when: 'true'}]";
        let step = format!("{{{kind}{}: {value}}}", field.name);
        let text =
            format!("version: 1\n{rule}\ntests: [{{name: t, rule: r, steps: [{step}], expect: {{alerts: 1}}}}]\n");
        let (config, findings) = Config::from_text("t.yaml", &text);
        let loaded = compiled(config, findings);
        assert_eq!(loaded.is_err(), derived.contains(&field.name), "{}: {:?}", field.name, loaded.err());
    }
}

impl crate::fields::Field {
    fn get_step_group(&self) -> bool {
        !["rule.", "severity", "summary", "alert.", "config."].iter().any(|p| self.name.starts_with(p))
    }
}

#[test]
fn the_shipped_files_on_disk_are_no_duplicates_of_themselves() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let loaded = load(&[folder]).unwrap_or_else(|e| panic!("{}", e[0]));
    assert_eq!(loaded.ruleset.rules().len(), crate::rules::embedded().ruleset.rules().len());
    assert!(run(&loaded.config, &loaded.ruleset, NOW).iter().all(|o| o.failure.is_none()));
}
