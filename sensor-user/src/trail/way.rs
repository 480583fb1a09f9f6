//! Connections of one process to one address: what goes there in small pieces, by a connection each, is one flow. The latest
//! of them carries on what the earlier ones have said.

use std::{collections::BTreeMap, net::IpAddr};

use sensor_abi::key::{CarrierKey, PairKey};

use super::{Flow, Source, Trail};
use crate::step::{Id, StepKind, Verdict};

/// Who sends which dump where.
type Way = (CarrierKey, u64, IpAddr, u16);

pub(super) type Ways = BTreeMap<Way, Latest>;

/// The latest connection.
pub(super) struct Latest {
    pair: PairKey,
    flow: Id,
    /// What those before it have moved.
    before: u64,
}

impl Trail {
    /// A new flow takes over from the one before it, if that is not over.
    pub(super) fn carry_on(&mut self, flow: &mut Flow, pair: &PairKey) {
        let Some(way) = way(flow).filter(|_| !flow.hidden) else { return };
        let mut latest = Latest { pair: *pair, flow: flow.step.flow, before: 0 };
        let fits = |f: &&mut Flow| f.dump == flow.dump && f.goes_on();
        if let Some(last) = self.ways.get(&way)
            && let Some(old) = self.flows.get_mut(&last.pair).iter_mut().find(fits)
        {
            flow.step.flow = last.flow;
            (flow.begun_ns, flow.said, flow.said_confidence) = (old.begun_ns, old.said, old.said_confidence);
            flow.step.started = old.step.started;
            // Who receives it is who received before, until it is known better.
            flow.step.to.clone_from(&old.step.to);
            flow.step.sink.clone_from(&old.step.sink);
            flow.step.detail.clone_from(&old.step.detail);
            flow.step.verdict = old.step.verdict;
            (old.hidden, old.lent, old.said) = (true, Some(old.own()), 0);
            (latest.flow, latest.before) = (last.flow, last.before + old.own());
        }
        self.ways.insert(way, latest);
    }

    /// What has come of a flow since it is carried on.
    pub(super) fn lend(&mut self, flow: &mut Flow) {
        let (Some(lent), Some(way)) = (flow.lent, way(flow)) else { return };
        if let Some(latest) = self.ways.get_mut(&way).filter(|latest| latest.flow == flow.step.flow) {
            latest.before = (latest.before + flow.own()).saturating_sub(lent);
            flow.lent = Some(flow.own());
        }
    }

    /// What the connections have moved that a flow carries on.
    pub(super) fn before(&self, flow: &Flow) -> u64 {
        let latest = way(flow).filter(|_| !flow.hidden).and_then(|way| self.ways.get(&way));
        latest.filter(|latest| latest.flow == flow.step.flow).map_or(flow.before, |latest| latest.before)
    }

    /// Forgets those whose latest connection is not in the books any more.
    pub(super) fn forget_ways(&mut self) {
        let flows = &self.flows;
        self.ways.retain(|_, latest| !flows.get(&latest.pair).is_empty());
    }
}

impl Flow {
    /// It may be carried on.
    fn goes_on(&self) -> bool {
        let open = self.step.ended.is_none() && !self.hidden;
        open && self.step.kind == StepKind::Sent && self.step.verdict != Some(Verdict::Blocked)
    }
}

fn way(flow: &Flow) -> Option<Way> {
    let Source::Process(by) = flow.source else { return None };
    let peer = flow.step.peer.as_ref()?;
    Some((by, flow.dump, peer.address, peer.port))
}
