//! Adaptors: read the context, fill one `Op`, make one call into the engine. No map access, no policy.

#[expect(clippy::needless_pass_by_value, reason = "aya's program macros hand the context over by value")]
pub mod lsm;
mod slots;
#[expect(clippy::needless_pass_by_value, reason = "as above")]
pub mod tracepoint;
#[expect(clippy::needless_pass_by_value, reason = "as above")]
pub mod trampoline;
