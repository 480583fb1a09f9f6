//! Runs of programs that the kernel skipped: a program does not run on a CPU that it is on already. Where programs can be
//! preempted, that is a loss like a full map.

use aya::{
    Ebpf,
    programs::{ProgramError, ProgramFd},
};
use std::os::fd::AsFd as _;

use crate::sys;

/// All loaded programs, and how many runs of each have been told.
pub struct Skips(Vec<(String, ProgramFd, u64)>);

impl Skips {
    /// Of everything that is loaded.
    pub fn of(ebpf: &Ebpf) -> Result<Self, ProgramError> {
        let names: Vec<_> = ebpf.programs().filter(|(_, program)| program.fd().is_ok()).map(|(name, _)| name).collect();
        let has_twin = |name: &str| names.iter().any(|other| other.strip_suffix("_again") == Some(name));
        let loaded = ebpf.programs().filter(|(name, _)| !has_twin(name));
        let loaded = loaded.filter_map(|(name, program)| Some((name, program.fd().ok()?)));
        let skips = loaded.map(|(name, fd)| Ok((name.to_owned(), fd.try_clone()?, 0)));
        skips.collect::<Result<_, std::io::Error>>().map(Self).map_err(ProgramError::from)
    }

    /// Since the last call, all programs together; the log says which. Where a program has a twin, a run is lost when that
    /// was skipped, too.
    pub fn new_ones(&mut self) -> u64 {
        self.0.iter_mut().map(|(name, fd, told)| of_program(name, fd, told)).sum()
    }
}

fn of_program(name: &str, fd: &ProgramFd, told: &mut u64) -> u64 {
    let Ok(total) = sys::skipped_runs(fd.as_fd()) else { return 0 };
    let new = total.saturating_sub(*told);
    if new > 0 {
        tracing::debug!(program = name, runs = new, "the kernel skipped runs of a program");
    }
    *told = total;
    new
}
