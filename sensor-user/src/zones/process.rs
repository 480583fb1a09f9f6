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
        self.netns = self.seen(netns);
    }

    /// The network namespace that is at its path now.
    pub(super) fn seen(&self, netns: &dyn Fn(&str) -> Option<u32>) -> Option<u32> {
        self.def.netns.as_ref().and_then(|path| netns(&path.value))
    }

    /// Takes what was seen at its path. What is gone stays unless `taken`: another path has that number now.
    pub(super) fn follow(&mut self, seen: Option<u32>, taken: &[u32]) {
        self.netns = seen.or(self.netns.filter(|number| !taken.contains(number)));
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
        let namespace = |g: &Glob| p.k8s.as_ref().is_some_and(|k| g.matches(&k.namespace));
        self.def.namespace.as_ref().is_none_or(namespace)
            && self.labels_match(p)
            && self.has_cgroup(p.cgroup.as_deref().unwrap_or_default())
            && self.has_netns(p.netns)
            && self.has_user(p.user_id, p.user_name.as_deref())
    }

    /// Unit and control group fit a path.
    pub(super) fn has_cgroup(&self, path: &str) -> bool {
        let unit = |g: &Glob| path.split('/').any(|part| !part.is_empty() && g.matches(part));
        let cgroup = |g: &Glob| upwards(path).any(|path| g.matches(path));
        self.def.unit.as_ref().is_none_or(unit) && self.def.cgroup.as_ref().is_none_or(cgroup)
    }

    /// The network namespace fits.
    pub(super) fn has_netns(&self, number: u32) -> bool {
        self.def.netns.is_none() || self.netns.is_some_and(|n| n == number)
    }

    /// The user fits.
    pub(super) fn has_user(&self, number: u32, name: Option<&str>) -> bool {
        let user = |g: &Glob| g.matches(&number.to_string()) || name.is_some_and(|n| g.matches(n));
        self.def.user.as_ref().is_none_or(user)
    }

    /// Number of the network namespace that it names, when it is there.
    pub(super) fn netns(&self) -> Option<u32> {
        self.netns
    }

    /// The user that it names by number.
    pub(super) fn user_number(&self) -> Option<u32> {
        self.def.user.as_ref()?.pattern().parse().ok()
    }

    /// It names control groups, or units.
    pub(super) fn is_of_a_cgroup(&self) -> bool {
        self.def.cgroup.is_some() || self.def.unit.is_some()
    }

    /// It names a network namespace.
    pub(super) fn is_of_a_namespace(&self) -> bool {
        self.def.netns.is_some()
    }

    /// It names users.
    pub(super) fn is_of_a_user(&self) -> bool {
        self.def.user.is_some()
    }

    /// It names a pod.
    fn is_of_a_pod(&self) -> bool {
        self.def.namespace.is_some() || !self.def.pod_labels.is_empty()
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

/// For each workload: whether a control group, a network namespace or a user fits it.
pub(super) type Parts = Vec<bool>;

/// The workload that decides for who fits these by control group, network namespace and user, and is in no pod.
pub(super) fn decide_by(workloads: &[Workload], parts: [&Parts; 3]) -> Option<Decision> {
    let fits = |n: usize| parts.iter().all(|part| part.get(n).is_some_and(|fits| *fits));
    let matching = workloads.iter().enumerate().filter(|(n, w)| fits(*n) && !w.is_of_a_pod()).map(|(_, w)| w).collect();
    most_specific(matching)
}

/// The most specific workload that matches; of equally specific ones in different zones that of the lower exposure.
pub(super) fn decide(workloads: &[Workload], process: &Process) -> Option<Decision> {
    most_specific(workloads.iter().filter(|w| w.matches(process)).collect())
}

fn most_specific(matching: Vec<&Workload>) -> Option<Decision> {
    let top = matching.iter().map(|w| w.rank()).max()?;
    let best: Vec<&Workload> = matching.into_iter().filter(|w| w.rank() == top).collect();
    let chosen = best.iter().min_by_key(|w| w.place.exposure.rank())?;
    let tie = best.iter().any(|w| w.place.zone != chosen.place.zone);
    Some(Decision { tie, ..Decision::new(&chosen.place, &chosen.why) })
}
