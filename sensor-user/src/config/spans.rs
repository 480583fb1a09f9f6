//! YAML with positions: text to a tree whose every node knows its place in the file. One parse serves values and
//! positions, so the two cannot disagree.
//!
//! Refused here, because a reader of the file would be fooled: tags, anchors, aliases, duplicate keys, several
//! documents. Aliases are never expanded, so an alias bomb is one error.

use std::sync::Arc;

use granit_parser::Span;

use super::diagnostic::{Diagnostic, is_hostile};

mod parse;

pub use parse::parse;

/// Characters of a message: it may quote a value as long as its file.
const MESSAGE: usize = 400;
/// Bytes of a line that are shown on either side of a finding.
const WINDOW: usize = 120;

/// A file that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// How a person calls it: the path as given, or `embedded default`.
    pub name: Arc<str>,
    /// Its text.
    pub text: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file.
    pub source: Arc<Source>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// First byte.
    start: usize,
    /// One past the last byte.
    end: usize,
}

impl At {
    fn new(source: &Arc<Source>, span: &Span) -> Self {
        let range = span.byte_range().unwrap_or_default();
        let (line, column) = (span.start.line() as u32, span.start.col() as u32 + 1);
        Self { source: Arc::clone(source), line, column, start: range.start, end: range.end }
    }
    /// The place of byte `start`, up to `end`.
    fn of_bytes(source: &Arc<Source>, start: usize, end: usize) -> Self {
        let before = source.text.get(..start).unwrap_or(&source.text);
        let line = before.matches('\n').count() as u32 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
        Self { source: Arc::clone(source), line, column, start, end: end.max(start) }
    }
    /// The first byte of a file.
    pub fn top(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), line: 1, column: 1, start: 0, end: 0 }
    }
    /// An error here.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        let (snippet, caret) = self.snippet();
        let marked = self.source.text.get(self.start..self.end.min(self.start + WINDOW)).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().trim_end().chars().count().max(1) as u32;
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE) {
            message.replace_range(end.., "…");
        }
        let mut found = Diagnostic::about_file(Arc::clone(&self.source.name), message);
        (found.line, found.column, found.caret, found.width) = (self.line, self.column, caret, width);
        found.snippet = Some(snippet);
        found
    }
    /// The line around this place, and where in it the place is. Cheap also where a line is as long as the file.
    fn snippet(&self) -> (String, u32) {
        let text = &self.source.text;
        let start = text.floor_char_boundary(self.start);
        let from = text.ceil_char_boundary(start.saturating_sub(WINDOW));
        let to = text.floor_char_boundary(start.saturating_add(WINDOW));
        let before = text[from..start].rsplit('\n').next().unwrap_or_default();
        let after = text[start..to].lines().next().unwrap_or_default();
        // Tabs and the like become one space each, so that the caret stays in place.
        let clean = |c: char| if is_hostile(c) { ' ' } else { c };
        (before.chars().chain(after.chars()).map(clean).collect(), before.chars().count() as u32)
    }
    /// `file:line`, for "which line decided".
    pub fn line_name(&self) -> String {
        format!("{}:{}", self.source.name, self.line)
    }
}

/// Text, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, escapes and folding undone.
    pub value: Arc<str>,
    /// Where the scalar starts.
    pub at: At,
    style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Block,
}

impl Text {
    /// Text that stands for what was written as something else at `at`.
    pub fn made(value: impl Into<Arc<str>>, at: &At) -> Self {
        Self { value: value.into(), at: at.clone(), style: Style::Plain }
    }
    /// The place of the byte `offset` of the value, `len` bytes long.
    pub fn locate(&self, offset: usize, len: usize) -> At {
        let raw = self.at.source.text.get(self.at.start..self.at.end).unwrap_or_default();
        let place = |n| self.at.start + align(raw, self.style, &self.value, n);
        let (start, last) = (place(offset), place((offset + len).saturating_sub(1).max(offset)));
        At::of_bytes(&self.at.source, start, last + 1)
    }
}

/// Where in `raw` (as written) the byte `offset` of `value` (as meant) is. Both are walked together: what is not white
/// space stands in the same order in both, except for escapes; line folding only changes white space.
fn align(raw: &str, style: Style, value: &str, offset: usize) -> usize {
    let mut at = start_of_content(raw, style);
    for (n, c) in value.char_indices() {
        if !c.is_whitespace() {
            at += raw[at..].len() - raw[at..].trim_start().len();
            at = skip_line_continuations(raw, at, style);
        }
        if n >= offset {
            return at;
        }
        at += written(&raw[at..], style, c);
    }
    at.min(raw.trim_end().len())
}

fn start_of_content(raw: &str, style: Style) -> usize {
    match style {
        Style::Single | Style::Double => 1.min(raw.len()),
        Style::Block if raw.starts_with(['|', '>']) => raw.find('\n').map_or(raw.len(), |n| n + 1),
        Style::Plain | Style::Block => 0,
    }
}

/// In double quotes a backslash before a line end joins two lines.
fn skip_line_continuations(raw: &str, mut at: usize, style: Style) -> usize {
    while style == Style::Double && (raw[at..].starts_with("\\\n") || raw[at..].starts_with("\\\r\n")) {
        let rest = raw[at + 1..].trim_start();
        at = raw.len() - rest.len();
    }
    at
}

/// How many bytes the character `c` takes at the start of `rest`, as written.
fn written(rest: &str, style: Style, c: char) -> usize {
    let mut chars = rest.chars();
    let first = chars.next();
    if style == Style::Double && first == Some('\\') {
        return match chars.next() {
            Some('x') => 4,
            Some('u') => 6,
            Some('U') => 10,
            Some(e) => 1 + e.len_utf8(),
            None => 1,
        }
        .min(rest.len());
    }
    if style == Style::Single && rest.starts_with("''") {
        return 2;
    }
    match first {
        // A folded line end: what follows it is skipped before the next character that counts.
        Some(f) if c.is_whitespace() && !f.is_whitespace() => 0,
        Some(f) => f.len_utf8(),
        None => 0,
    }
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written.
    pub name: Arc<str>,
    /// Where.
    pub at: At,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Text),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping; keys are unique.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// What it is, in words.
    pub fn what(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Feeds the content, not the form, to a hash: comments, quotes, key order and file names do not count.
    pub fn digest(&self, hasher: &mut blake3::Hasher) {
        let mut put = |tag: u8, bytes: &[u8]| {
            hasher.update(&[tag]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        match &self.value {
            Value::Null => put(b'n', b""),
            Value::Bool(b) => put(b'b', &[u8::from(*b)]),
            Value::Int(n) => put(b'i', &n.to_le_bytes()),
            Value::Float(x) => put(b'f', &x.to_bits().to_le_bytes()),
            Value::Text(t) => put(b's', t.value.as_bytes()),
            Value::List(items) => {
                put(b'l', &(items.len() as u64).to_le_bytes());
                for item in items {
                    item.digest(hasher);
                }
            }
            Value::Map(entries) => {
                put(b'm', &(entries.len() as u64).to_le_bytes());
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|a, b| a.0.name.cmp(&b.0.name));
                for (key, node) in sorted {
                    hasher.update(&(key.name.len() as u64).to_le_bytes());
                    hasher.update(key.name.as_bytes());
                    node.digest(hasher);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
