//! The corpus on kernels that this machine does not run: `xtask` itself, in a virtual machine.

use anyhow::Result;

use super::guest::Guest;
use super::judge::section;
use super::payload;
use super::root::{self, Root};
use super::{Bootable, Wanted, prepare};
use crate::stage::{Job, Outcome, run_side_by_side};
use crate::{cmd, image};

/// Plays the cases that these arguments of `cargo xtask corpus` choose in each guest; under `backend`, where the guest does
/// not name one.
pub(crate) fn run(
    guests: &[Wanted],
    backend: &str,
    arguments: &[String],
    jobs: usize,
    yes: bool,
) -> Result<std::process::ExitCode> {
    prepare(yes)?;
    let [agent, xtask] = image::static_xtask()?;
    let (agent, xtask) = (payload::stripped(&agent, "dumptrail")?, payload::stripped(&xtask, "xtask")?);
    let (root, cases) = (root::image(Root::Corpus, false)?, cmd::root().join("xtask/corpus"));
    let things = [("dumptrail", agent.as_path()), ("xtask", xtask.as_path()), ("corpus", cases.as_path())];
    let mut played: Vec<Job<'_>> = Vec::new();
    for guest in guests {
        let (root, things, kernel) = (&root, &things, guest.kernel);
        let backend = guest.backend.unwrap_or(backend);
        let arguments = [arguments, &["--backend".to_owned(), backend.to_owned()]].concat().join("\n");
        let name = format!("{}-{backend}-corpus", kernel.series);
        let play = move || {
            let bootable = Bootable::prepare(kernel, Root::Corpus, false)?;
            let disk = payload::disk(things, &name, payload::CORPUS, &[("arguments", &arguments)])?;
            let (image, initramfs) = (&bootable.files.image, &bootable.initramfs);
            let disks = [root.clone(), disk];
            let guest = Guest { name: &name, image, initramfs, disks, append: "", cpus: 1, cable: None };
            Ok(judged(&guest.run()?))
        };
        played.push((format!("{} {backend}", kernel.series), Box::new(play)));
    }
    Ok(run_side_by_side(played, jobs))
}

/// The table that the guest printed, and what it counts.
fn judged(said: &str) -> Outcome {
    let table = section(said, "#corpus");
    println!("{}", table.trim_end());
    let count = |word: &str| table.lines().filter(|line| line.starts_with(word)).count();
    let (passed, failed) = (count("ok "), count("FAIL "));
    let ended = table.lines().last().is_some_and(|line| line.ends_with(" skipped"));
    let said = if failed == 0 && ended { String::new() } else { section(said, "#errors").to_owned() };
    Outcome::Tests { passed, failed: failed + usize::from(!ended || passed == 0), said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_judged_by_its_table() {
        let tally = |table: &str| match judged(&format!("#corpus\n{table}#errors\nwhy\n#end\n")) {
            Outcome::Tests { passed, failed, said } => (passed, failed, said.contains("why")),
            _ => panic!("no tests"),
        };
        assert_eq!(tally("ok   A   1 s\nskip B  no c\n1 passed, 0 failed, 1 skipped\n"), (1, 0, false));
        assert_eq!(tally("ok   A   1 s\nFAIL B  2 s\nfailed: B\n1 passed, 1 failed, 0 skipped\n"), (1, 1, true));
        assert_eq!(tally("ok   A   1 s\n"), (1, 1, true), "it broke down");
        assert_eq!(tally("skip A  no c\n0 passed, 0 failed, 1 skipped\n"), (0, 1, false), "nothing ran");
    }
}
