//! Debian packages: the toolchain's, and the runtime tools of tests and demonstrations.

use std::process::Command;

use anyhow::{Result, bail};

use super::confirm;
use crate::cmd;

/// A command and the package that brings it.
pub(crate) type Tool = (&'static str, &'static str);

/// Installs the packages of those tools that are not here. Looks at commands, not at packages: on a machine that has them
/// all this costs a few `stat` calls and no apt.
pub(crate) fn tools(wanted: &[Tool], yes: bool) -> Result<()> {
    let packages = missing(wanted);
    if packages.is_empty() {
        return Ok(());
    }
    if !here() {
        bail!("not a Debian system; install what brings these packages' commands: {}", packages.join(" "));
    }
    confirm(&[format!("{} by apt-get", packages.join(" "))], yes)?;
    refresh()?;
    let label = format!("apt-get install {}", packages[0]);
    cmd::quiet(&label, cmd::raised("sh").args(["-c", WITHOUT_SERVICES, "sh"]).args(&packages)).map(drop)
}

/// Installs packages and leaves the services that they bring switched off, now and after the next boot: who wants to see
/// a demonstration did not ask for an sshd on port 22. An administrator's own policy on that stays as it is.
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
fi
enabled() { ls -d /etc/systemd/system/*.wants/* 2>/dev/null | sed 's|.*/||' | sort -u; }
before=$(enabled)
export DEBIAN_FRONTEND=noninteractive
apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "$@" || exit
for unit in $(enabled); do
    case " $(echo $before) " in
        *" $unit "*) ;;
        *) systemctl disable --quiet "$unit" ;;
    esac
done
"#;

fn missing(wanted: &[Tool]) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        wanted.iter().filter(|(command, _)| cmd::which(command).is_none()).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Whether packages come by apt here.
pub(crate) fn here() -> bool {
    cmd::which("apt-get").is_some() && cmd::which("dpkg-query").is_some()
}

/// Reads the lists of packages anew: a fresh machine has old ones or none.
pub(crate) fn refresh() -> Result<()> {
    cmd::quiet("apt-get update", apt().arg("update")).map(drop)
}

/// Installs those of `packages` that are missing.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let missing: Vec<_> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let label = format!("apt-get install {}", missing[0]);
    cmd::quiet(&label, apt().args(["install", "--yes", "--no-install-recommends"]).args(missing)).map(drop)
}

/// Whether the lists offer `package` for a compiler of at least 1.`minor`.
pub(crate) fn candidate(package: &str, minor: u32) -> bool {
    let policy = cmd::text(Command::new("apt-cache").args(["policy", package])).unwrap_or_default();
    candidate_minor(&policy).is_some_and(|found| found >= minor)
}

fn candidate_minor(policy: &str) -> Option<u32> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: 1."))?;
    version.split('.').next()?.parse().ok()
}

fn installed(package: &str) -> bool {
    let query = ["--show", "--showformat=${db:Status-Status}", package];
    cmd::text(Command::new("dpkg-query").args(query)).is_ok_and(|status| status == "installed")
}

/// `apt-get` as root, which never asks and tries again when a mirror stumbles.
fn apt() -> Command {
    let mut command = cmd::raised("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Acquire::Retries=3"]);
    command.args(["-o", "DPkg::Lock::Timeout=120"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_candidate_of_a_policy() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n";
        assert_eq!(candidate_minor(policy), Some(96));
        assert_eq!(candidate_minor("x:\n  Candidate: (none)\n"), None);
    }

    #[test]
    fn only_absent_commands_want_packages() {
        let wanted = [("sh", "dash"), ("no-such-command-here", "b"), ("nor-this-one", "a"), ("or-this", "a")];
        assert_eq!(missing(&wanted), ["a", "b"]);
    }
}
