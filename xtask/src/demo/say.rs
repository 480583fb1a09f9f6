//! How the demonstration speaks: numbered steps, plain words, colours on a terminal only.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

/// Colours of a terminal, by what they mean here.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    Heading,
    Command,
    Faint,
    Good,
    Bad,
    Warning,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Command => "36",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Bad => "1;97;41",
            Self::Warning => "33",
        }
    }
}

/// `text` in that colour, on a terminal.
pub(super) fn inked(ink: Ink, text: &str) -> String {
    static TERMINAL: OnceLock<bool> = OnceLock::new();
    if *TERMINAL.get_or_init(|| io::stdout().is_terminal()) {
        format!("\x1b[{}m{text}\x1b[0m", ink.code())
    } else {
        text.to_owned()
    }
}

/// As wide as output gets, roughly.
const WIDTH: usize = 120;

/// Begins a step.
pub(super) fn step(number: usize, title: &str) {
    println!("\n{}", inked(Ink::Heading, &format!("{number}  {title}")));
}

/// A line of a step.
pub(super) fn line(text: &str) {
    println!("   {text}");
}

/// A command that is run now.
pub(super) fn command(zone: &str, text: &str) {
    println!("   {} {}", inked(Ink::Faint, &format!("{zone} $")), inked(Ink::Command, text));
}

/// Something that was to be shown, and is true.
pub(super) fn holds(text: &str) {
    println!("   {} {text}", inked(Ink::Good, "✓"));
}

/// A line of the agent's console. What is long is broken where it says what happened, else clipped.
pub(super) fn console(text: &str) {
    let broken = if text.starts_with(' ') { vec![clipped(text, WIDTH)] } else { wrapped(text, WIDTH) };
    for (index, line) in broken.iter().enumerate() {
        let line = if index == 0 { painted(line) } else { format!("{:34}{line}", "") };
        println!("   {} {line}", inked(Ink::Faint, "│"));
    }
}

/// A line of a trail: a movement in full, a command line or an alert in part.
pub(super) fn trail(text: &str) {
    let detail = ["root: ", "▲"].iter().any(|mark| text.contains(mark));
    println!("   {}", painted(&if detail { clipped(text, WIDTH) } else { text.to_owned() }));
}

/// With the words in colour that one must not miss.
fn painted(text: &str) -> String {
    let words = [("CRITICAL", Ink::Bad), ("MEDIUM", Ink::Warning), (" CROSSING", Ink::Warning), (" ready ", Ink::Good)];
    words.iter().fold(text.to_owned(), |text, (word, ink)| text.replacen(word, &inked(*ink, word), 1))
}

/// Broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one from the start");
        if !line.is_empty() && line.chars().count() + word.chars().count() >= width {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// At most `width` characters.
pub(super) fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_clipped_by_characters() {
        assert_eq!(clipped("äöü", 3), "äöü");
        assert_eq!(clipped("äöüß", 3), "äö…");
    }

    #[test]
    fn a_sentence_breaks_between_words_and_keeps_its_columns() {
        assert_eq!(wrapped("LOW   one two three", 12), ["LOW   one", "two three"]);
        assert_eq!(wrapped("one", 2), ["one"]);
    }
}
