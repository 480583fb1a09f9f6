//! What is wrong with a configuration: one finding, where, and what to do about it.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The configuration is refused.
    Error,
    /// It is taken, but probably not what was meant.
    Warning,
}

/// One finding. `Display` writes `file:line:column: message`, the line with a caret, and the hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub level: Level,
    /// File, as it was named.
    #[serde(serialize_with = "plain")]
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line of the file; of a long one the part around the column.
    pub snippet: Option<String>,
    /// Where in the snippet the caret begins, from 0.
    #[serde(skip)]
    pub caret: u32,
    /// Number of characters that the caret underlines.
    pub width: u32,
}

/// Findings, at most [`Errors::MOST`]: a hostile file must not fill the memory with them.
#[derive(Debug, Default)]
pub struct Errors(Vec<Diagnostic>);

impl Errors {
    /// Nobody reads more.
    pub const MOST: usize = 500;

    /// Adds one, unless there are too many already.
    pub fn push(&mut self, finding: Diagnostic) {
        if !self.is_full() {
            self.0.push(finding);
        }
    }
    /// No more are taken.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }
    /// All of them, as a person reads files: by file, then by position; doubles go.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        sort(&mut self.0);
        self.0
    }
}

impl std::ops::Deref for Errors {
    type Target = [Diagnostic];
    fn deref(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl Diagnostic {
    /// A finding about a whole file.
    pub fn about_file(file: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            file: file.into(),
            line: 1,
            column: 1,
            message: message.into(),
            hint: None,
            snippet: None,
            caret: 0,
            width: 1,
        }
    }
    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.level = Level::Warning;
        self
    }
    /// True for errors.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.is_error() { "" } else { "warning: " };
        let (file, message) = (printable(&self.file), printable(&self.message));
        write!(f, "{file}:{}:{}: {warning}{message}", self.line, self.column)?;
        if let Some(line) = &self.snippet {
            let before = self.caret as usize;
            let room = line.chars().count().saturating_sub(before).max(1);
            let caret = "^".repeat((self.width as usize).clamp(1, room));
            write!(f, "\n{:5} | {line}\n      | {:before$}{caret}", self.line, "")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n      hint: {}", printable(hint))?;
        }
        Ok(())
    }
}

/// Moves the cursor, colours the screen, or turns the reading direction.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of a file, as a terminal may show it.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let show = |c: char| if is_hostile(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}

fn plain<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Orders findings as a person reads files: by file, then by position; doubles go.
pub fn sort(findings: &mut Vec<Diagnostic>) {
    findings.sort_by(|a, b| (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message)));
    findings.dedup();
}

/// The one of `known` that was probably meant by `word`.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = |k: &str| (k.len().max(word.len()) / 4).max(1);
    known
        .into_iter()
        .take(COMPARED)
        .filter(|k| k.len().abs_diff(word.len()) <= most(k))
        .map(|k| (distance(word, k), k))
        .filter(|(d, k)| *d <= most(k) && *d < word.len())
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Names that a wrong one is compared with.
const COMPARED: usize = 1000;
/// Names in a hint.
const LISTED: usize = 20;

/// Names for a hint: the first of them, when there are many.
pub fn listed(names: &[&str]) -> String {
    match names.split_at_checked(LISTED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

/// Levenshtein distance, over the first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replace.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(meant("exposre", ["name", "exposure", "mounts"]), Some("exposure"));
        assert_eq!(meant("step.byte", ["step.bytes", "step.kind"]), Some("step.bytes"));
        assert_eq!(meant("zzz", ["name", "exposure"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn findings_are_bounded() {
        let mut errors = Errors::default();
        for _ in 0..Errors::MOST * 2 {
            errors.push(Diagnostic::about_file("a", "x"));
        }
        assert_eq!(errors.len(), Errors::MOST);
    }

    #[test]
    fn what_a_file_says_does_not_reach_the_terminal_as_it_is() {
        let found = Diagnostic::about_file("a\u{202e}.yaml", "unknown key `x\u{1b}[31m`").hint("not \u{7}");
        let shown = found.to_string();
        assert_eq!(shown, "a\\u{202e}.yaml:1:1: unknown key `x\\u{1b}[31m`\n      hint: not \\u{7}");
    }

    #[test]
    fn a_finding_shows_position_line_caret_and_hint() {
        let mut d = Diagnostic::about_file("a.yaml", "no such key `nmae`").hint("did you mean `name`?");
        (d.line, d.column, d.snippet, d.caret, d.width) = (3, 5, Some("  - nmae: x".into()), 4, 4);
        assert_eq!(
            d.to_string(),
            "a.yaml:3:5: no such key `nmae`\n    3 |   - nmae: x\n      |     ^^^^\n      hint: did you mean `name`?"
        );
    }
}
