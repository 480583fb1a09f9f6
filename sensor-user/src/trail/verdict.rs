//! Verdicts: the kernel has refused a movement that a rule forbids, or would have. A refused one moves no bytes, and is a
//! step all the same.

use sensor_abi::{flow::Move, key::CarrierKey, mark::MarkSet};

use super::{Context, Looked, Trail};
use crate::{
    event::Edge,
    step::{DumpKind, Place, Step, StepKind, Verdict},
};

impl Trail {
    /// A verdict on a movement.
    pub fn judged(
        &mut self,
        context: Context<'_>,
        edge: &Edge,
        refused: bool,
        looked: &Looked,
        time_ns: u64,
    ) -> Vec<Step> {
        let verdict = if refused { Verdict::Blocked } else { Verdict::WouldBlock };
        let looked = self.without_less(edge, looked);
        if edge.direction == Move::Read {
            let (mut steps, openings) = self.openings(context, edge, &looked, time_ns);
            for opening in openings {
                self.refused(&opening);
                steps.push(Step { verdict: Some(verdict), ..opening.step });
            }
            return steps;
        }
        // With this the flow is in the books, without bytes.
        let mut steps = self.moved(context, edge, &looked, time_ns);
        let dumps = self.judged_dumps(edge.set, &edge.pair.from);
        let mut flows = self.flows.take(&edge.pair);
        let sends = flows.iter_mut().filter(|f| f.step.kind == StepKind::Sent && dumps.contains(&f.dump));
        for flow in sends.filter(|f| f.step.verdict != Some(verdict)) {
            flow.step.verdict = Some(verdict);
            // What goes on is told when its first bytes are.
            if refused || flow.is_told() {
                flow.step.time = context.clock.wall(time_ns);
                steps.push(flow.step.clone());
            }
        }
        self.flows.put(&edge.pair, flows);
        steps
    }

    /// The record has neither executable nor arguments: what is known of the process already is better.
    fn without_less(&self, edge: &Edge, looked: &Looked) -> Looked {
        let known = self.nodes.get(&edge.actor.key()).and_then(|node| node.process.as_ref());
        Looked { process: looked.process.clone().filter(|_| known.is_none()), ..looked.clone() }
    }

    /// The dumps of a set, or the one that the source is. The kernel judges a dump before it has a colour, too.
    pub(super) fn judged_dumps(&self, set: MarkSet, from: &CarrierKey) -> Vec<u64> {
        let dumps = self.dumps_of(set, Some(from));
        let born = || self.dumps.iter().find(|(_, dump)| dump.object == *from).map(|(number, _)| *number);
        if dumps.is_empty() { born().into_iter().collect() } else { dumps }
    }

    /// Others may be in force now; they are told anew.
    pub fn forget_verdicts(&mut self) {
        self.flows.all_mut().for_each(|flow| flow.step.verdict = None);
    }

    /// Where dumps were born, and what they are: number, zone, kind.
    pub fn births(&self) -> impl Iterator<Item = (u64, &Place, DumpKind)> {
        self.dumps.iter().map(|(number, dump)| (*number, &dump.origin.place, dump.about.kind))
    }
}
