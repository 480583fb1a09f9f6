//! What scenarios are made of: an agent, namespaces to move dumps between, crashes, tools, and expectations.

pub(crate) mod agent;
pub(crate) mod crash;
pub(crate) mod expect;
pub(crate) mod guard;
pub(crate) mod line;
pub(crate) mod roles;
pub(crate) mod scene;
pub(crate) mod world;
