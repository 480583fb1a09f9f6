//! House rules that no compiler knows: ARCHITECTURE.md's invariants, as far as a machine can check them.
//!
//! A rule is a function over one parsed file. It gets the file's path in the workspace, so its tests feed it a violating
//! example under any name.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use proc_macro2::Span;

use super::Args;
use crate::cmd;
use crate::stage::Outcome;

mod docs;
mod kernel;
mod shape;
mod stages;

/// The folders that hold our Rust.
const FOLDERS: [&str; 4] = ["sensor-abi", "sensor-ebpf", "sensor-user", "xtask"];

/// A rule, and what it stands for in a message.
type Rule = fn(&Source) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("no stage imports a later stage", stages::imports),
    ("hooks only adapt: no branch of ours", kernel::branches),
    ("hooks only adapt: no map access", kernel::maps),
    ("only kernel/** reads kernel structs", kernel::reads),
    ("a file has at most 500 lines", shape::length),
    ("foo.rs and foo/bar.rs, never mod.rs", shape::module_file),
    ("work to be done names its issue", shape::unowned_work),
    ("a public module has docs", docs::public_modules),
    ("exceptions are #[expect(.., reason)], never allow", docs::allowances),
];

pub(super) fn run(_: &Args) -> Result<Outcome> {
    let mut lines = Vec::new();
    for source in sources(cmd::root())? {
        for (rule, check) in RULES {
            let findings = check(&source);
            lines.extend(findings.iter().map(|found| format!("{}:{found} [{rule}]", source.path.display())));
        }
    }
    if lines.is_empty() {
        return Ok(Outcome::Passed);
    }
    bail!("{}", lines.join("\n"))
}

/// One Rust file, parsed.
pub(super) struct Source {
    /// Relative to the workspace.
    path: PathBuf,
    text: String,
    ast: syn::File,
}

/// Where a rule is broken, and by what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    line: usize,
    what: String,
}

impl Finding {
    fn at(span: Span, what: impl Into<String>) -> Self {
        Self { line: span.start().line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

impl Source {
    fn parse(path: impl Into<PathBuf>, text: String) -> Result<Self> {
        let path = path.into();
        let ast = syn::parse_file(&text).with_context(|| format!("cannot parse {}", path.display()))?;
        Ok(Self { path, text, ast })
    }

    /// The path below `folder`, when the file is there.
    fn below(&self, folder: &str) -> Option<&Path> {
        self.path.strip_prefix(folder).ok()
    }
}

fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut paths)?;
    }
    paths.sort();
    paths.iter().map(|path| Source::parse(path.strip_prefix(root)?, fs::read_to_string(path)?)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Whether an item is compiled for tests only.
fn test_only(attributes: &[syn::Attribute]) -> bool {
    let is_test = |list: &syn::MetaList| list.path.is_ident("cfg") && list.tokens.to_string() == "test";
    attributes.iter().any(|attribute| attribute.meta.require_list().is_ok_and(is_test))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `rule` finds in `text`, as the lines that it blames.
    pub(super) fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::parse(path, text.to_owned()).unwrap()).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn every_file_of_the_workspace_is_seen() {
        let sources = sources(cmd::root()).unwrap();
        let has = |path: &str| sources.iter().any(|source| source.path == Path::new(path));
        assert!(has("xtask/src/check/tidy.rs") && has("sensor-abi/src/lib.rs"));
    }
}
