//! The book of flows: by pair in a fixed order, so that a replay repeats itself, and by sink, so that the end of one
//! process costs its own flows, not all.

use std::collections::{BTreeMap, BTreeSet};

use sensor_abi::key::{CarrierKey, PairKey};

use super::Flow;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    flows: BTreeMap<PairKey, Vec<Flow>>,
    /// (to, from) of every pair.
    sinks: BTreeSet<(CarrierKey, CarrierKey)>,
    /// (actor, pair) of transfers, whose actor is no end.
    transfers: BTreeSet<(CarrierKey, PairKey)>,
}

/// Below and above every key.
const FIRST: CarrierKey = CarrierKey { id: 0, dev: 0, generation: 0 };
const LAST: CarrierKey = CarrierKey { id: u64::MAX, dev: u32::MAX, generation: u32::MAX };

impl Book {
    /// Adds a flow.
    pub(super) fn push(&mut self, pair: PairKey, flow: Flow) {
        self.sinks.insert((pair.to, pair.from));
        if flow.actor != pair.from && flow.actor != pair.to {
            self.transfers.insert((flow.actor, pair));
        }
        self.flows.entry(pair).or_default().push(flow);
    }
    /// The flows of a pair.
    pub(super) fn get(&self, pair: &PairKey) -> &[Flow] {
        self.flows.get(pair).map_or(&[], Vec::as_slice)
    }
    /// Takes the flows of a pair out, to put them back with [`Self::put`].
    pub(super) fn take(&mut self, pair: &PairKey) -> Vec<Flow> {
        self.flows.get_mut(pair).map(std::mem::take).unwrap_or_default()
    }
    /// Puts them back.
    pub(super) fn put(&mut self, pair: &PairKey, flows: Vec<Flow>) {
        if let Some(slot) = self.flows.get_mut(pair) {
            *slot = flows;
        }
    }
    /// Strikes a pair out.
    pub(super) fn remove(&mut self, pair: &PairKey) -> Vec<Flow> {
        self.sinks.remove(&(pair.to, pair.from));
        let flows = self.flows.remove(pair).unwrap_or_default();
        for flow in &flows {
            self.transfers.remove(&(flow.actor, *pair));
        }
        flows
    }
    /// Pairs between which a process transferred.
    pub(super) fn transfers_of(&self, actor: &CarrierKey) -> Vec<PairKey> {
        let end = |key: CarrierKey| (*actor, PairKey { from: key, to: key });
        self.transfers.range(end(FIRST)..=end(LAST)).map(|(_, pair)| *pair).collect()
    }
    /// Pairs that begin at a carrier, then those that end there.
    pub(super) fn touching(&self, key: &CarrierKey) -> Vec<PairKey> {
        let from = self.flows.range(PairKey { from: *key, to: FIRST }..=PairKey { from: *key, to: LAST });
        let mut pairs: Vec<PairKey> = from.map(|(pair, _)| *pair).collect();
        pairs.extend(self.ending_at(key).filter(|pair| pair.from != *key));
        pairs
    }
    /// Pairs that end at a carrier.
    pub(super) fn ending_at(&self, key: &CarrierKey) -> impl Iterator<Item = PairKey> + '_ {
        let to = *key;
        self.sinks.range((to, FIRST)..=(to, LAST)).map(|(to, from)| PairKey { from: *from, to: *to })
    }
    /// Flows that begin at a carrier, with their sinks.
    pub(super) fn beginning_at(&self, key: &CarrierKey) -> impl Iterator<Item = (&PairKey, &Flow)> {
        let range = PairKey { from: *key, to: FIRST }..=PairKey { from: *key, to: LAST };
        self.flows.range(range).flat_map(|(pair, flows)| flows.iter().map(move |f| (pair, f)))
    }
    /// The flows of one pair, to be changed.
    pub(super) fn get_mut(&mut self, pair: &PairKey) -> &mut [Flow] {
        self.flows.get_mut(pair).map_or(&mut [], Vec::as_mut_slice)
    }
    /// All flows, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.flows.values_mut().flatten()
    }
    /// All pairs.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &PairKey> {
        self.flows.keys()
    }
    /// Number of pairs.
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
    /// True when nothing has moved at a carrier for so long.
    pub(super) fn is_quiet(&self, key: &CarrierKey, now_ns: u64, for_ns: u64) -> bool {
        let quiet = |f: &Flow| now_ns.saturating_sub(f.last_ns) > for_ns;
        self.touching(key).iter().all(|pair| self.get(pair).iter().all(quiet))
    }
}
