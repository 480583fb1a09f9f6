//! The Dumptrail agent.
//!
//! ```text
//! ring → decode → event → enrich → zones → trail (Step) → rules (Alert) → encode → journal → sinks
//! ```
//! Data flows one way. No stage imports a later one; only `app` and `cli` know the wiring.
#![deny(unsafe_code)]

pub mod alert;
pub mod clock;
pub mod dump;
pub mod enrich;
pub mod fields;
pub mod report;
pub mod step;
pub mod cli {
    //! The commands.
    pub mod trail;
}
