//! `dumptrail run`: the agent, in the foreground.

use std::{
    ffi::{OsStr, OsString},
    io::{self, ErrorKind, IsTerminal as _},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use super::{Failure, Output, RunArgs, terminal};
use crate::{
    app::{self, Control, Options, StartError},
    sinks::console::Mode,
};

/// Where the agent keeps its state, unless `STATE_DIRECTORY` (systemd) or `DUMPTRAIL_STATE_DIR` says otherwise.
pub const STATE_DIR: &str = "/var/lib/dumptrail";

/// The state directory.
pub fn state_dir() -> PathBuf {
    let dir = chosen(std::env::var_os("DUMPTRAIL_STATE_DIR"), std::env::var_os("STATE_DIRECTORY"));
    std::path::absolute(&dir).unwrap_or(dir)
}

/// Of several directories systemd makes a list with colons; the first is the unit's main one.
fn chosen(own: Option<OsString>, systemd: Option<OsString>) -> PathBuf {
    let set = |dir: Option<OsString>| dir.filter(|v| !v.is_empty());
    let first =
        |dirs: OsString| OsStr::from_bytes(dirs.as_bytes().split(|b| *b == b':').next().unwrap_or_default()).to_owned();
    set(own).or_else(|| set(systemd.map(first))).map_or_else(|| STATE_DIR.into(), PathBuf::from)
}

/// Does it.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    crate::sys::few_arenas();
    let cannot = |e: io::Error| Failure::Runtime(format!("cannot take signals: {e}"));
    let control = Control::new().map_err(cannot)?;
    signals(&control).map_err(cannot)?;
    let agent = app::start(options(args), control).map_err(failure)?;
    agent.run();
    Ok(())
}

fn options(args: RunArgs) -> Options {
    let default = if io::stdout().is_terminal() { Mode::Text } else { Mode::Json };
    let output = match args.output {
        Some(Output::Text) => Mode::Text,
        Some(Output::Json) => Mode::Json,
        Some(Output::None) => Mode::None,
        None => default,
    };
    Options {
        backend: args.backend.wish(),
        config: args.config,
        state_dir: state_dir(),
        output,
        steps: args.steps,
        colour: terminal::colour(&io::stdout()),
        strict: args.strict,
        allow_degraded: args.allow_degraded,
    }
}

fn failure(error: StartError) -> Failure {
    let text = error.to_string();
    match error {
        StartError::Config(_) | StartError::Variables(_) => Failure::Invalid(text),
        StartError::Features(_) | StartError::Missing(_) => Failure::Unsupported(text),
        StartError::Attach(error) => {
            let text = format!("{error:#}");
            let refused = text.contains("Operation not permitted") || text.contains("EPERM");
            if refused {
                Failure::Unsupported(format!("{text}: run as root, or grant CAP_BPF and CAP_PERFMON"))
            } else {
                Failure::Unsupported(text)
            }
        }
        StartError::State { source, .. } => of_state(source.kind(), text),
        StartError::Journal(error) => match error.io_kind() {
            Some(kind) => of_state(kind, text),
            None => Failure::Unsupported(text),
        },
        StartError::Export(_) | StartError::Io(_) => Failure::Runtime(text),
    }
}

/// Nothing ran. What a person has to mend does not heal by trying again; a full disk or a broken one may.
fn of_state(kind: ErrorKind, text: String) -> Failure {
    use ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    match kind {
        AlreadyExists | IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => {
            Failure::Unsupported(text)
        }
        _ => Failure::Runtime(text),
    }
}

/// SIGTERM and SIGINT stop, SIGHUP reloads; SIGPIPE is an error of the write.
fn signals(control: &Control) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let control = control.clone();
    let (mut terminate, mut interrupt, mut hangup) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?)
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => control.terminate(),
                    _ = interrupt.recv() => control.interrupt(),
                    _ = hangup.recv() => control.reload(),
                }
            }
        });
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalError;

    #[test]
    fn the_state_directory_is_one() {
        let at = |own: &str, systemd: &str| chosen(Some(own.into()), Some(systemd.into()));
        assert_eq!(at("/o:1", "/a:/b"), PathBuf::from("/o:1"));
        assert_eq!(at("", "/a:/b"), PathBuf::from("/a"));
        assert_eq!(chosen(None, None), PathBuf::from(STATE_DIR));
    }

    #[test]
    fn a_state_directory_that_cannot_be_used_is_no_failure_while_running() {
        let dir = PathBuf::from("/s");
        let code = |error| failure(error).code();
        let io = |kind: ErrorKind| StartError::State { dir: dir.clone(), source: kind.into() };
        assert_eq!(code(StartError::Journal(JournalError::Locked { dir: dir.clone() })), 3);
        assert_eq!(code(StartError::Journal(JournalError::Owner { dir: dir.clone(), owner: 1, me: 0 })), 3);
        assert_eq!([ErrorKind::AlreadyExists, ErrorKind::ReadOnlyFilesystem].map(|kind| code(io(kind))), [3, 3]);
        assert_eq!(code(io(ErrorKind::StorageFull)), 4, "that may heal");
    }
}
