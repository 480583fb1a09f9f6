//! Conditions are checked when they are loaded, so that none can surprise at run time: every field exists, types fit,
//! text is one of the field's values, and what may be absent is not used in a way that would hide an alert.
//!
//! The last one needs a word. A comparison with an absent field fails, and a condition that fails is false. Where a
//! comparison must hold for the rule to fire (`origin.exposure == "isolated"`), that is what a person expects. Where it
//! must *not* hold (`process.executable.path != "/usr/bin/x"`), an unknown executable would silence the rule; so there
//! `has(...)` is asked for.

use std::collections::BTreeSet;

use cel::{ParseErrors, Program};

use super::Condition;
use crate::config::{
    Diagnostic, Errors,
    diagnostic::{listed, meant},
    schema::ZoneDef,
    spans::Text,
};

mod call;
mod walk;

pub(in crate::rules) use walk::words;
use walk::{Walk, Wanted};

/// No condition is longer, bytes.
const LONGEST: usize = 4096;

/// Fields that every step of a dump has, and only host events lack.
const WITH_DUMP: &[&str] = &[
    "dump.id",
    "dump.kind",
    "dump.created",
    "dump.age",
    "origin.zone",
    "origin.exposure",
    "origin.rank",
    "origin.host",
    "origin.inferred",
];

/// What conditions of one rule may do, and where findings go.
pub(super) struct Scope<'a> {
    /// The rule sees host events, which have no dump.
    pub(super) host_events: bool,
    /// The kernel must be able to decide: zone, exposure, rank and dump.kind only.
    pub(super) block: bool,
    /// The zones of the configuration.
    pub(super) zones: &'a [ZoneDef],
    /// Fields that conditions read.
    pub(super) used: &'a mut BTreeSet<&'static str>,
    /// Findings.
    pub(super) errors: &'a mut Errors,
}

impl Scope<'_> {
    /// Compiles and checks one condition. `None` when something was noted, here or by the reader (empty text).
    pub(super) fn condition(&mut self, text: &Text) -> Option<Condition> {
        if text.value.is_empty() {
            return None;
        }
        if text.value.len() > LONGEST {
            let found = text.at.error(format!("a condition of more than {LONGEST} bytes"));
            self.errors.push(found.hint("split it into several rules"));
            return None;
        }
        let program = match Program::compile(&text.value) {
            Ok(program) => program,
            Err(errors) => {
                self.errors.push(syntax_error(text, &errors));
                return None;
            }
        };
        let before = self.errors.len();
        let present = if self.host_events { &[][..] } else { WITH_DUMP };
        let present = present.iter().map(|f| (*f).to_owned()).collect();
        Walk::new(self, text, &program).truth(program.expression(), &present, Wanted::True);
        (self.errors.len() == before).then_some(Condition { program })
    }
}

/// What is wrong with the name of a zone, and what may be meant; nothing with a defined one, or with `unknown`, where what
/// no line describes is.
pub(in crate::rules) fn undefined_zone(name: &str, zones: &[ZoneDef]) -> Option<(String, String)> {
    let names: Vec<&str> = zones.iter().map(|z| &*z.name.value).collect();
    // Without any zone the zones are what broke, and that was noted.
    if name == "unknown" || names.is_empty() || names.contains(&name) {
        return None;
    }
    let hint = match meant(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? defined are: {}", listed(&names)),
        None => format!("defined are: {}", listed(&names)),
    };
    Some((format!("undefined zone `{name}`"), hint))
}

/// The first of the parser's errors; the others only follow from it.
fn syntax_error(text: &Text, errors: &ParseErrors) -> Diagnostic {
    let Some(first) = errors.errors.first() else { return text.at.error("not a valid condition") };
    let (line, column) = (first.pos.0.max(1) as usize, first.pos.1.max(1) as usize);
    let before: usize = text.value.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.value.get(before..).unwrap_or_default();
    let within = rest.char_indices().nth(column - 1).map_or(rest.len(), |(n, _)| n);
    let words = plain(&first.msg);
    let found = text.locate(before + within, 1).error(format!("not a valid condition: {words}"));
    found.hint("a condition reads like: step.bytes >= 4096 && to.exposure == \"internal\"")
}

/// What the parser says, without its types.
fn plain(message: &str) -> String {
    let inner = message.split_once("msg: \"").and_then(|(_, rest)| Some(rest.split_once('"')?.0)).unwrap_or(message);
    if inner.starts_with("Recursion limit") {
        return "nested too deeply".to_owned();
    }
    let words = inner.trim_start_matches("Syntax error: ");
    words.split(" expecting ").next().unwrap_or(words).replace("'<EOF>'", "end of condition")
}

#[cfg(test)]
mod tests;
