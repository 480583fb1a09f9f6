//! Network namespaces, for verbs that need more than one network.

use std::process::Command;

use anyhow::Result;

use crate::cmd;

/// Makes the namespace `name`, with its loopback up.
pub(crate) fn add(name: &str) -> Result<()> {
    ip(&["netns", "add", name])?;
    ip(&["-netns", name, "link", "set", "lo", "up"])
}

/// `ip` with these arguments.
pub(crate) fn ip(args: &[&str]) -> Result<()> {
    cmd::text(Command::new("ip").args(args)).map(drop)
}

/// Shell that ends the processes in the namespace `name`, and removes it.
pub(crate) fn undo(name: &str) -> String {
    format!("{}; ip netns del {name};", ended(name))
}

/// Shell that ends the processes in the namespace `name`.
pub(crate) fn ended(name: &str) -> String {
    format!("ip netns pids {name} | xargs -r kill -9")
}

/// A command in the namespace `name`, which ends with this process; the mounts stay the machine's.
pub(crate) fn command(name: &str, program: &str) -> Command {
    let mut command = cmd::leashed("KILL");
    command.arg("nsenter").arg(format!("--net=/run/netns/{name}")).args(["--", program]);
    command
}
