//! The Dumptrail agent.
//!
//! ```text
//! ring → decode → event → enrich → zones → trail (Step) → rules (Alert) → encode → journal → sinks
//! ```
//! Data flows one way. No stage imports a later one; only `app` and `cli` know the wiring.
#![deny(unsafe_code)]

pub mod ring;
pub mod decode;
pub mod event;
pub mod enrich;
pub mod zones;
pub mod config;
pub mod fields;
pub mod step;
pub mod dump;
pub mod rules;
pub mod alert;
pub mod ndjson;
pub mod otlp;
pub mod journal;
pub mod sinks;
pub mod telemetry;
pub mod cli;
pub mod probe;
pub mod sys;
pub mod clock;
