//! Names of files that hold a dump: renamed, linked, deleted, emptied.

use sensor_abi::{flow::Via, key::CarrierKey};

use super::{Context, Hold, Looked, Trail};
use crate::step::{FileRef, Id, Place, Step, StepKind};

/// What happened to a file's names or content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this path now.
    Renamed(FileRef),
    /// It has one more name.
    Linked(FileRef),
    /// Its last name is gone.
    Deleted,
    /// Its content was cut off: it holds no dump any more.
    Truncated,
}

impl Trail {
    /// A file that holds a dump changed its name or lost its content.
    pub fn renamed(
        &mut self,
        context: Context<'_>,
        key: &CarrierKey,
        change: &Change,
        looked: &Looked,
        now_ns: u64,
    ) -> Vec<Step> {
        let Some(node) = self.nodes.get(key) else { return Vec::new() };
        let (from, source, held) = (node.place.clone(), node.carrier.clone(), node.holds.clone());
        let (kind, file) = match change {
            Change::Renamed(file) => (StepKind::Renamed, Some(file.clone())),
            Change::Linked(file) => (StepKind::Linked, Some(file.clone())),
            Change::Deleted => (StepKind::Deleted, node.file.clone()),
            Change::Truncated => (StepKind::Truncated, node.file.clone()),
        };
        let to = match (&file, kind) {
            (Some(file), StepKind::Renamed | StepKind::Linked) => Self::file_place(context, file, looked, &node.maker),
            _ => from.clone(),
        };
        let mut sink = source.clone();
        if let Some(path) = file.as_ref().and_then(|f| f.path.clone()) {
            sink.name = path;
        }
        let time = context.clock.wall(now_ns);
        let mut steps = Vec::new();
        for (dump, hold) in held {
            let Some(about) = self.dump_ref(dump, sensor_abi::mark::MarkSet::default()) else { continue };
            steps.extend(self.announce(dump));
            let mut step = Step::new(kind, Via::Name, time, (source.clone(), from.clone()), (sink.clone(), to.clone()));
            step.dump = Some(about);
            step.origin = self.dumps.get(&dump).map(|d| d.origin.clone());
            step.process.clone_from(&looked.process);
            step.file.clone_from(&file);
            step.bytes = self.bytes_of(dump, &hold);
            step.hops = hold.hops;
            step.confidence = hold.confidence;
            step.ended = Some(time);
            step.flow = Id::of(&[b"name", &source.id.0, &dump.to_le_bytes(), &now_ns.to_le_bytes()]);
            steps.extend((!step.is_quiet()).then_some(step));
        }
        match change {
            Change::Renamed(_) => self.move_node(key, to, file),
            Change::Truncated => self.emptied(key),
            Change::Linked(_) | Change::Deleted => {}
        }
        steps
    }

    /// How much of a dump a file holds; 0 when that is not known.
    fn bytes_of(&self, dump: u64, hold: &Hold) -> u64 {
        let all = || self.dumps.get(&dump).and_then(|dump| dump.about.size);
        if hold.read > 0 { hold.read } else { all().filter(|_| hold.whole).unwrap_or(0) }
    }

    /// Nothing is left of what has gone to a file. Counts of that may come later; what is written from now on is told anew.
    fn emptied(&mut self, key: &CarrierKey) {
        for pair in self.flows.ending_at(key).collect::<Vec<_>>() {
            self.flows.get_mut(&pair).iter_mut().for_each(|flow| flow.emptied = true);
        }
        if let Some(node) = self.nodes.get_mut(key) {
            node.holds.clear();
        }
    }

    fn move_node(&mut self, key: &CarrierKey, to: Place, file: Option<FileRef>) {
        let Some(node) = self.nodes.get_mut(key) else { return };
        if let Some(path) = file.as_ref().and_then(|f| f.path.clone()) {
            node.carrier.name = path;
        }
        (node.place, node.file) = (to, file);
    }
}
