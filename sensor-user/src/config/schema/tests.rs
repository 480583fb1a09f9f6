//! Reads tests of rules.

use super::{Expect, TestDef, TestStep, rules::severity};
use crate::config::{
    read::{Errors, Table, duration, integer, list, wrong},
    spans::{Node, Value},
};

/// An item of `tests`.
pub fn test(node: &Node, errors: &mut Errors) -> Option<TestDef> {
    let mut table = Table::open(node, "test", errors)?;
    let name = table.need_text("name", errors);
    let rule = table.need_text("rule", errors);
    let steps = table.need("steps", errors).map(|n| list(n, errors, test_step)).unwrap_or_default();
    let expect = table.need("expect", errors).and_then(|n| expect(n, errors));
    table.close(errors);
    let order = |pair: &[TestStep]| pair[1].offset_ns < pair[0].offset_ns;
    if let Some(late) = steps.windows(2).position(order) {
        let found = steps[late + 1].at.error("a step before the one above it").hint("order steps by `at`");
        errors.push(found);
    }
    // A wrong expectation must not hide what is wrong with the steps.
    Some(TestDef { name: name?, rule: rule?, steps, expect: expect.unwrap_or_default() })
}

fn test_step(node: &Node, errors: &mut Errors) -> Option<TestStep> {
    let table = Table::open(node, "step", errors)?;
    let offset = table.entries().iter().find(|(k, _)| &*k.name == "at").map(|(_, n)| n);
    let offset_ns = offset.and_then(|n| duration(n, errors)).unwrap_or(0);
    let fields = table.entries().iter().filter(|(k, _)| &*k.name != "at").cloned().collect();
    Some(TestStep { offset_ns, fields, at: node.at.clone() })
}

fn expect(node: &Node, errors: &mut Errors) -> Option<Expect> {
    match &node.value {
        Value::Text(t) if &*t.value == "silent" => return Some(Expect { severity: None, alerts: Some(0) }),
        Value::Map(_) => {}
        _ => {
            wrong(node, "`silent` or a mapping of severity and alerts", errors);
            return None;
        }
    }
    let mut table = Table::open(node, "expect", errors)?;
    let severity = table.take("severity").and_then(|n| severity(n, errors));
    let alerts = table.take("alerts").and_then(|n| integer(n, 0, 1_000_000, errors)).map(i64::unsigned_abs);
    if table.entries().is_empty() {
        errors.push(node.at.error("expects nothing").hint("write `silent`, or severity, or alerts"));
    }
    table.close(errors);
    Some(Expect { severity, alerts })
}
