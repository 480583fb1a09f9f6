//! Configuration: read at the start and again at SIGHUP. The last good one is kept in the state directory, so that a
//! start with an invalid one still has zones and rules.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{
    config::{Config, Diagnostic, spans::Source},
    journal,
    rules::{self, Loaded},
};

/// Folder of the last good configuration, below the state directory.
const LAST_GOOD: &str = "last-good";
/// Permissions of others that a directory must not have, so that what is in it is the agent's.
const WRITABLE: u32 = 0o022;

/// Logs what is probably not meant.
pub(super) fn warn(loaded: &Loaded) {
    loaded.warnings.iter().for_each(|w| tracing::warn!("{w}"));
}

/// A configuration that was taken is the last good one. Only who has locked the journal may write it down.
pub(super) fn taken(config: &Config, state_dir: &Path) {
    if let Err(error) = keep(&config.sources, state_dir) {
        tracing::warn!(%error, "the configuration could not be kept as the last good one");
    }
}

/// What is used in place of a configuration that was refused, the last good one or the embedded one; and a clause that
/// says which.
pub(super) fn fallback(state_dir: &Path) -> (Loaded, &'static str) {
    let kept = state_dir.join(LAST_GOOD);
    if fs::symlink_metadata(&kept).is_err() {
        return (rules::embedded(), "the embedded default is in force, since there is no last good one");
    }
    match last_good(kept) {
        Ok(loaded) => (loaded, "the last good one is in force"),
        Err(why) => {
            tracing::warn!("the last good configuration cannot be used: {why}");
            (rules::embedded(), "the embedded default is in force, since the last good one cannot be used")
        }
    }
}

/// Nobody else may have written it: who can choose the zones can choose what is told.
fn last_good(kept: PathBuf) -> Result<Loaded, String> {
    if fs::symlink_metadata(&kept).is_ok_and(|m| !m.is_dir()) {
        return Err(format!("{} is no directory", kept.display()));
    }
    journal::ours(&kept, WRITABLE).map_err(|error| error.to_string())?;
    let loaded = rules::load(&[kept]).map_err(|findings| describe(&findings))?;
    // The embedded default is never kept.
    if loaded.config.sources.is_empty() { Err(describe(&loaded.warnings)) } else { Ok(loaded) }
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
    journal::ours(state_dir, WRITABLE).map_err(io::Error::other)?;
    let (fresh, kept) = (state_dir.join("last-good.new"), state_dir.join(LAST_GOOD));
    let _ = fs::remove_dir_all(&fresh);
    if sources.is_empty() {
        // It was the embedded default, which is used where there is none.
        let gone = fs::remove_dir_all(&kept);
        return gone.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) });
    }
    DirBuilder::new().mode(0o700).create(&fresh)?;
    for (n, source) in sources.iter().enumerate() {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh.join(kept_name(n, source)))?;
        file.write_all(source.text.as_bytes())?;
    }
    replace(&fresh, &kept)
}

/// There is always a good one, but on file systems that cannot exchange two names.
fn replace(fresh: &Path, kept: &Path) -> io::Result<()> {
    if renameat_with(CWD, fresh, CWD, kept, RenameFlags::EXCHANGE).is_ok() {
        return fs::remove_dir_all(fresh);
    }
    let _ = fs::remove_dir_all(kept);
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
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

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
        fs::remove_file(state.path().join(LAST_GOOD).join("0000-a.yaml")).unwrap();
        assert!(fallback(state.path()).1.ends_with("since the last good one cannot be used"));
        assert_eq!(kept("version: 1\n"), "the last good one is in force");
        keep(&[], state.path()).unwrap();
        keep(&[], state.path()).unwrap();
        assert!(fallback(state.path()).1.ends_with("since there is no last good one"));
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

    #[test]
    fn what_is_kept_is_the_agent_s_alone() {
        let state = tempfile::tempdir().unwrap();
        let source = Arc::new(Source { name: "a.yaml".into(), text: "version: 1\n".to_owned() });
        keep(&[Arc::clone(&source)], state.path()).unwrap();
        let kept = state.path().join(LAST_GOOD);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&kept), mode(&kept.join("0000-a.yaml"))), (0o700, 0o600));
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(last_good(kept.clone()).unwrap_err().contains("chmod 700"), "others can write it");
        fs::rename(&kept, state.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(state.path().join("elsewhere"), &kept).unwrap();
        assert!(last_good(kept).unwrap_err().contains("no directory"));
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(keep(&[source], state.path()).is_err(), "others could put another one in its place");
    }
}
