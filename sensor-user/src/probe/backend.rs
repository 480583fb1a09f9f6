//! Which backend it is to be: what was asked for, and what works here.

use super::{
    attach::Opened,
    features::Features,
    plan::{Backend, Plan},
};

/// The decision.
pub struct Choice {
    /// What to load.
    pub plan: Plan,
    /// Whether trampolines work here; `None` when nobody asked.
    pub trial: Option<Result<(), String>>,
    /// What is taken off a function cannot be attached again, so that flow hooks stay from the first dump on.
    pub once: bool,
}

impl Choice {
    /// Takes the backend that was asked for; without a wish `fentry`, where it works and nothing that it needs is missing.
    /// The kernel is asked by a trial, unless the wish says that it need not be.
    pub fn new(wish: Option<Backend>, features: &Features, opened: &mut Opened) -> Self {
        if wish == Some(Backend::Tracepoint) {
            return Self { plan: Plan::new(Backend::Tracepoint, features), trial: None, once: false };
        }
        let fentry = Plan::new(Backend::Fentry, features);
        let refusal = fentry.refusals().next();
        let trial = opened.trial().map_err(|error| said(&format!("{error:#}")));
        let works = refusal.map_or_else(|| trial.clone(), Err);
        let plan = if wish.is_some() || works.is_ok() { fentry } else { Plan::new(Backend::Tracepoint, features) };
        Self { plan, trial: Some(works), once: opened.attaches_once() }
    }

    /// The same where the kernel could not be asked.
    pub fn untried(wish: Option<Backend>, features: &Features, why: String) -> Self {
        Self { plan: Plan::new(wish.unwrap_or_default(), features), trial: Some(Err(why)), once: false }
    }

    /// Why the chosen backend does not work here.
    pub fn refusals(&self) -> Vec<String> {
        let trial = match (&self.trial, self.plan.backend) {
            (Some(Err(why)), Backend::Fentry) => Some(format!(
                "the backend fentry does not work here: {why}; use `--backend tracepoint`, or none at all"
            )),
            _ => None,
        };
        trial.into_iter().chain(self.plan.refusals()).collect()
    }

    /// Why it is not `fentry`, where nobody wished it so.
    pub fn why_not_fentry(&self) -> Option<&str> {
        match (&self.trial, self.plan.backend) {
            (Some(Err(why)), Backend::Tracepoint) => Some(why),
            _ => None,
        }
    }
}

/// The error without the heading of a verifier's log that is empty: the kernel refused before the verifier looked.
fn said(error: &str) -> String {
    error.trim_end().trim_end_matches("Verifier output:").trim_end().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_log_has_no_heading() {
        let refused = "cannot load program trial: Operation not permitted (os error 1). Verifier output: \n";
        assert_eq!(said(refused), "cannot load program trial: Operation not permitted (os error 1)");
        assert_eq!(said("Verifier output: 0: R1=ctx"), "Verifier output: 0: R1=ctx");
    }
}
