//! What the documentation points at is there: relative links of Markdown, and paths of the workspace in backquotes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Args;
use crate::cmd;
use crate::stage::Outcome;

/// Beginnings of what is a path in the workspace.
const FOLDERS: [&str; 7] = ["sensor-abi/", "sensor-ebpf/", "sensor-user/", "xtask/", "docs/", "deploy/", "rules/"];

pub(super) fn run(_: &Args) -> Result<Outcome> {
    let mut dead = Vec::new();
    for path in pages()? {
        let name = path.strip_prefix(cmd::root()).unwrap_or(&path).display().to_string();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        let there = |target: &str| exists(&path, target);
        dead.extend(missing(&text, there).into_iter().map(|(line, target)| format!("{name}:{line}: {target}")));
    }
    if dead.is_empty() {
        return Ok(Outcome::Passed);
    }
    bail!("points at what is not there:\n{}", dead.join("\n"))
}

/// The Markdown files of the workspace's top and of docs.
fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for folder in ["", "docs", "docs/decisions"].map(|folder| cmd::root().join(folder)) {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        pages
            .extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some("md".as_ref())));
    }
    pages.sort();
    Ok(pages)
}

fn exists(file: &Path, target: &str) -> bool {
    let below_root = cmd::root().join(target);
    below_root.exists() || file.parent().is_some_and(|folder| folder.join(target).exists())
}

/// Lines and targets that `there` does not know.
fn missing(text: &str, there: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (line, text) in (1..).zip(text.lines()) {
        fenced ^= text.trim_start().starts_with("```");
        if !fenced {
            let targets = links(text).chain(paths(text));
            found.extend(targets.filter(|target| !there(target)).map(|target| (line, target.to_owned())));
        }
    }
    found
}

/// `](target)`, without addresses and without the part behind `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.filter_map(|target| target.split('#').next())
}

/// Backquoted paths of the workspace. What has placeholders, wildcards or alternatives is no path.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let plain =
        |path: &&str| !path.contains(['*', '{', '<', '…', ' ', ':']) && !path.bytes().any(|b| b.is_ascii_uppercase());
    quoted.filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder))).filter(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_and_paths_are_found_and_nothing_else() {
        let text = "see [a](docs/a.md#top) and [b](docs/b.md), [c](https://x/y), [d](#d)\n\
                    `sensor-user/src/gone.rs`, `sensor-user/src/here.rs`, `xtask/src/*.rs`, `hooks/BACKEND/x.rs`, `rules/`\n\
                    ```\n[e](docs/e.md)\n```\n[f](docs/f.md)\n";
        let there = |target: &str| ["docs/a.md", "sensor-user/src/here.rs", "rules/"].contains(&target);
        let found = missing(text, there);
        let expected = [(1, "docs/b.md"), (2, "sensor-user/src/gone.rs"), (6, "docs/f.md")];
        assert_eq!(found, expected.map(|(line, target)| (line, target.to_owned())));
    }
}
