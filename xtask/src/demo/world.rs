//! The three zones: network namespaces, the links between them, the servers in them. Real parts, small.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cleaner::Cleaner;
use crate::cmd::{self, within};
use crate::netns::{self, ip};

/// Everything that the demonstration writes. Only root can write beside it, so nobody can have put a link there.
pub(super) const BASE: &str = "/var/lib/dumptrail-demo";
const LOCK: &str = "/run/dumptrail-demo.lock";
/// How long anything local may take.
pub(super) const SOON: Duration = Duration::from_secs(5);

const FILES: [(&str, &str); 4] = [
    ("zones.yaml", include_str!("../../demo/zones.yaml")),
    ("internet/nginx.conf", include_str!("../../demo/nginx.conf")),
    ("keys/sshd_config", include_str!("../../demo/sshd_config")),
    ("keys/ssh_config", include_str!("../../demo/ssh_config")),
];

/// A zone of the demonstration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Production,
    Debug,
    Internet,
}

impl Zone {
    pub(super) const ALL: [Self; 3] = [Self::Production, Self::Debug, Self::Internet];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Debug => "debug",
            Self::Internet => "internet",
        }
    }

    pub(super) fn address(self) -> &'static str {
        match self {
            Self::Production => "10.10.0.5",
            Self::Debug => "10.20.0.5",
            Self::Internet => "10.30.0.80",
        }
    }

    fn netns(self) -> String {
        format!("dumptrail-{}", self.name())
    }

    /// Its folder.
    pub(super) fn folder(self) -> PathBuf {
        Path::new(BASE).join(self.name())
    }

    /// A command that runs in this zone, in its folder, and ends with this process.
    pub(super) fn command(self, program: &str) -> Command {
        let mut command = netns::command(&self.netns(), program);
        command.current_dir(self.folder()).stdin(Stdio::null());
        command
    }

    /// Runs a command line to its end, and returns its process id and what it wrote; an error when it fails.
    pub(super) fn run(self, line: &str) -> Result<(u32, String)> {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().context("an empty command")?);
        command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {line}"))?;
        let ended = within(SOON * 4, line, || Ok(child.try_wait()?));
        if ended.is_err() {
            let _ = child.kill();
        }
        let (pid, output) = (child.id(), child.wait_with_output()?);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(ended?.success(), "{line} failed ({}): {}", output.status, said.trim());
        Ok((pid, String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// What runs in the zones. Everything ends with it.
pub(super) struct World {
    servers: Vec<Child>,
    cleaner: Cleaner,
}

impl World {
    pub(super) fn build() -> Result<Self> {
        let mut cleaner = Cleaner::start(LOCK)?;
        let undo = undo();
        // What a machine that went down in between has left.
        let _ = Command::new("sh").args(["-c", &undo]).stderr(Stdio::null()).status();
        cleaner.later(&undo)?;
        let mut world = Self { servers: Vec::new(), cleaner };
        files()?;
        networks()?;
        world.cleaner.core_pattern(&format!("{BASE}/production/core.%e"))?;
        world.sshd()?;
        world.nginx()?;
        Ok(world)
    }

    /// Lets a process that ends by itself do so before its folder goes.
    pub(super) fn outlive(&mut self, pid: u32) -> Result<()> {
        self.cleaner.later(&format!("timeout 5 tail -s 0.05 --pid={pid} -f /dev/null"))
    }

    fn sshd(&mut self) -> Result<()> {
        for key in ["host", "user"] {
            let path = format!("{BASE}/keys/{key}");
            cmd::text(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", &path]))?;
        }
        // sshd wants its own full path, and this folder.
        fs::create_dir_all("/run/sshd")?;
        let sshd = cmd::which("sshd").context("there is no sshd")?.to_string_lossy().into_owned();
        self.serve(Zone::Debug, &sshd, &["-D", "-e", "-f", &format!("{BASE}/keys/sshd_config")], 22)
    }

    fn nginx(&mut self) -> Result<()> {
        let nginx = cmd::which("nginx").context("there is no nginx")?.to_string_lossy().into_owned();
        let folder = Zone::Internet.folder().to_string_lossy().into_owned();
        self.serve(Zone::Internet, &nginx, &["-p", &folder, "-c", "nginx.conf", "-e", "nginx.log"], 80)
    }

    fn serve(&mut self, zone: Zone, program: &str, args: &[&str], port: u16) -> Result<()> {
        // Complaints about the probe below are nobody's concern.
        let log = zone.folder().join("server.log");
        let mut command = zone.command(program);
        let child = command.args(args).stderr(File::create(&log)?).spawn();
        self.servers.push(child.with_context(|| format!("cannot start {program}"))?);
        let client = if zone == Zone::Debug { Zone::Production } else { Zone::Debug };
        let probe = format!("exec 3<>/dev/tcp/{}/{port}", zone.address());
        let listening = within(SOON, &format!("{program} on port {port}"), || {
            let mut bash = client.command("bash");
            Ok(bash.args(["-c", &probe]).stderr(Stdio::null()).status()?.success().then_some(()))
        });
        listening.with_context(|| format!("its log: {}", fs::read_to_string(log).unwrap_or_default().trim()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// What of it is left: nothing, after [`World`] was dropped.
pub(super) fn left() -> Vec<String> {
    let namespaces = Zone::ALL.map(|zone| format!("/run/netns/{}", zone.netns()));
    namespaces.into_iter().chain([BASE.to_owned()]).filter(|path| Path::new(path).exists()).collect()
}

/// Shell that undoes all of it: processes in the namespaces, the namespaces, the folder.
fn undo() -> String {
    let each = Zone::ALL.map(|zone| netns::undo(&zone.netns()));
    format!("{} rm -rf {BASE}", each.join(" "))
}

fn files() -> Result<()> {
    fs::create_dir(BASE).with_context(|| format!("cannot make {BASE}"))?;
    for folder in ["production/backup", "debug", "internet/www", "keys", "agent"] {
        fs::create_dir_all(Path::new(BASE).join(folder))?;
    }
    for (name, text) in FILES {
        fs::write(Path::new(BASE).join(name), text)?;
    }
    Ok(())
}

fn networks() -> Result<()> {
    for zone in Zone::ALL {
        netns::add(&zone.netns())?;
    }
    link(Zone::Production, Zone::Debug)?;
    link(Zone::Debug, Zone::Internet)
}

/// A cable between two zones: each end is named after the zone that it leads to.
fn link(one: Zone, other: Zone) -> Result<()> {
    let (first, second) = (one.netns(), other.netns());
    ip(&["link", "add", other.name(), "netns", &first, "type", "veth", "peer", "name", one.name(), "netns", &second])?;
    for (here, there) in [(one, other), (other, one)] {
        let (netns, peer) = (here.netns(), format!("{}/32", there.address()));
        ip(&["-netns", &netns, "address", "add", here.address(), "peer", &peer, "dev", there.name()])?;
        ip(&["-netns", &netns, "link", "set", there.name(), "up"])?;
    }
    Ok(())
}

/// Waits until somebody listens on a port of this machine.
pub(super) fn listening(address: SocketAddr) -> Result<()> {
    let connect = || Ok(TcpStream::connect_timeout(&address, SOON).ok().map(drop));
    within(SOON * 2, &format!("somebody on {address}"), connect)
}
