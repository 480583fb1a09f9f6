//! What the kernel does with a core: `core_pattern` and its friends.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why the handler is not known.
#[derive(Debug, Error)]
#[error("reading {path}")]
pub struct HandlerError {
    path: PathBuf,
    source: io::Error,
}

/// The kernel's settings for cores, as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `kernel.core_pattern`.
    pub core_pattern: String,
    /// `kernel.core_uses_pid`.
    pub core_uses_pid: String,
    /// `kernel.core_pipe_limit`.
    pub core_pipe_limit: String,
    /// `fs.suid_dumpable`.
    pub suid_dumpable: String,
}

/// Where a core goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Nowhere: the pattern is empty.
    Nothing,
    /// To a file.
    File {
        /// The folder, as far as it is fixed. Absent: the victim's working directory.
        directory: Option<PathBuf>,
        /// Which names it may get, as a glob: every specifier is a `*`.
        glob: String,
    },
    /// To the standard input of a program.
    Pipe {
        /// The program.
        program: PathBuf,
        /// Its arguments, specifiers and all.
        arguments: Vec<String>,
    },
    /// To a unix socket (Linux 6.16 and later).
    Socket {
        /// The socket.
        path: PathBuf,
        /// The server decides per core (`@@`).
        negotiated: bool,
    },
}

impl Settings {
    /// Reads them below `proc_root` (`/proc`). Those that a kernel does not have are empty; `core_pattern` must be there.
    pub fn read(proc_root: &Path) -> Result<Self, HandlerError> {
        let path = proc_root.join("sys/kernel/core_pattern");
        let pattern = std::fs::read(&path).map_err(|source| HandlerError { path, source })?;
        let other = |name: &str| {
            let text = std::fs::read_to_string(proc_root.join("sys").join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        Ok(Self {
            core_pattern: String::from_utf8_lossy(&pattern).trim_end_matches('\n').to_owned(),
            core_uses_pid: other("kernel/core_uses_pid"),
            core_pipe_limit: other("kernel/core_pipe_limit"),
            suid_dumpable: other("fs/suid_dumpable"),
        })
    }

    /// What they mean.
    pub fn handler(&self) -> Handler {
        let pattern = self.core_pattern.as_str();
        if let Some(command) = pattern.strip_prefix('|') {
            let mut words = command.split_ascii_whitespace().map(ToOwned::to_owned);
            let program = words.next().map(PathBuf::from).unwrap_or_default();
            return Handler::Pipe { program, arguments: words.collect() };
        }
        if let Some(path) = pattern.strip_prefix('@') {
            let negotiated = path.starts_with('@');
            return Handler::Socket { path: PathBuf::from(path.trim_start_matches('@')), negotiated };
        }
        self.file(pattern)
    }

    fn file(&self, pattern: &str) -> Handler {
        let uses_pid = self.core_uses_pid.parse::<i64>().is_ok_and(|n| n != 0);
        let (mut glob, names_pid) = glob_of(pattern);
        if uses_pid && !names_pid {
            glob.push_str(".*");
        }
        if glob.is_empty() {
            return Handler::Nothing;
        }
        let directory = pattern.starts_with('/').then(|| fixed_folder(pattern));
        Handler::File { directory, glob }
    }

    /// A sentence about what differs in `new`; none when nothing does.
    pub fn changes(&self, new: &Self) -> Option<String> {
        let pairs = [
            ("kernel.core_pattern", &self.core_pattern, &new.core_pattern),
            ("kernel.core_uses_pid", &self.core_uses_pid, &new.core_uses_pid),
            ("kernel.core_pipe_limit", &self.core_pipe_limit, &new.core_pipe_limit),
            ("fs.suid_dumpable", &self.suid_dumpable, &new.suid_dumpable),
        ];
        let changed: Vec<_> = pairs
            .iter()
            .filter(|(_, old, new)| old != new)
            .map(|(name, old, new)| format!("{name} was {old:?} and is {new:?}"))
            .collect();
        if changed.is_empty() {
            return None;
        }
        let (before, after) = (self.handler(), new.handler());
        let meaning = if before == after { String::new() } else { format!(": cores went to {before}, now to {after}") };
        Some(changed.join("; ") + &meaning)
    }
}

impl Handler {
    /// The folder that cores are written to, when it is fixed.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::File { directory, .. } => directory.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nowhere"),
            Self::File { directory: None, glob } => write!(f, "files {glob} in the victim's working directory"),
            Self::File { directory: Some(_), glob } => write!(f, "files {glob}"),
            Self::Pipe { program, .. } => write!(f, "the program {}", program.display()),
            Self::Socket { path, .. } => write!(f, "the socket {}", path.display()),
        }
    }
}

/// The names that a pattern gives, and whether the pid is in them. The kernel drops `%` before an unknown letter and at
/// the end, together with the letter.
fn glob_of(pattern: &str) -> (String, bool) {
    let (mut glob, mut pid) = (String::new(), false);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('%') => glob.push('%'),
                Some(
                    letter @ ('p' | 'P' | 'i' | 'I' | 'u' | 'g' | 'd' | 's' | 't' | 'h' | 'e' | 'f' | 'E' | 'c' | 'C'
                    | 'F'),
                ) => {
                    pid |= letter == 'p';
                    if !glob.ends_with('*') {
                        glob.push('*');
                    }
                }
                _ => {}
            },
            '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!' => glob.extend(['\\', c]),
            c => glob.push(c),
        }
    }
    (glob, pid)
}

/// The folders of a pattern before the first specifier.
fn fixed_folder(pattern: &str) -> PathBuf {
    let fixed = pattern.split('%').next().unwrap_or_default();
    let end = fixed.rfind('/').unwrap_or_default();
    PathBuf::from(if end == 0 { "/" } else { &fixed[..end] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(pattern: &str, uses_pid: bool) -> Handler {
        let core_uses_pid = String::from(if uses_pid { "1" } else { "0" });
        Settings { core_pattern: pattern.into(), core_uses_pid, ..Settings::default() }.handler()
    }

    fn file(directory: Option<&str>, glob: &str) -> Handler {
        Handler::File { directory: directory.map(PathBuf::from), glob: glob.into() }
    }

    #[test]
    fn patterns_of_files() {
        assert_eq!(handler("core", false), file(None, "core"));
        assert_eq!(handler("core", true), file(None, "core.*"));
        assert_eq!(handler("core.%p", true), file(None, "core.*"));
        assert_eq!(handler("/var/cores/%e/core.%p.%t", false), file(Some("/var/cores"), "/var/cores/*/core.*.*"));
        assert_eq!(handler("/core-%e%p", false), file(Some("/"), "/core-*"));
        assert_eq!(handler("/a%%b/c", false), file(Some("/"), "/a%b/c"));
        assert_eq!(handler("x%q%", false), file(None, "x"));
        assert_eq!(handler("/c/[%e]*", false), file(Some("/c"), "/c/\\[*\\]\\*"));
        assert_eq!(handler("", false), Handler::Nothing);
        assert_eq!(handler("", true), file(None, ".*"));
    }

    #[test]
    fn a_glob_matches_what_the_kernel_makes_of_the_pattern() {
        let Handler::File { glob, .. } = handler("/c/%e/[a]*.%p", false) else { panic!() };
        let glob = globset::GlobBuilder::new(&glob).literal_separator(true).build().unwrap().compile_matcher();
        assert!(glob.is_match("/c/java/[a]*.77") && !glob.is_match("/c/x/y/[a]*.77") && !glob.is_match("/c/java/a.77"));
    }

    #[test]
    fn pipes_and_sockets() {
        let systemd = "|/usr/lib/systemd/systemd-coredump %P %u %g";
        let Handler::Pipe { program, arguments } = handler(systemd, true) else { panic!() };
        assert_eq!((program.to_str(), arguments.len()), (Some("/usr/lib/systemd/systemd-coredump"), 3));
        let socket = |negotiated| Handler::Socket { path: "/run/c.sock".into(), negotiated };
        assert_eq!((handler("@/run/c.sock", false), handler("@@/run/c.sock", false)), (socket(false), socket(true)));
        assert_eq!(handler("|", false).directory(), None);
    }

    #[test]
    fn a_change_is_told_with_its_meaning() {
        let old = Settings { core_pattern: "core".into(), core_uses_pid: "0".into(), ..Settings::default() };
        assert_eq!(old.changes(&old.clone()), None);
        let new = Settings { core_pattern: "|/tmp/evil".into(), ..old.clone() };
        let told = old.changes(&new).unwrap();
        assert_eq!(
            told,
            "kernel.core_pattern was \"core\" and is \"|/tmp/evil\": cores went to files core in the victim's working \
             directory, now to the program /tmp/evil"
        );
        let new = Settings { suid_dumpable: "2".into(), ..old.clone() };
        assert_eq!(old.changes(&new).unwrap(), "fs.suid_dumpable was \"\" and is \"2\"");
    }

    #[test]
    fn this_host_has_a_handler() {
        let settings = Settings::read(Path::new("/proc")).unwrap();
        assert!(!settings.suid_dumpable.is_empty());
        assert!(!settings.handler().to_string().is_empty());
        assert!(Settings::read(Path::new("/nowhere")).is_err());
    }
}
