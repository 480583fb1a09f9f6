//! Configuration: read at the start and again at SIGHUP. The last good one is kept in the state directory, so that a
//! start with an invalid one still has zones and rules.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    config::Diagnostic,
    rules::{self, Loaded},
};

/// Folder of the last good configuration, below the state directory.
const LAST_GOOD: &str = "last-good";

/// Reads the configuration; a good one is kept.
pub(super) fn load(paths: &[PathBuf], state_dir: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let loaded = rules::load(paths)?;
    if let Err(error) = keep(paths, state_dir) {
        tracing::warn!(%error, "the configuration could not be kept as the last good one");
    }
    Ok(loaded)
}

/// What is used in place of a configuration that was refused: the last good one, else the embedded one.
pub(super) fn fallback(state_dir: &Path) -> Loaded {
    let kept = state_dir.join(LAST_GOOD);
    let loaded = if kept.is_dir() { rules::load(&[kept]).ok() } else { None };
    loaded.unwrap_or_else(rules::embedded)
}

/// Findings as one text.
pub(super) fn describe(findings: &[Diagnostic]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Copies the files in the order in which they were read.
fn keep(paths: &[PathBuf], state_dir: &Path) -> io::Result<()> {
    let (fresh, kept) = (state_dir.join("last-good.new"), state_dir.join(LAST_GOOD));
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir(&fresh)?;
    for (n, file) in files(paths)?.iter().enumerate() {
        let name = file.file_name().map_or_else(|| "config".into(), |n| n.to_string_lossy());
        let name = if is_yaml(file) { name } else { format!("{name}.yaml").into() };
        fs::copy(file, fresh.join(format!("{n:04}-{name}")))?;
    }
    let _ = fs::remove_dir_all(&kept);
    fs::rename(fresh, kept)
}

fn files(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        let mut inside: Vec<_> = entries.into_iter().map(|e| e.path()).filter(|p| is_config(p)).collect();
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn is_config(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    !name.starts_with('.') && is_yaml(path)
}

fn is_yaml(path: &Path) -> bool {
    matches!(path.extension().and_then(OsStr::to_str), Some("yaml" | "yml"))
}
