//! Bytes: how far a flow has got, how sure it is, and when that is worth a report.

use std::collections::BTreeSet;

use sensor_abi::key::{CarrierKey, PairKey, class};

use super::{Context, Flow, Hold, Moved, Source, Trail, share::TELLABLE};
use crate::step::{Confidence, Step, StepKind, Verdict};

/// A process that has passed on what it held sleeps after this time: what it sends then is other data.
const PASSED_NS: u64 = 5_000_000_000;
/// And any process after this time without reading the dump again.
const STALE_NS: u64 = 600_000_000_000;
/// A flow without bytes ends after this time.
const IDLE_NS: u64 = 60_000_000_000;
/// And after this one its count is told again, when the one that was told is more than a hundredth short.
const QUIET_NS: u64 = 2_000_000_000;
const SHORT: u64 = 100;
/// Below this share of what was read, and below this size, bytes are made from the dump rather than the dump's.
const DERIVED_SHARE: u64 = 64;
const DERIVED_BYTES: u64 = 1 << 20;
/// A sender whose first bytes are few, or who has few, is told after this time: only volume tells the beginning of a dump from
/// a word on it.
pub const FEW_NS: u64 = 500_000_000;
/// Who has read no more than this, as a buffered reader does at once (Perl and Java 8 KiB, C and Python 4), has seen a header; a
/// multiple of it is other data, however much of it leaves. The same of what was made from the dump and is small.
pub(super) const HEADER_BYTES: u64 = 8192;
const DERIVED_LITTLE: u64 = 64 * 1024;
const HEADER_MULTIPLE: u64 = 4;
/// What a dump handler is taken to have read of which no reading was seen: before the flow hooks stood it may have been a
/// pipe's capacity, in no time at all; less than that which leaves is more likely something about the crash.
const UNREAD: u64 = 65_536 * DERIVED_SHARE;
/// Who reads a dump again and again, or maps the file anew for each page, has not more and more of it.
const AGAIN: u64 = 16;
/// See `Flow::is_unsure`.
const UNSURE_NS: u64 = 5_000_000_000;
/// Hops that a credit goes at once; further ones get it when their own bytes are looked at.
const ONWARD: u8 = 16;
/// See [`Trail::behind`].
const BEHIND: usize = 32;

impl Trail {
    /// What a pair has moved, as the kernel's map has it. Reports what has grown past a threshold.
    pub fn bytes(&mut self, context: Context<'_>, pair: &PairKey, count: Moved, now_ns: u64) -> Vec<Step> {
        let mut flows = self.flows.take(pair);
        let mut steps = Vec::new();
        self.share(&mut flows, count.bytes);
        for flow in &mut flows {
            let moved = count.bytes.saturating_sub(flow.base);
            let same = moved <= flow.moved && flow.step.bytes == flow.own() && !flow.is_surer();
            if same && !flow.waits() && !flow.is_unsure(now_ns) {
                continue;
            }
            self.account(flow, moved, count.last_ns.min(now_ns));
            let now = flow.step.bytes;
            // What is refused has no bytes: others are in force by now.
            flow.step.verdict = flow.step.verdict.filter(|v| *v != Verdict::Blocked);
            // The first report has the time at which it began.
            if flow.is_told() {
                flow.step.time = context.clock.wall(flow.last_ns);
            }
            // Of one whose sender is gone this is the last word: there its bytes were not known yet.
            let last = flow.source.is_process() && !self.nodes.contains_key(flow.source.key());
            flow.step.ended = last.then_some(flow.step.time);
            // What turns out to be another dump's is taken back.
            let less = now < flow.said;
            let more = threshold(now) > threshold(flow.said) || flow.is_surer() || last && now != flow.said;
            if flow.is_told() && (more || less) || flow.tells(now_ns) {
                steps.push(flow.report());
            }
        }
        self.flows.put(pair, flows);
        steps
    }

    /// Flows without bytes for a minute are over. What has waited for its first report is told, also when the kernel has
    /// forgotten the pair meanwhile; and how far one has come that rests.
    pub(super) fn idle(&mut self, now_ns: u64) -> Vec<Step> {
        let since = |then: u64| now_ns.saturating_sub(then);
        let mut steps = Vec::new();
        for flow in self.flows.all_mut() {
            if flow.is_open() && since(flow.last_ns) > IDLE_NS {
                steps.extend(end(flow));
            } else if flow.tells(now_ns) && since(flow.begun_ns) >= FEW_NS
                || flow.is_short() && since(flow.last_ns) > QUIET_NS
            {
                steps.push(flow.report());
            }
        }
        steps
    }

    /// The flows of a carrier that is gone are over. Returns their last steps; its pairs leave the books. Those of its
    /// transfers stay: both ends may live. So do those into the network: a receiver on this kernel may read what a sender
    /// left behind.
    pub(super) fn ended(&mut self, key: &CarrierKey) -> Vec<Step> {
        let gone = self.flows.touching(key);
        self.leave(key, &gone);
        let mut steps = Vec::new();
        for pair in gone {
            steps.extend(self.flows.get_mut(&pair).iter_mut().filter(|f| f.is_open()).filter_map(end));
            if !pair.to.is_flow() || pair.to == *key {
                self.flows.remove(&pair);
            }
        }
        for pair in self.flows.transfers_of(key) {
            let of_it = |f: &&mut Flow| f.actor == *key && f.is_open();
            steps.extend(self.flows.get_mut(&pair).iter_mut().filter(of_it).filter_map(end));
        }
        steps
    }

    /// What a pair has moved of a dump into a file that was emptied since: up to here it was the old content.
    pub(super) fn replaced(&mut self, pair: &PairKey, dump: u64, bytes: u64, now_ns: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let (mut over, others) =
            self.flows.take(pair).into_iter().partition::<Vec<_>, _>(|f| f.dump == dump && f.emptied);
        for flow in &mut over {
            self.account(flow, bytes.saturating_sub(flow.base), now_ns);
            steps.extend(Some(flow).filter(|f| f.is_open()).and_then(end));
        }
        self.flows.put(pair, others);
        steps
    }

    /// True while a pair's first report waits for its bytes.
    pub fn is_untold(&self, pair: &PairKey) -> bool {
        self.flows.get(pair).iter().any(|flow| !flow.hidden && !flow.is_told() && !flow.is_kept())
    }

    /// Reports that still wait: first ones, and what has come since the last ones.
    pub fn tell_all(&mut self) -> Vec<Step> {
        let waits = |f: &&mut Flow| f.is_open() && f.said != f.step.bytes && !f.is_kept();
        let mut steps = self.unread(None);
        steps.extend(self.flows.all_mut().filter(waits).map(Flow::report));
        steps
    }

    /// Of weak data that crosses, what led there, which was not worth a report until now: the first of them first.
    pub(super) fn led_to(&mut self, flow: &Flow) -> Vec<Step> {
        let (mut behind, mut steps) = (vec![*flow.source.key()], Vec::new());
        while let Some(key) = behind.pop() {
            for pair in self.flows.ending_at(&key).collect::<Vec<_>>() {
                let kept = |f: &&mut Flow| f.dump == flow.dump && f.is_open() && f.is_kept();
                for flow in self.flows.get_mut(&pair).iter_mut().filter(kept) {
                    behind.push(*flow.source.key());
                    steps.push(flow.report());
                }
            }
        }
        steps.sort_by_key(|step: &Step| step.started);
        steps
    }

    /// Pairs by which a carrier moves bytes, as an end or between others.
    pub fn pairs_by(&self, key: &CarrierKey) -> Vec<PairKey> {
        let mut pairs = self.flows.touching(key);
        pairs.extend(self.flows.transfers_of(key));
        pairs
    }

    /// Pairs that may still grow.
    pub fn pairs(&self) -> impl Iterator<Item = &PairKey> {
        self.flows.pairs()
    }

    /// Adds what a pair has moved, the last of it at `last_ns`, to a flow, to what its sink has of the dump and to what its
    /// sender has passed on.
    pub(super) fn account(&mut self, flow: &mut Flow, moved: u64, last_ns: u64) {
        let moved = self.woken(flow, moved);
        let more = moved.saturating_sub(flow.moved);
        flow.moved = flow.moved.max(moved);
        if more > 0 {
            flow.last_ns = flow.last_ns.max(last_ns);
        }
        let size = self.size_of(flow.dump);
        let all_of_it = if size > DERIVED_LITTLE { size.saturating_mul(AGAIN) } else { u64::MAX };
        // One that is gone has left behind what it had.
        if let Some(held) = self.held(flow.source.key(), flow.dump) {
            flow.held = held.confidence;
            flow.had = held.to_give(flow).min(all_of_it);
            match flow.source {
                Source::Object(_) => {}
                Source::Channel(_) => held.take_out(flow),
                Source::Process(_) => {
                    held.passed += more;
                    flow.spent = held.is_spent();
                    flow.step.read_bytes = held.read;
                    flow.step.age_ns = (held.read > 0).then(|| flow.last_ns.saturating_sub(held.last_read_ns));
                }
            }
        }
        flow.step.bytes = flow.own();
        flow.step.confidence = flow.held.min(sureness(flow));
        self.credit(flow);
    }

    /// Who has read the dump anew is not asleep any more: what it sends from then on counts, and that is what has come since
    /// the last count before that. Counts of one tick come in any order. Returns what has moved of that.
    fn woken(&self, flow: &mut Flow, moved: u64) -> u64 {
        let Some(before) = flow.asleep else { return moved };
        let slept = if moved > flow.moved { Moved { bytes: flow.moved, last_ns: flow.last_ns } } else { before };
        flow.asleep = Some(slept);
        if self.hold(flow.source.key(), flow.dump).is_none_or(|held| held.last_read_ns < slept.last_ns) {
            return moved;
        }
        (flow.asleep, flow.base) = (None, flow.base + slept.bytes);
        flow.moved = flow.moved.saturating_sub(slept.bytes);
        moved.saturating_sub(slept.bytes)
    }

    /// How a carrier holds a dump.
    pub(super) fn hold(&self, key: &CarrierKey, dump: u64) -> Option<&Hold> {
        self.nodes.get(key)?.holds.get(&dump)
    }

    /// Bytes of a dump; no bound while they are not known.
    pub(super) fn size_of(&self, dump: u64) -> u64 {
        self.dumps.get(&dump).and_then(|dump| dump.about.size).unwrap_or(u64::MAX)
    }

    fn held(&mut self, key: &CarrierKey, dump: u64) -> Option<&mut Hold> {
        self.nodes.get_mut(key)?.holds.get_mut(&dump)
    }

    /// What somebody has put into an object itself.
    fn put(&self, by: &CarrierKey, into: &CarrierKey, dump: u64) -> u64 {
        let own = self.flows.get(&PairKey { from: *by, to: *into });
        own.iter().filter(|flow| flow.dump == dump).map(|flow| flow.credited).sum()
    }

    /// What the sink has of the dump by this flow: out of an object no more than was put there, and nothing of what is
    /// other data.
    fn credit(&mut self, flow: &mut Flow) {
        let Some(sink) = flow.sink.filter(|_| flow.step.bytes > 0) else { return };
        let (sure, most) = match (flow.source, flow.had) {
            (Source::Process(_), _) => (flow.step.confidence, u64::MAX),
            (_, 0) => (flow.held, u64::MAX),
            (source, had) => (flow.held, had.saturating_sub(self.put(&sink, source.key(), flow.dump))),
        };
        let counts = if sure == Confidence::Weak { flow.credited } else { flow.step.bytes.min(most) };
        let (more, less) = (counts.saturating_sub(flow.credited), flow.credited.saturating_sub(counts));
        flow.credited = counts;
        let Some(held) = self.held(&sink, flow.dump) else { return };
        let (before, had) = (held.confidence, held.read);
        // As long as nothing was counted the best was taken for granted.
        let counted = held.read > 0 || held.whole && sink.dev != class::TASK;
        held.confidence = if counted { before.max(sure) } else { sure };
        held.read = (held.read + more).saturating_sub(less);
        // An answer from who was told a word of it is no new reading.
        if more > 0 && (!counted || sure >= before) {
            held.last_read_ns = held.last_read_ns.max(flow.last_ns);
        }
        let changed = more + less > 0 || held.confidence != before;
        // What who has read much passes on is judged by what it is, and that does not change.
        if changed && (sink.dev != class::TASK || had <= DERIVED_LITTLE) {
            self.credit_onward(&sink, flow.dump);
        }
    }

    /// A carrier has more than was known when it passed on what it had: an object to its readers, a process to others.
    fn credit_onward(&mut self, carrier: &CarrierKey, dump: u64) {
        if self.onward >= ONWARD {
            return;
        }
        self.onward += 1;
        let to_task = |f: &Flow| f.sink.is_some_and(|sink| sink.dev == class::TASK);
        let by_task = |f: &Flow| f.source.is_process() && f.step.confidence != Confidence::Direct;
        let of_it = |f: &Flow| f.dump == dump && if carrier.dev == class::TASK { by_task(f) } else { to_task(f) };
        let pairs: BTreeSet<PairKey> =
            self.flows.beginning_at(carrier).filter(|(_, f)| of_it(f)).map(|(pair, _)| *pair).collect();
        for pair in pairs {
            let mut flows = self.flows.take(&pair);
            for flow in flows.iter_mut().filter(|f| of_it(f)) {
                self.account(flow, flow.moved, flow.last_ns);
            }
            self.flows.put(&pair, flows);
        }
        self.onward -= 1;
    }

    /// True when a process has read something of a dump since this time, as far as is known.
    pub fn has_read_since(&self, task: &CarrierKey, then_ns: u64) -> bool {
        self.nodes.get(task).is_some_and(|node| node.holds.values().any(|held| held.last_read_ns >= then_ns))
    }

    /// Pairs whose bytes say what a process has of its dumps, those of others into what it reads from first: a few, for who
    /// has many has read much.
    pub fn behind(&self, task: &CarrierKey) -> Vec<PairKey> {
        let own: Vec<PairKey> = self.flows.ending_at(task).take(BEHIND).collect();
        let others = own.iter().filter(|pair| pair.from != *task).flat_map(|pair| self.flows.ending_at(&pair.from));
        let mut behind: Vec<PairKey> = others.take(BEHIND).collect();
        behind.extend(own);
        behind
    }

    /// A sender goes: its last word on how much it has read.
    fn leave(&mut self, key: &CarrierKey, pairs: &[PairKey]) {
        let Some(node) = self.nodes.get(key) else { return };
        for pair in pairs.iter().filter(|pair| pair.from == *key) {
            for flow in self.flows.get_mut(pair) {
                let Some(held) = node.holds.get(&flow.dump) else { continue };
                flow.had = held.to_give(flow);
                flow.step.read_bytes = if flow.source.is_process() { held.read } else { flow.step.read_bytes };
            }
        }
    }

    /// True when so many bytes that a process has written to a file are not what it holds, as far as volume and time tell.
    /// Of one that is gone the file knows what it got.
    pub fn is_other_data(&self, task: &CarrierKey, file: &CarrierKey, bytes: u64, now_ns: u64) -> bool {
        let weak = |held: &Hold| held.confidence == Confidence::Weak;
        let other = |dump: u64, held: &Hold| {
            weak(held)
                || held.read > 0 && is_more(held.confidence, held.read, bytes)
                || self.is_asleep(task, dump, now_ns)
        };
        match self.nodes.get(task) {
            Some(node) => node.holds.iter().all(|(dump, held)| other(*dump, held)),
            None => self.nodes.get(file).is_none_or(|node| node.holds.values().all(weak)),
        }
    }

    /// True when a process has passed on what it held some time ago, or held it long ago.
    pub(super) fn is_asleep(&self, task: &CarrierKey, dump: u64, now_ns: u64) -> bool {
        let Some(held) = self.hold(task, dump) else { return false };
        let age = now_ns.saturating_sub(held.last_read_ns);
        // A client may go before the last of it has.
        let passed = held.read > 0 && held.passed >= held.read - held.read / 10;
        age > STALE_NS || passed && age > PASSED_NS
    }
}

impl Hold {
    /// Little was made from the dump, and more than that has been passed on: what comes now is other data.
    pub(super) const fn is_spent(&self) -> bool {
        matches!(self.confidence, Confidence::Derived)
            && self.read > 0
            && is_more(self.confidence, self.read, self.passed)
    }

    /// How much there is for a flow; 0 when that is not known.
    pub(super) fn to_give(self, flow: &Flow) -> u64 {
        match flow.source {
            Source::Process(_) if self.given && self.read == 0 => UNREAD,
            Source::Process(_) => self.read,
            _ if self.whole || self.read == 0 => 0,
            Source::Object(_) => self.read,
            // What others have taken out is there no more.
            Source::Channel(_) => self.left(flow).max(1),
        }
    }

    /// What others have left in a channel of what came in.
    const fn left(&self, flow: &Flow) -> u64 {
        self.read.saturating_sub(self.passed.saturating_sub(flow.took))
    }

    /// What goes out of a channel is the dump, or other data, which takes no more of the dump along than was left there.
    fn take_out(&mut self, flow: &mut Flow) {
        let other = flow.had > 0 && is_more(self.confidence, flow.had, flow.moved);
        let took = if other { flow.moved.min(self.left(flow)) } else { flow.moved };
        self.passed = self.passed.saturating_sub(flow.took) + took;
        flow.took = took;
    }
}

impl Flow {
    /// Has bytes that are worth a report, and no report.
    fn waits(&self) -> bool {
        !self.hidden && !self.is_told() && self.step.bytes > 0 && !self.is_kept()
    }

    /// Has been reported.
    pub(super) const fn is_told(&self) -> bool {
        self.said > 0
    }

    /// Has moved more than was told, by a hundredth and more.
    fn is_short(&self) -> bool {
        self.is_told() && self.is_open() && !self.step.is_quiet() && self.step.bytes > self.said + self.said / SHORT
    }

    /// It is surer by now that the bytes are the dump's than when that was said last.
    fn is_surer(&self) -> bool {
        self.is_told() && self.is_open() && self.step.confidence > self.said_confidence
    }

    /// More may be known by now of what its source had: for a while, the counts of others come later.
    fn is_unsure(&self, now_ns: u64) -> bool {
        let unsure = self.step.confidence != Confidence::Direct || matches!(self.source, Source::Channel(_));
        unsure && self.is_open() && now_ns.saturating_sub(self.last_ns) < UNSURE_NS
    }

    /// Kept in mind: worth a report once something comes of it.
    fn is_kept(&self) -> bool {
        !self.is_told() && self.step.is_quiet()
    }

    /// A report, as things are.
    pub(super) fn report(&mut self) -> Step {
        (self.said, self.said_confidence) = (self.step.bytes, self.step.confidence);
        self.step.clone()
    }

    /// True when its first report is due.
    pub(super) fn tells(&self, now_ns: u64) -> bool {
        let sends = matches!(self.step.kind, StepKind::Sent | StepKind::Written);
        let little = self.source.is_process() && (1..=HEADER_BYTES).contains(&self.had);
        let unsure = matches!(self.step.confidence, Confidence::Derived | Confidence::Weak);
        let few = little || unsure || self.step.bytes < HEADER_BYTES;
        self.waits() && !(sends && few && now_ns.saturating_sub(self.begun_ns) < FEW_NS)
    }

    /// Has moved something, and is not over.
    fn is_open(&self) -> bool {
        !self.hidden && self.step.bytes > 0 && self.step.ended.is_none()
    }
}

/// How sure it is that bytes are the dump's, by their volume and by what their source has of it.
fn sureness(flow: &Flow) -> Confidence {
    let (bytes, had) = (flow.step.bytes, flow.had);
    if flow.asleep.is_some() || flow.spent || had > 0 && is_more(flow.held, had, bytes) {
        Confidence::Weak
    } else if flow.source.is_process() && is_trickle(had, bytes) {
        let whose = flow.crowd > TELLABLE && !flow.step.crossing();
        if whose { Confidence::Weak } else { Confidence::Derived }
    } else {
        Confidence::Direct
    }
}

/// So much was read, and so little of it moves, that it is made from that.
const fn is_trickle(had: u64, bytes: u64) -> bool {
    bytes.saturating_mul(DERIVED_SHARE) < had && bytes < DERIVED_BYTES
}

/// So little was had, and so much more moves, that it is other data.
pub(super) const fn is_more(held: Confidence, had: u64, bytes: u64) -> bool {
    let little = if matches!(held, Confidence::Derived) { DERIVED_LITTLE } else { HEADER_BYTES };
    had <= little && bytes > had.saturating_mul(HEADER_MULTIPLE)
}

fn end(flow: &mut Flow) -> Option<Step> {
    flow.step.ended = Some(flow.step.time);
    (!flow.is_kept()).then(|| flow.report())
}

/// 0 below 4 KiB, then one for every 16-fold.
fn threshold(bytes: u64) -> u32 {
    (0..6).filter(|i| bytes >> (12 + 4 * i) != 0).count() as u32
}

impl Step {
    /// Other data, within one zone.
    pub(super) fn is_quiet(&self) -> bool {
        self.confidence == Confidence::Weak && !self.crossing() && self.verdict.is_none()
    }

    /// True for the kinds whose byte count can grow.
    pub const fn flows(&self) -> bool {
        matches!(self.kind, StepKind::Read | StepKind::Mapped | StepKind::Written | StepKind::Sent | StepKind::Received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_share_is_made_from_the_dump() {
        assert!(is_trickle(29_659_247, 70_552), "a backtrace of a large core");
        assert!(!is_trickle(462_848, 7232) && !is_trickle(u64::MAX, 1 << 20), "a piece of the dump");
        assert!(!is_trickle(0, 1), "nothing is known of what was read");
    }

    #[test]
    fn a_checksum_is_spent_when_more_than_four_times_of_it_is_passed_on() {
        let hold = |read, passed| Hold { confidence: Confidence::Derived, read, passed, ..Hold::direct(0) };
        assert!(!hold(80, 320).is_spent() && hold(80, 321).is_spent());
        assert!(!hold(65537, u64::MAX).is_spent() && !hold(0, 1).is_spent());
        assert!(
            !Hold { confidence: Confidence::Direct, ..hold(80, 321) }.is_spent(),
            "a piece of the dump is one anywhere"
        );
    }

    #[test]
    fn little_does_not_grow() {
        assert!(!is_more(Confidence::Direct, 8192, 4 * 8192), "base64 and hex do");
        assert!(is_more(Confidence::Direct, 8192, 4 * 8192 + 1), "one read of a buffered reader");
        assert!(!is_more(Confidence::Direct, 8193, u64::MAX), "a packed dump unpacked");
        assert!(is_more(Confidence::Derived, 65536, 1 << 20) && !is_more(Confidence::Derived, 65537, 1 << 20));
    }

    #[test]
    fn thresholds_are_powers_of_sixteen_from_four_kib() {
        let at = [0, 4095, 4096, 65535, 65536, 1 << 20, 1 << 24, 1 << 28, 1 << 32];
        assert_eq!(at.map(threshold), [0, 0, 1, 1, 2, 3, 4, 5, 6]);
    }
}
