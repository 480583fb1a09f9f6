//! `dumptrail trail [DUMP_ID]`: the dumps that the journal knows, or the trail of one.

use std::{io, path::Path};

use thiserror::Error;

use super::{Failure, TrailArgs, TrailFormat, count, terminal};
use crate::{
    journal::{self, Item, JournalError, Kind, Rest},
    report::{self, Object, dot, list, tree},
};

/// How a trail is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Tree,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
}

/// Why there is no trail to show.
#[derive(Debug, Error)]
pub enum TrailError {
    /// No dump has this id.
    #[error("no dump's id or content begins with {0}; `dumptrail trail` lists all")]
    Unknown(String),
    /// Several dumps have it.
    #[error("several dumps begin with {prefix}: {}", ids.join(", "))]
    Several {
        /// What was asked for.
        prefix: String,
        /// Whose ids these are.
        ids: Vec<String>,
    },
    /// A list of dumps is no graph.
    #[error("--format dot needs the id of a dump")]
    DotOfList,
}

impl From<TrailError> for Failure {
    fn from(error: TrailError) -> Self {
        match error {
            TrailError::DotOfList => Self::Usage(error.to_string()),
            error => Self::Invalid(error.to_string()),
        }
    }
}

/// Does it, over the journal of this host.
pub fn show(args: &TrailArgs) -> Result<(), Failure> {
    let format = match args.format {
        TrailFormat::Tree => Format::Tree,
        TrailFormat::Json => Format::Json,
        TrailFormat::Dot => Format::Dot,
    };
    possible(args.dump.as_deref(), format)?;
    let dir = super::run::state_dir().join("journal");
    let found = lines(&dir).map_err(|error| unreadable(&dir, &error))?;
    super::print(&run(args.dump.as_deref(), format, terminal::colour(&io::stdout()), found.lines)?)?;
    if found.damaged > 0 {
        let (dir, parts) = (dir.display(), count(found.damaged, "part"));
        return Err(Failure::Invalid(format!("the journal in {dir} is damaged: {parts} of it could not be read")));
    }
    Ok(())
}

fn possible(dump_id: Option<&str>, format: Format) -> Result<(), TrailError> {
    if dump_id.is_none() && format == Format::Dot { Err(TrailError::DotOfList) } else { Ok(()) }
}

fn unreadable(dir: &Path, error: &JournalError) -> Failure {
    let text = format!("cannot read the journal in {}: {error}", dir.display());
    if error.io_kind() == Some(io::ErrorKind::PermissionDenied) {
        return Failure::Unsupported(format!("{text}; run as root, whose journal it is"));
    }
    Failure::Runtime(text)
}

/// What the journal holds.
#[derive(Default)]
struct Found {
    /// Steps, alerts, gaps and notices.
    lines: Vec<Object>,
    /// How many parts could not be read.
    damaged: usize,
}

/// What cannot be read is passed over and told on stderr. Where no agent has written there is nothing.
fn lines(dir: &Path) -> Result<Found, JournalError> {
    match read(dir) {
        Err(error) if error.io_kind() == Some(io::ErrorKind::NotFound) && !dir.exists() => {
            tracing::warn!("no agent has written a journal here yet: there is no {}", dir.display());
            Ok(Found::default())
        }
        read => read,
    }
}

fn read(dir: &Path) -> Result<Found, JournalError> {
    let (mut found, mut reader) = (Found::default(), journal::read(dir));
    for item in reader.by_ref() {
        match item? {
            Item::Frame(frame) if matches!(frame.kind, Kind::Step | Kind::Alert | Kind::Gap | Kind::Notice) => {
                found.lines.extend(serde_json::from_slice::<Object>(&frame.payload));
            }
            Item::Frame(_) => {}
            Item::Corrupt(at) => found.skip(at),
        }
    }
    match reader.rest()? {
        Rest::Corrupt(at) => found.skip(at),
        Rest::Torn(at) => tracing::warn!("the last write to the journal, at {at}, is not whole: it is not shown"),
        Rest::Nothing => {}
    }
    Ok(found)
}

impl Found {
    fn skip(&mut self, at: journal::Position) {
        self.damaged += 1;
        tracing::warn!("the journal cannot be read from {at} (segment:offset) to the end of that segment");
    }
}

/// Writes the list of dumps, or the trail of the one whose id or content begins with `dump_id`, from the journal's
/// `lines`.
pub fn run(
    dump_id: Option<&str>,
    format: Format,
    colour: bool,
    lines: impl IntoIterator<Item = Object>,
) -> Result<String, TrailError> {
    match dump_id {
        None => all(&report::trails(lines), format, colour),
        Some(prefix) => one(prefix, &report::trails_of(&prefix.to_ascii_lowercase(), lines), format, colour),
    }
}

fn all(trails: &[report::Trail], format: Format, colour: bool) -> Result<String, TrailError> {
    match format {
        Format::Tree => Ok(list::text(trails, colour)),
        Format::Json => Ok(format!("{:#}\n", list::json(trails))),
        Format::Dot => Err(TrailError::DotOfList),
    }
}

fn one(prefix: &str, trails: &[report::Trail], format: Format, colour: bool) -> Result<String, TrailError> {
    let trail = match trails {
        [trail] => trail,
        [] => return Err(TrailError::Unknown(prefix.to_owned())),
        several => {
            let ids = several.iter().map(|t| t.dump.id.clone()).collect();
            return Err(TrailError::Several { prefix: prefix.to_owned(), ids });
        }
    };
    Ok(match format {
        Format::Tree => tree::text(trail, colour),
        Format::Json => format!("{:#}\n", trail.to_json()),
        Format::Dot => dot::text(trail),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{DirBuilderExt as _, FileExt as _},
        sync::Arc,
        time::Duration,
    };

    use super::*;
    use crate::{
        journal::{Journal, Options},
        otlp::{Attributes, Encoder, Identity},
        samples,
    };

    fn lines() -> Vec<Object> {
        let line = |id: &str| {
            let text = format!(
                r#"{{"event":"step","time":"2026-11-22T02:00:00.000000000Z","dump.id":"{id}","dump.kind":"heap-dump",
                "from.id":"1","from.carrier":"java[7]","to.id":"2","to.carrier":"/tmp/a.hprof","step.kind":"created"}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        vec![line("aa11"), line("aa22")]
    }

    fn ask(id: Option<&str>, format: Format) -> Result<String, TrailError> {
        run(id, format, false, lines())
    }

    #[test]
    fn a_dump_is_named_by_enough_of_its_id() {
        assert_eq!(ask(None, Format::Tree).unwrap().lines().count(), 3);
        assert!(ask(Some("AA1"), Format::Tree).unwrap().contains("└─ /tmp/a.hprof"));
        assert!(ask(Some("aa22"), Format::Dot).unwrap().starts_with("digraph \"aa22\""));
        let json: serde_json::Value = serde_json::from_str(&ask(Some("aa22"), Format::Json).unwrap()).unwrap();
        assert_eq!((&json["dump"]["id"], &json["nodes"][1]["name"]), (&"aa22".into(), &"/tmp/a.hprof".into()));
        assert!(ask(None, Format::Json).unwrap().starts_with('['));
    }

    #[test]
    fn what_cannot_be_shown_says_why() {
        assert_eq!(ask(Some("aa"), Format::Tree).unwrap_err().to_string(), "several dumps begin with aa: aa11, aa22");
        assert!(matches!(ask(Some("bb"), Format::Tree), Err(TrailError::Unknown(id)) if id == "bb"));
        assert!(matches!(ask(None, Format::Dot), Err(TrailError::DotOfList)));
    }

    /// A journal in `base` with a step and a gap.
    fn journal(base: &Path) -> std::path::PathBuf {
        let dir = base.join("journal");
        fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        let identity = Identity { host_id: "h".into(), host_name: "h".into(), version: "0".into() };
        let encoder = Encoder::new(&Attributes::new(&identity, |_| None), "0");
        let (journal, _) = Journal::open(Options::new(&dir, "h", encoder, Arc::new(|_| {}))).unwrap();
        journal.handle().step(Arc::new(samples::sent()));
        journal.handle().gap(&samples::gap());
        journal.close(Duration::from_secs(10));
        dir
    }

    /// What was lost while a dump was alive is part of its trail.
    #[test]
    fn a_gap_of_the_journal_is_shown() {
        let base = tempfile::tempdir().unwrap();
        let found = super::lines(&journal(base.path())).unwrap();
        let id = samples::dump().id.to_string();
        let tree = run(Some(&id), Format::Tree, false, found.lines).unwrap();
        assert!(tree.contains("! lost between") && tree.contains("7 × flow_ring_full"), "{tree}");
    }

    /// Also in the segment that is written to, where bytes may be read before they are whole.
    #[test]
    fn a_damaged_part_is_counted() {
        let base = tempfile::tempdir().unwrap();
        let dir = journal(base.path());
        assert_eq!(super::lines(&dir).unwrap().damaged, 0);
        let segment = fs::File::options().write(true).open(dir.join("0000000000000001.seg")).unwrap();
        segment.write_all_at(b"?", 40).unwrap();
        let found = super::lines(&dir).unwrap();
        assert_eq!((found.damaged, found.lines.len()), (1, 0));
    }

    #[test]
    fn who_may_not_read_the_journal_cannot_run_here() {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = JournalError::Io { operation: "list", path: "/j".into(), source };
        let failure = unreadable(Path::new("/j"), &error);
        assert!(failure.code() == 3 && failure.to_string().contains("run as root"), "{failure}");
    }

    #[test]
    fn before_the_first_agent_there_is_nothing_to_show() {
        let found = super::lines(Path::new("/nowhere/journal")).unwrap();
        assert_eq!((found.damaged, found.lines.len()), (0, 0));
        assert!(matches!(possible(None, Format::Dot), Err(TrailError::DotOfList)));
    }
}
