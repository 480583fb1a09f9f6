//! Which files a configuration is made of, and their text.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
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
    // What could not be listed is not empty: that would be another configuration.
    let paths = |entries: fs::ReadDir| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut files = match fs::read_dir(folder).and_then(paths) {
        Ok(files) => files,
        Err(error) => {
            errors.push(unreadable(&name, &error));
            return Vec::new();
        }
    };
    files.retain(|p| wanted(p));
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    if files.is_empty() {
        let found = Diagnostic::about_file(name, "no *.yaml or *.yml file in this directory");
        errors.push(found.hint("without any file the embedded default is in force").warning());
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
    match text(path, &name) {
        Ok(text) => Some(Arc::new(Source { name: name.into(), text })),
        Err(finding) => {
            errors.push(finding);
            None
        }
    }
}

fn text(path: &Path, name: &str) -> Result<String, Diagnostic> {
    let mut bytes = Vec::new();
    let read = open(path, name)?.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(name, &error))?;
    if bytes.len() as u64 > LARGEST {
        let found = Diagnostic::about_file(name, format!("larger than {LARGEST} bytes"));
        return Err(found.hint("split it into several files of one directory"));
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(name, &error))
}

/// Never waits, since the running agent reads here too: a FIFO without a writer would hold it up for ever. What the path
/// leads to is asked before it is opened, because opening a device may do something, and again afterwards.
fn open(path: &Path, name: &str) -> Result<File, Diagnostic> {
    let failed = |error| unreadable(name, &error);
    regular(fs::metadata(path).map_err(failed)?.file_type(), name)?;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(failed)?;
    regular(file.metadata().map_err(failed)?.file_type(), name)?;
    Ok(file)
}

fn regular(kind: FileType, name: &str) -> Result<(), Diagnostic> {
    let what = match kind {
        k if k.is_file() => return Ok(()),
        k if k.is_fifo() => "a pipe",
        k if k.is_socket() => "a socket",
        k if k.is_dir() => "a directory",
        _ => "a device",
    };
    Err(Diagnostic::about_file(name, format!("{what}, not a file")).hint("name a regular file, or a directory of them"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the look at what it is, this test would never end.
    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.yaml");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for (path, what) in
            [(pipe.as_path(), "a pipe"), (folder.path(), "a pipe"), (Path::new("/dev/zero"), "a device")]
        {
            let mut errors = Errors::default();
            assert!(read(&[path.to_owned()], &mut errors).is_empty());
            assert_eq!(errors[0].message, format!("{what}, not a file"));
        }
    }
}
