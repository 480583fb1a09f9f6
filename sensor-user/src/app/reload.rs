//! Configuration: read at the start and again at SIGHUP. The last good one is kept in the state directory, so that a
//! start with an invalid one still has zones and rules.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{Diagnostic, spans::Source},
    rules::{self, Loaded},
};

/// Folder of the last good configuration, below the state directory.
const LAST_GOOD: &str = "last-good";

/// Reads the configuration; a good one is kept.
pub(super) fn load(paths: &[PathBuf], state_dir: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let loaded = rules::load(paths)?;
    if let Err(error) = keep(&loaded.config.sources, state_dir) {
        tracing::warn!(%error, "the configuration could not be kept as the last good one");
    }
    Ok(loaded)
}

/// What is used in place of a configuration that was refused, the last good one or the embedded one; and a clause that
/// says which.
pub(super) fn fallback(state_dir: &Path) -> (Loaded, &'static str) {
    let kept = state_dir.join(LAST_GOOD);
    if !kept.is_dir() {
        return (rules::embedded(), "the embedded default is in force, since there is no last good one");
    }
    match rules::load(&[kept]) {
        Ok(loaded) => (loaded, "the last good one is in force"),
        Err(findings) => {
            tracing::warn!("the last good configuration cannot be used:\n{}", describe(&findings));
            (rules::embedded(), "the embedded default is in force, since the last good one cannot be used")
        }
    }
}

/// Findings as one text.
pub(super) fn describe(findings: &[Diagnostic]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A line for the alert, then all findings. `instead` says what is in force.
pub(super) fn refusal(findings: &[Diagnostic], instead: &str) -> String {
    let mut errors = findings.iter().filter(|f| f.is_error());
    let first =
        errors.next().map_or_else(String::new, |f| format!("{}:{}:{}: {}", f.file, f.line, f.column, f.message));
    let more = match errors.count() {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let line = format!("{first}{more}; {instead}").replace('\n', " ");
    format!("{line}\n{}", describe(findings))
}

/// Writes down the very bytes that were checked: the files may be others by now.
fn keep(sources: &[Arc<Source>], state_dir: &Path) -> io::Result<()> {
    let (fresh, kept) = (state_dir.join("last-good.new"), state_dir.join(LAST_GOOD));
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir(&fresh)?;
    for (n, source) in sources.iter().enumerate() {
        fs::write(fresh.join(kept_name(n, source)), &source.text)?;
    }
    let _ = fs::remove_dir_all(&kept);
    fs::rename(fresh, kept)
}

/// In the order in which they were read, and such that each is read again.
fn kept_name(n: usize, source: &Source) -> String {
    let name = Path::new(&*source.name).file_name().map_or_else(|| "config".into(), |n| n.to_string_lossy());
    let yaml = matches!(Path::new(&*name).extension().and_then(OsStr::to_str), Some("yaml" | "yml"));
    format!("{n:04}-{name}{}", if yaml { "" } else { ".yaml" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_was_checked() {
        let state = tempfile::tempdir().unwrap();
        let source = |name: &str, text: &str| Arc::new(Source { name: name.into(), text: text.to_owned() });
        let zones = "version: 1\nhost_zone: here\nzones:\n- {name: here, exposure: isolated}\n";
        // Neither file is there.
        keep(&[source("/gone/b.yaml", zones), source("/gone/a", "version: 1\n")], state.path()).unwrap();
        let names = ["0000-b.yaml", "0001-a.yaml"].map(|n| state.path().join(LAST_GOOD).join(n));
        assert_eq!(names.each_ref().map(|n| fs::read_to_string(n).unwrap()), [zones, "version: 1\n"]);
        assert_eq!(&*fallback(state.path()).0.config.zones[0].name.value, "here");
    }

    #[test]
    fn what_is_used_instead_is_said_as_it_is() {
        let state = tempfile::tempdir().unwrap();
        assert!(fallback(state.path()).1.starts_with("the embedded default is in force, since there is no"));
        let kept = |text: &str| {
            let source = Source { name: "a.yaml".into(), text: text.to_owned() };
            keep(&[Arc::new(source)], state.path()).unwrap();
            fallback(state.path()).1
        };
        assert_eq!(kept("version: 1\n"), "the last good one is in force");
        assert!(kept("version: 7\n").ends_with("since the last good one cannot be used"));
    }

    #[test]
    fn a_refusal_is_a_sentence_and_then_the_findings() {
        let findings = [("one", 3), ("two", 5)].map(|(message, line)| {
            let mut found = Diagnostic::about_file("a.yaml", message).hint("do better");
            found.line = line;
            found
        });
        let text = refusal(&findings, "the one before stays in force");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("a.yaml:3:1: one (and 1 more); the one before stays in force"));
        assert_eq!(lines.next(), Some("a.yaml:3:1: one"));
    }
}
