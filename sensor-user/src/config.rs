//! The configuration: YAML files to checked, typed values. Every error of every file is found at once and shown with
//! its place. Conditions are compiled by `rules`, which comes later.

use std::{path::PathBuf, sync::Arc};

pub mod diagnostic;
mod files;
mod merge;
pub mod read;
pub mod schema;
pub mod spans;

pub use diagnostic::{Diagnostic, Errors, Level};
use merge::Merger;
use schema::{
    Arming, CommandLine, Enforcement, OverrideDef, RelayDef, RuleDef, TestDef, TrustedDef, WorkloadDef, ZoneDef,
};
use spans::{Node, Source, Text};

/// Name of the embedded zones in "which line decided".
pub const EMBEDDED: &str = "embedded default";

/// The shipped rules, by file.
pub const SHIPPED: &[(&str, &str)] = &[
    ("embedded rules/10-left-isolation.yaml", include_str!("../../rules/10-left-isolation.yaml")),
    ("embedded rules/20-rank-raised.yaml", include_str!("../../rules/20-rank-raised.yaml")),
    ("embedded rules/30-opened.yaml", include_str!("../../rules/30-opened.yaml")),
    ("embedded rules/40-handler.yaml", include_str!("../../rules/40-handler.yaml")),
];

/// What all files together say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `config.hash`: BLAKE3 over the content, hex.
    pub hash: Arc<str>,
    /// Zone of processes that no workload matches.
    pub host_zone: Option<Text>,
    /// `arming`.
    pub arming: Arming,
    /// `enforcement`.
    pub enforcement: Enforcement,
    /// `privacy`.
    pub privacy: Privacy,
    /// Folders in which dumps at rest are looked for at the start, besides those of `core_pattern`.
    pub dump_folders: Vec<Text>,
    /// The zones.
    pub zones: Vec<ZoneDef>,
    /// The zones are the embedded ones.
    pub default_zones: bool,
    /// The relays.
    pub relays: Vec<RelayDef>,
    /// The declassifiers.
    pub trusted: Vec<TrustedDef>,
    /// The rules, own ones first.
    pub rules: Vec<RuleDef>,
    /// Changes to rules.
    pub overrides: Vec<OverrideDef>,
    /// Tests of rules.
    pub tests: Vec<TestDef>,
    /// The files that it was read from, in their order; none for the embedded default.
    pub sources: Vec<Arc<Source>>,
}

/// `privacy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// How much of a command line is kept.
    pub command_line: CommandLine,
}

impl Config {
    /// Reads files and directories; without any, the embedded default. The configuration is as good as it could be
    /// read: it may only be used when no finding is an error.
    pub fn read(paths: &[PathBuf]) -> (Self, Vec<Diagnostic>) {
        let mut errors = Errors::default();
        let sources = files::read(paths, &mut errors);
        Self::from_sources(&sources, errors)
    }

    /// Reads texts; see [`Config::read`].
    pub fn from_sources(sources: &[Arc<Source>], mut errors: Errors) -> (Self, Vec<Diagnostic>) {
        let (mut merger, mut trees) = (Merger::default(), Vec::new());
        let all_read = !errors.iter().any(Diagnostic::is_error);
        for source in sources {
            if let Some(tree) = parsed(source, &mut errors) {
                merger.add(&tree, &mut errors);
                trees.push(tree);
            }
        }
        let broken = errors.iter().any(Diagnostic::is_error);
        if merger.wants_default_zones(broken, all_read && trees.len() == sources.len()) {
            let tree = embedded(EMBEDDED, include_str!("config/default.yaml"), &mut errors);
            merger.add_default_zones(&tree, &mut errors);
            trees.push(tree);
        }
        if merger.wants_shipped_rules() {
            for (name, text) in SHIPPED {
                let tree = embedded(name, text, &mut errors);
                merger.add_shipped(&tree, &mut errors);
                trees.push(tree);
            }
        }
        let config = Self { sources: sources.to_vec(), ..merger.finish(&trees, &mut errors) };
        (config, errors.sorted())
    }

    /// Reads one text: for tests and fuzzing.
    pub fn from_text(name: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        Self::from_sources(&[Arc::new(Source { name: name.into(), text: text.to_owned() })], Errors::default())
    }

    /// The embedded default.
    pub fn embedded() -> Self {
        Self::read(&[]).0
    }

    /// The zone with this name.
    pub fn zone(&self, name: &str) -> Option<&ZoneDef> {
        self.zones.iter().find(|z| &*z.name.value == name)
    }
}

fn parsed(source: &Arc<Source>, errors: &mut Errors) -> Option<Node> {
    let before = errors.len();
    let tree = spans::parse(source, errors);
    if tree.is_none() && errors.len() == before {
        errors.push(spans::At::top(source).error("an empty file").hint("start it with `version: 1`"));
    }
    tree
}

fn embedded(name: &str, text: &str, errors: &mut Errors) -> Node {
    let source = Arc::new(Source { name: name.into(), text: text.to_owned() });
    let top = spans::At::top(&source);
    spans::parse(&source, errors).unwrap_or(Node { at: top, value: spans::Value::Null })
}

impl WorkloadDef {
    /// The selector without its place, to compare two.
    fn canonical(&self) -> String {
        let glob = |g: &Option<read::Glob>| g.as_ref().map_or_else(String::new, |g| g.pattern().to_string());
        let mut labels: Vec<_> = self.pod_labels.iter().map(|(k, v)| format!("{k}={}", v.pattern())).collect();
        labels.sort();
        let netns = self.netns.as_ref().map_or("", |t| &t.value);
        let parts = [glob(&self.namespace), labels.join(","), glob(&self.unit), glob(&self.cgroup), netns.to_owned()];
        format!("{parts:?} {}", glob(&self.user))
    }
}

impl schema::MountDef {
    /// The mount without its place, to compare two.
    fn canonical(&self) -> String {
        match self {
            Self::Path(path) => path.value.trim_end_matches('/').to_owned(),
            Self::Type { fstype, source, .. } => {
                format!("type {} {}", fstype.value, source.as_ref().map_or("", |g| g.pattern()))
            }
        }
    }
    /// Where it is written.
    pub fn at(&self) -> &spans::At {
        match self {
            Self::Path(path) => &path.at,
            Self::Type { at, .. } => at,
        }
    }
}
