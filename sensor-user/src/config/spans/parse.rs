//! One pass over the events of the YAML parser.

use std::{collections::BTreeMap, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle, Span, options};

use super::{At, Key, Node, Source, Style, Text, Value};
use crate::config::Errors;

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
