//! One virtual machine: boots a kernel and returns what its scripts wrote to their console.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::folder;
use super::progress::Progress;
use crate::cmd;

/// The last line of a guest that came to its end. One that crashed does not write it.
pub(crate) const END: &str = "#end";

/// No hardware acceleration: guests behave the same wherever they run. Without fast strings, which are slow in the emulator
/// (a byte a step), the kernel clears and copies by words: half the time of a run.
const MACHINE: &str = "-M q35 -m 1024 -cpu max,-la57,-erms,-fsrm -display none -monitor none -no-reboot";
const KERNEL: &str = "console=ttyS0 quiet panic=1 lsm=lockdown,capability,bpf";
/// A guest that says nothing for so long hangs. The longest scenario (`early::`, 200 rounds) takes minutes, more on a busy
/// machine.
const SILENCE: Duration = Duration::from_mins(15);

/// The guest's clock counts the instructions that it executes, and leaps when it is idle: deadlines hold on a slow
/// machine, waiting takes no time, and 6.12 does not crash in the emulator, as it else does now and then.
const COUNTED: [&str; 4] = ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"];

/// What a machine is made of.
pub(crate) struct Guest<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// In the order of their names in the guest. It writes to snapshots that end with it.
    pub(crate) disks: [PathBuf; 2],
    /// Added to the kernel's command line.
    pub(crate) append: &'a str,
    /// With more than one, programs run at the same time indeed, and the clock is the world's.
    pub(crate) cpus: u8,
    /// One end of the cable to another guest.
    pub(crate) cable: Option<UnixStream>,
}

impl Guest<'_> {
    /// Boots and waits for the end.
    pub(crate) fn run(self) -> Result<String> {
        let ([console, said], name) = (self.files()?, self.name);
        let timely = self.start()?.wait(&said, &mut Progress::of(name))?;
        let text = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
        if text.lines().last() == Some(END) {
            return Ok(text);
        }
        let how = if timely { "broke down" } else { "said nothing more" };
        let kernel = String::from_utf8_lossy(&fs::read(&console)?).replace('\r', "");
        bail!(
            "the guest {how}; the end of {} and {}:\n{}\n{}",
            said.display(),
            console.display(),
            tail(&text),
            tail(&kernel)
        )
    }

    /// Boots, and goes on when this returns.
    pub(crate) fn start(self) -> Result<Running> {
        let [console, said] = self.files()?;
        let _ = fs::remove_file(&said);
        let _ = fs::remove_file(&console);
        let file = File::options().create(true).append(true).open(&console);
        let file = file.with_context(|| format!("cannot write {}", console.display()))?;
        let mut qemu = self.command(&console, &said);
        // QEMU finds the cable there.
        qemu.stdin(self.cable.map_or_else(Stdio::null, |cable| OwnedFd::from(cable).into()));
        qemu.stderr(file.try_clone()?).stdout(file);
        Ok(Running(qemu.spawn().with_context(|| format!("cannot start {}", cmd::shown(&qemu)))?))
    }

    /// Where the kernel's console goes, and where that of the scripts.
    fn files(&self) -> Result<[PathBuf; 2]> {
        let folder = folder()?;
        Ok(["log", "said"].map(|ending| folder.join(format!("{}.{ending}", self.name))))
    }

    fn command(&self, console: &Path, said: &Path) -> Command {
        // An interrupted run leaves no guest behind.
        let mut qemu = cmd::leashed("KILL");
        qemu.arg("qemu-system-x86_64")
            .args(MACHINE.split_ascii_whitespace())
            .arg("-append")
            .arg(format!("{KERNEL} {}", self.append));
        qemu.arg("-kernel").arg(self.image).arg("-initrd").arg(self.initramfs);
        // What QEMU itself says goes there, too.
        qemu.arg("-chardev").arg(format!("file,id=console,append=on,path={}", console.display()));
        qemu.args(["-serial", "chardev:console", "-serial"]).arg(format!("file:{}", said.display()));
        for disk in &self.disks {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,snapshot=on", disk.display()));
        }
        qemu.arg("-smp").arg(self.cpus.to_string());
        match &self.cable {
            None => qemu.args(["-nic", "none"]),
            Some(_) => qemu.args(["-netdev", "socket,id=cable,fd=0", "-device"]).arg(self.card()),
        };
        // Guests that talk with each other need one time, the world's; and only one processor can be counted.
        if self.cable.is_none() && self.cpus == 1 {
            qemu.args(COUNTED);
        }
        qemu
    }

    /// Its address tells one guest from the other.
    fn card(&self) -> String {
        let number = self.name.bytes().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let [a, b] = number.to_be_bytes();
        format!("virtio-net-pci,netdev=cable,romfile=,mac=52:54:00:00:{a:02x}:{b:02x}")
    }
}

/// A machine that runs, and ends with this.
pub(crate) struct Running(Child);

impl Running {
    /// True when it ended by itself.
    fn wait(mut self, said: &Path, progress: &mut Progress) -> Result<bool> {
        let (mut last, mut size) = (Instant::now(), 0);
        while self.0.try_wait()?.is_none() {
            let now = fs::metadata(said).map_or(0, |data| data.len());
            if now > size {
                (last, size) = (Instant::now(), now);
                progress.show(&fs::read(said)?);
            }
            if last.elapsed() > SILENCE {
                return Ok(false);
            }
            sleep(Duration::from_millis(200));
        }
        Ok(true)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
