//! What a scenario expects of a step: only what it names is compared.

use std::net::IpAddr;

use sensor_abi::flow::Via;
use sensor_user::step::{Confidence, StepKind};

use super::line::Step;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    kind: StepKind,
    via: Option<Via>,
    from: Option<End>,
    to: Option<End>,
    zones: Option<(String, String)>,
    bytes: Option<(u64, u64)>,
    confidence: Option<Confidence>,
    destination: Option<(IpAddr, u16)>,
    executable: Option<String>,
    file: Option<String>,
    hops: Option<u32>,
}

/// One end of a step.
#[derive(Clone, Debug)]
enum End {
    /// This carrier.
    Is(String),
    /// Any process of this name.
    Process(String),
}

impl End {
    fn fits(&self, carrier: &str) -> bool {
        match self {
            Self::Is(name) => name == carrier,
            Self::Process(name) => {
                let pid = carrier.strip_prefix(name.as_str()).and_then(|r| r.strip_prefix('[')?.strip_suffix(']'));
                pid.is_some_and(|pid| pid.parse::<u32>().is_ok())
            }
        }
    }
}

impl From<&str> for End {
    /// `name[]` is any process of that name.
    fn from(name: &str) -> Self {
        name.strip_suffix("[]").map_or_else(|| Self::Is(name.to_owned()), |name| Self::Process(name.to_owned()))
    }
}

/// A step of this kind.
pub(crate) fn step(kind: StepKind) -> Expect {
    Expect {
        kind,
        via: None,
        from: None,
        to: None,
        zones: None,
        bytes: None,
        confidence: None,
        destination: None,
        executable: None,
        file: None,
        hops: None,
    }
}

impl Expect {
    pub(crate) fn via(self, via: Via) -> Self {
        Self { via: Some(via), ..self }
    }

    /// The carrier's name; `name[]` for any process of that name.
    pub(crate) fn from(self, from: impl AsRef<str>) -> Self {
        Self { from: Some(from.as_ref().into()), ..self }
    }

    pub(crate) fn to(self, to: impl AsRef<str>) -> Self {
        Self { to: Some(to.as_ref().into()), ..self }
    }

    pub(crate) fn zones(self, from: &str, to: &str) -> Self {
        Self { zones: Some((from.to_owned(), to.to_owned())), ..self }
    }

    /// Within 1 %.
    pub(crate) fn bytes(self, bytes: u64) -> Self {
        self.between(bytes - bytes / 100, bytes + bytes / 100)
    }

    pub(crate) fn between(self, least: u64, most: u64) -> Self {
        Self { bytes: Some((least, most)), ..self }
    }

    /// So many bytes or fewer.
    pub(crate) fn or_less(self) -> Self {
        Self { bytes: self.bytes.map(|(_, most)| (1, most)), ..self }
    }

    pub(crate) fn sure(self, confidence: Confidence) -> Self {
        Self { confidence: Some(confidence), ..self }
    }

    pub(crate) fn destination(self, address: IpAddr, port: u16) -> Self {
        Self { destination: Some((address, port)), ..self }
    }

    /// Last component of the actor's executable.
    pub(crate) fn by(self, executable: &str) -> Self {
        Self { executable: Some(executable.to_owned()), ..self }
    }

    pub(crate) fn file(self, path: &str) -> Self {
        Self { file: Some(path.to_owned()), ..self }
    }

    pub(crate) fn hops(self, hops: u32) -> Self {
        Self { hops: Some(hops), ..self }
    }

    pub(crate) fn fits(&self, step: &Step) -> bool {
        let program = step.executable.as_deref().and_then(|p| p.rsplit('/').next());
        self.kind == step.kind
            && self.via.is_none_or(|via| via == step.via)
            && self.from.as_ref().is_none_or(|end| end.fits(&step.from))
            && self.to.as_ref().is_none_or(|end| end.fits(&step.to))
            && self.zones.as_ref().is_none_or(|(from, to)| *from == step.from_zone && *to == step.to_zone)
            && self.bytes.is_none_or(|(least, most)| (least..=most).contains(&step.bytes))
            && self.confidence.is_none_or(|confidence| confidence == step.confidence)
            && self.destination.is_none_or(|(to, port)| step.address == Some(to) && step.port == Some(port))
            && self.executable.as_ref().is_none_or(|name| Some(name.as_str()) == program)
            && self.file.as_ref().is_none_or(|path| step.file.as_ref() == Some(path))
            && self.hops.is_none_or(|hops| hops == step.hops)
    }
}
