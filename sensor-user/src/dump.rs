//! What is a dump, which one is it, and where are those that were there before the agent.
//!
//! Everything here reads files through open descriptors, with limits: a dump is written by a dying program or by an
//! attacker, so its bytes are hostile.

pub mod archive;
pub mod elf;
pub mod format;
pub mod identity;
pub mod source;

#[cfg(test)]
mod testing;
