//! `dumptrail check`: all findings of a configuration, at once.

use super::{CheckArgs, Failure, Form, count, endpoints, print};
use crate::{
    clock,
    config::{Diagnostic, Errors, diagnostic},
    host,
    probe::features::active_lsms,
    rules::{self, Loaded},
    zones,
};

/// Prints the findings; fails when one is an error.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let findings = match rules::load(&args.paths) {
        Ok(loaded) => warnings(loaded),
        Err(findings) => findings,
    };
    let errors = findings.iter().filter(|f| f.is_error()).count();
    let warnings = findings.len() - errors;
    let mut text: String = findings.iter().map(|f| shown(f, args.output)).collect();
    if args.output == Form::Text {
        let verdict = match (errors, warnings) {
            (0, 0) => "ok\n".to_owned(),
            (0, _) => format!("ok, {}\n", count(warnings, "warning")),
            _ => format!("{}, {}\n", bounded(errors), count(warnings, "warning")),
        };
        text.push_str(&verdict);
    }
    print(&text)?;
    if errors > 0 {
        return Err(Failure::Invalid(format!("{} in the configuration", bounded(errors))));
    }
    Ok(())
}

/// No more findings than [`Errors::MOST`] are kept.
fn bounded(errors: usize) -> String {
    let all = count(errors, "error");
    if errors < Errors::MOST { all } else { format!("the first {all}") }
}

fn shown(finding: &Diagnostic, form: Form) -> String {
    match form {
        Form::Text => format!("{finding}\n"),
        Form::Json => serde_json::to_string(finding).map(|j| j + "\n").unwrap_or_default(),
    }
}

/// Everything that is allowed, but probably not meant; and variables that `run` would refuse.
fn warnings(loaded: Loaded) -> Vec<Diagnostic> {
    let mut found = loaded.warnings;
    found.extend(zones::private_on_the_internet(&loaded.config));
    found.extend(loaded.ruleset.expired(clock::now()));
    found.extend(rules::mute(&loaded.config));
    found.extend(rules::block::lint(&loaded.config, &active_lsms()));
    found.extend(endpoints::findings(&host::zones(&loaded.config), |name| std::env::var(name).ok()));
    diagnostic::sort(&mut found);
    found
}
