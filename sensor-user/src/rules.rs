//! Rules: conditions over the fields of a step, compiled and checked at load, evaluated without surprises at run time.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use cel::Env;

pub mod block;
mod check;
mod compile;
mod eval;
mod summary;
pub mod testing;
pub mod throttle;

pub use eval::evaluate;
pub use throttle::{Counters, RuleState};

use crate::{
    clock::Time,
    config::{
        Config, Diagnostic, Errors,
        diagnostic::{self, Level},
        schema::{RuleDef, ThrottleDef},
        spans::At,
    },
    fields::{self, Field},
    step::{Severity, StepKind},
};

/// A compiled condition.
#[derive(Debug)]
pub struct Condition {
    program: cel::Program,
}

/// What a rule lets pass.
#[derive(Debug)]
pub struct Exception {
    /// Its id.
    pub id: Arc<str>,
    /// The first instant at which it no longer applies.
    pub ends: Time,
    when: Condition,
    at: At,
}

/// A rule, ready to evaluate.
#[derive(Debug)]
pub struct Rule {
    /// `rule.id`.
    pub id: Arc<str>,
    /// `rule.title`.
    pub title: Arc<str>,
    /// The floor, after overrides.
    pub severity: Severity,
    /// False when an override switched it off.
    pub enabled: bool,
    /// `block` is among its actions.
    pub block: bool,
    /// Fields that its condition and its exceptions read.
    reads: Vec<&'static str>,
    /// Where it is written: `file:line`.
    pub line: String,
    /// What it lets pass.
    pub exceptions: Vec<Exception>,
    steps: Vec<StepKind>,
    when: Condition,
    escalate: Vec<(Condition, Severity)>,
    throttle: Option<ThrottleDef>,
}

/// All rules of a configuration. Immutable: a reload makes another.
pub struct Ruleset {
    /// `config.hash`.
    pub config_hash: Arc<str>,
    rules: Vec<Rule>,
    env: Arc<Env>,
    /// The fields that some condition reads.
    used: Vec<&'static Field>,
}

impl std::fmt::Debug for Ruleset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ruleset")
            .field("config_hash", &self.config_hash)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Ruleset {
    /// Compiles and checks all conditions of `config`; all errors at once.
    pub fn compile(config: &Config) -> Result<Arc<Self>, Vec<Diagnostic>> {
        let mut used = BTreeSet::new();
        let mut errors = Errors::default();
        let rules = compile::rules(config, &mut used, &mut errors);
        testing::check(config, &mut errors);
        if !errors.is_empty() {
            return Err(errors.sorted());
        }
        let used = used.into_iter().filter_map(fields::find).collect();
        let env = Arc::new(Env::stdlib());
        Ok(Arc::new(Self { config_hash: Arc::clone(&config.hash), rules, env, used }))
    }

    /// All rules, own ones first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// True when some condition reads `process.executable.sha256`: only then is hashing executables worth its cost.
    pub fn wants_sha256(&self) -> bool {
        self.used.iter().any(|f| f.name == "process.executable.sha256")
    }

    /// Exceptions that no longer apply: `check` shows them, the agent makes a notice of each.
    pub fn expired(&self, now: Time) -> Vec<Diagnostic> {
        let rules = self.rules.iter();
        let all = rules.flat_map(|r| r.exceptions.iter().map(move |e| (r, e)));
        all.filter(|(_, e)| e.ends <= now)
            .map(|(rule, e)| {
                let message = format!("exception `{}` of rule `{}` has expired and no longer applies", e.id, rule.id);
                e.at.error(message).hint("renew it with a later date, or take it out").warning()
            })
            .collect()
    }
}

/// Rules all of whose kinds of step are not made yet: `check` shows them.
pub fn mute(config: &Config) -> Vec<Diagnostic> {
    let mute = |r: &&RuleDef| !r.steps.is_empty() && r.steps.iter().all(|kind| StepKind::NOT_YET.contains(kind));
    let found = |r: &RuleDef| {
        let message = format!("rule `{}` never fires: no step of the kinds in its `steps` is made yet", r.id.value);
        r.at.error(message).hint("who takes a descriptor is seen when it reads or sends: [read, sent]").warning()
    };
    config.rules.iter().filter(mute).map(found).collect()
}

/// A configuration that was read, checked and compiled.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its rules.
    pub ruleset: Arc<Ruleset>,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads files and directories (none: the embedded default) and compiles their rules; all errors at once.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Vec<Diagnostic>> {
    let (config, findings) = Config::read(paths);
    compiled(config, findings)
}

/// The embedded default: zones and shipped rules.
///
/// # Panics
/// Never: the tests of this crate load it.
pub fn embedded() -> Loaded {
    load(&[]).expect("the embedded configuration is checked by the tests")
}

/// Compiles what was read; `findings` are those of reading.
pub fn compiled(config: Config, mut findings: Vec<Diagnostic>) -> Result<Loaded, Vec<Diagnostic>> {
    let ruleset = Ruleset::compile(&config);
    if let Err(errors) = &ruleset {
        findings.extend(errors.iter().cloned());
    }
    diagnostic::sort(&mut findings);
    match ruleset {
        Ok(ruleset) if findings.iter().all(|f| f.level == Level::Warning) => {
            Ok(Loaded { config, ruleset, warnings: findings })
        }
        _ => Err(findings),
    }
}
