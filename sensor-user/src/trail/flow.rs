//! Bytes: how far a flow has got, how sure it is, and when that is worth a report.

use sensor_abi::key::{CarrierKey, PairKey};

use super::{Context, Flow, Trail};
use crate::step::{Confidence, Step, StepKind, Verdict};

/// A process that has passed on what it held sleeps after this time: what it sends then is other data.
const PASSED_NS: u64 = 5_000_000_000;
/// And any process after this time without reading the dump again.
const STALE_NS: u64 = 600_000_000_000;
/// A flow without bytes ends after this time.
const IDLE_NS: u64 = 60_000_000_000;
/// Below this share of what was read, and below this size, bytes are made from the dump rather than the dump's.
const DERIVED_SHARE: u64 = 64;
const DERIVED_BYTES: u64 = 64 * 1024;
/// A sender whose first bytes are few is told after this time: only volume tells the beginning of a dump from a word on it.
pub const FEW_NS: u64 = 500_000_000;
/// Who has read less than this has seen a header; a multiple of it is other data, however much of it leaves.
const HEADER_BYTES: u64 = 4096;
const HEADER_MULTIPLE: u64 = 4;

impl Trail {
    /// A pair's bytes, as the kernel's map has them. Reports what has grown past a threshold.
    pub fn bytes(&mut self, context: Context<'_>, pair: &PairKey, bytes: u64, now_ns: u64) -> Vec<Step> {
        let flows = self.flows.take(pair);
        let mut steps = Vec::new();
        let mut kept = Vec::with_capacity(flows.len());
        for flow in flows {
            let (before, sure) = (flow.step.bytes, flow.step.confidence);
            let now = bytes.saturating_sub(flow.base);
            if now <= before && !flow.waits() {
                kept.push(flow);
                continue;
            }
            let mut flow = self.account(flow, now, now_ns);
            // What is refused has no bytes: others are in force by now.
            flow.step.verdict = flow.step.verdict.filter(|v| *v != Verdict::Blocked);
            // The first report has the time at which it began.
            if flow.told {
                flow.step.time = context.clock.wall(now_ns);
            }
            flow.step.ended = None;
            let more = flow.told && (threshold(now) > threshold(before) || flow.step.confidence > sure);
            if more || flow.tells(now_ns) {
                steps.push(flow.step.clone());
            }
            kept.push(flow);
        }
        self.flows.put(pair, kept);
        steps
    }

    /// Flows without bytes for a minute are over.
    pub(super) fn idle(&mut self, now_ns: u64) -> Vec<Step> {
        let over = |f: &&mut Flow| f.is_open() && now_ns.saturating_sub(f.last_ns) > IDLE_NS;
        self.flows.all_mut().filter(over).map(end).collect()
    }

    /// The flows of a carrier that is gone are over. Returns their last steps; its pairs leave the books. Those of its
    /// transfers stay: both ends may live. So do those into the network: a receiver on this kernel may read what a sender
    /// left behind.
    pub(super) fn ended(&mut self, key: &CarrierKey) -> Vec<Step> {
        let gone: Vec<PairKey> = self.pairs_of(key);
        self.leave(key, &gone);
        let mut steps = Vec::new();
        for pair in gone {
            steps.extend(self.flows.get_mut(&pair).iter_mut().filter(|f| f.is_open()).map(end));
            if !pair.to.is_flow() || pair.to == *key {
                self.flows.remove(&pair);
            }
        }
        for pair in self.flows.transfers_of(key) {
            let of_it = |f: &&mut Flow| f.actor == *key && f.is_open();
            steps.extend(self.flows.get_mut(&pair).iter_mut().filter(of_it).map(end));
        }
        steps
    }

    /// True while a pair's first report waits for its bytes.
    pub fn is_untold(&self, pair: &PairKey) -> bool {
        self.flows.get(pair).iter().any(|flow| !flow.hidden && !flow.told)
    }

    /// First reports that still wait.
    pub fn tell_all(&mut self) -> Vec<Step> {
        self.flows.all_mut().filter_map(|flow| flow.tells(u64::MAX).then(|| flow.step.clone())).collect()
    }

    /// Pairs that a carrier is an end of.
    pub fn pairs_of(&self, key: &CarrierKey) -> Vec<PairKey> {
        self.flows.touching(key)
    }

    /// Pairs that may still grow.
    pub fn pairs(&self) -> impl Iterator<Item = &PairKey> {
        self.flows.pairs()
    }

    /// Adds bytes to a flow, to what its reader has read and to what its sender has passed on.
    pub(super) fn account(&mut self, mut flow: Flow, bytes: u64, now_ns: u64) -> Flow {
        let more = bytes.saturating_sub(flow.step.bytes);
        flow.step.bytes = flow.step.bytes.max(bytes);
        if more > 0 {
            flow.last_ns = now_ns;
        }
        if let Some(held) = flow.reader.and_then(|r| self.nodes.get_mut(&r)?.holds.get_mut(&flow.dump)) {
            held.read += more;
            held.last_read_ns = held.last_read_ns.max(if more > 0 { now_ns } else { 0 });
        }
        let Some(sender) = flow.sender else { return flow };
        if let Some(held) = self.nodes.get_mut(&sender).and_then(|node| node.holds.get_mut(&flow.dump)) {
            held.passed += more;
            flow.held = held.confidence;
            flow.step.read_bytes = held.read;
            flow.step.age_ns = (held.read > 0).then(|| now_ns.saturating_sub(held.last_read_ns));
        }
        // One that is gone has left behind how much it had read.
        flow.step.confidence = flow.held.min(sureness(&flow, flow.step.read_bytes));
        flow
    }

    /// A sender goes: its last word on how much it has read.
    fn leave(&mut self, key: &CarrierKey, pairs: &[PairKey]) {
        let Some(node) = self.nodes.get(key) else { return };
        for pair in pairs.iter().filter(|pair| pair.from == *key) {
            for flow in self.flows.get_mut(pair) {
                flow.step.read_bytes = node.holds.get(&flow.dump).map_or(flow.step.read_bytes, |held| held.read);
            }
        }
    }

    /// True when a process has passed on what it held some time ago, or held it long ago.
    pub(super) fn is_asleep(&self, task: &CarrierKey, dump: u64, now_ns: u64) -> bool {
        let Some(held) = self.nodes.get(task).and_then(|n| n.holds.get(&dump)) else { return false };
        let age = now_ns.saturating_sub(held.last_read_ns);
        age > STALE_NS || held.read > 0 && held.passed >= held.read && age > PASSED_NS
    }
}

impl Flow {
    /// Has bytes, and no report.
    const fn waits(&self) -> bool {
        !self.hidden && !self.told && self.step.bytes > 0
    }

    /// True when its first report is due: once.
    pub(super) fn tells(&mut self, now_ns: u64) -> bool {
        let few = matches!(self.step.kind, StepKind::Sent | StepKind::Written)
            && (matches!(self.step.confidence, Confidence::Derived | Confidence::Weak)
                || self.step.bytes < HEADER_BYTES);
        let due = self.waits() && !(few && now_ns.saturating_sub(self.begun_ns) < FEW_NS);
        self.told |= due;
        due
    }

    /// Has moved something, and is not over.
    fn is_open(&self) -> bool {
        !self.hidden && self.step.bytes > 0 && self.step.ended.is_none()
    }
}

/// How sure it is that a sender's bytes are the dump's, by their volume.
fn sureness(flow: &Flow, read: u64) -> Confidence {
    let bytes = flow.step.bytes;
    let trickle = bytes.saturating_mul(DERIVED_SHARE) < read && bytes < DERIVED_BYTES;
    let header = read < HEADER_BYTES && bytes > read.saturating_mul(HEADER_MULTIPLE);
    if flow.asleep || read > 0 && header {
        Confidence::Weak
    } else if read > 0 && trickle {
        Confidence::Derived
    } else {
        Confidence::Direct
    }
}

fn end(flow: &mut Flow) -> Step {
    flow.told = true;
    flow.step.ended = Some(flow.step.time);
    flow.step.clone()
}

/// 0 below 4 KiB, then one for every 16-fold.
fn threshold(bytes: u64) -> u32 {
    (0..6).filter(|i| bytes >> (12 + 4 * i) != 0).count() as u32
}

impl Step {
    /// True for the kinds whose byte count can grow.
    pub const fn flows(&self) -> bool {
        matches!(self.kind, StepKind::Read | StepKind::Mapped | StepKind::Written | StepKind::Sent | StepKind::Received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_powers_of_sixteen_from_four_kib() {
        let at = [0, 4095, 4096, 65535, 65536, 1 << 20, 1 << 24, 1 << 28, 1 << 32];
        assert_eq!(at.map(threshold), [0, 0, 1, 1, 2, 3, 4, 5, 6]);
    }
}
