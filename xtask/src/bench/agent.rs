//! The agent under measurement: started, armed by a real dump, watched, stopped.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cmd;

use super::report::Bar;

/// How long it may take to start, to arm and to stop.
const SOON: Duration = Duration::from_secs(20);
/// What the agent logs once the flow hooks stand, before the time in microseconds.
const ARMED: &str = "flow hooks stood after a birth us=";

/// The running agent.
pub(super) struct Agent {
    child: Child,
    /// Lines of its stdout and its log.
    lines: Receiver<String>,
}

impl Agent {
    /// Starts it on the given CPUs with the embedded configuration, and waits until it is ready.
    pub(super) fn start(program: &Path, base: &Path, cpus: &str) -> Result<Self> {
        let mut command = cmd::leashed("KILL");
        command.args(["taskset", "-c", cpus]).arg(program).args(["run", "--output", "json"]);
        command.env("DUMPTRAIL_STATE_DIR", base.join("state")).env("DUMPTRAIL_LOG", "warn,sensor_user=debug");
        command.env("OTEL_SDK_DISABLED", "true").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let (sender, lines) = mpsc::channel();
        let out: Box<dyn BufRead + Send> = Box::new(BufReader::new(child.stdout.take().context("it has no stdout")?));
        let log: Box<dyn BufRead + Send> = Box::new(BufReader::new(child.stderr.take().context("it has no stderr")?));
        for stream in [out, log] {
            let sender = sender.clone();
            thread::spawn(move || stream.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        }
        let agent = Self { child, lines };
        agent.line("the agent's first line", r#""event":"ready""#)?;
        Ok(agent)
    }

    /// Lets a process dump core, and waits until the flow hooks stand. Returns the microseconds from birth to that.
    pub(super) fn follow_a_dump(&mut self) -> Result<f64> {
        let status = Command::new("sh").args(["-c", "ulimit -c unlimited; kill -SEGV $$"]).status()?;
        ensure!(status.core_dumped(), "no core was dumped: {status}");
        let line = self.line("the flow hooks after a birth", ARMED)?;
        let (_, microseconds) = line.split_once(ARMED).context("no time in the log line")?;
        microseconds.trim().parse().with_context(|| format!("no number: {line}"))
    }

    /// Whether the hooks at system calls are attached, by what the kernel says about this process's descriptors.
    pub(super) fn is_armed(&self) -> Result<bool> {
        Ok(self.descriptors()?.iter().any(|text| text.contains("tp_name:\tsys_exit")))
    }

    /// What the agent itself uses during `time`.
    pub(super) fn usage(&self, time: Duration) -> Result<Usage> {
        let (start, before) = (Instant::now(), self.run_time()?);
        sleep(time);
        let cpu = self.run_time()?.saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64();
        let status = fs::read_to_string(self.proc("status"))?;
        let maps = self
            .descriptors()?
            .iter()
            .filter(|text| text.contains("map_type:"))
            .filter_map(|t| field(t, "memlock:"))
            .sum();
        let resident = field(&status, "VmRSS:").context("no VmRSS")? * 1024;
        Ok(Usage { resident, rings: self.rings()?, maps, cpu: cpu * 100.0 })
    }

    pub(super) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success(), "the agent is gone");
        let end = Instant::now() + SOON;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < end, "the agent does not stop");
            sleep(Duration::from_millis(10));
        }
        for core in fs::read_dir("/var/lib/dumptrail-bench/cores")? {
            fs::remove_file(core?.path())?;
        }
        Ok(())
    }

    fn line(&self, what: &str, wanted: &str) -> Result<String> {
        let end = Instant::now() + SOON;
        let mut last = String::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).with_context(|| format!("{what}: not seen; the last line was {last}"))?;
            if line.contains(wanted) {
                return Ok(line);
            }
            last = line;
        }
    }

    /// Time on a CPU, of all threads.
    fn run_time(&self) -> Result<Duration> {
        let threads = fs::read_dir(self.proc("task"))?;
        let times = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
        Ok(times.filter_map(|text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos).sum())
    }

    /// Pages of ring buffers that are mapped, bytes. They are the kernel's, and are mapped twice to look endless.
    fn rings(&self) -> Result<u64> {
        let text = fs::read_to_string(self.proc("smaps"))?;
        let sizes = text.split("\nVmFlags:").filter(|mapping| mapping.contains("anon_inode:bpf-map"));
        Ok(sizes.filter_map(|mapping| field(mapping, "Rss:")).sum::<u64>() * 1024)
    }

    fn descriptors(&self) -> Result<Vec<String>> {
        let files = fs::read_dir(self.proc("fdinfo"))?;
        Ok(files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok()).collect())
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the agent itself needs.
pub(super) struct Usage {
    /// Resident memory, bytes.
    resident: u64,
    /// Ring buffers within that, bytes.
    rings: u64,
    /// The kernel's memory for its maps, bytes.
    maps: u64,
    /// Percent of one CPU.
    cpu: f64,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let [resident, rings, maps] = [self.resident, self.rings, self.maps].map(mib);
        let memory =
            format!("{resident:.1} MiB resident ({rings:.1} of them ring buffers), {maps:.1} MiB of kernel maps");
        write!(f, "{memory}, {:.2} % of a CPU", self.cpu)
    }
}

/// What the project promises about the agent's own needs.
pub(super) fn bars(idle: &Usage, armed: &Usage) -> [Bar; 2] {
    let most = idle.resident.max(armed.resident);
    [
        Bar { what: "resident memory is at most 64 MiB".to_owned(), held: most <= 64 << 20 },
        Bar { what: "an idle agent uses at most 0.5 % of a CPU".to_owned(), held: idle.cpu <= 0.5 },
    ]
}

/// The processes that are a dumptrail.
pub(super) fn running() -> Result<Vec<String>> {
    let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let named =
        |pid: &String| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "dumptrail");
    Ok(pids.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).filter(named).collect())
}

/// The number after `name` in lines such as `VmRSS: 123 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_field() {
        let text = "VmHWM:\t  20 kB\nVmRSS:\t  1234 kB\nmemlock:\t4096\n";
        assert_eq!((field(text, "VmRSS:"), field(text, "memlock:"), field(text, "x:")), (Some(1234), Some(4096), None));
    }
}
