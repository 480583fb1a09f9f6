//! Which program goes where, and what is blind without it. Data only; `doctor` prints it and tests read it.

use std::collections::BTreeMap;

use super::features::Features;

pub mod fentry;
pub mod tracepoint;

/// Which kind of kernel hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Entries and exits of kernel functions, by BPF trampolines.
    Fentry,
    /// Raw tracepoints only.
    #[default]
    Tracepoint,
}

impl Backend {
    /// As the command line and `ready` say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A raw tracepoint.
    Tracepoint,
    /// The same, with arguments whose types the verifier knows: what they point to is loaded, not copied.
    Typed,
    /// The entry of a function.
    Entry,
    /// The exit of a function.
    Exit,
    /// Nothing: the agent runs it itself.
    Own,
}

/// When a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Always: rare events.
    Watch,
    /// Only while a marked carrier is live.
    Flow,
    /// From the moment that something is marked until the flow hooks stand, which takes longer.
    Bridge,
    /// The same, and until the calls have ended that began before.
    Ends,
    /// Never: the agent runs it itself.
    Agent,
}

/// How much is lost without a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `run` refuses.
    Required,
    /// Something is blind.
    Wanted,
    /// Nothing: where it is missing, another hook of the same table sees it.
    Extra,
    /// Nothing: it is used only where the kernel preempts programs, and does what another was skipped for.
    Twin,
}

/// One program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Name of the program in the ELF.
    pub program: &'static str,
    /// What its targets are.
    pub kind: Kind,
    /// Tracepoints or functions: the first that the kernel has.
    pub targets: &'static [&'static str],
    /// Types that its first arguments must have; `|` separates alternatives.
    pub arguments: &'static [&'static str],
    /// When it is attached.
    pub set: Set,
    /// How much is lost without it.
    pub need: Need,
    /// The hook that it stands in for: used only where that is missing.
    pub instead_of: &'static str,
    /// What is not seen without it.
    pub blind: &'static str,
}

/// A hook that will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub hook: &'static Hook,
    /// Of its targets the one; empty for [`Kind::Own`].
    pub target: &'static str,
    /// When it is attached, under this plan's backend.
    pub set: Set,
}

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
    /// By which backend.
    pub backend: Backend,
    /// In order of attachment: sinks before sources, so that whoever is seen reading is then seen writing too.
    pub hooks: Vec<Chosen>,
    /// What will not.
    pub missing: Vec<Missing>,
}

impl Plan {
    /// Chooses by capability: the target is there, with the arguments that the program reads.
    pub fn new(backend: Backend, features: &Features) -> Self {
        let rows = match backend {
            Backend::Tracepoint => tracepoint::HOOKS.iter().map(|hook| (hook, hook.set)).collect(),
            Backend::Fentry => fentry::rows(),
        };
        choose(backend, &rows, features)
    }

    /// What `run` cannot do without.
    pub fn refusals(&self) -> impl Iterator<Item = String> {
        self.missing
            .iter()
            .filter(|m| m.required)
            .map(|m| format!("hook {} cannot be used: {}; without it nothing is seen of {}", m.hook, m.reason, m.blind))
    }

    /// True when a program of this name will be used.
    pub fn has(&self, program: &str) -> bool {
        self.hooks.iter().any(|chosen| chosen.hook.program == program)
    }
}

/// All hooks of both tables.
pub fn all() -> impl Iterator<Item = &'static Hook> {
    tracepoint::HOOKS.iter().chain(fentry::HOOKS)
}

fn choose(backend: Backend, rows: &[(&'static Hook, Set)], features: &Features) -> Plan {
    let found: BTreeMap<&str, Result<&'static str, String>> =
        rows.iter().map(|(hook, _)| (hook.program, target(hook, features))).collect();
    let stands = |program: &str| found.get(program).is_some_and(Result::is_ok);
    let replaced = |hook: &Hook| rows.iter().any(|(h, _)| h.instead_of == hook.program && stands(h.program));
    let mut plan = Plan { backend, ..Plan::default() };
    for (hook, set) in rows.iter().filter(|(hook, _)| !stands(hook.instead_of)) {
        match &found[hook.program] {
            Ok(target) => plan.hooks.push(Chosen { hook, target, set: *set }),
            // What a bridge does not see the others do when they stand.
            Err(_)
                if matches!(hook.need, Need::Extra | Need::Twin)
                    || matches!(set, Set::Bridge | Set::Ends) && hook.need == Need::Wanted
                    || replaced(hook) => {}
            Err(reason) => plan.missing.push(Missing {
                hook: hook.program,
                blind: hook.blind,
                reason: reason.clone(),
                required: hook.need == Need::Required,
            }),
        }
    }
    plan
}

/// Where a program goes on this kernel, or why nowhere.
fn target(hook: &Hook, features: &Features) -> Result<&'static str, String> {
    if hook.need == Need::Twin && !features.preempts {
        return Err("this kernel does not preempt programs".to_owned());
    }
    let (known, what) = match hook.kind {
        Kind::Own => return Ok(""),
        Kind::Tracepoint | Kind::Typed => (&features.tracepoints, "tracepoint"),
        Kind::Entry | Kind::Exit => (&features.functions, "function"),
    };
    let Some((target, arguments)) = hook.targets.iter().find_map(|t| known.get_key_value(*t).map(|(_, a)| (*t, a)))
    else {
        return Err(format!("this kernel has no {what} {}", hook.targets.join(" or ")));
    };
    let fits = |(is, wanted): (&String, &&str)| wanted.split('|').any(|wanted| is == wanted);
    if arguments.len() >= hook.arguments.len() && arguments.iter().zip(hook.arguments).all(fits) {
        Ok(target)
    } else {
        Err(format!("{target} has the arguments ({})", arguments.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that has the first target of everything, but for these.
    fn without(targets: &[&str]) -> Features {
        let mut features = Features { preempts: true, ..Features::default() };
        for hook in all() {
            for target in hook.targets.iter().take(1).filter(|t| !targets.contains(t)) {
                let arguments = hook.arguments.iter().map(|a| a.split('|').next().unwrap_or("").to_owned()).collect();
                let of_function = matches!(hook.kind, Kind::Entry | Kind::Exit);
                let known = if of_function { &mut features.functions } else { &mut features.tracepoints };
                known.insert((*target).to_owned(), arguments);
            }
        }
        features
    }

    #[test]
    fn an_absent_optional_tracepoint_is_named_with_what_is_blind() {
        let plan = Plan::new(Backend::Tracepoint, &without(&["ctime_ns_xchg"]));
        assert_eq!(plan.hooks.len(), tracepoint::HOOKS.len() - 1);
        assert_eq!(plan.missing[0].hook, "ctime_changed");
        assert!(!plan.missing[0].required);
    }

    #[test]
    fn another_prototype_is_not_trusted() {
        let mut features = without(&[]);
        features.tracepoints.insert("sys_enter".to_owned(), vec!["long int".to_owned()]);
        let plan = Plan::new(Backend::Tracepoint, &features);
        assert_eq!(plan.missing[0].hook, "entered");
        assert!(plan.missing[0].required);
    }

    #[test]
    fn under_fentry_system_calls_are_the_bridge() {
        let plan = Plan::new(Backend::Fentry, &without(&[]));
        let set = |program: &str| plan.hooks.iter().find(|c| c.hook.program == program).map(|c| c.set);
        assert_eq!(
            (set("entered"), set("returned"), set("verified"), set("forked")),
            (Some(Set::Bridge), Some(Set::Ends), Some(Set::Flow), Some(Set::Watch))
        );
        let place = |program: &str| plan.hooks.iter().position(|c| c.hook.program == program);
        assert!(place("call_began") < place("entered") && place("returned") < place("call_ended"));
        assert_eq!((set("inode_dirtied"), set("core_sent")), (Some(Set::Watch), None));
        assert!(plan.missing.is_empty(), "{:?}", plan.missing);
    }

    #[test]
    fn a_hook_that_stands_in_for_another_is_used_only_where_that_is_missing() {
        let programs = |features: &Features| Plan::new(Backend::Fentry, features);
        assert!(!programs(&without(&[])).has("readable"));
        let old = programs(&without(&["sk_data_ready"]));
        assert!(old.has("readable") && old.missing.is_empty(), "{:?}", old.missing);
        let blind = programs(&without(&["sk_data_ready", "sock_def_readable"]));
        assert_eq!(blind.missing.iter().map(|m| m.hook).collect::<Vec<_>>(), ["delivered", "readable"]);
    }

    #[test]
    fn twins_are_for_kernels_that_preempt_programs() {
        let twins = |preempts| {
            let plan = Plan::new(Backend::Tracepoint, &Features { preempts, ..without(&[]) });
            assert!(plan.missing.is_empty(), "{:?}", plan.missing);
            plan.hooks.iter().filter(|chosen| chosen.hook.need == Need::Twin).count()
        };
        assert_eq!((twins(true), twins(false)), (2, 0));
    }

    #[test]
    fn programs_have_one_row_each() {
        let mut names: Vec<_> = all().map(|hook| hook.program).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
