//! What people see: colours where they are wanted, and the log on stderr.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
};

use tracing_subscriber::EnvFilter;

/// Colours for `stream`: it is a terminal, and `NO_COLOR` is not set (<https://no-color.org>).
pub fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && wanted(std::env::var_os("NO_COLOR").as_deref())
}

fn wanted(no_color: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty)
}

/// The agent's log goes to stderr; `DUMPTRAIL_LOG` says how much of it.
pub fn log() {
    let format = tracing_subscriber::fmt().with_env_filter(filter("info"));
    // A second call in one process keeps the first subscriber.
    let _ = format.with_writer(io::stderr).with_ansi(colour(&io::stderr())).with_target(false).try_init();
    let _ = tracing_log::LogTracer::init();
}

/// Of the verbs that answer and are done only warnings matter, and when is now.
pub fn warn() {
    let format = tracing_subscriber::fmt().with_env_filter(filter("warn")).without_time();
    let _ = format.with_writer(io::stderr).with_ansi(colour(&io::stderr())).with_target(false).try_init();
    let _ = tracing_log::LogTracer::init();
}

fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_env("DUMPTRAIL_LOG").unwrap_or_else(|_| EnvFilter::new(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_counts_unless_it_is_empty() {
        assert!(wanted(None) && wanted(Some(OsStr::new(""))));
        assert!(!wanted(Some(OsStr::new("1"))));
    }
}
