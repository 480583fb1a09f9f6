//! `dumptrail trail [DUMP_ID]`: the dumps that the journal knows, or the trail of one.

use std::{
    error::Error,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{Failure, TrailArgs, TrailFormat};
use crate::{
    journal::{self, Item, JournalError, Kind},
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
    /// The journal cannot be read.
    #[error("reading the journal in {dir}")]
    Journal {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
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

/// Does it, over the journal of this host.
pub fn show(args: &TrailArgs) -> Result<(), Failure> {
    let format = match args.format {
        TrailFormat::Tree => Format::Tree,
        TrailFormat::Json => Format::Json,
        TrailFormat::Dot => Format::Dot,
    };
    let colour = std::io::stdout().is_terminal();
    let dir = super::run::state_dir().join("journal");
    let text = run(args.dump.as_deref(), format, colour, &dir, lines).map_err(|error| match error {
        TrailError::Journal { source, .. } => {
            Failure::Runtime(format!("cannot read the journal in {}: {source}", dir.display()))
        }
        TrailError::DotOfList => Failure::Usage(error.to_string()),
        error => Failure::Invalid(error.to_string()),
    })?;
    super::print(&text)
}

/// The journal's steps, alerts, gaps and notices. What cannot be read is passed over and told on stderr.
fn lines(dir: &Path) -> Result<Vec<Object>, JournalError> {
    let mut objects = Vec::new();
    for item in journal::read(dir) {
        match item? {
            Item::Frame(frame) if matches!(frame.kind, Kind::Step | Kind::Alert | Kind::Gap | Kind::Notice) => {
                objects.extend(serde_json::from_slice::<Object>(&frame.payload));
            }
            Item::Frame(_) => {}
            Item::Corrupt(at) => tracing::warn!(%at, "a part of the journal cannot be read"),
        }
    }
    Ok(objects)
}

/// Writes the list of dumps, or the trail of the one whose id or content begins with `dump_id`. `read` gives the
/// journal's lines. `colour`: stdout is a terminal.
pub fn run<I: IntoIterator<Item = Object>, E: Into<Box<dyn Error + Send + Sync>>>(
    dump_id: Option<&str>,
    format: Format,
    colour: bool,
    journal_dir: &Path,
    read: impl FnOnce(&Path) -> Result<I, E>,
) -> Result<String, TrailError> {
    let lines = read(journal_dir).map_err(|e| TrailError::Journal { dir: journal_dir.to_owned(), source: e.into() })?;
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
    use std::{os::unix::fs::DirBuilderExt as _, sync::Arc, time::Duration};

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
        run(id, format, false, Path::new("/j"), |_| Ok::<_, std::io::Error>(lines()))
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
        let broken = |_: &Path| Err::<Vec<Object>, _>(std::io::Error::other("broken"));
        assert!(matches!(run(None, Format::Tree, false, Path::new("/j"), broken), Err(TrailError::Journal { .. })));
    }

    /// What was lost while a dump was alive is part of its trail.
    #[test]
    fn a_gap_of_the_journal_is_shown() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("journal");
        std::fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        let identity = Identity { host_id: "h".into(), host_name: "h".into(), version: "0".into() };
        let encoder = Encoder::new(&Attributes::new(&identity, |_| None), "0");
        let (journal, _) = Journal::open(Options::new(&dir, "h", encoder, Arc::new(|_| {}))).unwrap();
        journal.handle().step(Arc::new(samples::sent()));
        journal.handle().gap(&samples::gap());
        journal.close(Duration::from_secs(10));
        let id = samples::dump().id.to_string();
        let tree = run(Some(&id), Format::Tree, false, &dir, super::lines).unwrap();
        assert!(tree.contains("! lost between") && tree.contains("7 × flow_ring_full"), "{tree}");
    }
}
