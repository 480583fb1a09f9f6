//! YAML with positions: text to a tree whose every node knows its place in the file. One parse serves values and
//! positions, so the two cannot disagree.
//!
//! Refused here, because a reader of the file would be fooled: tags, anchors, aliases, duplicate keys, several
//! documents. Aliases are never expanded, so an alias bomb is one error.

use std::{collections::BTreeMap, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle, Span, options};

use super::diagnostic::{Diagnostic, Errors};

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
        // Tabs become one space each, so that the caret stays in place.
        let clean = |c: char| if c.is_control() { ' ' } else { c };
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
                items.iter().for_each(|i| i.digest(hasher));
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

/// Parses one file. `None` when it holds no document; findings go to `errors`, and what could be read is returned.
pub fn parse(source: &Arc<Source>, errors: &mut Errors) -> Option<Node> {
    let mut options = options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        disallow_directives: true,
        flow_nesting_limit: 32,
        block_nesting_limit: 32,
    };
    options.set_emit_comments(false);
    let mut builder = Builder { source, errors, stack: Vec::new(), root: None, documents: 0, alias_seen: false };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        match event {
            Ok((event, span)) => {
                if !builder.event(event, &span) {
                    break;
                }
            }
            Err(error) => {
                builder.syntax_error(&error);
                return None;
            }
        }
    }
    builder.root
}

/// A collection that is still open.
enum Frame {
    List(At, Vec<Node>),
    Map(At, Entries),
}

/// A mapping that is still open.
#[derive(Default)]
struct Entries {
    done: Vec<(Key, Node)>,
    /// A key that waits for its value.
    pending: Option<Key>,
    /// Keys, and the line of each.
    seen: BTreeMap<Arc<str>, u32>,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    errors: &'a mut Errors,
    stack: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
    alias_seen: bool,
}

impl Builder<'_> {
    /// Takes one event; false when the rest of the file does not count.
    fn event(&mut self, event: Event<'_>, span: &Span) -> bool {
        let at = At::new(self.source, span);
        self.refuse_tag(span);
        match event {
            Event::DocumentStart(..) => return self.document(&at),
            Event::Anchor(..) => self.refuse(&at, "an anchor is not allowed", "write the value where it is needed"),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                // One is enough: an alias bomb is nothing but aliases.
                if !std::mem::replace(&mut self.alias_seen, true) {
                    self.refuse(&at, "an alias is not allowed", "write the value out");
                }
                self.add(Node { at, value: Value::Null });
            }
            Event::Scalar(text, style, ..) => {
                let value = scalar(text.into(), style, &at);
                self.add(Node { at, value });
            }
            Event::SequenceStart(..) => self.stack.push(Frame::List(at, Vec::new())),
            Event::MappingStart(..) => self.stack.push(Frame::Map(at, Entries::default())),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => {}
        }
        true
    }

    fn document(&mut self, at: &At) -> bool {
        self.documents += 1;
        if self.documents > 1 {
            self.refuse(at, "a second document in one file", "put it into a file of its own");
        }
        self.documents == 1
    }

    fn refuse(&mut self, at: &At, message: &str, hint: &str) {
        self.errors.push(at.error(message).hint(hint));
    }

    fn refuse_tag(&mut self, span: &Span) {
        if let Some(tag) = span.tag_span() {
            let at = At::new(self.source, &tag);
            self.refuse(&at, "a tag is not allowed", "remove it; put text in quotes");
        }
    }

    fn close(&mut self) {
        match self.stack.pop() {
            Some(Frame::List(at, items)) => self.add(Node { at, value: Value::List(items) }),
            Some(Frame::Map(at, entries)) => self.add(Node { at, value: Value::Map(entries.done) }),
            None => {}
        }
    }

    fn add(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List(_, items)) => items.push(node),
            Some(Frame::Map(_, entries)) => match entries.pending.take() {
                Some(key) => entries.done.push((key, node)),
                None => self.key(node),
            },
        }
    }

    fn key(&mut self, node: Node) {
        let name: Arc<str> = match &node.value {
            Value::Text(text) => Arc::clone(&text.value),
            Value::List(_) | Value::Map(_) => {
                self.refuse(&node.at, "a key must be text", "use a plain word as key");
                Arc::from("")
            }
            _ => Arc::from(self.source.text.get(node.at.start..node.at.end).unwrap_or_default()),
        };
        let Some(Frame::Map(_, entries)) = self.stack.last_mut() else { return };
        if let Some(line) = entries.seen.insert(Arc::clone(&name), node.at.line) {
            let hint = format!("it is already on line {line}; keep one of the two");
            self.errors.push(node.at.error(format!("duplicate key `{name}`")).hint(hint));
        }
        entries.pending = Some(Key { name, at: node.at });
    }

    fn syntax_error(&mut self, error: &granit_parser::ScanError) {
        let marker = *error.marker();
        let at = At::new(self.source, &Span::new(marker, marker));
        let words = error.info();
        let hint = match words.as_str() {
            w if w.contains("tab") => "indent with spaces",
            w if w.contains("nest") || w.contains("limit") || w.contains("recursion") => {
                "no configuration is that deep; take levels out"
            }
            w if w.contains("mapping values") || w.contains("':'") => "quote text that holds `: `",
            _ => "check quotes, brackets and indentation here and on the line before",
        };
        self.errors.push(at.error(format!("not valid YAML: {words}")).hint(hint));
    }
}

/// The value of a scalar. Only plain ones can be anything but text; what they are is for `serde_yaml` to say, so that
/// `no`, `0x1f` and `~` mean here what they mean elsewhere.
fn scalar(text: String, style: ScalarStyle, at: &At) -> Value {
    let kind = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    if kind == Style::Plain {
        match serde_yaml::from_str::<serde_yaml::Value>(&text) {
            Ok(serde_yaml::Value::Null) => return Value::Null,
            Ok(serde_yaml::Value::Bool(b)) => return Value::Bool(b),
            Ok(serde_yaml::Value::Number(n)) => {
                if let Some(n) = n.as_i64() {
                    return Value::Int(n);
                }
                return Value::Float(n.as_f64().unwrap_or(f64::NAN));
            }
            _ => {}
        }
    }
    Value::Text(Text { value: text.into(), at: at.clone(), style: kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (Option<Node>, Vec<String>) {
        let source = Arc::new(Source { name: "t.yaml".into(), text: text.to_owned() });
        let mut errors = Errors::default();
        let node = parse(&source, &mut errors);
        (node, errors.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect())
    }

    fn text_at(yaml: &str, needle: &str) -> String {
        let (node, errors) = tree(yaml);
        assert!(errors.is_empty(), "{errors:?}");
        let Some(Node { value: Value::Map(entries), .. }) = node else { panic!("no mapping") };
        let Value::Text(text) = &entries[0].1.value else { panic!("no text") };
        let at = text.locate(text.value.find(needle).unwrap(), needle.len());
        format!("{}:{}", at.line, at.column)
    }

    #[test]
    fn offsets_are_found_again_in_every_style() {
        assert_eq!(text_at("w: a && bad", "bad"), "1:9");
        assert_eq!(text_at("w: 'it''s && bad'", "bad"), "1:14");
        assert_eq!(text_at("w: \"\\u0041 \\\"x\\\" && bad\"", "bad"), "1:21");
        assert_eq!(text_at("w: |\n  a &&\n  bad\n", "bad"), "3:3");
        assert_eq!(text_at("w: >-\n  a &&\n\n  bad\n", "bad"), "4:3");
        assert_eq!(text_at("w: 'a &&\n    bad'", "bad"), "2:5");
        assert_eq!(text_at("w: \"a && \\\n    bad\"", "bad"), "2:5");
        assert_eq!(text_at("w: 'é == bad'", "bad"), "1:10");
    }

    #[test]
    fn what_fools_a_reader_is_refused_where_it_stands() {
        assert_eq!(tree("a: 1\nb: 2\na: 3\n").1, ["3:1 duplicate key `a`"]);
        assert_eq!(tree("a: &x 1\nb: *x\n").1, ["1:4 an anchor is not allowed", "2:4 an alias is not allowed"]);
        assert_eq!(tree("a: !t 1\n").1, ["1:4 a tag is not allowed"]);
        assert_eq!(tree("a: 1\n---\nb: 1\n").1, ["2:1 a second document in one file"]);
        assert_eq!(tree("a: *nope\n").1, ["1:4 an alias is not allowed"]);
    }

    #[test]
    fn nothing_is_a_panic() {
        for text in ["", "\u{feff}", "'", "\"\\", "a: |", "? ", "- - -", "%YAML 1.2\n---\n", "a: \"\\", "{", "\0"] {
            let _ = tree(text);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(tree(&deep).1.len(), 1);
    }

    #[test]
    fn the_other_yaml_parser_reads_the_same() {
        for text in [
            include_str!("default.yaml"),
            "a: [1, no, ~, 0x1f, 1.5, 'x''y', \"\\t\"]\nb:\n  c: |\n    l1\n    l2\n",
            "k: >\n  a\n  b\n\n  c\nl:\n- x\n-  y: z\n",
        ] {
            let (Some(node), errors) = tree(text) else { panic!("{text}") };
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(plain(&node), serde_yaml::from_str::<serde_yaml::Value>(text).unwrap());
        }
    }

    fn plain(node: &Node) -> serde_yaml::Value {
        match &node.value {
            Value::Null => serde_yaml::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Int(n) => (*n).into(),
            Value::Float(x) => (*x).into(),
            Value::Text(t) => (*t.value).into(),
            Value::List(l) => serde_yaml::Value::Sequence(l.iter().map(plain).collect()),
            Value::Map(m) => serde_yaml::Value::Mapping(m.iter().map(|(k, v)| ((*k.name).into(), plain(v))).collect()),
        }
    }

    #[test]
    fn form_does_not_change_the_digest() {
        let digest = |text| {
            let mut h = blake3::Hasher::new();
            tree(text).0.unwrap().digest(&mut h);
            h.finalize()
        };
        assert_eq!(digest("a: x\nb: [1, 2]\n"), digest("# c\nb:\n  - 1\n  - 2\na: 'x'\n"));
        assert_ne!(digest("a: x\n"), digest("a: y\n"));
        assert_ne!(digest("a: '1'\n"), digest("a: 1\n"));
    }
}
