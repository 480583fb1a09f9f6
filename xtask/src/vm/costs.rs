//! What the agent costs other programs on a kernel in a virtual machine, in instructions: they repeat, whatever else the
//! machine does.

use anyhow::{Context, Result, ensure};

use super::Bootable;
use super::guest::Guest;
use super::kernels::{self, KERNELS};
use super::payload::{self, Binaries};
use super::root::{self, Root};

/// Instructions of one operation of each workload, in each state.
pub(crate) struct Costs {
    pub(crate) release: String,
    pub(crate) names: Vec<String>,
    pub(crate) none: Vec<f64>,
    pub(crate) idle: Vec<f64>,
    pub(crate) armed: Vec<f64>,
    /// Armed, with a rule that blocks; nothing where that cannot be.
    pub(crate) blocking: Option<Vec<f64>>,
    /// Without an agent once more: what the method makes up.
    pub(crate) again: Vec<f64>,
    /// With an empty program on `rw_verify_area`, by each way of [`EMPTY`]; or why not. Under `fentry` only.
    pub(crate) empty: Vec<Result<Vec<f64>, String>>,
}

/// How an empty program is attached.
pub(crate) const EMPTY: [&str; 2] = ["fentry", "kprobe"];

/// The series of kernels that there are.
pub(crate) fn series() -> impl Iterator<Item = &'static str> {
    KERNELS.iter().map(|kernel| kernel.series)
}

/// Boots a kernel and measures there.
pub(crate) fn measure(series: &str, backend: &str, binaries: &Binaries) -> Result<Costs> {
    let kernel = KERNELS.iter().find(|kernel| kernel.series == series).context("no such kernel")?;
    let bootable = Bootable::prepare(kernel, Root::Scenarios, false)?;
    let name = format!("{series}-{backend}-costs");
    let files = [("backend", backend), ("blocks.yaml", include_str!("blocks.yaml"))];
    let disks = [root::image(Root::Scenarios, false)?, payload::disk(&binaries.all(), &name, payload::COSTS, &files)?];
    let (image, initramfs) = (&bootable.files.image, &bootable.initramfs);
    // Without address randomisation every boot runs the same instructions.
    let append = "nokaslr mitigations=off";
    let said = Guest { name: &name, image, initramfs, disks, append, cpus: 1, cable: None }.run()?;
    costs(bootable.files, &said).with_context(|| format!("the guest said:\n{said}"))
}

fn costs(files: kernels::Files, said: &str) -> Result<Costs> {
    let names: Vec<_> = line(said, "names")?.split('\t').map(str::to_owned).collect();
    let numbers = |state: &str| {
        let numbers = line(said, state)?.split('\t').map(|number| Ok(number.parse::<f64>()?));
        let numbers: Vec<_> = numbers.collect::<Result<_>>().with_context(|| format!("no numbers for {state}"))?;
        ensure!(numbers.len() == names.len(), "{} numbers for {state}", numbers.len());
        Ok(numbers)
    };
    let [none, idle, armed, again] = ["none", "idle", "armed", "again"].map(numbers);
    let empty = EMPTY.iter().map(|how| format!("empty {how}")).filter(|state| said.contains(&format!("#{state}\n")));
    let empty = empty.map(|state| match line(said, &state)?.strip_prefix("none: ") {
        Some(why) => Ok(Err(why.to_owned())),
        None => numbers(&state).map(Ok),
    });
    let empty = empty.collect::<Result<_>>()?;
    let (none, idle, armed, again) = (none?, idle?, armed?, again?);
    // Under `fentry`, where empty functions are measured, rules must block, too.
    let blocking = said.contains("#empty").then(|| numbers("blocking")).transpose()?;
    Ok(Costs { release: files.release, none, idle, armed, blocking, again, empty, names: names.clone() })
}

/// The line after `#title`.
fn line<'a>(said: &'a str, title: &str) -> Result<&'a str> {
    let heading = format!("#{title}");
    let mut lines = said.lines().skip_while(|line| *line != heading);
    lines.nth(1).with_context(|| format!("nothing was said of {title}"))
}
