//! What comes in: records of the rings, results of workers, changes of names. Each is completed by what only the host
//! knows and fed to the core.

use std::time::Duration;

use sensor_abi::{
    flow::Move,
    key::{CarrierKey, PairKey},
    magic::Format,
    mark::{PairBytes, stamp_time},
};

use super::{
    Agent, Unfinished, identify,
    inbox::Answer,
    names,
    suspects::{self, Suspect, Verdict},
};
use crate::{
    clock::{self, Clock},
    core::Input,
    dump::format::kind,
    event::{Birth, Body, CoreSink, Event},
    probe::sweep::{Holder, Wanted},
    ring::Batch,
    trail::{Change, FEW_NS, Found, Looked, Moved},
};

/// At the end so many batches are taken at most: others may fill the rings as fast as they are emptied.
const LAST_BATCHES: u32 = 64;
/// A process whose reads are older than this has been counted: pairs are looked at each second.
const LATELY_NS: u64 = 2_000_000_000;
/// A receiver on this kernel reads within this time, or the address says where the bytes went.
const RECEIVER_NS: u64 = 150_000_000;
/// And bytes that are under way, or the first few, are looked at until these are told; then once a second.
const FRESH_NS: u64 = FEW_NS + 100_000_000;

impl Agent {
    /// Bytes of movements that were still under way when their record was read. Whatever the kernel said of these before
    /// they moved is in the rings by now. After a time the second's look at all pairs goes on from here.
    fn settled(&mut self) -> Vec<Input> {
        let mut settled = Vec::new();
        let now = clock::boottime();
        let waits = |(pair, since): &(PairKey, u64)| {
            let moved = self.kernel.moved(pair).unwrap_or_default();
            let awaited = self.is_awaited(pair, &moved, *since);
            if !awaited && moved.bytes > 0 {
                settled.push(Input::Bytes(*pair, moved.into()));
            }
            awaited || now.saturating_sub(*since) < FRESH_NS && self.core.trail.is_untold(pair)
        };
        self.fresh = self.fresh.iter().map(|(pair, since)| (*pair, *since)).filter(waits).collect();
        settled
    }

    /// What was sent has reached a socket of this kernel, but nobody has read it: who does decides where it went. The address
    /// that the sender knows says another thing where packets are redirected.
    fn is_awaited(&self, pair: &PairKey, moved: &PairBytes, since: u64) -> bool {
        moved.local != 0
            && clock::boottime().saturating_sub(since) < RECEIVER_NS
            && self.core.trail.awaits_receiver(pair)
    }

    /// What a pair has moved, unless its first report is still held back.
    pub(super) fn known_bytes(&self, pair: &PairKey) -> Option<Moved> {
        let moved = self.kernel.moved(pair)?;
        let held = self.fresh.get(pair).is_some_and(|since| self.is_awaited(pair, &moved, *since));
        (!held).then(|| moved.into())
    }

    /// Dumps of programs that nobody has open for writing any more are whole.
    pub(super) fn finish(&mut self) {
        let (done, open) =
            std::mem::take(&mut self.unfinished).into_iter().partition(|u| self.kernel.is_whole(u.inode, u.key.id));
        self.unfinished = open;
        for Unfinished { dump, key, pid, file, .. } in done {
            // One that is gone already keeps its step until patience ends.
            let opened = identify::open(&key, &file, pid, &self.lookup);
            if let Some(meta) = opened.and_then(|f| f.metadata().ok()) {
                self.feed(Input::Finished { dump, size: meta.len() });
            }
        }
    }

    /// Files whose headers may have come.
    pub(super) fn examine(&mut self) {
        let now = clock::boottime();
        for mut suspect in std::mem::take(&mut self.suspects) {
            let whole = self.kernel.is_whole(suspect.birth.file.base.object, suspect.birth.object.id);
            match suspect.look(now, whole) {
                Verdict::Dump(format) if self.is_own(&suspect, format) => self.confirmed(suspect, format, whole),
                Verdict::Dump(_) if whole => {}
                Verdict::Dump(_) | Verdict::NotYet => self.suspects.push(suspect),
                Verdict::None => {}
            }
        }
    }

    /// Not a copy of what its writer holds: by now that has read or written more, or holds nothing of this kind. Of one that
    /// is gone by then it was seen when it went.
    fn is_own(&mut self, suspect: &Suspect, format: Format) -> bool {
        if let Some(own) = suspect.own {
            return own;
        }
        let size = suspect.file.metadata().map_or(0, |meta| meta.len());
        self.may_be_own(suspect, Some(format), size, clock::boottime())
    }

    /// By so many bytes, and by what its first ones are, as far as these are there.
    fn may_be_own(&mut self, suspect: &Suspect, format: Option<Format>, bytes: u64, now_ns: u64) -> bool {
        let writer = suspect.birth.actor.key();
        self.read_before(&writer);
        let trail = &self.core.trail;
        trail.is_other_data(&writer, &suspect.birth.object, bytes, now_ns)
            || format.is_some_and(|format| !trail.may_copy(&writer, kind(format)))
    }

    /// A writer goes.
    fn judge_suspects(&mut self, writer: &CarrierKey) {
        for mut suspect in std::mem::take(&mut self.suspects) {
            if suspect.birth.actor.key() == *writer
                && let Some(format) = suspect.format()
            {
                suspect.own = Some(self.is_own(&suspect, format));
            }
            self.suspects.push(suspect);
        }
    }

    fn suspect(&mut self, event: Event) {
        let looked = self.look_up(&event);
        let Body::Birth(birth) = event.body else { return };
        let opened = looked
            .file
            .as_ref()
            .and_then(|file| identify::open(&birth.object, file, birth.actor.base.tgid, &self.lookup));
        let Some(file) = opened else { return };
        let suspect = Suspect::new(event.time_ns, birth, looked, file);
        if !self.may_be_own(&suspect, suspect.format(), u64::MAX, event.time_ns) {
            return;
        }
        // It is told twice when its inode changes twice in one write.
        let known = |s: &Suspect| s.birth.object == suspect.birth.object;
        if !self.suspects.iter().any(known) && !suspects::make_room(&mut self.suspects) {
            self.lose("suspect_dropped", 1);
        }
        self.suspects.retain(|s| !known(s));
        self.suspects.push(suspect);
    }

    /// It is a dump after all. Whoever has read it since is looked for.
    fn confirmed(&mut self, suspect: Suspect, format: Format, whole: bool) {
        let Suspect { time_ns, mut birth, mut looked, file, .. } = suspect;
        let Ok(Some(key)) = self.kernel.seed_newborn(&file, birth.dump) else { return };
        (birth.object, birth.sink) = (key, CoreSink::Program(format));
        if let (Some(at), Some(now)) = (&mut looked.file, suspects::path_of(&file, self.lookup.mounts())) {
            at.path = Some(now);
        }
        let (dump, writer) = (birth.dump, birth.actor.base.tgid);
        let event = Event { time_ns, body: Body::Birth(birth) };
        self.unfinished.extend(unfinished(&event, &looked));
        self.feed_at(time_ns, Input::Event(event, looked));
        let wanted = Wanted { dump, key, pipe: false, writer };
        if whole {
            self.catch_up(wanted);
        } else {
            self.arming.arm();
            self.sweeper.holders(vec![wanted]);
        }
    }

    /// Takes what the rings hold.
    pub(super) fn drain(&mut self) {
        let settled = self.settled();
        let batch = self.rings.drain(self.recorder.is_on());
        if batch.urgent {
            // Its own thread waits for that ring too, but goes back to sleep when it finds it emptied.
            self.arming.arm();
        }
        self.take(batch);
        for input in settled {
            self.feed(input);
        }
    }

    /// Takes what the rings hold, to the last record.
    pub(super) fn drain_all(&mut self) {
        let settled = self.settled();
        self.drain_rings();
        for input in settled {
            self.feed(input);
        }
    }

    pub(super) fn drain_rings(&mut self) {
        for _ in 0..LAST_BATCHES {
            let batch = self.rings.drain_all(self.recorder.is_on());
            if batch.events.is_empty() && batch.errors.is_empty() {
                return;
            }
            self.take(batch);
        }
    }

    fn take(&mut self, batch: Batch) {
        let broken = batch.errors.len() as u64;
        for error in batch.errors {
            tracing::warn!(%error, "a record was dropped");
        }
        let mut raw = batch.raw.into_iter().map(|(_, bytes)| bytes);
        for event in batch.events {
            self.event(event, raw.next().as_ref());
        }
        if broken > 0 {
            self.lose("record_invalid", broken);
        }
    }

    pub(super) fn event(&mut self, mut event: Event, raw: Option<&bytes::Bytes>) {
        if matches!(&event.body, Body::Birth(birth) if birth.sink == CoreSink::Perhaps) {
            return self.suspect(event);
        }
        match &mut event.body {
            Body::Edge(edge) => {
                if self.core.trail.unknown_colours(edge.set) {
                    self.learn_colours();
                }
                if edge.direction == Move::Write {
                    self.read_before(&edge.actor.key());
                }
                let moved = self.kernel.moved(&edge.pair).unwrap_or_default();
                // Where they went may not be known yet; of what arrives, other senders' bytes are a part; and a verdict on a
                // send comes after the send's own record, and before its bytes.
                let stays = !edge.direction.is_from_object() && edge.pair.to.is_flow() && moved.local != 0;
                let judged = self.guard.is_up() && edge.socket.is_some();
                if !stays && !judged && !edge.pair.from.is_flow() {
                    edge.bytes = edge.bytes.max(moved.bytes.saturating_sub(edge.bytes_before));
                }
            }
            Body::Grow { pair, .. } if self.known_bytes(pair).is_none() => return,
            Body::Verdict { edge, .. } if self.core.trail.unknown_colours(edge.set) => self.learn_colours(),
            // The child has what its parent had by now; what that read some time ago has been counted.
            Body::Fork { parent, .. }
                if self.core.trail.has_read_since(parent, event.time_ns.saturating_sub(LATELY_NS)) =>
            {
                self.read_before(&parent.clone());
            }
            Body::Exec { old, .. } => self.last_bytes(&old.clone()),
            Body::Exit { task } => {
                let task = *task;
                self.last_bytes(&task);
                self.judge_suspects(&task);
            }
            // Once the flow hooks stand, the send itself is seen.
            Body::Connect { .. } if self.arming.is_armed() && event.time_ns > self.arming.armed_at() => return,
            Body::Birth(birth) => {
                self.timers.born_ns.get_or_insert(stamp_time(birth.dump));
                self.tell_armed();
                self.read_core_settings();
            }
            _ => {}
        }
        let looked = self.look_up(&event);
        self.unfinished.extend(unfinished(&event, &looked));
        let (time, dump) = (event.time_ns, born(&event));
        let moved = if let Body::Edge(edge) = &event.body { Some(edge.clone()) } else { None };
        let late = self.late(&event);
        self.note_opened(&event);
        if let Some(bytes) = raw {
            self.recorder.record(bytes);
        }
        self.feed_at(time, Input::Event(event, looked));
        if let Some(edge) = moved {
            if edge.bytes == 0 || self.core.trail.is_untold(&edge.pair) {
                self.fresh.insert(edge.pair, clock::boottime());
            }
            self.look_beside(&edge);
        }
        if let Some(dump) = dump {
            self.admit_dump(dump);
        }
        if let Some(wanted) = late {
            self.catch_up(wanted);
        }
    }

    /// What belongs to an event; zones are as the mounts of that moment say.
    fn look_up(&mut self, event: &Event) -> Looked {
        let looked = self.lookup.event(event);
        self.follow_namespaces();
        looked
    }

    /// A dump that somebody could read before the flow hooks stood: one born into a pipe, or a file that has readers, or
    /// may have had some.
    pub(super) fn late(&self, event: &Event) -> Option<Wanted> {
        let (birth, pipe) = match &event.body {
            Body::Birth(birth) if birth.sink == CoreSink::Pipe => (birth, true),
            // Its writer is no holder; whoever opened it meanwhile may be.
            Body::Birth(birth) if self.was_open(birth) => (birth, false),
            // Once the core was whole anybody could read it and be gone before the hooks stood.
            Body::Born(birth)
                if !matches!(birth.file.base.readers, 0 | u32::MAX)
                    || !self.stood_at(event.time_ns)
                    || self.may_have_been_read(&birth.object) =>
            {
                (birth, false)
            }
            _ => return None,
        };
        let late = !self.stood_at(stamp_time(birth.dump));
        let writer = birth.actor.base.tgid;
        late.then_some(Wanted { dump: birth.dump, key: birth.object, pipe, writer: if pipe { 0 } else { writer } })
    }

    /// The flow hooks stood at that time, ns since boot, and have ever since.
    fn stood_at(&self, time_ns: u64) -> bool {
        self.arming.is_armed() && self.arming.armed_at() <= time_ns
    }

    /// Somebody opened it before the hooks stood, and may be gone; where nothing tells of that, nobody knows.
    fn may_have_been_read(&self, core: &CarrierKey) -> bool {
        self.opened.as_ref().is_none_or(|opened| opened.contains(core))
    }

    fn note_opened(&mut self, event: &Event) {
        let stood = self.stood_at(event.time_ns);
        let Some(opened) = &mut self.opened else { return };
        match &event.body {
            Body::Edge(edge) if edge.direction == Move::Open && !stood => drop(opened.insert(edge.pair.from)),
            Body::Born(birth) => drop(opened.remove(&birth.object)),
            _ => {}
        }
    }

    /// A program's dump that somebody else could have read, or that was whole, before its record came.
    fn was_open(&self, birth: &Birth) -> bool {
        let file = &birth.file.base;
        matches!(birth.sink, CoreSink::Program(_))
            && (file.readers != 0 || self.kernel.is_whole(file.object, birth.object.id))
    }

    /// Arms now, says what window was missed, and looks for holders.
    pub(super) fn catch_up(&mut self, wanted: Wanted) {
        self.arming.arm();
        let from_ns = stamp_time(wanted.dump);
        let to_ns = self.arming.armed_at().max(from_ns);
        self.feed(Input::Late { dump: wanted.dump, from_ns, to_ns });
        self.sweeper.holders(vec![wanted]);
    }

    /// How much a process has read says what it is that it passes on.
    fn read_before(&mut self, task: &CarrierKey) {
        self.count(self.core.trail.behind(task));
    }

    /// What these pairs have moved by now.
    pub(super) fn count(&mut self, pairs: Vec<PairKey>) {
        for pair in pairs {
            if let Some(count) = self.known_bytes(&pair) {
                self.feed(Input::Bytes(pair, count));
            }
        }
    }

    /// The final count of the flows of a carrier that goes, while the map has them.
    pub(super) fn last_bytes(&mut self, carrier: &CarrierKey) {
        self.read_before(carrier);
        self.count(self.core.trail.pairs_by(carrier));
    }

    pub(super) fn learn_colours(&mut self) {
        for (dump, colour) in self.kernel.colours() {
            self.recorder.colour(dump, colour);
            self.feed(Input::Coloured(dump, colour));
        }
    }

    /// Records the time from the first birth to the flow hooks: 0 when the signal that came before had armed already.
    pub(super) fn tell_armed(&mut self) {
        let Some(born) = self.timers.born_ns.filter(|_| self.arming.is_armed()) else { return };
        self.timers.born_ns = None;
        let armed = self.arming.armed_at();
        if std::mem::replace(&mut self.timers.armed_told_ns, armed) != armed {
            let late = armed.saturating_sub(born);
            self.outputs.metrics.armed(Duration::from_nanos(late));
            tracing::debug!(us = late / 1000, "flow hooks stood after a birth");
        }
    }

    /// Files' names or content that have changed.
    pub(super) fn follow_names(&mut self) {
        for event in self.names.changes(self.lookup.mounts()) {
            self.timers.named_ns = clock::boottime();
            self.named(event);
        }
    }

    /// A file's names or content changed.
    pub(super) fn named(&mut self, event: names::Event) {
        match event {
            names::Event::Changed(key, change, pid) => {
                let looked = self.lookup.by_name(pid, &change);
                self.feed(Input::Named { key, change, looked });
            }
            // What was written to it since, by who emptied it to write a dump, is there to stay.
            names::Event::Emptied(key, at, pid) => {
                if self.kernel.forget_emptied(&key, Clock::sample().boottime(at)) {
                    self.named(names::Event::Changed(key, Change::Truncated, pid));
                }
            }
            names::Event::Gone(key) => {
                // What moved out of it before may wait in the rings.
                self.drain_rings();
                self.last_bytes(&key);
                self.kernel.forget_file(&key);
                self.feed(Input::Gone(key));
            }
        }
    }

    /// What workers found is marked in the kernel before the core hears of it.
    pub(super) fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Input(Input::Found(found)) => self.found(found),
            Answer::Input(input) => self.feed(input),
            Answer::Holders(found) => self.hold(found),
            Answer::Mapped(edge, found) => self.mapped(&edge, &found),
            Answer::Searched => self.sweeper.holders(std::mem::take(&mut self.found)),
        }
    }

    fn found(&mut self, mut found: Box<Found>) {
        let Some(file) = identify::open_found(&found.file, &self.lookup) else { return };
        let (dump, seeded) = (found.dump, self.kernel.seed(&file, found.dump));
        let Ok(Some(key)) = seeded else { return };
        found.object = key;
        self.found.push(Wanted { dump, key, pipe: false, writer: 0 });
        self.arming.arm();
        self.feed(Input::Found(found));
        self.admit_dump(dump);
    }

    /// These processes hold dumps.
    pub(super) fn hold(&mut self, found: Vec<Holder>) {
        for Holder { dump, pid, mapped } in found {
            self.kernel.hold(pid, dump);
            if mapped {
                self.feed(Input::Mapped { dump, pid });
            }
        }
        self.learn_colours();
    }
}

/// The dump that an event tells of.
const fn born(event: &Event) -> Option<u64> {
    match &event.body {
        Body::Birth(birth) | Body::Born(birth) => Some(birth.dump),
        _ => None,
    }
}

/// A birth whose end has to be looked for: no event tells it.
fn unfinished(event: &Event, looked: &Looked) -> Option<Unfinished> {
    let Body::Birth(birth) = &event.body else { return None };
    let CoreSink::Program(_) = birth.sink else { return None };
    let (inode, pid, file) = (birth.file.base.object, birth.actor.base.tgid, looked.file.clone()?);
    Some(Unfinished { dump: birth.dump, key: birth.object, inode, pid, file })
}
