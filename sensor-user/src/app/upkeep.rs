//! Once a second: bytes, losses, what is gone, what has changed on the host.

use std::{collections::BTreeSet, sync::Arc};

use sensor_abi::{fault::Fault, key::CarrierKey};

use super::{Agent, TICK_NS, names};
use crate::{
    clock::{self, Clock},
    core::Input,
    dump::source::Settings as CoreSettings,
    host::netns_inode,
    probe::{handover::Waiting, sweep::Holder},
    trail::{Change, Looked},
    zones::Zones,
};

/// Retirement of what is gone.
const REAP_NS: u64 = 1_000_000_000;
/// Flow hooks without anything to follow are taken off after this time.
const DISARM_NS: u64 = 10_000_000_000;

/// After so many carriers are gone at once, their memory is given back.
const TRIM: usize = 1000;

impl Agent {
    pub(super) fn tick(&mut self, now: u64) {
        self.feed_at(now, Input::Tick(Clock::sample()));
        self.forget_namespaces(now);
        self.lookup.refresh();
        self.follow_namespaces();
        self.read_core_settings();
        self.count(self.core.trail.pairs().copied().collect());
        self.tell_armed();
        self.tell_losses();
        self.look_after_waiting();
        if now.saturating_sub(self.timers.reap_ns) >= REAP_NS {
            self.timers.reap_ns = now;
            self.reap(now);
        }
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        self.renew_policy();
        self.count_verdicts();
        // What was lost during this look is told by the next one.
        self.core.told_until(self.core.wall(now));
        self.outputs.tick(&mut self.core, &mut self.rings);
    }

    /// Network namespaces get their names by mounts: when these have changed, zones that name some are looked at again.
    pub(super) fn follow_namespaces(&mut self) {
        if self.lookup.take_remounted() && self.core.zones.name_namespaces() {
            let mut zones = Zones::clone(&self.core.zones);
            zones.follow(&|path| netns_inode(self.lookup.mounts(), path));
            self.timers.unnamed_ns = Some(clock::boottime());
            self.rezone(zones);
        }
    }

    /// By now what was done in namespaces whose names are gone has been told.
    fn forget_namespaces(&mut self, now: u64) {
        if self.timers.unnamed_ns.is_some_and(|since| now.saturating_sub(since) >= TICK_NS) {
            self.timers.unnamed_ns = None;
            let mut zones = Zones::clone(&self.core.zones);
            zones.forget(&|path| netns_inode(self.lookup.mounts(), path));
            self.rezone(zones);
        }
    }

    fn rezone(&mut self, zones: Zones) {
        if zones.namespaces() != self.core.zones.namespaces() {
            self.feed(Input::Rezoned(Arc::new(zones)));
            self.guard.rezoned();
            self.renew_policy();
        }
    }

    /// Losses since the last look.
    pub(super) fn tell_losses(&mut self) {
        let mut lost: Vec<(&'static str, u64)> =
            self.kernel.new_faults().into_iter().map(|(cause, count)| (cause.name(), count)).collect();
        let skipped = self.kernel.new_skips();
        if skipped > 0 {
            lost.push(("program_skipped", skipped));
        }
        let dropped = self.identifier.dropped();
        if dropped > self.identify_dropped {
            lost.push(("identify_queue_full", dropped - self.identify_dropped));
            self.identify_dropped = dropped;
        }
        let unasked = self.sweeper.take_dropped();
        if unasked > 0 {
            lost.push(("sweep_queue_full", unasked));
        }
        if self.names.take_overflow() {
            lost.push(("name_queue_full", 1));
        }
        for (cause, count) in lost {
            self.lose(cause, count);
        }
        if let Some(error) = self.arming.failure() {
            tracing::error!(%error, "the flow hooks could not be attached");
            self.lose("arming_failed", 1);
        }
    }

    /// Threads whose call began before the functions stood: what they wrote by it is not counted, and of what they read the
    /// mark of its pipe or socket tells.
    fn look_after_waiting(&mut self) {
        let left = self.arming.left();
        let uncounted = left.iter().filter(|waiting| self.kernel.abandon(waiting.thread)).count() as u64;
        if uncounted > 0 {
            self.lose(Fault::HandOver.name(), uncounted);
        }
        self.waiting.extend(left.into_iter().filter(|waiting| waiting.object != CarrierKey::default()));
        let (wait, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.waits() == Some(true));
        self.waiting = if self.arming.is_armed() { wait } else { Vec::new() };
        for reader in rest {
            self.has_read(reader);
        }
    }

    /// A thread has returned from a read that no program saw end. From something marked it has got marked bytes.
    fn has_read(&mut self, reader: Waiting) {
        let dumps = self.kernel.held_by(&reader.object);
        if dumps.is_empty() {
            return;
        }
        self.lose(Fault::HandOver.name(), 1);
        if reader.waits().is_some() {
            let pid = reader.tgid();
            self.hold(dumps.into_iter().map(|dump| Holder { dump, pid, mapped: false }).collect());
        }
    }

    pub(super) fn lose(&mut self, cause: &'static str, count: u64) {
        self.outputs.metrics.lost(cause, count);
        self.feed(Input::Lost { cause, count });
    }

    /// Retires what is gone, in the kernel and here; arms and disarms by what is left.
    pub(super) fn reap(&mut self, now: u64) {
        self.kernel.reap_servers();
        if self.core.trail.size() == (0, 0) && !self.arming.is_armed() {
            return;
        }
        let mounts = self.lookup.mounts();
        let census = self.kernel.reap(now, |key| names::is_deleted(key, mounts));
        // What is gone by now has been said to be.
        self.follow_names();
        if !census.deleted.is_empty() {
            // What they were may wait in the rings.
            self.drain_rings();
        }
        for key in &census.deleted {
            self.feed(Input::Named { key: *key, change: Change::Deleted, looked: Looked::default() });
        }
        let gone = self.core.trail.missing(&census.carriers, now);
        let many = gone.len() >= TRIM;
        for key in gone {
            self.feed(Input::Gone(key));
        }
        if many {
            crate::sys::trim();
        }
        for (_, id) in self.core.trail.dead(&census.dumps, now) {
            tracing::debug!(dump = %id, "no carrier holds this dump any more");
        }
        self.names.retain(&census.carriers, self.lookup.mounts());
        self.sweeper.retain(&census.carriers);
        if census.marks > 0 {
            self.timers.idle_ns = None;
            self.arming.arm();
        } else {
            let since = *self.timers.idle_ns.get_or_insert(now);
            if now.saturating_sub(since) >= DISARM_NS && self.arming.disarm() {
                self.opened.iter_mut().for_each(BTreeSet::clear);
                tracing::debug!("flow hooks taken off");
            }
        }
    }

    pub(super) fn read_core_settings(&mut self) {
        let Ok(new) = CoreSettings::read(std::path::Path::new("/proc")) else { return };
        let Some(old) = &self.core_settings else { return };
        if let Some(text) = old.changes(&new) {
            let core_pattern = new.core_pattern.clone();
            self.core_settings = Some(new);
            self.feed(Input::HandlerChanged { text, core_pattern });
        }
    }
}
