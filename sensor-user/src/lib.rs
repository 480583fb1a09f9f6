//! The Dumptrail agent.
//!
//! ```text
//! ring → decode → event → enrich → zones → trail (Step) → rules (Alert) → encode → journal → sinks
//! ```
//! Data flows one way. No stage imports a later one; only `app` and `cli` know the wiring.
#![deny(unsafe_code)]

pub mod app;
pub mod core;

pub mod alert;
pub mod decode;
pub mod dump;
pub mod enrich;
pub mod event;
pub mod fields;
pub mod host;
pub mod ring;
pub mod rules;
pub mod step;
pub mod trail;
pub mod zones;

pub mod journal;
pub mod ndjson;
pub mod otlp;
pub mod report;
pub mod sinks;
pub mod telemetry;

pub mod bell;
pub mod cli;
pub mod clock;
pub mod config;
pub mod probe;
pub mod sys;
mod units;

#[cfg(test)]
mod samples;
