//! The kernel side, seen from here: what this kernel offers (`features`), what to load and why (`plan`, pure data, and
//! `backend`, the choice), and the one executor (`attach`); arming, the hand-over from one
//! backend's programs to the other's, sweeping and reaping work on what is loaded.

pub mod arm;
pub mod attach;
pub mod backend;
pub mod btf;
pub mod differences;
pub mod features;
pub mod fence;
pub mod handover;
pub mod kernel;
pub mod plan;
pub mod policy;
pub mod skips;
pub mod sweep;
