//! Where alerts go from the journal: the console, and a collector.

pub mod console;
pub mod otlp;
