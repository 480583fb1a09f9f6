//! Reads rules and changes to them.

use jiff::civil::Date;

use super::{ExceptionDef, OverrideDef, RuleDef, ThrottleDef};
use crate::{
    config::{
        read::{Errors, Table, boolean, duration, id, one_of, parsed},
        spans::{Node, Text},
    },
    step::{Severity, StepKind},
};

pub(super) fn severity(node: &Node, errors: &mut Errors) -> Option<Severity> {
    one_of(node, Severity::NAMES, Severity::from_name, errors)
}

/// An item of `rules`.
pub fn rule(node: &Node, errors: &mut Errors) -> Option<RuleDef> {
    let mut table = Table::open(node, "rule", errors)?;
    let id = id(table.need_text("id", errors), errors);
    let title = table.need_text("title", errors);
    let floor = table.need("severity", errors).and_then(|n| severity(n, errors));
    let escalate = table.take_list("escalate", errors, escalation);
    let kind = |n: &Node, errors: &mut Errors| one_of(n, StepKind::NAMES, StepKind::from_name, errors);
    let steps = table.take_list("steps", errors, kind);
    let when = table.need_text("when", errors);
    let exceptions = table.take_list("exceptions", errors, exception);
    let throttle = table.take("throttle").and_then(|n| throttle(n, errors));
    let action = |n: &Node, errors: &mut Errors| one_of(n, &["alert", "block"], is_block, errors);
    let block = table.take_list("actions", errors, action).contains(&true);
    table.close(errors);
    let mut hasher = blake3::Hasher::new();
    node.digest(&mut hasher);
    // A missing part was noted above; the rule is kept, so that what names it is no error as well.
    let id = id?;
    let (at, missing) = (id.at.clone(), Text::made(String::new(), &id.at));
    Some(RuleDef {
        title: title.unwrap_or_else(|| missing.clone()),
        severity: floor.unwrap_or(Severity::Info),
        when: when.unwrap_or(missing),
        content: hasher.finalize(),
        id,
        escalate,
        steps,
        exceptions,
        throttle,
        block,
        at,
    })
}

/// `alert` is implied, so all that matters is whether it is `block`.
fn is_block(name: &str) -> Option<bool> {
    match name {
        "alert" => Some(false),
        "block" => Some(true),
        _ => None,
    }
}

fn escalation(node: &Node, errors: &mut Errors) -> Option<(Text, Severity)> {
    let mut table = Table::open(node, "escalation", errors)?;
    let when = table.need_text("when", errors);
    let to = table.need("severity", errors).and_then(|n| severity(n, errors));
    table.close(errors);
    // A severity that was noted as wrong must not hide errors in the condition.
    Some((when?, to.unwrap_or(Severity::Info)))
}

fn exception(node: &Node, errors: &mut Errors) -> Option<ExceptionDef> {
    let mut table = Table::open(node, "exception", errors)?;
    let id = id(table.need_text("id", errors), errors);
    let when = table.need_text("when", errors);
    let owner = table.need_text("owner", errors);
    let expires_node = table.need("expires", errors);
    let expires = expires_node.and_then(|n| parsed::<Date>(n, "a date", "2026-12-31", errors));
    let reason = table.need_text("reason", errors);
    table.close(errors);
    let expires_at = expires_node?.at.clone();
    Some(ExceptionDef { id: id?, when: when?, owner: owner?, expires: expires?, expires_at, reason: reason? })
}

fn throttle(node: &Node, errors: &mut Errors) -> Option<ThrottleDef> {
    let mut table = Table::open(node, "throttle", errors)?;
    let every = table.need("every", errors).and_then(|n| duration(n, errors));
    let by = |name: &str| ["flow", "dump"].contains(&name).then_some(name == "dump");
    let by_dump = table.take("by").and_then(|n| one_of(n, &["flow", "dump"], by, errors));
    table.close(errors);
    Some(ThrottleDef { every_ns: every?, by_dump: by_dump.unwrap_or(false) })
}

/// An item of `overrides`.
pub fn override_(node: &Node, errors: &mut Errors) -> Option<OverrideDef> {
    let mut table = Table::open(node, "override", errors)?;
    let rule = table.need_text("rule", errors);
    let floor = table.take("severity").and_then(|n| severity(n, errors));
    let enabled = table.take("enabled").and_then(|n| boolean(n, errors));
    table.close(errors);
    Some(OverrideDef { rule: rule?, severity: floor, enabled })
}
