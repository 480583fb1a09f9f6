//! What one backend sees and the other does not: each row is a fact about kernels, and names the programs that see it.
//! `doctor` prints the table for the kernel at hand, and `cargo xtask vm` knows what it must say on each.

use super::{
    features::Features,
    plan::{Backend, Plan},
};

/// One fact.
#[derive(Debug)]
pub struct Difference {
    /// Short and stable.
    pub id: &'static str,
    /// What is seen, or not.
    pub what: &'static str,
    /// Programs that see it, each by itself; none where the backend cannot.
    fentry: &'static [&'static str],
    tracepoint: &'static [&'static str],
    /// Why a backend does not.
    pub why: &'static str,
}

/// All of them.
#[rustfmt::skip]
pub const DIFFERENCES: &[Difference] = &[
    Difference { id: "tmpfs-cores", what: "kernel cores to tmpfs", fentry: &["opened"], tracepoint: &["ctime_changed"], why: "before 6.13 no tracepoint tells of a new file there" },
    Difference { id: "coredump-sockets", what: "kernel cores to a coredump socket", fentry: &["dumped"], tracepoint: &["core_sent"], why: "before 6.4 no tracepoint tells of a send" },
    Difference { id: "delivery", what: "same-kernel receivers behind NAT, of UDP and of unconnected unix sockets", fentry: &["delivered", "readable"], tracepoint: &["delivered"], why: "before 6.4 no tracepoint tells that data has reached a socket" },
    Difference { id: "io_uring", what: "reads and writes by io_uring", fentry: &["verified"], tracepoint: &["uring_done"], why: "before 6.13 the tracepoint of a request's end does not say which request" },
    Difference { id: "libaio", what: "requests after the first eight of one io_submit(2)", fentry: &["verified"], tracepoint: &[], why: "they are looked at one by one, within a bound" },
    Difference { id: "sendmmsg", what: "destinations after the first eight of one sendmmsg(2)", fentry: &["sending"], tracepoint: &[], why: "they are looked at one by one, within a bound" },
    Difference { id: "blocked-readers", what: "how much a reader of a pipe, socket or terminal got that waited from before the first dump until 10 s after the functions stood", fentry: &[], tracepoint: &["returned"], why: "the exit of a function is seen only by who was there at its entry, and the ends of system calls are left alone by then" },
    Difference { id: "mprotect", what: "writes through a shared mapping that was made for reading first", fentry: &["protecting"], tracepoint: &[], why: "no tracepoint of a system call has the mapping" },
    Difference { id: "short-writes", what: "how much a write to a file moved, when it was less than asked for", fentry: &[], tracepoint: &["returned"], why: "bytes are counted when they are asked for" },
];

impl Difference {
    /// What sees it under a backend.
    pub const fn programs(&self, backend: Backend) -> &'static [&'static str] {
        match backend {
            Backend::Fentry => self.fentry,
            Backend::Tracepoint => self.tracepoint,
        }
    }

    /// True when a backend sees it on this kernel.
    pub fn is_seen(&self, backend: Backend, features: &Features) -> bool {
        let plan = Plan::new(backend, features);
        self.programs(backend).iter().any(|program| plan.has(program))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::plan, *};

    #[test]
    fn rows_name_programs_that_there_are() {
        for row in DIFFERENCES {
            for program in row.fentry.iter().chain(row.tracepoint) {
                assert!(plan::all().any(|hook| hook.program == *program), "{program}");
            }
            assert_ne!(row.fentry, row.tracepoint, "{}", row.id);
        }
    }
}
