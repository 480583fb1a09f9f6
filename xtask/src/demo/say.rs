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

/// A line of the agent's console. It may be longer than one reads.
pub(super) fn console(text: &str) {
    let colour = [("CRITICAL", Ink::Bad), ("HIGH", Ink::Bad), ("MEDIUM", Ink::Warning), ("ready", Ink::Good)];
    let mut shown = clipped(text, 150);
    for (word, ink) in colour {
        shown = shown.replacen(&format!("Z {word} "), &format!("Z {} ", inked(ink, word)), 1);
    }
    println!("   {} {shown}", inked(Ink::Faint, "│"));
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
}
