//! Processes to zones: the most specific workload. Pod labels count most, then namespace, unit or cgroup, network
//! namespace, user.

use std::sync::Arc;

use super::{Decision, line};
use crate::{
    config::{read::Glob, schema::WorkloadDef},
    step::{Place, Process},
};

/// A selector, ready to match.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    def: WorkloadDef,
    place: Place,
    why: Arc<str>,
    /// Inode number of `def.netns`, when the path is there.
    netns: Option<u32>,
}

/// How specific a selector is; compared from left to right. The depth of a cgroup breaks a tie between two of them,
/// since the deeper one is part of the other.
type Rank = (usize, bool, bool, usize, bool, bool);

impl Workload {
    pub(super) fn new(def: WorkloadDef, place: Place) -> Self {
        let why = line(&def.at.line_name(), &format!("workload of zone {}", place.zone));
        Self { def, place, why, netns: None }
    }

    pub(super) fn resolve(&mut self, netns: &dyn Fn(&str) -> Option<u32>) {
        self.netns = self.def.netns.as_ref().and_then(|path| netns(&path.value));
    }

    fn rank(&self) -> Rank {
        let d = &self.def;
        let depth = d.cgroup.as_ref().map_or(0, |g| g.pattern().matches('/').count());
        (
            d.pod_labels.len(),
            d.namespace.is_some(),
            d.unit.is_some() || d.cgroup.is_some(),
            depth,
            d.netns.is_some(),
            d.user.is_some(),
        )
    }

    fn matches(&self, p: &Process) -> bool {
        let d = &self.def;
        let holds = |glob: &Option<Glob>, test: &dyn Fn(&Glob) -> bool| glob.as_ref().is_none_or(test);
        let cgroup = p.cgroup.as_deref().unwrap_or_default();
        let user = |g: &Glob| g.matches(&p.user_id.to_string()) || p.user_name.as_ref().is_some_and(|n| g.matches(n));
        holds(&d.namespace, &|g| p.k8s.as_ref().is_some_and(|k| g.matches(&k.namespace)))
            && self.labels_match(p)
            && holds(&d.unit, &|g| cgroup.split('/').any(|part| !part.is_empty() && g.matches(part)))
            && holds(&d.cgroup, &|g| upwards(cgroup).any(|path| g.matches(path)))
            && (d.netns.is_none() || self.netns.is_some_and(|n| n == p.netns))
            && holds(&d.user, &user)
    }

    fn labels_match(&self, p: &Process) -> bool {
        let value = |key: &str| p.k8s.as_ref().and_then(|k| k.labels.get(key));
        self.def.pod_labels.iter().all(|(key, glob)| value(key).is_some_and(|v| glob.matches(v)))
    }
}

/// A cgroup path and every one above it.
fn upwards(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let here = rest?;
        rest = here.rfind('/').filter(|n| *n > 0).map(|n| &here[..n]);
        Some(here)
    })
}

/// The most specific workload that matches; of equally specific ones in different zones that of the lower exposure.
pub(super) fn decide(workloads: &[Workload], process: &Process) -> Option<Decision> {
    let matching: Vec<&Workload> = workloads.iter().filter(|w| w.matches(process)).collect();
    let top = matching.iter().map(|w| w.rank()).max()?;
    let best: Vec<&Workload> = matching.into_iter().filter(|w| w.rank() == top).collect();
    let chosen = best.iter().min_by_key(|w| w.place.exposure.rank())?;
    let tie = best.iter().any(|w| w.place.zone != chosen.place.zone);
    Some(Decision { tie, ..Decision::new(&chosen.place, &chosen.why) })
}
