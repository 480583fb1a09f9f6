//! `dumptrail run`: the agent, in the foreground.

use std::{
    io::{self, IsTerminal as _},
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
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty());
    set("DUMPTRAIL_STATE_DIR").or_else(|| set("STATE_DIRECTORY")).map_or_else(|| STATE_DIR.into(), PathBuf::from)
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
        StartError::Journal(_) | StartError::Export(_) | StartError::Io(_) => Failure::Runtime(text),
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
