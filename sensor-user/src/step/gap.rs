//! What was lost.

use super::Id;
use crate::clock::Time;

/// Something was lost: from when to when, why, how much, and which dumps were active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Start of the window.
    pub from: Time,
    /// End of the window.
    pub to: Time,
    /// Name of the cause, from one closed list (`sensor_abi::fault::Fault::name` and the agent's own).
    pub cause: &'static str,
    /// How many were lost.
    pub count: u64,
    /// Dumps active in the window, at most [`Self::DUMPS`].
    pub dumps: Vec<Id>,
}

impl Gap {
    /// Cause of the gap between two agents, of which the first did not stop cleanly.
    pub const AGENT_KILLED: &str = "agent_killed";
    /// No gap names more dumps.
    pub const DUMPS: usize = 64;

    /// What happened, as a person reads it.
    pub fn sentence(&self) -> String {
        match self.cause {
            Self::AGENT_KILLED => {
                "nobody watched, since the agent before did not stop cleanly: agent_killed".to_owned()
            }
            cause => format!("{} records were lost: {cause}", self.count),
        }
    }
}
