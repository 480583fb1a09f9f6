//! One virtual machine: boots a kernel with an initramfs and returns what it wrote to its console.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::folder;
use crate::cmd;

/// The last line of a guest that came to its end. One that crashed does not write it.
pub(crate) const END: &str = "#end";

/// No hardware acceleration: guests behave the same wherever they run. `-icount` makes their clock count instructions,
/// which keeps 6.12 from crashing in the emulator now and then, and makes costs repeatable.
const MACHINE: &str = "-M q35 -m 1024 -smp 1 -cpu max,-la57 -icount shift=0,sleep=off -rtc clock=vm \
                       -display none -serial stdio -monitor none -nic none -no-reboot";
const KERNEL: &str = "console=ttyS0 quiet panic=1 lsm=lockdown,capability,bpf";

/// What a machine is made of.
pub(crate) struct Guest<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a Path,
    pub(crate) initramfs: &'a Path,
    pub(crate) disk: &'a Path,
    /// Added to the kernel's command line.
    pub(crate) append: &'a str,
}

impl Guest<'_> {
    /// Boots and waits for the end.
    pub(crate) fn run(&self, patience: Duration) -> Result<String> {
        let console = folder()?.join(format!("{}.log", self.name));
        let file = File::create(&console).with_context(|| format!("cannot write {}", console.display()))?;
        let mut qemu = self.command();
        qemu.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
        let child = qemu.spawn().with_context(|| format!("cannot start {}", cmd::shown(&qemu)))?;
        let timely = wait(child, patience)?;
        let said = String::from_utf8_lossy(&fs::read(&console)?).replace('\r', "");
        ensure!(timely, "the guest did not end within {} s; {} has its console", patience.as_secs(), console.display());
        if !said.lines().any(|line| line == END) {
            bail!("the guest broke down:\n{}", last_lines(&said));
        }
        Ok(said)
    }

    fn command(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(MACHINE.split_ascii_whitespace()).arg("-append").arg(format!("{KERNEL} {}", self.append));
        qemu.arg("-kernel").arg(self.image).arg("-initrd").arg(self.initramfs);
        qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,snapshot=on", self.disk.display()));
        qemu
    }
}

/// True when it ended by itself.
fn wait(mut child: Child, patience: Duration) -> Result<bool> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        sleep(Duration::from_millis(50));
    }
    Ok(true)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
