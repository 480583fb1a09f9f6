//! Rules that block, brought to the kernel and kept true there: which dumps there are, which zones, which mode.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Agent, always,
    policy::{Facts, Known, tables},
};
use crate::{
    clock::{self, Time},
    config::schema::Enforcement,
    core::Input,
    enrich::{container::Cgroups, mounts::Mounts, users::Users},
    probe::{features::active_lsms, fence::Fence, policy::Mode},
    rules::{Ruleset, block},
    step::{DumpKind, Notice, Place},
    zones::{Zones, table::Named},
};

/// What `ready` says of rules that block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none.
    #[default]
    Off,
    /// They say what they would have refused.
    Observe,
    /// They refuse.
    Enforce,
    /// They only alert, for this reason.
    AlertOnly(String),
}

impl Standing {
    fn words(&self) -> (&'static str, Option<String>) {
        match self {
            Self::Off => ("off", None),
            Self::Observe => ("observe", None),
            Self::Enforce => ("enforce", None),
            Self::AlertOnly(why) => ("alert-only", Some(why.clone())),
        }
    }
}

/// The programs that answer, and what their tables are made of.
pub(super) struct Guard {
    /// Or why they cannot be used here.
    fence: Result<Fence, String>,
    pub(super) ruleset: Arc<Ruleset>,
    pub(super) standing: Standing,
    cgroups: Cgroups,
    users: Users,
    known: Known,
    /// Until when the answers of the rules hold.
    until: Option<Time>,
    /// What the tables in force were made of, beside zones and rules.
    written: Option<Dumps>,
    named: Named,
}

/// Colours, and the origin and kind of the dump that has each.
type Dumps = Vec<(u32, Place, DumpKind)>;

impl Guard {
    pub(super) fn new(fence: Result<Fence, String>, ruleset: Arc<Ruleset>) -> Self {
        let mounts = Mounts::of_host();
        let (cgroups, users) = (Cgroups::find(&mounts), Users::new(mounts.here("/etc/passwd")));
        let (known, until, written, named) = (Known::new(), None, None, Named::default());
        Self { fence, ruleset, standing: Standing::Off, cgroups, users, known, until, written, named }
    }

    /// Verdicts are reached.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.standing, Standing::Observe | Standing::Enforce)
    }

    /// Looks for what has come or gone on the host and zones may name.
    fn look(&mut self, zones: &Zones) {
        if zones.look_at_cgroups()
            && let Some(cgroups) = self.cgroups.changes()
        {
            (self.named.cgroups, self.written) = (cgroups, None);
        }
        if zones.look_at_users()
            && let Some(users) = self.users.changes()
        {
            (self.named.users, self.written) = (users, None);
        }
    }

    /// Processes are in other zones.
    pub(super) fn rezoned(&mut self) {
        self.written = None;
    }

    /// Rules or zones are others, or an exception has ended.
    fn forget(&mut self, now: Time) {
        self.known.clear();
        self.until = self.ruleset.next_end(now);
        self.written = None;
    }
}

impl Agent {
    /// Follows the configuration: all that blocking needs stands after this, or nothing of it.
    pub(super) fn fortify(&mut self) {
        self.guard.standing = self.fortified();
        let up = self.guard.is_up();
        if !up {
            if let Ok(fence) = &mut self.guard.fence {
                fence.lower();
            }
            if let Err(error) = self.kernel.policy.set_mode(Mode::Off) {
                tracing::error!(%error, "the kernel's mode of blocking cannot be written");
            }
        }
        self.arming.keep(up || always(&self.config));
        (self.ready.blocking, self.ready.blocking_why) = self.guard.standing.words();
    }

    /// Rules that were to block and will not are worth a notice.
    pub(super) fn tell_standing(&self) {
        if let Standing::AlertOnly(why) = &self.guard.standing {
            let text = format!("rules of action `block` will only alert: {why}");
            tracing::warn!("{text}");
            self.outputs.notice(&Notice {
                time: clock::now(),
                kind: "blocking-unavailable",
                text,
                dump: None,
                content: None,
            });
        }
    }

    fn fortified(&mut self) -> Standing {
        if !self.guard.ruleset.blocks() {
            return Standing::Off;
        }
        let enforce = self.config.enforcement == Enforcement::Enforce;
        match self.raise(if enforce { Mode::Enforce } else { Mode::Observe }) {
            Err(why) => Standing::AlertOnly(why),
            Ok(()) if enforce => Standing::Enforce,
            Ok(()) => Standing::Observe,
        }
    }

    fn raise(&mut self, mode: Mode) -> Result<(), String> {
        if let Err(why) = &self.guard.fence {
            return Err(why.clone());
        }
        // A dump that is there already goes by its origin, not as one that nobody knows.
        self.guard.forget(clock::now());
        let births: Vec<u64> = self.core.trail.births().map(|(dump, ..)| dump).collect();
        for dump in births {
            self.give_colour(dump);
        }
        self.write_policy()?;
        // Marks are whole before the first verdict rests on them.
        self.arming.keep(true);
        self.arming.whole()?;
        let told = self.kernel.policy.tell_anew().and_then(|()| self.kernel.policy.set_mode(mode));
        told.map_err(|e| format!("the kernel's maps cannot be written: {e}"))?;
        let Ok(fence) = &mut self.guard.fence else { return Ok(()) };
        let raised = fence.raise(&mut self.kernel.policy);
        raised.map_err(|why| block::unavailable(&active_lsms()).map_or(why.clone(), |more| format!("{why}; {more}")))
    }

    /// A dump has come to be: its colour and its origin are told to the kernel at once.
    pub(super) fn admit_dump(&mut self, dump: u64) {
        if self.guard.is_up() {
            self.give_colour(dump);
            self.renew_policy();
        }
    }

    fn give_colour(&mut self, dump: u64) {
        if let Some(colour) = self.kernel.colour_of(dump) {
            self.feed(Input::Coloured(dump, colour));
        }
    }

    /// What the kernel decides by, as dumps, host and rules are now.
    pub(super) fn renew_policy(&mut self) {
        if !self.guard.is_up() {
            return;
        }
        if let Err(why) = self.write_policy() {
            tracing::error!("what rules forbid could not be brought up to date in the kernel: {why}");
            self.lose("policy_not_renewed", 1);
        }
    }

    fn write_policy(&mut self) -> Result<(), String> {
        let (zones, now) = (Arc::clone(&self.core.zones), clock::now());
        let dumps = self.coloured_dumps();
        self.guard.look(&zones);
        if self.guard.until.is_some_and(|until| now >= until) {
            self.guard.forget(now);
        }
        if self.guard.written.as_ref() == Some(&dumps) {
            return Ok(());
        }
        // Until it is in force, it is not.
        self.guard.written = None;
        let Guard { ruleset, named, known, .. } = &mut self.guard;
        let facts = Facts { zones: &zones, ruleset, named, dumps: &dumps, now };
        let tables = tables(&facts, known)?;
        self.kernel.policy.put(tables).map_err(|e| format!("the kernel has no room for it: {e}"))?;
        self.guard.written = Some(dumps);
        Ok(())
    }

    fn coloured_dumps(&self) -> Dumps {
        let colours: BTreeMap<u64, u32> = self.kernel.colours().into_iter().collect();
        let births = self.core.trail.births();
        births.filter_map(|(dump, place, kind)| Some((*colours.get(&dump)?, place.clone(), kind))).collect()
    }

    /// Verdicts of the last second go to the metrics.
    pub(super) fn count_verdicts(&mut self) {
        let [said, refused] = self.kernel.policy.new_verdicts();
        self.outputs.metrics.verdicts("would-block", said);
        self.outputs.metrics.verdicts("blocked", refused);
    }
}

/// Why blocking cannot be had with another backend than `fentry`.
pub fn needs_fentry(lsm: &[String]) -> String {
    let more = block::unavailable(lsm).map_or_else(String::new, |why| format!("; {why}"));
    format!("blocking needs the backend fentry{more}")
}
