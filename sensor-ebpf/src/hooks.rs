//! Adaptors: read the context, fill one `Op`, make one call into the engine. No map access, no policy.

pub mod tracepoint;
