//! The walk over a condition's syntax tree: what type is it, and what does it need to be present.

use std::collections::BTreeSet;

use cel::{
    IdedExpr, Program,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, operators as op},
};

use super::Scope;
use crate::{
    config::{diagnostic::meant, schema::ZoneDef, spans::Text},
    fields::{self, Field, Type},
};

/// Names of fields (and of map entries) that are known to be present.
pub(super) type Present = BTreeSet<String>;

/// What an expression must be for the rule to fire. Absent counts as false, so only `True` may rest on what may be
/// absent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    True,
    False,
    Either,
}

impl Wanted {
    pub(super) fn flip(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Either => Self::Either,
        }
    }
}

/// The type of an expression, and what is known about its values.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) ty: Type,
    /// It is this field.
    pub(super) field: Option<&'static Field>,
    /// It is this text.
    pub(super) literal: Option<String>,
}

impl Typed {
    pub(super) fn of(ty: Type) -> Self {
        Self { ty, field: None, literal: None }
    }
    pub(super) fn is_number(&self) -> bool {
        matches!(self.ty, Type::Int | Type::Float)
    }
}

/// A type in words.
pub(in crate::rules) const fn words(ty: Type) -> &'static str {
    match ty {
        Type::Str => "text",
        Type::Int => "a whole number",
        Type::Float => "a number",
        Type::Bool => "true or false",
        Type::List => "a list of text",
        Type::Map => "a map from text to text",
    }
}

/// Fields that exist only once the alert does.
const OF_ALERTS: &[&str] = &["rule.", "severity", "summary", "alert.", "config."];
/// Deeper conditions are refused: evaluation is recursive.
const DEEPEST: usize = 48;
/// `exists` and `all` within one another: each multiplies what a step costs by the length of its list.
const MACROS: usize = 2;

pub(super) struct Walk<'a, 'b> {
    scope: &'a mut Scope<'b>,
    text: &'a Text,
    program: &'a Program,
    /// Variables of `exists` and `all`.
    variables: Vec<(String, Type)>,
    depth: usize,
}

impl<'a, 'b> Walk<'a, 'b> {
    pub(super) fn new(scope: &'a mut Scope<'b>, text: &'a Text, program: &'a Program) -> Self {
        Self { scope, text, program, variables: Vec::new(), depth: 0 }
    }

    /// All zones.
    pub(super) fn zones(&self) -> &'b [ZoneDef] {
        self.scope.zones
    }

    /// Notes an error at `e`.
    pub(super) fn wrong(&mut self, e: &IdedExpr, message: impl Into<String>, hint: impl Into<String>) {
        let (start, stop) = self.span(e);
        let at = self.text.locate(start, stop.saturating_sub(start) + 1);
        self.scope.errors.push(at.error(message).hint(hint));
    }

    /// First and last byte of `e`; of a field its whole name.
    fn span(&self, e: &IdedExpr) -> (usize, usize) {
        let offset = |id| self.program.source_info().offset_for(id).unwrap_or_default();
        if let Some(name) = dotted(e) {
            let mut root = e;
            while let Expr::Select(s) = &root.expr {
                root = &s.operand;
            }
            let start = offset(root.id).0 as usize;
            return (start, start + name.len() - 1);
        }
        let (start, stop) = offset(e.id);
        let (start, stop) = (start as usize, stop as usize);
        // A call is placed at its bracket; a person looks for its name.
        match &e.expr {
            Expr::Call(c) if self.text.value.get(..start).is_some_and(|t| t.ends_with(&c.func_name)) => {
                (start - c.func_name.len(), start - 1)
            }
            _ => (start, stop),
        }
    }

    /// Checks an expression that must be true or false.
    pub(super) fn truth(&mut self, e: &IdedExpr, present: &Present, wanted: Wanted) {
        if let Some(typed) = self.typed(e, present, wanted)
            && typed.ty != Type::Bool
        {
            let name = dotted(e).unwrap_or_else(|| "this".to_owned());
            let hint = match typed.ty {
                Type::Int | Type::Float => format!("compare it: {name} > 0"),
                Type::Str => format!("compare it: {name} == \"...\""),
                _ => format!("ask for an element: \"...\" in {name}"),
            };
            self.wrong(e, format!("expected true or false, found {}", words(typed.ty)), hint);
        }
    }

    /// The type of `e`, or `None` when an error was noted.
    pub(super) fn typed(&mut self, e: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        if self.depth >= DEEPEST {
            self.wrong(e, "the condition is nested too deeply", "split it into several rules");
            return None;
        }
        self.depth += 1;
        let typed = self.shape(e, present, wanted);
        self.depth -= 1;
        typed
    }

    fn shape(&mut self, e: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        match &e.expr {
            Expr::Literal(literal) => self.literal(e, literal),
            Expr::Select(select) if select.test => self.presence(e, select),
            Expr::Ident(_) | Expr::Select(_) => self.name(e, present, wanted),
            Expr::Call(call) => self.call(e, call, present, wanted),
            Expr::Comprehension(c) => self.comprehension(e, c, present, wanted),
            Expr::List(_) => self.unsupported(e, "a list here", "a list stands on the right of `in`"),
            _ => self.unsupported(e, "this", "use comparisons, &&, ||, !, in, has() and text functions"),
        }
    }

    pub(super) fn unsupported(&mut self, e: &IdedExpr, what: &str, hint: &str) -> Option<Typed> {
        self.wrong(e, format!("{what} is not supported in conditions"), hint);
        None
    }

    fn literal(&mut self, e: &IdedExpr, literal: &LiteralValue) -> Option<Typed> {
        match literal {
            LiteralValue::Boolean(_) => Some(Typed::of(Type::Bool)),
            LiteralValue::Int(_) | LiteralValue::UInt(_) => Some(Typed::of(Type::Int)),
            LiteralValue::Double(_) => Some(Typed::of(Type::Float)),
            LiteralValue::String(text) => {
                Some(Typed { literal: Some(text.inner().to_owned()), ..Typed::of(Type::Str) })
            }
            LiteralValue::Null => self.unsupported(e, "null", "ask with has(...) whether a field is present"),
            LiteralValue::Bytes(_) => self.unsupported(e, "a bytes literal", "compare with text"),
        }
    }

    /// A field or a variable.
    fn name(&mut self, e: &IdedExpr, present: &Present, wanted: Wanted) -> Option<Typed> {
        let Some(name) = dotted(e) else {
            return self.unsupported(e, "a selection from this", "select from fields only");
        };
        if let Some((_, ty)) = self.variables.iter().rev().find(|(v, _)| *v == name) {
            return Some(Typed::of(*ty));
        }
        let field = self.field(e, &name)?;
        self.must_be_present(e, field.name, field.optional, present, wanted);
        Some(Typed { field: Some(field), ..Typed::of(field.ty) })
    }

    /// Notes that `name` may be absent where that would silence the rule.
    pub(super) fn must_be_present(
        &mut self,
        e: &IdedExpr,
        name: &str,
        optional: bool,
        known: &Present,
        wanted: Wanted,
    ) {
        if !optional || wanted == Wanted::True || known.contains(name) {
            return;
        }
        let message = format!("`{name}` may be absent, and then this would silence the rule");
        let (there, absent) = match name.split_once('[') {
            Some((map, key)) => {
                let asked = format!("{} in {map}", key.trim_end_matches(']'));
                (asked.clone(), format!("!({asked})"))
            }
            None => (format!("has({name})"), format!("!has({name})")),
        };
        self.wrong(e, message, format!("say what holds then: `{there} && ...` or `{absent} || ...`"));
    }

    /// The field called `name`, if conditions of this rule may read it.
    fn field(&mut self, e: &IdedExpr, name: &str) -> Option<&'static Field> {
        let of_alerts = |n: &str| OF_ALERTS.iter().any(|p| n.starts_with(p));
        if of_alerts(name) {
            self.wrong(e, format!("`{name}` is not known before the alert"), "use fields of the step");
            return None;
        }
        let Some(field) = fields::find(name) else {
            let known = fields::all().iter().map(|f| f.name).filter(|n| !of_alerts(n));
            let (message, hint) = unknown(name, known);
            self.wrong(e, message, hint);
            return None;
        };
        if self.scope.block && !known_to_the_kernel(name) {
            let hint = "in the conditions of a rule that blocks use the zone, exposure and rank of origin, from and to, \
                        and dump.kind; or take `block` out of its actions";
            self.wrong(e, format!("a rule that blocks cannot use `{name}`"), hint);
            return None;
        }
        self.scope.used.insert(field.name);
        Some(field)
    }

    /// `has(field)`.
    fn presence(&mut self, e: &IdedExpr, select: &SelectExpr) -> Option<Typed> {
        let Some(name) = tested(select) else {
            return self.unsupported(e, "has() of this", "write has(process.pid), or \"key\" in k8s.pod.labels");
        };
        self.field(&select.operand, &name).map(|_| Typed::of(Type::Bool))
    }

    /// `exists` and `all`, which the parser has written out as loops.
    fn comprehension(
        &mut self,
        e: &IdedExpr,
        c: &ComprehensionExpr,
        present: &Present,
        wanted: Wanted,
    ) -> Option<Typed> {
        let boolean = matches!(c.accu_init.expr, Expr::Literal(LiteralValue::Boolean(_)));
        if !boolean || c.iter_var2.is_some() {
            return self.unsupported(e, "this macro", "of the macros use exists and all");
        }
        // Each has a variable for the element and one for the result.
        if self.variables.len() >= 2 * MACROS {
            let message = format!("more than {MACROS} of exists and all within one another");
            self.wrong(e, message, "split it into several rules");
            return None;
        }
        let range = self.typed(&c.iter_range, present, wanted)?;
        if range.ty != Type::List {
            let message = format!("exists and all need a list, found {}", words(range.ty));
            self.wrong(&c.iter_range, message, "for example process.ancestors");
            return None;
        }
        let outer = self.variables.len();
        self.variables.push((c.iter_var.clone(), Type::Str));
        self.variables.push((c.accu_var.clone(), Type::Bool));
        self.truth(&c.loop_step, present, wanted);
        self.variables.truncate(outer);
        Some(Typed::of(Type::Bool))
    }
}

/// `a.b.c` as written, for an identifier or selections from one.
pub(super) fn dotted(e: &IdedExpr) -> Option<String> {
    match &e.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(s) if !s.test => Some(format!("{}.{}", dotted(&s.operand)?, s.field)),
        _ => None,
    }
}

fn tested(select: &SelectExpr) -> Option<String> {
    Some(format!("{}.{}", dotted(&select.operand)?, select.field))
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> (String, String) {
    let below: Vec<&str> = known.clone().filter(|k| k.starts_with(&format!("{name}."))).collect();
    if !below.is_empty() {
        return (format!("`{name}` is a group of fields"), format!("pick one: {}", below.join(", ")));
    }
    if let Some(key) = name.strip_prefix("k8s.pod.labels.") {
        return (format!("unknown field `{name}`"), format!("labels are a map: k8s.pod.labels[\"{key}\"]"));
    }
    let hint = match meant(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "docs/fields.md lists all fields".to_owned(),
    };
    (format!("unknown field `{name}`"), hint)
}

fn known_to_the_kernel(name: &str) -> bool {
    let end = name.split_once('.').filter(|(group, _)| ["origin", "from", "to"].contains(group));
    name == "dump.kind" || end.is_some_and(|(_, rest)| ["zone", "exposure", "rank"].contains(&rest))
}

/// What is known to be present when `e` is `truth`.
pub(super) fn implied(e: &IdedExpr, truth: bool) -> Present {
    match &e.expr {
        Expr::Select(s) if s.test && truth => tested(s).into_iter().collect(),
        Expr::Call(c) => implied_by_call(c, truth),
        _ => Present::new(),
    }
}

fn implied_by_call(c: &CallExpr, truth: bool) -> Present {
    match (c.func_name.as_str(), c.args.as_slice()) {
        (op::LOGICAL_NOT, [a]) => implied(a, !truth),
        (op::LOGICAL_AND, args) if truth => args.iter().flat_map(|a| implied(a, true)).collect(),
        (op::LOGICAL_OR, args) if !truth => args.iter().flat_map(|a| implied(a, false)).collect(),
        (op::IN, [key, map]) if truth => match (&key.expr, dotted(map)) {
            (Expr::Literal(LiteralValue::String(key)), Some(map)) => [entry(&map, key.inner()), map].into(),
            _ => Present::new(),
        },
        _ => Present::new(),
    }
}

/// The name of an entry of a map in [`Present`].
pub(super) fn entry(map: &str, key: &str) -> String {
    format!("{map}[\"{key}\"]")
}
