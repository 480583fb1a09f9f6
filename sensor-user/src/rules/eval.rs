//! Evaluation: a step and the rules to alerts. Pure; the time is told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cel::Context;

use super::{
    Condition, Rule, RuleState, Ruleset, summary,
    throttle::{Memory, Verdict},
};
use crate::{
    alert::Alert,
    clock::Time,
    fields::{Field, Value, View},
    step::{Id, Severity, Step},
};

/// The alerts that `step` raises at `now`, in the order of the rules.
pub fn evaluate(set: &Ruleset, state: &mut RuleState, now: Time, step: &Arc<Step>) -> Vec<Alert> {
    let mut rules = set.rules.iter().filter(|r| r.looks_at(step)).peekable();
    if rules.peek().is_none() {
        return Vec::new();
    }
    let context = set.context(step);
    let judge = |rule: &Rule| state.time(&rule.id, |memory| rule.alert(&context, memory, now, step, &set.config_hash));
    rules.filter_map(judge).collect()
}

impl Ruleset {
    /// The fields that some condition reads, as nested maps. A group is there even when all in it is absent, so that
    /// `has()` can be asked.
    pub(super) fn context(&self, step: &Step) -> Context<'static, 'static> {
        let mut root = Group::default();
        let view = View { step, alert: None };
        for field in &self.used {
            root.put(field, (field.get)(&view));
        }
        let mut context = Context::with_env(Arc::clone(&self.env));
        for (name, group) in root.groups {
            context.add_variable_from_value(name, group.into_value());
        }
        context
    }
}

/// Fields with a common prefix.
#[derive(Default)]
struct Group {
    values: HashMap<String, cel::Value>,
    groups: BTreeMap<&'static str, Group>,
}

impl Group {
    fn put(&mut self, field: &Field, value: Option<Value>) {
        let mut group = self;
        let mut path = field.name;
        while let Some((first, rest)) = path.split_once('.') {
            group = group.groups.entry(first).or_default();
            path = rest;
        }
        if let Some(value) = value {
            group.values.insert(path.to_owned(), cel_value(value));
        }
    }

    fn into_value(mut self) -> cel::Value {
        self.values.extend(self.groups.into_iter().map(|(name, group)| (name.to_owned(), group.into_value())));
        self.values.into()
    }
}

fn cel_value(value: Value) -> cel::Value {
    match value {
        Value::Str(s) => s.into(),
        Value::Int(n) => n.into(),
        Value::Float(x) => x.into(),
        Value::Bool(b) => b.into(),
        Value::List(l) => l.into_iter().map(cel::Value::from).collect::<Vec<_>>().into(),
        Value::Map(m) => m.into_iter().collect::<HashMap<_, _>>().into(),
    }
}

/// A condition could not be decided: a field is absent, or a calculation overflowed.
struct Failed;

impl Condition {
    fn holds(&self, context: &Context<'_, '_>) -> Result<bool, Failed> {
        match self.program.execute(context) {
            Ok(cel::Value::Bool(b)) => Ok(b),
            _ => Err(Failed),
        }
    }

    /// Failed is false, and counted.
    fn holds_or_counts(&self, context: &Context<'_, '_>, memory: &mut Memory) -> bool {
        self.holds(context).unwrap_or_else(|Failed| {
            memory.counters.erroring += 1;
            false
        })
    }
}

impl Rule {
    pub(super) fn looks_at(&self, step: &Step) -> bool {
        self.enabled && (self.steps.is_empty() || self.steps.contains(&step.kind))
    }

    fn alert(
        &self,
        context: &Context<'_, '_>,
        memory: &mut Memory,
        now: Time,
        step: &Arc<Step>,
        config_hash: &Arc<str>,
    ) -> Option<Alert> {
        if !self.holds(context, memory, now) {
            return None;
        }
        let severity = self.severity_of(context, memory);
        let key = Alert::key_of(&self.id, step);
        let window = self.throttle.map(|t| t.every_ns);
        let Verdict::Raise { id, supersedes, suppressed } =
            memory.judge(self.incident(key, step), key, severity, now, window, step)
        else {
            return None;
        };
        Some(Alert {
            time: now,
            rule: Arc::clone(&self.id),
            title: Arc::clone(&self.title),
            severity,
            summary: summary::sentence(step),
            key,
            id,
            supersedes,
            suppressed,
            config_hash: Arc::clone(config_hash),
            step: Arc::clone(step),
        })
    }

    /// True when it speaks of a step.
    pub(super) fn holds(&self, context: &Context<'_, '_>, memory: &mut Memory, now: Time) -> bool {
        self.when.holds_or_counts(context, memory) && !self.excepted(context, memory, now)
    }

    /// What a repetition is counted against: the flow, or with `throttle.by: dump` the dump.
    fn incident(&self, key: Id, step: &Step) -> Id {
        match &step.dump {
            Some(dump) if self.throttle.is_some_and(|t| t.by_dump) => Id::of(&[self.id.as_bytes(), &dump.id.0]),
            _ => key,
        }
    }

    /// Exceptions come on top of what fails: one that cannot be decided lets nothing pass.
    fn excepted(&self, context: &Context<'_, '_>, memory: &mut Memory, now: Time) -> bool {
        let valid = self.exceptions.iter().filter(|e| now < e.ends);
        let mut valid = valid.map(|e| e.when.holds_or_counts(context, memory));
        valid.any(|holds| holds)
    }

    /// The last escalation that holds, but never below the floor.
    fn severity_of(&self, context: &Context<'_, '_>, memory: &mut Memory) -> Severity {
        let holding = self.escalate.iter().filter(|(when, _)| when.holds_or_counts(context, memory));
        holding.last().map_or(self.severity, |(_, s)| (*s).max(self.severity))
    }
}

#[cfg(test)]
mod tests;
