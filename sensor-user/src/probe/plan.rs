//! Which program goes where, and what is blind without it. Data only; `doctor` prints it and tests read it.

use super::features::Features;

/// When a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Always: rare events.
    Watch,
    /// Only while a marked carrier is live.
    Flow,
    /// Never: the agent runs it itself.
    Agent,
}

/// One program of the `tracepoint` backend.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// Name of the program in the ELF.
    pub program: &'static str,
    /// Raw tracepoint; empty for [`Set::Agent`].
    pub tracepoint: &'static str,
    /// Types that its first arguments must have.
    pub arguments: &'static [&'static str],
    /// When it is attached.
    pub set: Set,
    /// `run` refuses without it.
    pub required: bool,
    /// What is not seen without it.
    pub blind: &'static str,
}

const fn hook(
    program: &'static str,
    tracepoint: &'static str,
    arguments: &'static [&'static str],
    set: Set,
    required: bool,
    blind: &'static str,
) -> Hook {
    Hook { program, tracepoint, arguments, set, required, blind }
}

/// The `tracepoint` backend.
#[rustfmt::skip]
pub const TRACEPOINT: &[Hook] = &[
    hook("inode_dirtied", "writeback_mark_inode_dirty", &["struct inode *"], Set::Watch, true, "kernel cores to files"),
    hook("ctime_changed", "ctime_ns_xchg", &["struct inode *"], Set::Watch, false, "kernel cores to tmpfs (kernels before 6.13)"),
    hook("core_sent", "sock_send_length", &["struct sock *", "int"], Set::Watch, false, "kernel cores to a coredump socket"),
    hook("signalled", "signal_deliver", &["int", "struct kernel_siginfo *", "struct k_sigaction *"], Set::Watch, true, "kernel cores to a pipe handler"),
    hook("forked", "sched_process_fork", &["struct task_struct *", "struct task_struct *"], Set::Watch, true, "children of processes that read a dump"),
    hook("executed", "sched_process_exec", &["struct task_struct *"], Set::Watch, true, "pipe handlers"),
    hook("exited", "sched_process_exit", &["struct task_struct *"], Set::Watch, true, "the end of processes"),
    hook("state_changed", "inet_sock_set_state", &["struct sock *", "int", "int"], Set::Watch, false, "connections of marked processes before the flow hooks stand"),
    hook("delivered", "sk_data_ready", &["struct sock *"], Set::Flow, false, "same-kernel receivers behind NAT, of UDP and of unconnected unix sockets (kernels before 6.4)"),
    hook("uring_began", "io_uring_file_get", &["struct io_kiocb *", "int"], Set::Flow, false, "io_uring writes until they are done"),
    hook("uring_done", "io_uring_complete", &["struct io_ring_ctx *", "void *", "struct io_uring_cqe *"], Set::Flow, false, "io_uring (kernels before 6.13)"),
    hook("entered", "sys_enter", &["struct pt_regs *", "long int"], Set::Flow, true, "writes and sends"),
    hook("returned", "sys_exit", &["struct pt_regs *", "long int"], Set::Flow, true, "reads"),
    hook("reap", "", &[], Set::Agent, true, "the end of pipes and sockets"),
    hook("seed", "", &[], Set::Agent, true, "dumps that were there before the agent"),
];

/// A hook that will not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name of the program.
    pub hook: &'static str,
    /// What is not seen without it.
    pub blind: &'static str,
    /// Why: absent, or another prototype.
    pub reason: String,
    /// `run` refuses without it.
    pub required: bool,
}

/// What will be loaded.
#[derive(Debug, Default)]
pub struct Plan {
    /// In order of attachment: sinks before sources, so that whoever is seen reading is then seen writing too.
    pub hooks: Vec<&'static Hook>,
    /// What will not.
    pub missing: Vec<Missing>,
}

/// Chooses by capability: the tracepoint is there, with the arguments that the program reads.
pub fn tracepoint(features: &Features) -> Plan {
    let mut plan = Plan::default();
    for hook in TRACEPOINT {
        match refusal(hook, features) {
            None => plan.hooks.push(hook),
            Some(reason) => {
                plan.missing.push(Missing { hook: hook.program, blind: hook.blind, reason, required: hook.required });
            }
        }
    }
    plan
}

fn refusal(hook: &Hook, features: &Features) -> Option<String> {
    if hook.set == Set::Agent {
        return None;
    }
    let Some(arguments) = features.tracepoints.get(hook.tracepoint) else {
        return Some(format!("this kernel has no tracepoint {}", hook.tracepoint));
    };
    let fits = arguments.len() >= hook.arguments.len() && arguments.iter().zip(hook.arguments).all(|(a, b)| a == b);
    (!fits).then(|| format!("{} has the arguments ({})", hook.tracepoint, arguments.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(tracepoint: &str, arguments: &[&str]) -> Features {
        let mut features = Features::default();
        for hook in TRACEPOINT {
            let arguments = hook.arguments.iter().map(ToString::to_string).collect();
            features.tracepoints.insert(hook.tracepoint.to_owned(), arguments);
        }
        features.tracepoints.remove(tracepoint);
        if !arguments.is_empty() {
            features.tracepoints.insert(tracepoint.to_owned(), arguments.iter().map(ToString::to_string).collect());
        }
        features
    }

    #[test]
    fn an_absent_optional_tracepoint_is_named_with_what_is_blind() {
        let plan = tracepoint(&with("ctime_ns_xchg", &[]));
        assert_eq!(plan.hooks.len(), TRACEPOINT.len() - 1);
        assert_eq!(plan.missing[0].hook, "ctime_changed");
        assert!(!plan.missing[0].required);
    }

    #[test]
    fn another_prototype_is_not_trusted() {
        let plan = tracepoint(&with("sys_enter", &["long int"]));
        assert_eq!(plan.missing[0].hook, "entered");
        assert!(plan.missing[0].required);
    }
}
