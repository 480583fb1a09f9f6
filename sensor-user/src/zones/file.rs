//! Files to zones: the longest matching mount.

use std::sync::Arc;

use super::{Decision, line};
use crate::{
    config::{read::Glob, schema::MountDef},
    step::Place,
};

/// A mount, ready to match.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    what: What,
    place: Place,
    why: Arc<str>,
}

#[derive(Clone, Debug)]
enum What {
    /// No trailing slash.
    Path(String),
    Type(String, Option<Glob>),
}

impl Mount {
    pub(super) fn new(def: &MountDef, place: Place) -> Self {
        let (what, words) = match def {
            MountDef::Path(path) => {
                let path = path.value.trim_end_matches('/').to_owned();
                (What::Path(path.clone()), format!("mount {path}/"))
            }
            MountDef::Type { fstype, source, .. } => {
                let words = source.as_ref().map_or_else(String::new, |g| format!(" from {}", g.pattern()));
                (What::Type(fstype.value.to_string(), source.clone()), format!("mount of type {}{words}", fstype.value))
            }
        };
        Self { what, place, why: line(&def.at().line_name(), &words) }
    }

    /// A path says more than a type, a longer path or source more than a shorter.
    pub(super) fn rank(&self) -> (bool, usize) {
        match &self.what {
            What::Path(path) => (true, path.len()),
            What::Type(_, source) => (false, source.as_ref().map_or(0, |g| g.pattern().len())),
        }
    }

    pub(super) fn matches(&self, path: &str, fstype: &str, source: Option<&str>) -> bool {
        match &self.what {
            What::Path(prefix) => {
                path.strip_prefix(prefix.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            }
            What::Type(wanted, glob) => {
                same_type(wanted, fstype) && glob.as_ref().is_none_or(|g| source.is_some_and(|s| g.matches(s)))
            }
        }
    }

    pub(super) fn decision(&self) -> Decision {
        Decision::new(&self.place, &self.why)
    }
}

/// `nfs` is also `nfs4`, `cifs` also `smb3`, `fuse` also `fuse.sshfs`: what a person calls the file system.
fn same_type(wanted: &str, fstype: &str) -> bool {
    wanted == fstype
        || matches!((wanted, fstype), ("nfs", "nfs4") | ("cifs", "smb3"))
        || fstype.strip_prefix(wanted).is_some_and(|rest| wanted == "fuse" && rest.starts_with('.'))
}
