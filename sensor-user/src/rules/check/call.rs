//! Operators and functions of conditions.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, operators as op},
};

use super::undefined_zone;
use super::walk::{Present, Typed, Walk, Wanted, dotted, entry, implied, words};
use crate::{
    config::diagnostic::meant,
    fields::{self, Field, Type},
};

impl Walk<'_, '_> {
    pub(super) fn call(&mut self, e: &IdedExpr, c: &CallExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        match (c.func_name.as_str(), c.target.as_deref(), c.args.as_slice()) {
            (op::LOGICAL_AND, None, args) => Some(self.chain(args, true, present, wanted)),
            (op::LOGICAL_OR, None, args) => Some(self.chain(args, false, present, wanted)),
            (op::LOGICAL_NOT, None, [a]) => {
                self.truth(a, present, wanted.flip());
                Some(Typed::of(Type::Bool))
            }
            ("@not_strictly_false", None, [a]) => self.typed(a, present, wanted),
            (op::CONDITIONAL, None, [test, yes, no]) => self.conditional(e, [test, yes, no], present, wanted),
            (op::EQUALS, None, [a, b]) => self.equality(e, a, b, present, wanted),
            (op::NOT_EQUALS, None, [a, b]) => self.equality(e, a, b, present, wanted.flip()),
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, None, [a, b]) => {
                self.order(e, a, b, present, wanted)
            }
            (op::IN, None, [a, b]) => self.membership(a, b, present, wanted),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, None, [a, b]) => {
                self.arithmetic(e, a, b, present, wanted)
            }
            (op::NEGATE, None, [a]) => self.number(a, present, wanted),
            (op::INDEX, None, [map, key]) => self.entry(e, map, key, present, wanted),
            ("size", Some(a), []) | ("size", None, [a]) => self.size(a, present, wanted),
            ("startsWith" | "endsWith" | "contains", Some(a), [b]) => Some(self.text_test(a, b, present, wanted)),
            (name, ..) => {
                let message = format!("`{}` is not supported in conditions", name.trim_matches(['_', '@']));
                let hint = "functions are: has, size, startsWith, endsWith, contains, exists, all";
                self.wrong(e, message, hint);
                None
            }
        }
    }

    /// `&&` and `||`: what the left side settles about presence, the right side may rely on.
    fn chain(&mut self, args: &[IdedExpr], and: bool, present: &Present, wanted: Wanted) -> Typed {
        let mut known = present.clone();
        for arg in args {
            self.truth(arg, &known, wanted);
            known.extend(implied(arg, and));
        }
        Typed::of(Type::Bool)
    }

    fn conditional(
        &mut self,
        e: &IdedExpr,
        [test, yes, no]: [&IdedExpr; 3],
        present: &Present,
        wanted: Wanted,
    ) -> Option<Typed> {
        self.truth(test, present, Wanted::Either);
        let with = |more: Present| present.iter().cloned().chain(more).collect();
        let yes = self.typed(yes, &with(implied(test, true)), wanted);
        let no = self.typed(no, &with(implied(test, false)), wanted);
        let (yes, no) = (yes?, no?);
        if yes.ty != no.ty {
            let message = format!("one side is {}, the other {}", words(yes.ty), words(no.ty));
            self.wrong(e, message, "both sides of `? :` need the same type");
            return None;
        }
        Some(Typed::of(yes.ty))
    }

    /// Both sides of a binary operator; `None` when either is wrong.
    fn pair(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present, wanted: Wanted) -> Option<(Typed, Typed)> {
        let a = self.typed(a, present, wanted);
        let b = self.typed(b, present, wanted);
        a.zip(b)
    }

    fn equality(
        &mut self,
        e: &IdedExpr,
        a: &IdedExpr,
        b: &IdedExpr,
        present: &Present,
        wanted: Wanted,
    ) -> Option<Typed> {
        // `(a == b) == false` turns the meaning round.
        let wanted = if is_test(a) || is_test(b) { Wanted::Either } else { wanted };
        let (left, right) = self.pair(a, b, present, wanted)?;
        if left.ty != right.ty && !(left.is_number() && right.is_number()) {
            let message = format!("{} is never equal to {}", words(left.ty), words(right.ty));
            self.wrong(e, message, mismatch(&left, &right));
            return None;
        }
        if matches!(left.ty, Type::List | Type::Map) {
            return self.unsupported(e, "comparing lists or maps", "ask for an element: \"...\" in process.ancestors");
        }
        self.closed(left.field, b, &right);
        self.closed(right.field, a, &left);
        Some(Typed::of(Type::Bool))
    }

    /// Notes text that the field can never have.
    fn closed(&mut self, field: Option<&'static Field>, e: &IdedExpr, text: &Typed) {
        let (Some(field), Some(literal)) = (field, &text.literal) else { return };
        if fields::is_zone(field.name) {
            return self.defined(e, literal);
        }
        if field.values.is_empty() || field.values.contains(&literal.as_str()) {
            return;
        }
        let hint = match meant(literal, field.values.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? values are: {}", field.values.join(", ")),
            None => format!("values are: {}", field.values.join(", ")),
        };
        self.wrong(e, format!("`{}` is never \"{literal}\"", field.name), hint);
    }

    /// Notes a zone that no line of the configuration defines.
    fn defined(&mut self, e: &IdedExpr, zone: &str) {
        let Some((message, hint)) = undefined_zone(zone, self.zones()) else { return };
        self.wrong(e, message, hint);
    }

    fn order(&mut self, e: &IdedExpr, a: &IdedExpr, b: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        let (left, right) = self.pair(a, b, present, wanted)?;
        if left.is_number() && right.is_number() {
            return Some(Typed::of(Type::Bool));
        }
        let bad = if left.is_number() { &right } else { &left };
        let hint = match bad.field.map(|f| f.name) {
            Some("dump.created" | "step.started" | "step.ended") => "use dump.age or step.age, in seconds".to_owned(),
            Some(name) if name.ends_with(".exposure") => {
                format!(
                    "compare {}: isolated 0, internal 1, internet-facing 2, unknown 3",
                    name.replace("exposure", "rank")
                )
            }
            _ => "only numbers have an order; use == or in".to_owned(),
        };
        self.wrong(e, format!("{} has no order", words(bad.ty)), hint);
        None
    }

    fn membership(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        let needle = self.typed(a, present, wanted);
        if let Expr::List(list) = &b.expr {
            for element in &list.elements {
                self.element(needle.as_ref(), element, present, wanted);
            }
            return needle.map(|_| Typed::of(Type::Bool));
        }
        let (needle, hay) = (needle?, self.typed(b, present, wanted)?);
        if needle.ty != Type::Str || !matches!(hay.ty, Type::List | Type::Map) {
            let message = format!("`in` looks for text in a list, not for {} in {}", words(needle.ty), words(hay.ty));
            let hint = if hay.ty == Type::Str { "use .contains(\"...\")" } else { "write x in [\"a\", \"b\"]" };
            self.wrong(b, message, hint);
            return None;
        }
        Some(Typed::of(Type::Bool))
    }

    fn element(&mut self, needle: Option<&Typed>, element: &IdedExpr, present: &Present, wanted: Wanted) {
        let Some(typed) = self.typed(element, present, wanted) else { return };
        let Some(needle) = needle else { return };
        if needle.ty != typed.ty && !(needle.is_number() && typed.is_number()) {
            let message = format!("{} is never equal to {}", words(needle.ty), words(typed.ty));
            self.wrong(element, message, mismatch(needle, &typed));
        }
        self.closed(needle.field, element, &typed);
    }

    fn number(&mut self, a: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        let typed = self.typed(a, present, wanted)?;
        if !typed.is_number() {
            self.wrong(a, format!("expected a number, found {}", words(typed.ty)), "use a field that is a number");
            return None;
        }
        Some(Typed::of(typed.ty))
    }

    fn arithmetic(
        &mut self,
        e: &IdedExpr,
        a: &IdedExpr,
        b: &IdedExpr,
        present: &Present,
        wanted: Wanted,
    ) -> Option<Typed> {
        let left = self.number(a, present, wanted);
        let right = self.number(b, present, wanted);
        let (left, right) = (left?, right?);
        if left.ty != right.ty {
            let message = format!("{} and {} do not mix", words(left.ty), words(right.ty));
            self.wrong(e, message, "write both with a fraction or both without: 2.0, 2");
            return None;
        }
        Some(Typed::of(left.ty))
    }

    /// `map["key"]`.
    fn entry(
        &mut self,
        e: &IdedExpr,
        map: &IdedExpr,
        key: &IdedExpr,
        present: &Present,
        wanted: Wanted,
    ) -> Option<Typed> {
        let (Some(name), Expr::Literal(LiteralValue::String(text))) = (dotted(map), &key.expr) else {
            return self.unsupported(e, "this index", "index a map with text: k8s.pod.labels[\"app\"]");
        };
        // That the entry is there implies that the map is; so the entry alone is asked for.
        let typed = self.typed(map, present, Wanted::True)?;
        if typed.ty != Type::Map {
            let message = format!("`{name}` is {}, not a map", words(typed.ty));
            self.wrong(map, message, "only k8s.pod.labels has entries; for a list use exists or in");
            return None;
        }
        self.must_be_present(map, &entry(&name, text.inner()), true, present, wanted);
        Some(Typed::of(Type::Str))
    }

    fn size(&mut self, a: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        let typed = self.typed(a, present, wanted)?;
        if matches!(typed.ty, Type::Str | Type::List | Type::Map) {
            return Some(Typed::of(Type::Int));
        }
        self.wrong(a, format!("{} has no size", words(typed.ty)), "size() is for text, lists and maps");
        None
    }

    fn text_test(&mut self, a: &IdedExpr, b: &IdedExpr, present: &Present, wanted: Wanted) -> Typed {
        for (e, typed) in [(a, self.typed(a, present, wanted)), (b, self.typed(b, present, wanted))] {
            if let Some(typed) = typed
                && typed.ty != Type::Str
            {
                self.wrong(
                    e,
                    format!("expected text, found {}", words(typed.ty)),
                    "startsWith and its like compare text",
                );
            }
        }
        Typed::of(Type::Bool)
    }
}

/// An expression that asks something, as opposed to one that has a value.
fn is_test(e: &IdedExpr) -> bool {
    let value = [op::INDEX, op::ADD, op::SUBSTRACT, op::MULTIPLY, op::DIVIDE, op::MODULO, op::NEGATE, "size"];
    match &e.expr {
        Expr::Call(c) => !value.contains(&c.func_name.as_str()),
        Expr::Comprehension(_) => true,
        _ => false,
    }
}

/// How two types could be made one.
fn mismatch(a: &Typed, b: &Typed) -> &'static str {
    if a.is_number() || b.is_number() { "write the number without quotes" } else { "compare things of the same type" }
}
