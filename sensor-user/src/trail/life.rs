//! Processes that fork, execute and end; carriers that die; time that passes.

use std::collections::BTreeSet;

use sensor_abi::{
    key::{CarrierKey, class},
    mark::MarkSet,
    record::CARRIES,
};

use super::{Context, Hold, Looked, Node, Trail, flow::is_more, share::TELLABLE};
use crate::{
    clock::Time,
    event::Actor,
    step::{Carrier, Confidence, Id, Place, Step, StepKind},
};

/// A live dump is reported once in this time.
const DAY_NS: u64 = 86_400_000_000_000;
/// What is younger than this may not have reached the maps, or the records about it may not have been read.
const YOUNG_NS: u64 = 4_000_000_000;
/// What stands on a command line beside the data.
const SLACK: u64 = 1024;

/// A process that holds a dump has executed a program.
#[derive(Clone, Copy, Debug)]
pub struct Executed<'a> {
    /// As it was before.
    pub old: CarrierKey,
    /// With its new executable.
    pub actor: &'a Actor,
    /// What it may hold now.
    pub after: MarkSet,
    /// By how much argv and environment are longer than those of the process that took the dump in.
    pub longer: u64,
}

/// What arguments carry of one of so many dumps: no more than was read of it. Sure only when their length is that of what was
/// read, in plain or as base64 or hex; else they may be anything. Of other data, and of what is little beside them, nothing
/// counts.
fn carried(held: &Hold, dumps: usize, longer: u64, now_ns: u64) -> Option<Hold> {
    let weak = held.confidence == Confidence::Weak || held.is_spent();
    if longer < CARRIES || held.read == 0 && !weak {
        return None;
    }
    let fits = longer.saturating_mul(8) >= held.read.saturating_mul(7) && longer <= held.read.saturating_mul(2) + SLACK;
    let (confidence, read) = match (weak || is_more(held.confidence, held.read, longer), fits) {
        (true, _) => (Confidence::Weak, 0),
        (false, true) => (held.confidence, longer.min(held.read)),
        (false, false) if dumps > TELLABLE => (Confidence::Weak, 0),
        (false, false) => (held.confidence.min(Confidence::Derived), longer.min(held.read)),
    };
    Some(Hold { hops: held.hops + 1, confidence, read, ..Hold::direct(now_ns) })
}

impl Trail {
    /// The child has its parent's memory.
    pub fn forked(&mut self, parent: &CarrierKey, child: &CarrierKey, time_ns: u64) {
        let Some(from) = self.nodes.get(parent) else { return };
        let mut node = from.clone();
        node.since_ns = time_ns;
        node.carrier =
            Carrier { id: self.carrier_id(child), name: format!("{}[{}]", base(&node.carrier.name), child.generation) };
        self.nodes.insert(*child, node);
    }

    /// The memory is gone; what inherited descriptors lead to is held anew, and what longer arguments may carry.
    pub fn executed(&mut self, context: Context<'_>, exec: &Executed<'_>, looked: &Looked, time_ns: u64) -> Vec<Step> {
        let Executed { old, actor, after, longer } = exec;
        let before = self.nodes.get(old).cloned();
        let handler = before.as_ref().is_some_and(|n| n.handler);
        let mut steps = self.gone(old);
        let dumps = self.dumps_of(*after, None);
        if dumps.is_empty() && !handler {
            return steps;
        }
        let key = actor.key();
        let id = self.carrier_id(&key);
        let node = self
            .nodes
            .entry(key)
            .or_insert_with(|| Node::new(Carrier { id, name: String::new() }, Place::unknown(), time_ns));
        node.handler = handler;
        self.task(context, actor, looked, time_ns);
        let several = dumps.len();
        for dump in dumps {
            let earlier = before.as_ref().and_then(|n| n.holds.get(&dump));
            let swept = Hold { confidence: Confidence::Swept, ..Hold::direct(time_ns) };
            let hold = earlier.and_then(|held| carried(held, several, *longer, time_ns));
            let hold = hold.unwrap_or(Hold { hops: earlier.map_or(1, |h| h.hops), ..swept });
            if let (Some(before), true) = (&before, hold.read > 0) {
                steps.push(self.executed_step(context, exec, (before, dump, hold), time_ns));
            }
            if let Some(node) = self.nodes.get_mut(&key) {
                node.holds.insert(dump, hold);
            }
        }
        steps
    }

    fn executed_step(
        &self,
        context: Context<'_>,
        exec: &Executed<'_>,
        (before, dump, hold): (&Node, u64, Hold),
        time_ns: u64,
    ) -> Step {
        let node = &self.nodes[&exec.actor.key()];
        let time = context.clock.wall(time_ns);
        let ends = ((before.carrier.clone(), before.place.clone()), (node.carrier.clone(), node.place.clone()));
        let mut step = Step::new(StepKind::Executed, sensor_abi::flow::Via::Exec, time, ends.0, ends.1);
        step.dump = self.dump_ref(dump, exec.after);
        step.origin = self.dumps.get(&dump).map(|d| d.origin.clone());
        step.process.clone_from(&node.process);
        (step.bytes, step.hops, step.confidence) = (hold.read, hold.hops, hold.confidence);
        step.ended = Some(time);
        step.flow = Id::of(&[b"exec", &before.carrier.id.0, &node.carrier.id.0, &dump.to_le_bytes()]);
        step.detail = Some(format!("argv and environment are longer by {} bytes", exec.longer));
        step
    }

    /// A carrier is gone: a process has ended, a pipe or socket is closed, a file is deleted and let go.
    pub fn gone(&mut self, key: &CarrierKey) -> Vec<Step> {
        let steps = self.ended(key);
        self.nodes.remove(key);
        steps
    }

    /// Carriers that are gone from the kernel's maps, which are the truth. What is younger than a moment may not be there
    /// yet.
    pub fn missing(&self, held: &BTreeSet<CarrierKey>, now_ns: u64) -> Vec<CarrierKey> {
        let old = |n: &Node| now_ns.saturating_sub(n.since_ns) > YOUNG_NS;
        let gone = |key: &CarrierKey| match key.dev {
            class::SOCK | class::FLOW => !held.contains(key) && self.flows.is_quiet(key, now_ns, YOUNG_NS),
            class::DATAGRAM => !self.has_sender(key) && self.flows.is_quiet(key, now_ns, YOUNG_NS),
            _ => !held.contains(key),
        };
        self.nodes.iter().filter(|(key, n)| old(n) && gone(key)).map(|(key, _)| *key).collect()
    }

    /// True while a process that sent into a flow lives.
    fn has_sender(&self, flow: &CarrierKey) -> bool {
        self.flows.ending_at(flow).any(|pair| self.nodes.contains_key(&pair.from))
    }

    /// Dumps that nothing in the kernel holds any more leave the books; their colours may be given to others.
    pub fn dead(&mut self, held: &BTreeSet<u64>, now_ns: u64) -> Vec<(u64, Id)> {
        let over = |(number, d): &(&u64, &super::Dump)| {
            !held.contains(number) && d.told && now_ns.saturating_sub(d.since_ns) > YOUNG_NS
        };
        let dead: Vec<(u64, Id)> = self.dumps.iter().filter(over).map(|(n, d)| (*n, d.about.id)).collect();
        for (number, _) in &dead {
            self.dumps.remove(number);
            self.many.remove(number);
            self.colours.iter_mut().filter(|s| **s == Some(*number)).for_each(|s| *s = None);
        }
        dead
    }

    /// Once a second: late births, idle flows, daily reports.
    pub fn tick(&mut self, context: Context<'_>, now_ns: u64) -> Vec<Step> {
        let mut steps = self.overdue(now_ns);
        steps.extend(self.unread(Some(now_ns)));
        steps.extend(self.idle(now_ns));
        steps.extend(self.aged(context.clock.wall(now_ns)));
        steps
    }

    fn aged(&mut self, now: Time) -> Vec<Step> {
        let due: Vec<u64> = self.dumps.iter().filter(|(_, d)| now.since(d.aged) >= DAY_NS).map(|(n, _)| *n).collect();
        due.into_iter().filter_map(|dump| self.aged_step(dump, now)).collect()
    }

    fn aged_step(&mut self, dump: u64, now: Time) -> Option<Step> {
        let entry = self.dumps.get_mut(&dump)?;
        entry.aged = now;
        let (object, about, origin) = (entry.object, entry.about.clone(), entry.origin.clone());
        let node = self.nodes.get(&object)?;
        let (carrier, place, file) = (node.carrier.clone(), node.place.clone(), node.file.clone());
        let ends = ((carrier.clone(), place.clone()), (carrier, place));
        let mut step = Step::new(StepKind::Aged, sensor_abi::flow::Via::Scan, now, ends.0, ends.1);
        step.dump = Some(about);
        step.origin = Some(origin);
        step.file = file;
        step.flow = Id::of(&[b"aged", &dump.to_le_bytes(), &now.0.to_le_bytes()]);
        Some(step)
    }

    /// A marked process connects before its sends are seen: reported with its destination, weakly.
    pub fn connected(
        &mut self,
        context: Context<'_>,
        actor: &Actor,
        set: MarkSet,
        socket: &crate::event::Socket,
        looked: &Looked,
        time_ns: u64,
    ) -> Vec<Step> {
        let key = self.task(context, actor, looked, time_ns);
        let node = &self.nodes[&key];
        let (source, from, process) = (node.carrier.clone(), node.place.clone(), node.process.clone());
        let decision = context.zones.address(socket.remote, socket.remote_port, &from);
        let sink_key = CarrierKey { id: socket.ino, dev: sensor_abi::key::class::SOCK, generation: 0 };
        let sink =
            Carrier { id: self.carrier_id(&sink_key), name: format!("{}:{}", socket.remote, socket.remote_port) };
        let time = context.clock.wall(time_ns);
        let mut steps = Vec::new();
        for dump in self.dumps_of(set, None) {
            let Some(about) = self.dump_ref(dump, set) else { continue };
            steps.extend(self.announce(dump));
            let ends = ((source.clone(), from.clone()), (sink.clone(), decision.place.clone()));
            let mut step = Step::new(StepKind::Sent, sensor_abi::flow::Via::Tcp, time, ends.0, ends.1);
            step.dump = Some(about);
            step.origin = self.dumps.get(&dump).map(|d| d.origin.clone());
            step.process.clone_from(&process);
            step.confidence = Confidence::Weak;
            step.flow = Id::of(&[b"connect", &source.id.0, &sink.id.0, &dump.to_le_bytes()]);
            step.detail = Some("connected; bytes are not known".to_owned());
            step.peer = Some(crate::step::Peer {
                address: socket.remote,
                port: socket.remote_port,
                transport: "tcp",
                via_relay: decision.via_relay,
            });
            steps.push(step);
        }
        steps
    }
}

/// `name[pid]` without the pid.
fn base(name: &str) -> &str {
    name.rsplit_once('[').map_or(name, |(b, _)| b)
}

impl Trail {
    /// Files that a process wrote a dump to whose content is not known, because it was born into a pipe or socket.
    pub fn written_by(&self, task: &CarrierKey) -> Vec<(u64, CarrierKey, crate::step::FileRef)> {
        let written =
            self.flows.beginning_at(task).filter(|(pair, _)| pair.to.is_inode()).map(|(pair, f)| (pair.to, f));
        written
            .filter(|(_, f)| f.step.kind == StepKind::Written && !f.hidden)
            .filter(|(_, f)| {
                self.dumps.get(&f.dump).is_some_and(|d| d.about.content.is_none() && d.about.size.is_none())
            })
            .filter_map(|(key, f)| Some((f.dump, key, f.step.file.clone()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_carry_what_they_have_room_for() {
        let held = |confidence, read| Hold { confidence, read, ..Hold::direct(0) };
        let of = |dumps, held: Hold, longer| carried(&held, dumps, longer, 1).map(|h| (h.confidence, h.read));
        let after = |held, longer| of(1, held, longer);
        let dump = held(Confidence::Direct, 400_000);
        assert_eq!(after(dump, 255), None, "an option");
        assert_eq!(after(dump, 400_100), Some((Confidence::Direct, 400_000)));
        assert_eq!(after(dump, 5000), Some((Confidence::Derived, 5000)), "a part, or anything");
        assert_eq!(after(held(Confidence::Derived, 80), 300), Some((Confidence::Derived, 80)), "a checksum");
        assert_eq!(after(held(Confidence::Derived, 80), 6000), Some((Confidence::Weak, 0)), "and much else");
        assert_eq!(after(held(Confidence::Weak, 0), 300), Some((Confidence::Weak, 0)));
        assert_eq!(of(8, dump, 5000), Some((Confidence::Derived, 5000)));
        assert_eq!(of(9, dump, 5000), Some((Confidence::Weak, 0)), "of which of them?");
        assert_eq!(of(9, dump, 400_100), Some((Confidence::Direct, 400_000)), "of this one");
    }
}
