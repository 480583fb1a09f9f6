//! `dumptrail test`: runs the tests of rules.

use std::fmt::Write as _;

use super::{Failure, Form, TestArgs, count, print};
use crate::{
    clock,
    enrich::mask::escape,
    rules::{self, testing},
};

/// Prints how each test went; fails when one did.
pub fn run(args: &TestArgs) -> Result<(), Failure> {
    let loaded = rules::load(&args.paths).map_err(|f| Failure::of_findings(&f))?;
    let outcomes = testing::run(&loaded.config, &loaded.ruleset, clock::now());
    if outcomes.is_empty() {
        tracing::warn!("nothing was tested: no file has `tests`");
    }
    let failed = outcomes.iter().filter(|o| o.failure.is_some()).count();
    let mut text: String = outcomes.iter().map(|o| shown(o, args.output)).collect();
    if args.output == Form::Text {
        let _ = writeln!(text, "{}: {} ok, {failed} failed", count(outcomes.len(), "test"), outcomes.len() - failed);
    }
    print(&text)?;
    if failed > 0 {
        return Err(Failure::Invalid(format!("{} failed", count(failed, "test"))));
    }
    Ok(())
}

fn shown(outcome: &testing::Outcome, form: Form) -> String {
    let (rule, name, failure) = (&outcome.rule, &outcome.name, &outcome.failure);
    if form == Form::Json {
        let json = serde_json::json!({
            "rule": **rule, "name": **name, "line": outcome.line, "ok": failure.is_none(), "reason": failure,
        });
        return format!("{json}\n");
    }
    // A name may have what forges another line.
    let (name, line) = (escape(name), escape(&outcome.line));
    match failure {
        None => format!("ok      {rule}: {name}\n"),
        Some(reason) => format!("FAILED  {rule}: {name}\n        {line}: {reason}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_does_not_reach_the_terminal_as_it_is() {
        let outcome = testing::Outcome {
            name: "x\u{1b}]0;t\u{7}\nok      r: y".into(),
            rule: "r".into(),
            line: "a\u{202e}.yaml:3".into(),
            failure: Some("expected silence".into()),
        };
        let expected = "FAILED  r: x\\x1b]0;t\\x07\\x0aok      r: y\n        a\\u{202e}.yaml:3: expected silence\n";
        assert_eq!(shown(&outcome, Form::Text), expected);
    }
}
