//! Who opens a dump and reads nothing of it. One that is opened in another zone, or lies in another one than it was born
//! in, is told of, unless its bytes go to who opened it: then these are.

use sensor_abi::{
    key::{CarrierKey, PairKey},
    mark::MarkSet,
};

use super::{Context, Flow, Looked, Trail, moves::Scene};
use crate::{
    event::Edge,
    step::{Step, StepKind},
};

/// So long it waits for bytes, ns.
const PATIENCE_NS: u64 = 1_000_000_000;

/// So long it is not told again, ns.
const AGAIN_NS: u64 = 3_600_000_000_000;
/// Most openings that are remembered for that.
const LOOKED: usize = 4096;

/// A dump has been opened.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) step: Step,
    dump: u64,
    /// The file, and who.
    pair: PairKey,
    /// When, ns since boot.
    time_ns: u64,
}

impl Opening {
    fn is_for(&self, flow: &Flow, from: &CarrierKey) -> bool {
        // By the process, whatever it has executed meanwhile: a shell opens for what it starts.
        flow.dump == self.dump && flow.actor.generation == self.pair.to.generation && *from == self.pair.from
    }
}

impl Trail {
    /// A file was opened for reading. Returns nothing yet but the births of its dumps.
    pub(super) fn opened(&mut self, context: Context<'_>, edge: &Edge, looked: &Looked, time_ns: u64) -> Vec<Step> {
        let (births, mut openings) = self.openings(context, edge, looked, time_ns);
        openings.retain(|opening| is_abroad(&opening.step) && !self.has_moved(opening) && self.is_new(opening));
        self.opened.extend(openings);
        births
    }

    /// One for each dump that is in a file, and the births of those that have not been told yet.
    pub(super) fn openings(
        &mut self,
        context: Context<'_>,
        edge: &Edge,
        looked: &Looked,
        time_ns: u64,
    ) -> (Vec<Step>, Vec<Opening>) {
        let actor = self.task(context, &edge.actor, looked, time_ns);
        let from = edge.pair.from;
        let (mut births, mut openings) = (Vec::new(), Vec::new());
        for dump in self.judged_dumps(edge.set, &from) {
            births.extend(self.announce(dump));
            let scene = Scene { context, edge, looked, actor, dump, time_ns };
            self.source_node(&scene, &from);
            let mut step = self.between(&scene, StepKind::Opened, &from, &actor);
            step.dump = self.dump_ref(dump, MarkSet::default());
            step.file.clone_from(&self.nodes[&from].file);
            step.flow = self.flow_id(&edge.pair, dump, "open");
            openings.push(Opening { step, dump, pair: PairKey { from, to: actor }, time_ns });
        }
        (births, openings)
    }

    /// Those after which nothing came. All of them when there is no time left to wait.
    pub(super) fn unread(&mut self, now_ns: Option<u64>) -> Vec<Step> {
        let waits = |o: &Opening| now_ns.is_some_and(|now| now.saturating_sub(o.time_ns) < PATIENCE_NS);
        let (wait, due): (Vec<_>, Vec<_>) = std::mem::take(&mut self.opened).into_iter().partition(waits);
        self.opened = wait;
        due.into_iter().map(|opening| opening.step).filter(|step| !step.is_quiet()).collect()
    }

    /// A flow begins: what its actor has opened for it is not told.
    pub(super) fn moves(&mut self, flow: &Flow, from: &CarrierKey) {
        self.opened.retain(|opening| !opening.is_for(flow, from));
    }

    /// Who looks again and again is told of once an hour.
    fn is_new(&mut self, opening: &Opening) -> bool {
        let now = opening.time_ns;
        if self.looked.len() >= LOOKED {
            self.looked.retain(|_, time| now.saturating_sub(*time) < AGAIN_NS);
        }
        let known = self.looked.get(&(opening.pair, opening.dump)).copied();
        if known.is_some_and(|time| now.saturating_sub(time) < AGAIN_NS) {
            return false;
        }
        if self.looked.len() < LOOKED {
            self.looked.insert((opening.pair, opening.dump), now);
        }
        true
    }

    /// Its opening was refused: it was none.
    pub(super) fn refused(&mut self, opening: &Opening) {
        self.opened.retain(|o| (o.pair, o.dump) != (opening.pair, opening.dump));
    }

    fn has_moved(&self, opening: &Opening) -> bool {
        self.flows.beginning_at(&opening.pair.from).any(|(pair, flow)| opening.is_for(flow, &pair.from))
    }
}

/// In another zone than where it lies, or than where it was born.
fn is_abroad(step: &Step) -> bool {
    step.crossing() || step.origin.as_ref().is_some_and(|origin| origin.place.zone != step.to.zone)
}
