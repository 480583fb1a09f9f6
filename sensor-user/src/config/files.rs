//! Which files a configuration is made of, and their text.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    diagnostic::{Diagnostic, Errors},
    spans::Source,
};

/// No configuration is larger, bytes.
pub(super) const LARGEST: u64 = 1 << 20;

/// Reads files, and the `*.yaml` and `*.yml` of directories in bytewise name order, dot files skipped.
pub(super) fn read(paths: &[PathBuf], errors: &mut Errors) -> Vec<Arc<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            let files = list(path, errors);
            sources.extend(files.iter().filter_map(|f| read_one(f, errors)));
        } else {
            sources.extend(read_one(path, errors));
        }
    }
    sources
}

fn list(folder: &Path, errors: &mut Errors) -> Vec<PathBuf> {
    let name = folder.display().to_string();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            errors.push(unreadable(&name, &error));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| wanted(p)).collect();
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    if files.is_empty() {
        let found = Diagnostic::about_file(name, "no *.yaml or *.yml file in this directory");
        errors.push(found.hint("name a directory that holds configuration, or a file"));
    }
    files
}

fn wanted(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
    let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    !hidden && yaml && !path.is_dir()
}

fn unreadable(name: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::about_file(name, format!("cannot read: {error}")).hint("check the path and its permissions")
}

fn read_one(path: &Path, errors: &mut Errors) -> Option<Arc<Source>> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|f| f.take(LARGEST + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        errors.push(unreadable(&name, &error));
        return None;
    }
    if bytes.len() as u64 > LARGEST {
        let found = Diagnostic::about_file(name, format!("larger than {LARGEST} bytes"));
        errors.push(found.hint("split it into several files of one directory"));
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Arc::new(Source { name: name.into(), text })),
        Err(error) => {
            errors.push(not_utf8(&name, &error));
            None
        }
    }
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let good = String::from_utf8_lossy(good);
    let last = good.rsplit('\n').next().unwrap_or_default();
    let mut found = Diagnostic::about_file(name, "not UTF-8").hint("save the file as UTF-8");
    found.line = good.matches('\n').count() as u32 + 1;
    found.column = last.chars().count() as u32 + 1;
    found
}
