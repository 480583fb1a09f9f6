//! `cargo xtask vm [GUEST...]`: the scenarios on kernels that this machine does not run, each in a virtual machine. The
//! answers that only such a kernel can give: does its verifier take the programs, and is each step of a dump seen.

pub(crate) mod corpus;
pub(crate) mod costs;
mod guest;
mod initramfs;
mod judge;
mod kernels;
mod known;
mod modules;
mod packages;
pub(crate) mod payload;
mod progress;
mod root;

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::cmd;
use crate::setup;
use crate::stage::{Job, Outcome, run_side_by_side};
use guest::Guest;
use initramfs::Initramfs;
use kernels::{Files, KERNELS, Kernel};
use payload::Binaries;
use root::Root;

/// Runs the scenarios on other kernels, in virtual machines
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernels without the patch level, as `6.12`, each maybe with a backend of its own, as `6.12-fentry`; without: all
    #[arg(value_parser = Wanted::parse)]
    guests: Vec<Wanted>,
    /// The agent's backend, where a guest does not name one
    #[arg(long, value_enum, default_value = "both")]
    backend: Backend,
    /// When the agent attaches its flow hooks: `always`, or `auto`, as it is without a configuration
    #[arg(long, default_value = "auto")]
    arming: String,
    /// Runs all scenarios that a guest can run, not a choice of them
    #[arg(long)]
    full: bool,
    /// How many guests run at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Processors of a guest; with more than one, races show, and a busy machine makes deadlines pass
    #[arg(long, default_value_t = 1)]
    cpus: u8,
    /// Looks for newer patch levels than those fetched before
    #[arg(long)]
    update: bool,
    /// Added to the command line of the kernels, as `preempt=full`
    #[arg(long, default_value = "")]
    append: String,
    /// Installs what is missing without asking
    #[arg(long, short)]
    yes: bool,
    /// Goes to the scenarios' program in place of the choice, as `network::`
    #[arg(last = true)]
    scenarios: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Backend {
    Fentry,
    Tracepoint,
    Both,
}

impl Backend {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Fentry => &["fentry"],
            Self::Tracepoint => &["tracepoint"],
            Self::Both => &["fentry", "tracepoint"],
        }
    }
}

/// A guest on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    kernel: &'static Kernel,
    backend: Option<&'static str>,
}

impl Wanted {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (series, backend) = text.split_once('-').map_or((text, None), |(series, backend)| (series, Some(backend)));
        let kernel = KERNELS.iter().find(|kernel| kernel.series == series).ok_or_else(|| {
            let all: Vec<_> = KERNELS.iter().map(|kernel| kernel.series).collect();
            format!("kernels are {}", all.join(", "))
        })?;
        let known = |name: &str| Backend::Both.names().iter().copied().find(|backend| *backend == name);
        let unknown = || format!("backends are {}", Backend::Both.names().join(", "));
        let backend = backend.map(|name| known(name).ok_or_else(unknown)).transpose()?;
        Ok(Self { kernel, backend })
    }
}

impl Args {
    /// True when this kernel is to run with this backend.
    fn wants(&self, series: &str, backend: &str) -> bool {
        let of_all = self.backend.names().contains(&backend);
        let fits = |guest: &Wanted| guest.kernel.series == series && guest.backend.map_or(of_all, |own| own == backend);
        self.guests.is_empty() && of_all || self.guests.iter().any(fits)
    }
}

const TOOLS: &[setup::apt::Tool] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("strip", "binutils"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    prepare(args.yes)?;
    let backends = Backend::Both.names();
    let wanted = |kernel: &&Kernel| backends.iter().any(|backend| args.wants(kernel.series, backend));
    let kernels = KERNELS.iter().filter(wanted).map(|kernel| Bootable::prepare(kernel, Root::Scenarios, args.update));
    let kernels: Vec<Bootable> = kernels.collect::<Result<_>>()?;
    let (root, binaries) = (root::image(Root::Scenarios, args.update)?, Binaries::build()?);
    let run = Run {
        choice: Choice::of(args, &binaries)?,
        append: &args.append,
        arming: &args.arming,
        cpus: args.cpus,
        root,
        binaries,
    };
    let run = &run;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for backend in backends {
        let kernels: Vec<_> = kernels.iter().filter(|kernel| args.wants(kernel.kernel.series, backend)).collect();
        for &kernel in &kernels {
            jobs.push((format!("{} {backend}", kernel.kernel.series), Box::new(move || run.alone(kernel, backend))));
        }
        if let (true, Some((kernel, other))) = (args.scenarios.is_empty(), of_a_pair(&kernels)) {
            let name = format!("{} to {} {backend}", kernel.kernel.series, other.kernel.series);
            jobs.push((name, Box::new(move || run.pair(kernel, other, backend))));
        }
    }
    Ok(run_side_by_side(jobs, args.jobs))
}

/// Whatever guests are made with.
pub(crate) fn prepare(yes: bool) -> Result<()> {
    setup::ensure(yes)?;
    setup::apt::tools(TOOLS, yes)
}

/// The kernels of two hosts; the same twice where there is one. They have the world's clock: see [`known::UNSTEADY`].
fn of_a_pair<'a>(kernels: &[&'a Bootable]) -> Option<(&'a Bootable, &'a Bootable)> {
    let mut steady = kernels.iter().copied().filter(|kernel| !known::UNSTEADY.contains(&kernel.kernel.series));
    let other = steady.next()?;
    Some((steady.next().unwrap_or(other), other))
}

/// What all guests of a run have in common.
struct Run<'a> {
    choice: Choice,
    append: &'a str,
    cpus: u8,
    arming: &'a str,
    root: PathBuf,
    binaries: Binaries,
}

impl Run<'_> {
    /// A host by itself, with the chosen scenarios.
    fn alone(&self, kernel: &Bootable, backend: &str) -> Result<Outcome> {
        let name = format!("{}-{backend}", kernel.kernel.series);
        let arguments = self.choice.arguments.join("\n");
        let files = [("backend", backend), ("arming", self.arming), ("arguments", &arguments)];
        let said = self.guest(kernel, &name, payload::SCENARIOS, &files, None)?.run()?;
        judged(kernel, backend, &said, self.choice.names.as_deref())
    }

    /// Two hosts with a cable between them: a dump leaves the one for the other.
    fn pair(&self, kernel: &Bootable, other: &Bootable, backend: &str) -> Result<Outcome> {
        let name = format!("{}-to-{}-{backend}", kernel.kernel.series, other.kernel.series);
        let (here, there) = UnixStream::pair()?;
        let files = [("address", "10.9.0.2/24")];
        let peer = self.guest(other, &format!("{name}-peer"), payload::PEER, &files, Some(there))?.start()?;
        let arguments = ["--exact", known::PEER].join("\n");
        let files = [
            ("backend", backend),
            ("arming", self.arming),
            ("arguments", &arguments),
            ("address", "10.9.0.1/24"),
            ("peer", "10.9.0.2"),
        ];
        let said = self.guest(kernel, &name, payload::SCENARIOS, &files, Some(here))?.run()?;
        drop(peer);
        judged(kernel, backend, &said, Some(&[known::PEER.to_owned()]))
    }

    fn guest<'a>(
        &'a self,
        kernel: &'a Bootable,
        name: &'a str,
        part: &str,
        files: &[(&str, &str)],
        cable: Option<UnixStream>,
    ) -> Result<Guest<'a>> {
        let disks = [self.root.clone(), payload::disk(&self.binaries.all(), name, part, files)?];
        let (image, initramfs) = (&kernel.files.image, &kernel.initramfs);
        Ok(Guest { name, image, initramfs, disks, append: self.append, cpus: self.cpus, cable })
    }
}

fn judged(kernel: &Bootable, backend: &str, said: &str, chosen: Option<&[String]>) -> Result<Outcome> {
    let (costs, outcome) = judge::judge(kernel.kernel, backend, said, chosen)?;
    println!("     {} {backend}: verified instructions {costs}", kernel.files.release);
    Ok(outcome)
}

/// A kernel, and what it is booted with.
struct Bootable {
    kernel: &'static Kernel,
    files: Files,
    initramfs: PathBuf,
}

impl Bootable {
    fn prepare(kernel: &'static Kernel, root: Root, update: bool) -> Result<Self> {
        let files = kernels::fetch(kernel, update)?;
        let mut tree = Initramfs::default();
        for folder in ["bin", "dev", "lib", "lib/modules", "mnt", "proc", "sys"] {
            tree.folder(folder);
        }
        tree.file("bin/busybox", 0o755, &fs::read(kernels::busybox(update)?)?);
        tree.file("init", 0o755, include_bytes!("vm/init.sh"));
        let order = modules::pack(&files.modules, &root.modules(), &mut tree)?;
        tree.file("lib/modules/order", 0o644, order.join("\n").as_bytes());
        let initramfs = folder()?.join(format!("{}-{}.cpio", kernel.series, root.name()));
        fs::write(&initramfs, tree.end())?;
        Ok(Self { kernel, files, initramfs })
    }
}

/// The scenarios that a run is about.
struct Choice {
    /// All that must have run; none where the command line chooses.
    names: Option<Vec<String>>,
    /// What the scenarios' program is told.
    arguments: Vec<String>,
}

impl Choice {
    fn of(args: &Args, binaries: &Binaries) -> Result<Self> {
        if !args.scenarios.is_empty() {
            return Ok(Self { names: None, arguments: args.scenarios.clone() });
        }
        let listed = cmd::text(Command::new(&binaries.scenarios).arg("--list"))?;
        let all: Vec<_> = listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
        let unknown: Vec<_> = known::names().filter(|known| !all.iter().any(|name| name == known)).collect();
        ensure!(unknown.is_empty(), "xtask/src/vm/known.rs names scenarios that are not there: {}", unknown.join(", "));
        let wanted = |name: &String| if args.full { known::runs(name) } else { known::SMOKE.contains(&name.as_str()) };
        let (names, others): (Vec<_>, Vec<_>) = all.into_iter().partition(wanted);
        let skipped = others.into_iter().flat_map(|name| ["--skip".to_owned(), name]);
        Ok(Self { names: Some(names), arguments: ["--exact".to_owned()].into_iter().chain(skipped).collect() })
    }
}

/// Where all of this is kept.
fn folder() -> Result<PathBuf> {
    let folder = cmd::target().join("vm");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Verb {
        #[command(flatten)]
        args: Args,
    }

    /// Each kernel with its backends, as the command line wants them.
    fn wanted(line: &str) -> Vec<String> {
        let args = Verb::try_parse_from(["vm"].into_iter().chain(line.split_ascii_whitespace())).unwrap().args;
        let all = KERNELS.iter().flat_map(|kernel| Backend::Both.names().iter().map(move |b| (kernel.series, *b)));
        all.filter(|(series, backend)| args.wants(series, backend)).map(|(s, b)| format!("{s}-{b}")).collect()
    }

    #[test]
    fn a_guest_is_a_kernel_or_a_kernel_with_a_backend() {
        assert_eq!(wanted("").len(), 2 * KERNELS.len());
        assert_eq!(wanted("6.12"), ["6.12-fentry", "6.12-tracepoint"]);
        assert_eq!(wanted("--backend fentry 5.10 6.12"), ["5.10-fentry", "6.12-fentry"]);
        assert_eq!(wanted("5.10-tracepoint 6.12-fentry"), ["5.10-tracepoint", "6.12-fentry"]);
        assert_eq!(wanted("--backend tracepoint 5.10 6.12-fentry"), ["5.10-tracepoint", "6.12-fentry"]);
        for wrong in ["4.19", "6.12-kprobe", "fentry", "6.12-"] {
            assert!(Verb::try_parse_from(["vm", wrong]).is_err(), "{wrong}");
        }
    }
}
