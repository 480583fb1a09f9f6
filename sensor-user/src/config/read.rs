//! From tree to types: small readers that note every error and go on, so that all errors show at once.

use std::{str::FromStr, sync::Arc};

use regex::bytes::{Regex, RegexBuilder};

pub use super::diagnostic::Errors;
use super::{
    diagnostic::meant,
    spans::{At, Key, Node, Text, Value},
};

/// A mapping that is being read: every key is asked for by name, what is left over is unknown.
pub struct Table<'a> {
    /// Where it starts.
    pub at: &'a At,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
    what: &'static str,
}

impl<'a> Table<'a> {
    /// Opens `node`, which is to be a mapping; `what` names it in messages.
    pub fn open(node: &'a Node, what: &'static str, errors: &mut Errors) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            wrong(node, &format!("{what}: a mapping"), errors);
            return None;
        };
        let at = entries.first().map_or(&node.at, |(key, _)| &key.at);
        Some(Self { at, entries, known: Vec::new(), what })
    }
    /// The value of `key`, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.entries.iter().find(|(k, _)| *k.name == *key).map(|(_, node)| node)
    }
    /// The value of `key`, which must be there.
    pub fn need(&mut self, key: &'static str, errors: &mut Errors) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            let message = format!("{} without `{key}`", self.what);
            errors.push(self.at.error(message).hint(format!("add `{key}:`")));
        }
        found
    }
    /// Text under `key`, which must be there.
    pub fn need_text(&mut self, key: &'static str, errors: &mut Errors) -> Option<Text> {
        text(self.need(key, errors)?, errors)
    }
    /// Text under `key`, if it is there.
    pub fn take_text(&mut self, key: &'static str, errors: &mut Errors) -> Option<Text> {
        text(self.take(key)?, errors)
    }
    /// The list under `key`, each item read by `item`; empty when the key is not there.
    pub fn take_list<T>(
        &mut self,
        key: &'static str,
        errors: &mut Errors,
        item: impl FnMut(&'a Node, &mut Errors) -> Option<T>,
    ) -> Vec<T> {
        self.take(key).map(|node| list(node, errors, item)).unwrap_or_default()
    }
    /// Notes the keys that nobody asked for.
    pub fn close(self, errors: &mut Errors) {
        for (key, _) in self.entries.iter().filter(|(k, _)| !self.known.contains(&&*k.name)) {
            let hint = match meant(&key.name, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", self.known.join(", ")),
            };
            errors.push(key.at.error(format!("{}: unknown key `{}`", self.what, key.name)).hint(hint));
        }
    }
    /// All entries, for mappings with free keys.
    pub fn entries(&self) -> &'a [(Key, Node)] {
        self.entries
    }
}

/// Notes that `node` should have been something else.
pub fn wrong(node: &Node, expected: &str, errors: &mut Errors) {
    let found = node.at.error(format!("expected {expected}, found {}", node.what()));
    let hint = match node.value {
        Value::Null => "write a value, or take the key out",
        Value::Bool(_) | Value::Int(_) | Value::Float(_) if expected.contains("text") => "put it in quotes",
        Value::Text(_) if expected.contains("number") || expected.contains("true") => "write it without quotes",
        _ if expected == "a list" => "put it in brackets: [...]",
        _ => "see docs/rules.md for the form",
    };
    errors.push(found.hint(hint));
}

/// Text that is not empty.
pub fn text(node: &Node, errors: &mut Errors) -> Option<Text> {
    match &node.value {
        Value::Text(text) if !text.value.trim().is_empty() => return Some(text.clone()),
        Value::Text(text) => errors.push(text.at.error("empty text").hint("write a value, or take the key out")),
        _ => wrong(node, "text", errors),
    }
    None
}

/// true or false.
pub fn boolean(node: &Node, errors: &mut Errors) -> Option<bool> {
    if let Value::Bool(b) = node.value {
        return Some(b);
    }
    wrong(node, "true or false", errors);
    None
}

/// A whole number from `min` to `max`.
pub fn integer(node: &Node, min: i64, max: i64, errors: &mut Errors) -> Option<i64> {
    match node.value {
        Value::Int(n) if (min..=max).contains(&n) => return Some(n),
        Value::Int(n) => {
            errors.push(node.at.error(format!("{n} is out of range")).hint(format!("use {min} to {max}")));
        }
        _ => wrong(node, "a whole number", errors),
    }
    None
}

/// A list, each item read by `item`.
pub fn list<'a, T>(
    node: &'a Node,
    errors: &mut Errors,
    mut item: impl FnMut(&'a Node, &mut Errors) -> Option<T>,
) -> Vec<T> {
    if let Value::List(items) = &node.value {
        return items.iter().filter_map(|i| item(i, errors)).collect();
    }
    wrong(node, "a list", errors);
    Vec::new()
}

/// One of a closed set of names.
pub fn one_of<T>(node: &Node, names: &[&str], find: impl Fn(&str) -> Option<T>, errors: &mut Errors) -> Option<T> {
    let text = text(node, errors)?;
    let found = find(&text.value);
    if found.is_none() {
        let message = format!("`{}` is not one of: {}", text.value, names.join(", "));
        let near = meant(&text.value, names.iter().copied());
        let hint = near.map_or_else(|| "pick one of them".to_owned(), |n| format!("did you mean `{n}`?"));
        errors.push(text.at.error(message).hint(hint));
    }
    found
}

/// Anything that parses from text; `form` is an example of it.
pub fn parsed<T: FromStr>(node: &Node, what: &str, form: &str, errors: &mut Errors) -> Option<T> {
    let text = text(node, errors)?;
    let value = text.value.parse().ok();
    if value.is_none() {
        errors.push(text.at.error(format!("`{}` is not {what}", text.value)).hint(format!("for example {form}")));
    }
    value
}

/// A duration such as `90s`, in ns.
pub fn duration(node: &Node, errors: &mut Errors) -> Option<u64> {
    let text = text(node, errors)?;
    let value = duration_ns(&text.value);
    if value.is_none() {
        let message = format!("`{}` is not a duration", text.value);
        errors.push(text.at.error(message).hint("a whole number and one of ms, s, m, h, d: 90s, 1h"));
    }
    value
}

fn duration_ns(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ns: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ns)
}

/// An id: small letters, digits, `-`, `_` and `.`, and capitals in ids of tickets.
pub fn id(text: Option<Text>, errors: &mut Errors) -> Option<Text> {
    let text = text?;
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.value.len() > 128 || !text.value.chars().all(good) {
        let found = text.at.error(format!("`{}` is not an id", text.value));
        errors.push(found.hint("letters, digits, `-`, `_` and `.`, at most 128"));
        return None;
    }
    Some(text)
}

/// No pattern is longer, bytes.
const LONGEST_GLOB: usize = 1024;

/// A glob (`*`, `?`, `[...]`), compiled; `*` also stands for `/`.
pub fn glob(text: Option<Text>, errors: &mut Errors) -> Option<Glob> {
    let text = text?;
    if text.value.len() > LONGEST_GLOB {
        let found = text.at.error(format!("a pattern of more than {LONGEST_GLOB} bytes"));
        errors.push(found.hint("shorten it with `*`"));
        return None;
    }
    match globset::Glob::new(&text.value) {
        Ok(glob) => match matcher(&glob) {
            Some(matcher) => return Some(Glob { text, matcher }),
            None => errors.push(text.at.error("a pattern nested too deeply").hint("write a line for each case")),
        },
        Err(error) => {
            let found = text.at.error(format!("`{}` is not a pattern: {}", text.value, error.kind()));
            errors.push(found.hint("`*` and `?` are wild, `[` starts a set; write `[*]` for a star itself"));
        }
    }
    None
}

/// What `compile_matcher` makes of `glob`, which panics where this is `None`: braces may be deeper than the compiler goes.
fn matcher(glob: &globset::Glob) -> Option<Regex> {
    RegexBuilder::new(glob.regex()).dot_matches_new_line(true).build().ok()
}

/// A pattern over text.
#[derive(Clone, Debug)]
pub struct Glob {
    /// As written.
    pub text: Text,
    matcher: Regex,
}

impl Glob {
    /// True when all of `subject` matches.
    pub fn matches(&self, subject: &str) -> bool {
        self.matcher.is_match(subject.as_bytes())
    }
    /// The pattern.
    pub fn pattern(&self) -> &Arc<str> {
        &self.text.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spans::{self, Source};

    /// What `pattern` is read as, or what is found.
    fn read(pattern: &str) -> Result<Glob, Vec<String>> {
        let source = Arc::new(Source { name: "c".into(), text: format!("k: '{pattern}'\n") });
        let mut errors = Errors::default();
        let tree = spans::parse(&source, &mut errors).unwrap();
        let Value::Map(entries) = &tree.value else { panic!("no mapping") };
        let glob = glob(text(&entries[0].1, &mut errors), &mut errors);
        glob.ok_or_else(|| errors.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect())
    }

    #[test]
    fn patterns_mean_what_globs_mean() {
        for (pattern, subject, expected) in [
            ("payments-*", "payments-eu", true),
            ("a*c", "a/b\nc", true),
            ("a?c", "a/c", true),
            ("**/x", "a/b/x", true),
            ("[!a]x", "ax", false),
            ("{a,b[é]}c", "béc", false),
            ("{a,b}c", "bc", true),
            ("a.c", "abc", false),
            ("*", "", true),
        ] {
            assert_eq!(read(pattern).unwrap().matches(subject), expected, "{pattern}");
            let as_globset = globset::Glob::new(pattern).unwrap().compile_matcher();
            assert_eq!(as_globset.is_match(subject), expected, "{pattern}");
        }
    }

    /// The longest patterns that there may be: what is too much for the compiler is a finding, no panic.
    #[test]
    fn no_pattern_panics() {
        assert_eq!(read(&"*a".repeat(100_000)).unwrap_err(), ["1:4 a pattern of more than 1024 bytes"]);
        let deep = |n: usize| format!("{}a{}", "{".repeat(n), "}".repeat(n));
        assert_eq!(read(&deep(500)).unwrap_err(), ["1:4 a pattern nested too deeply"]);
        assert!(read(&deep(100)).unwrap().matches("a"));
        for unit in ["*a", "**/", "?", "[!a]", "[a-cx-z]", "{a,b}", "{**/,*}", "[\u{100}-\u{10ffff}]", "é"] {
            assert!(read(&unit.repeat(LONGEST_GLOB / unit.len())).is_ok(), "{unit}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration_ns("1h"), Some(3_600_000_000_000));
        assert_eq!(duration_ns("0s"), Some(0));
        for bad in ["", "1", "h", "-1s", "1.5h", "1 h", "1w", "99999999999999999d"] {
            assert_eq!(duration_ns(bad), None, "{bad}");
        }
    }
}
