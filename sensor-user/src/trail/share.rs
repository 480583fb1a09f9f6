//! Several dumps that go one way: which of the bytes are whose.

use super::{CANDIDATES, Flow, Trail};
use crate::{step::Id, trail::flow::HEADER_BYTES};

/// Of more dumps than this nobody can say which one a small part is of.
pub(super) const TELLABLE: usize = 8;

impl Trail {
    /// Where several dumps go the same way: how much of it each can account for.
    pub(super) fn share(&self, flows: &mut [Flow], bytes: u64) {
        if flows.len() < 2 {
            return;
        }
        // The two steps of a transfer are ways of their own.
        for way in [true, false] {
            let mut flows: Vec<&mut Flow> = flows.iter_mut().filter(|f| f.sink.is_some() == way).collect();
            let moved: Vec<u64> = flows.iter().map(|f| bytes.saturating_sub(f.base)).collect();
            let parts: Vec<(u64, u64)> = flows.iter().map(|f| self.parts(f)).collect();
            for (flow, share) in flows.iter_mut().zip(shares(&moved, &parts)) {
                (flow.fair, flow.others) = share;
                flow.crowd = moved.len();
            }
            self.name_candidates(&mut flows, &moved);
        }
    }

    /// A dump that is left no bytes may be the one that moved after all.
    fn name_candidates(&self, flows: &mut [&mut Flow], moved: &[u64]) {
        let own: Vec<u64> = flows.iter().zip(moved).map(|(f, moved)| own(*moved, f.fair, f.others)).collect();
        let none = |n: &usize| own[*n] == 0 && moved[*n] > 0;
        let others: Vec<Id> =
            (0..flows.len()).filter(none).filter_map(|n| self.id_of(flows[n].dump)).take(CANDIDATES).collect();
        for (flow, own) in flows.iter_mut().zip(&own) {
            if let (Some(dump), true) = (&mut flow.step.dump, *own > 0 && !others.is_empty()) {
                dump.candidates.clone_from(&others);
            }
        }
    }

    /// What the source of a flow has of its dump, and what of that it has not passed on elsewhere; no bound when it is not
    /// known.
    fn parts(&self, flow: &Flow) -> (u64, u64) {
        let Some(held) = self.hold(flow.source.key(), flow.dump) else { return (flow.fair, flow.fair) };
        let had = held.to_give(flow);
        if had == 0 {
            return (u64::MAX, u64::MAX);
        }
        // Who has mapped it twice, or has it and a copy of it, has no more than all of it.
        let all = had.min(self.size_of(flow.dump));
        let elsewhere = if flow.source.is_process() { held.passed.saturating_sub(flow.moved) } else { 0 };
        (all, had.saturating_sub(elsewhere).min(all))
    }
}

impl Flow {
    /// Its bytes, where other dumps may go the same way.
    pub(super) fn own(&self) -> u64 {
        own(self.moved, self.fair, self.others)
    }
}

/// For each of several dumps that go one way, how much it can account for, and how much others can. `parts` are what its
/// source has, and what of that it has not passed on elsewhere: this counts where together it explains what has moved.
fn shares(moved: &[u64], parts: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let explained: u64 = parts.iter().zip(moved).map(|((_, left), moved)| (*left).min(*moved)).sum();
    // Words of a protocol come on top.
    let explains = moved.iter().all(|moved| *moved <= explained + explained.min(HEADER_BYTES));
    let fair: Vec<u64> = parts.iter().map(|(all, left)| if explains { *left } else { *all }).collect();
    let has = |n: usize| if fair[n] == u64::MAX { 0 } else { fair[n].min(moved[n]) };
    let sum: u64 = (0..fair.len()).map(has).sum();
    let others = |n: usize| if explains && fair[n] == 0 { moved[n] } else { sum - has(n) };
    (0..fair.len()).map(|n| (fair[n], others(n))).collect()
}

/// Of what a pair has moved, what is one dump's: what is more than its fair part is others', as far as they account for it.
const fn own(moved: u64, fair: u64, others: u64) -> u64 {
    let over = moved.saturating_sub(fair);
    moved - if over < others { over } else { others }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of each dump, by what has moved since it joined, what its source has, and what of that is left.
    fn divided(flows: &[(u64, u64, u64)]) -> Vec<u64> {
        let moved: Vec<u64> = flows.iter().map(|flow| flow.0).collect();
        let parts: Vec<(u64, u64)> = flows.iter().map(|flow| (flow.1, flow.2)).collect();
        shares(&moved, &parts).iter().zip(&moved).map(|((fair, others), moved)| own(*moved, *fair, *others)).collect()
    }

    #[test]
    fn dumps_that_go_one_way_have_their_own_bytes() {
        assert_eq!(divided(&[(900, 400, 400), (500, 500, 500)]), [400, 500], "one after the other");
        assert_eq!(divided(&[(900, 400, 400), (900, 500, 500)]), [400, 500], "both were read before");
        assert_eq!(
            divided(&[(520, 400, 0), (520, 500, 500)]),
            [0, 520],
            "a relay, and a head: the first has left elsewhere"
        );
        assert_eq!(divided(&[(400, 400, 0), (400, 500, 0)]), [400, 400], "both have: nobody knows which");
        assert_eq!(divided(&[(400, 400, 400), (400, 500, 500)]), [400, 400], "nor when neither has");
        assert_eq!(divided(&[(900, 400, 0), (900, 500, 100)]), [400, 500], "what is left does not explain it");
        assert_eq!(
            divided(&[(900, u64::MAX, u64::MAX), (900, 500, 500)]),
            [900, 900],
            "how much there was is not known"
        );
    }

    #[test]
    fn what_is_more_than_was_had_is_another_dumps() {
        assert_eq!(own(300, 200, 0), 300, "it alone: encoded, or sent twice");
        assert_eq!(own(300, 200, 100), 200, "and another of 100");
        assert_eq!(own(300, 200, 60), 240, "and some of another");
        assert_eq!(own(150, 200, 100), 150, "all of it may be this one's");
        assert_eq!(own(300, u64::MAX, 100), 300, "nobody knows how much there was");
    }
}
