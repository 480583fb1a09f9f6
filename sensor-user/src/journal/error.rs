//! Why the journal cannot be used.

use std::{io, path::PathBuf};

impl JournalError {
    /// The kind of the call's error, if a call failed.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A call failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The directory belongs to somebody else, who could rewrite the evidence.
    #[error("{} belongs to user {owner}, not to {me}: run `chown {me} {}`, or choose another directory", dir.display(), dir.display())]
    Owner {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs the agent.
        me: u32,
    },
    /// Others may enter the directory.
    #[error("{} is open to others (mode {mode:04o}): run `chmod 700 {}`", dir.display(), dir.display())]
    Mode {
        /// The directory.
        dir: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The directory is not on a local disk.
    #[error("{} is on {name}: the journal needs a local disk, since it holds trails and must not wait for a server", dir.display())]
    Network {
        /// The directory.
        dir: PathBuf,
        /// The file system.
        name: &'static str,
    },
    /// Another agent has it.
    #[error("another agent uses {}: stop it, or give this one another directory", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The cap leaves no room to work.
    #[error("a journal of {cap} bytes is too small: it needs {least}, four segments of {segment}")]
    Cap {
        /// As configured.
        cap: u64,
        /// The least.
        least: u64,
        /// Size of a segment.
        segment: u64,
    },
}
