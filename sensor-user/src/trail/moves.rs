//! Movements: what an edge means. Processes are where bytes are read and written; a pipe or socket between two of them
//! is one `sent` step from one to the other.

use std::{net::IpAddr, sync::Arc};

use sensor_abi::{
    flow::{Move, Via},
    key::{CarrierKey, PairKey, class},
};

use super::{Context, Flow, Hold, Looked, Moved, Node, Source, Trail, Writer};
use crate::{
    event::{Edge, Socket},
    step::{Carrier, Confidence, FileRef, Peer, Place, Process, Step, StepKind},
    zones::Zones,
};

/// One event and what belongs to it, while it is worked on.
pub(super) struct Scene<'a> {
    pub(super) context: Context<'a>,
    pub(super) edge: &'a Edge,
    pub(super) looked: &'a Looked,
    pub(super) actor: CarrierKey,
    pub(super) dump: u64,
    pub(super) time_ns: u64,
}

impl Trail {
    /// Bytes moved between two carriers for the first time with this set of colours.
    pub fn moved(&mut self, context: Context<'_>, edge: &Edge, looked: &Looked, time_ns: u64) -> Vec<Step> {
        if edge.direction == Move::Open {
            return self.opened(context, edge, looked, time_ns);
        }
        let actor = self.task(context, &edge.actor, looked, time_ns);
        let mut steps = Vec::new();
        for dump in self.dumps_of(edge.set, Some(&edge.pair.from)) {
            let known = self.flows.get(&edge.pair).iter().any(|f| f.dump == dump && !f.emptied);
            if known || !self.dumps.contains_key(&dump) {
                continue;
            }
            steps.extend(self.replaced(&edge.pair, dump, edge.bytes_before, time_ns));
            self.rekey(dump, &edge.pair.from);
            steps.extend(self.announce(dump));
            let scene = Scene { context, edge, looked, actor, dump, time_ns };
            if self.is_of_another_sender(&edge.pair.from, dump) {
                self.take(&scene, Hold { confidence: Confidence::Weak, ..Hold::direct(time_ns) }, false);
                continue;
            }
            match edge.direction {
                Move::Read => self.read(&scene, &mut steps),
                Move::Write => self.write(&scene, &actor, &mut steps),
                Move::Transfer => {
                    self.read(&scene, &mut steps);
                    self.write(&scene, &actor, &mut steps);
                }
                Move::Open => {}
            }
        }
        steps
    }

    /// A socket has the colours of all who have sent to it, and so has who reads it. What this one has sent is known, and
    /// this dump is none of it.
    fn is_of_another_sender(&self, from: &CarrierKey, dump: u64) -> bool {
        let sends = from.is_flow() || from.dev == class::SOCK;
        sends && self.nodes.get(from).is_some_and(|node| !node.holds.is_empty() && !node.holds.contains_key(&dump))
    }

    /// A dump that is read while it is being born has its final key before its birth is over.
    fn rekey(&mut self, dump: u64, from: &CarrierKey) {
        let Some(entry) = self.dumps.get_mut(&dump) else { return };
        let old = entry.object;
        let same = from.is_inode() && from.dev == old.dev && (from.id == old.id || old.id == 0);
        if old == *from || !same {
            return;
        }
        entry.object = *from;
        let id = self.carrier_id(from);
        if let Some(mut node) = self.nodes.remove(&old) {
            node.carrier.id = id;
            self.nodes.insert(*from, node);
        }
    }

    /// An object to a process.
    fn read(&mut self, scene: &Scene<'_>, steps: &mut Vec<Step>) {
        let from = scene.edge.pair.from;
        self.source_node(scene, &from);
        let hold = self.hold_of(scene, &from);
        let writer = self.nodes[&from].writer.clone();
        let step = match &writer {
            _ if from.is_flow() => self.arrived(scene, &from, steps),
            // The reading is the birth.
            _ if self.is_birth(scene) => None,
            // Through a pipe of its own: the ways in and out say it all.
            Some(writer) if writer.key == scene.actor => None,
            Some(writer) => Some(self.handed_over(scene, writer, &from)),
            None => Some(self.read_step(scene, &from)),
        };
        let transfer = scene.edge.direction == Move::Transfer;
        self.take(scene, hold, transfer);
        let sink = (!transfer).then_some(scene.actor);
        let drains = !transfer && passes_through(scene.edge, &from);
        let source = if drains { Source::Channel(from) } else { Source::Object(from) };
        self.begin(scene, step, &Roles { source, sink, part: "read" }, steps);
    }

    /// The actor makes the dump by reading the memory of another.
    fn is_birth(&self, scene: &Scene<'_>) -> bool {
        scene.edge.via == Via::Memory && self.dumps.get(&scene.dump).is_some_and(|d| d.object == scene.actor)
    }

    /// A process to an object.
    fn write(&mut self, scene: &Scene<'_>, from: &CarrierKey, steps: &mut Vec<Step>) {
        let to = scene.edge.pair.to;
        let hold = self.hold_of(scene, from);
        self.sink_node(scene, &to);
        let step = match (&scene.edge.socket, scene.edge.file.is_some()) {
            // A socket there is where it comes from.
            _ if is_pipe(scene.edge) => None,
            (Some(socket), _) if socket.transport().is_some() => Some(self.sent_step(scene, from, &to, socket)),
            (None, true) => Some(self.written_step(scene, from, &to)),
            _ if to.dev == class::TASK => Some(self.between(scene, StepKind::Sent, from, &to)),
            _ => None,
        };
        let writer = self.nodes.get(from).map(|node| Writer::of(*from, node));
        if let Some(node) = self.nodes.get_mut(&to) {
            let through = passes_through(scene.edge, &to);
            if through {
                node.writer = writer;
            }
            // From process to process through a pipe or socket is one movement.
            let next =
                Hold { hops: hold.hops + u32::from(!through), read: 0, whole: false, given: false, passed: 0, ..hold };
            node.holds.entry(scene.dump).or_insert(next);
        }
        // In a transfer no byte is in the memory of who does it. What goes from pipe to pipe may stay in the first one, too:
        // `tee` and `splice` look alike.
        let object = scene.edge.pair.from;
        let drains = !is_pipe(scene.edge) && self.nodes.get(&object).is_some_and(|node| node.writer.is_some());
        let source = match scene.edge.direction {
            Move::Transfer if drains => Source::Channel(object),
            Move::Transfer => Source::Object(object),
            _ => Source::Process(*from),
        };
        self.begin(scene, step, &Roles { source, sink: Some(to), part: "write" }, steps);
    }

    /// The process now holds what the object held. In a transfer no byte enters its memory, so nothing counts.
    fn take(&mut self, scene: &Scene<'_>, hold: Hold, transfer: bool) {
        let Some(node) = self.nodes.get_mut(&scene.actor) else { return };
        let next = Hold { hops: hold.hops + 1, confidence: hold.confidence, ..Hold::direct(scene.time_ns) };
        let kept = node.holds.entry(scene.dump).or_insert(next);
        kept.given &= transfer;
        if !transfer && hold.confidence != Confidence::Weak && hold.confidence >= kept.confidence {
            kept.last_read_ns = scene.time_ns;
        }
        kept.confidence = kept.confidence.max(hold.confidence);
    }

    /// A process has in its memory what holds a dump, and how much of that it has looked at nothing tells: what it is known
    /// to have read besides is no bound.
    pub fn mapped(&mut self, dump: u64, pid: u32) {
        let of_it = |key: &CarrierKey| key.dev == class::TASK && key.generation == pid;
        let nodes = self.nodes.iter_mut().filter(|(key, _)| of_it(key));
        for held in nodes.filter_map(|(_, node)| node.holds.get_mut(&dump)) {
            if held.confidence != Confidence::Direct {
                (held.confidence, held.read) = (Confidence::Swept, 0);
            }
        }
    }

    /// How the source holds the dump. An orphan, whose own edge was lost, is anchored by its colours.
    fn hold_of(&self, scene: &Scene<'_>, from: &CarrierKey) -> Hold {
        let held = self.hold(from, scene.dump).copied();
        // Whose memory is read for the first time holds its own.
        let own = scene.edge.via == Via::Memory && scene.edge.direction == Move::Read;
        let confidence = if own { Confidence::Direct } else { Confidence::Swept };
        held.unwrap_or(Hold { confidence, ..Hold::direct(scene.time_ns) })
    }

    pub(super) fn source_node(&mut self, scene: &Scene<'_>, key: &CarrierKey) {
        if self.nodes.contains_key(key) {
            return;
        }
        let name = object_name(scene.edge, scene.looked, key);
        let carrier = Carrier { id: self.carrier_id(key), name };
        let place = other_place(scene, key).unwrap_or_else(|| scene.context.zones.host());
        let mut node = Node::new(carrier, place, scene.time_ns);
        node.process.clone_from(&scene.looked.other);
        if let Some(file) = scene.looked.file.as_ref().filter(|_| scene.edge.direction.is_from_object()) {
            node.place = Self::file_place(scene.context, file, scene.looked, &node.place);
            node.file = Some(file.clone());
        }
        self.nodes.insert(*key, node);
    }

    /// A written file is in its mount's zone, else in that of the process that wrote first.
    fn sink_node(&mut self, scene: &Scene<'_>, key: &CarrierKey) {
        let name = object_name(scene.edge, scene.looked, key);
        let id = self.carrier_id(key);
        let maker = self.nodes[&scene.actor].place.clone();
        let place = match &scene.looked.file {
            Some(file) => Self::file_place(scene.context, file, scene.looked, &maker),
            None => other_place(scene, key).unwrap_or_else(|| maker.clone()),
        };
        let new = || Node { maker, ..Node::new(Carrier { id, name }, place, scene.time_ns) };
        let node = self.nodes.entry(*key).or_insert_with(new);
        if scene.looked.file.is_some() {
            node.file.clone_from(&scene.looked.file);
        }
    }

    fn read_step(&self, scene: &Scene<'_>, from: &CarrierKey) -> Step {
        let kind = if scene.edge.via == Via::Mmap { StepKind::Mapped } else { StepKind::Read };
        let mut step = self.between(scene, kind, from, &scene.actor);
        step.file = self.nodes[from].file.clone().or_else(|| scene.looked.file.clone());
        step
    }

    fn written_step(&self, scene: &Scene<'_>, from: &CarrierKey, to: &CarrierKey) -> Step {
        let mut step = self.between(scene, StepKind::Written, from, to);
        step.file.clone_from(&scene.looked.file);
        step
    }

    /// Through a pipe or a unix socket: from the process that wrote, which may be gone by now, to the one that reads.
    fn handed_over(&self, scene: &Scene<'_>, writer: &Writer, through: &CarrierKey) -> Step {
        let mut step = self.between(scene, StepKind::Sent, through, &scene.actor);
        (step.source, step.from) = (writer.carrier.clone(), writer.place.clone());
        step.process.clone_from(&writer.process);
        let node = &self.nodes[through];
        step.file = (through.is_inode())
            .then(|| node.file.clone().unwrap_or(FileRef { path: None, inode: through.id, fstype: None }));
        step
    }

    fn sent_step(&self, scene: &Scene<'_>, from: &CarrierKey, to: &CarrierKey, socket: &Socket) -> Step {
        let mut step = self.between(scene, StepKind::Sent, from, to);
        let (place, peer) = peer(scene.context.zones, socket, &step.from);
        (step.to, step.peer) = (place, Some(peer));
        step
    }

    /// The receiver of a flow is on this kernel: the step that was reported at the send gets its true end.
    fn arrived(&mut self, scene: &Scene<'_>, flow: &CarrierKey, steps: &mut Vec<Step>) -> Option<Step> {
        let node = &self.nodes[&scene.actor];
        let (receiver, place, process) = (node.carrier.clone(), node.place.clone(), node.process.clone());
        let zones = scene.context.zones;
        let workload = process.as_ref().is_some_and(|p| zones.workload(p).is_some());
        let pairs: Vec<PairKey> = self.flows.ending_at(flow).collect();
        let mut known = false;
        // A transfer's other half, out of the file, stays as it is.
        let sends = |f: &Flow| f.step.kind == StepKind::Sent && f.dump == scene.dump && !f.hidden;
        // Of several senders each has its own count.
        let alone = pairs.iter().filter(|pair| self.flows.get(pair).iter().any(sends)).count() == 1;
        for pair in pairs {
            let mut flows = self.flows.take(&pair);
            // What has arrived was sent: the sender's own count may come later.
            let moved = |f: &Flow| if alone { scene.edge.bytes } else { f.moved };
            let bytes = flows.iter().filter(|f| sends(f)).map(|f| f.base + moved(f)).max();
            self.share(&mut flows, bytes.unwrap_or(0));
            for flow in flows.iter_mut().filter(|f| sends(f)) {
                known = true;
                if flow.step.sink.id == receiver.id {
                    continue;
                }
                self.account(flow, moved(flow), scene.time_ns);
                flow.step.detail = Some(received_by(&receiver, process.as_ref()));
                flow.step.sink = receiver.clone();
                if workload || !is_listed(zones, flow.step.peer.as_ref()) {
                    flow.step.to = place.clone();
                }
                flow.step.time = scene.context.clock.wall(scene.time_ns);
                if flow.step.crossing() {
                    steps.extend(self.led_to(flow));
                }
                if flow.is_told() || flow.tells(scene.time_ns) {
                    steps.push(flow.report());
                }
            }
            self.flows.put(&pair, flows);
        }
        (!known).then(|| self.received_step(scene, flow))
    }

    /// True while the receiver of what is sent into the network is known by its address only.
    pub fn awaits_receiver(&self, pair: &PairKey) -> bool {
        let flow = self.carrier_id(&pair.to);
        let waits = |f: &Flow| f.step.kind == StepKind::Sent && !f.hidden && f.step.sink.id == flow;
        pair.to.is_flow() && self.flows.get(pair).iter().any(waits)
    }

    /// Its sender is not known: the dump came from elsewhere.
    fn received_step(&self, scene: &Scene<'_>, flow: &CarrierKey) -> Step {
        let mut step = self.between(scene, StepKind::Received, flow, &scene.actor);
        if let Some(socket) = &scene.edge.socket {
            let (place, peer) = peer(scene.context.zones, socket, &step.to);
            (step.from, step.peer) = (place, Some(peer));
        }
        step
    }

    /// A step between two nodes that exist, with everything that they know.
    pub(super) fn between(&self, scene: &Scene<'_>, kind: StepKind, from: &CarrierKey, to: &CarrierKey) -> Step {
        let time = scene.context.clock.wall(scene.time_ns);
        let end = |key: &CarrierKey| {
            self.nodes.get(key).map_or_else(
                || (Carrier { id: self.carrier_id(key), name: "unknown".to_owned() }, Place::unknown()),
                |n| (n.carrier.clone(), n.place.clone()),
            )
        };
        let mut step = Step::new(kind, scene.edge.via, time, end(from), end(to));
        let hold = self.hold_of(scene, from);
        step.dump = self.dump_ref(scene.dump, scene.edge.set);
        step.origin = self.dumps.get(&scene.dump).map(|d| d.origin.clone());
        step.process.clone_from(&self.nodes[&scene.actor].process);
        step.hops = hold.hops + 1;
        step.confidence = hold.confidence;
        step
    }
}

/// What a flow's bytes count for.
pub(super) struct Roles {
    /// What they come from.
    pub(super) source: Source,
    /// The carrier that has them then.
    pub(super) sink: Option<CarrierKey>,
    /// Tells the two steps of one transfer apart.
    pub(super) part: &'static str,
}

impl Trail {
    /// Puts a flow into the books and reports it, unless it is only counted.
    fn begin(&mut self, scene: &Scene<'_>, step: Option<Step>, roles: &Roles, steps: &mut Vec<Step>) {
        let pair = scene.edge.pair;
        let hidden = step.is_none();
        let mut step = step.unwrap_or_else(|| self.between(scene, StepKind::Sent, &pair.from, &pair.to));
        step.flow = self.flow_id(&pair, scene.dump, roles.part);
        let passes = roles.source.is_process();
        let asleep = passes && self.is_asleep(roles.source.key(), scene.dump, scene.time_ns);
        let confidence = step.confidence;
        let mut flow = Flow {
            dump: scene.dump,
            step,
            base: scene.edge.bytes_before,
            moved: 0,
            begun_ns: scene.time_ns,
            last_ns: scene.time_ns,
            said: 0,
            said_confidence: confidence,
            asleep: asleep.then_some(Moved { bytes: 0, last_ns: scene.time_ns }),
            spent: false,
            held: confidence,
            had: 0,
            fair: u64::MAX,
            others: 0,
            crowd: 1,
            credited: 0,
            took: 0,
            emptied: false,
            hidden,
            source: roles.source,
            sink: roles.sink,
            actor: scene.actor,
        };
        self.moves(&flow, &pair.from);
        self.account(&mut flow, scene.edge.bytes, scene.time_ns);
        if flow.step.crossing() && !hidden {
            steps.extend(self.led_to(&flow));
        }
        // A mark is set before bytes move; when none do (the call fails), nothing has happened.
        if flow.tells(scene.time_ns) {
            steps.push(flow.report());
        }
        self.flows.push(pair, flow);
    }
}

/// The zone of the other process, when that is the one asked for.
fn other_place(scene: &Scene<'_>, key: &CarrierKey) -> Option<Place> {
    let other = scene.looked.other.as_ref().filter(|_| key.dev == class::TASK)?;
    Some(scene.context.zones.process(other).place)
}

/// Who is at the other end of a connection, seen from this one's zone.
fn peer(zones: &Zones, socket: &Socket, here: &Place) -> (Place, Peer) {
    let decision = zones.address(socket.remote, socket.remote_port, here);
    let transport = socket.transport().unwrap_or("tcp");
    let peer = Peer { address: socket.remote, port: socket.remote_port, transport, via_relay: decision.via_relay };
    (decision.place, peer)
}

/// Bytes go through this object of an edge, and do not stay.
fn passes_through(edge: &Edge, object: &CarrierKey) -> bool {
    is_pipe(edge) || edge.socket.is_some() || object.is_channel()
}

fn is_pipe(edge: &Edge) -> bool {
    edge.file.as_ref().is_some_and(|f| f.base.mode & 0xf000 == 0x1000)
}

/// What a person reads for an object.
fn object_name(edge: &Edge, looked: &Looked, key: &CarrierKey) -> String {
    if let Some(socket) = edge.socket.as_ref().filter(|s| s.transport().is_some()) {
        return match socket.remote {
            IpAddr::V4(a) => format!("{a}:{}", socket.remote_port),
            IpAddr::V6(a) => format!("[{a}]:{}", socket.remote_port),
        };
    }
    if let (class::TASK, other) = (key.dev, &looked.other) {
        let comm = other.as_ref().map_or("", |p| p.comm.as_str());
        return format!("{comm}[{}]", key.generation);
    }
    match key.dev {
        class::QUEUE => return format!("System V queue {}", key.generation),
        class::TTY => return format!("terminal {}", key.generation),
        _ => {}
    }
    match &looked.file {
        Some(FileRef { path: Some(path), .. }) => path.clone(),
        _ if is_pipe(edge) => format!("pipe:[{}]", key.id),
        Some(file) => format!("inode {}", file.inode),
        None if key.is_inode() => format!("inode {}", key.id),
        None => format!("socket:[{}]", key.id),
    }
}

/// True when a line names the zone of this address. Then only a workload that matches the receiver knows better.
fn is_listed(zones: &Zones, peer: Option<&Peer>) -> bool {
    peer.is_some_and(|p| zones.address(p.address, p.port, &Place::unknown()).place != Place::unknown())
}

fn received_by(receiver: &Carrier, process: Option<&Arc<Process>>) -> String {
    match process.and_then(|p| p.executable.as_ref()) {
        Some(executable) => format!("received on this host by {} ({executable})", receiver.name),
        None => format!("received on this host by {}", receiver.name),
    }
}
