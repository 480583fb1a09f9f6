//! Recording what the kernel said, for replay tests: `DUMPTRAIL_RECORD=FILE`. One JSON object a line: `record` (the ring
//! bytes, hex), `colour` ([dump, colour]) or `bytes` ([pair as hex, bytes, time of the last]), in the order in which the core saw them.

use std::{
    fs::File,
    io::{self, Write as _},
};

use sensor_abi::key::PairKey;
use zerocopy::IntoBytes as _;

use crate::trail::Moved;

/// Writes the file, or nothing.
pub(super) struct Recorder(Option<File>);

impl Recorder {
    /// Opens the file that the environment names.
    pub(super) fn from_env() -> io::Result<Self> {
        let path = std::env::var_os("DUMPTRAIL_RECORD").filter(|p| !p.is_empty());
        Ok(Self(path.map(File::create).transpose()?))
    }
    /// Somebody wants raw records.
    pub(super) const fn is_on(&self) -> bool {
        self.0.is_some()
    }
    /// Ring bytes.
    pub(super) fn record(&mut self, bytes: &[u8]) {
        self.line(|| format!("{{\"record\":\"{}\"}}", hex(bytes)));
    }
    /// A colour that was learnt.
    pub(super) fn colour(&mut self, dump: u64, colour: u32) {
        self.line(|| format!("{{\"colour\":[{dump},{colour}]}}"));
    }
    /// A pair's count that was read.
    pub(super) fn bytes(&mut self, pair: &PairKey, Moved { bytes, last_ns }: Moved) {
        self.line(|| format!("{{\"bytes\":[\"{}\",{bytes},{last_ns}]}}", hex(pair.as_bytes())));
    }
    fn line(&mut self, text: impl FnOnce() -> String) {
        if let Some(file) = &mut self.0
            && let Err(error) = writeln!(file, "{}", text())
        {
            tracing::warn!(%error, "recording ends");
            self.0 = None;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, b| text + &format!("{b:02x}"))
}
