//! Ring bytes to [`Event`]. They are hostile: length, kind and every enum are checked, errors are values.

use bytes::Bytes;
use sensor_abi::{
    flow::{Move, Via},
    magic::Format,
    record::{self, Header, Kind, STRINGS, Tail},
};
use thiserror::Error;
use zerocopy::FromBytes;

use crate::event::{Actor, Birth, Body, CoreSink, Edge, Event, File, Socket};

/// A record that is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than its kind, or than its strings say.
    #[error("record of {len} bytes is too short for {what}")]
    Short {
        /// Bytes there are.
        len: usize,
        /// What they should hold.
        what: &'static str,
    },
    /// The header's length is not the record's.
    #[error("record of {len} bytes says that it has {says}")]
    Length {
        /// Bytes there are.
        len: usize,
        /// Bytes the header says.
        says: u16,
    },
    /// No such kind.
    #[error("record of unknown kind {0}")]
    Kind(u16),
    /// An enum with a number that it does not have.
    #[error("{field} is {value}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// Its number.
        value: u64,
    },
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Decodes one record.
pub fn decode(bytes: &Bytes) -> Result<Event> {
    let header: Header = fixed(bytes, "a header")?;
    if usize::from(header.len) != bytes.len() {
        return Err(DecodeError::Length { len: bytes.len(), says: header.len });
    }
    let kind = Kind::from_u16(header.kind).ok_or(DecodeError::Kind(header.kind))?;
    Ok(Event { time_ns: header.time_ns, body: body(kind, bytes)? })
}

fn body(kind: Kind, bytes: &Bytes) -> Result<Body> {
    Ok(match kind {
        Kind::Birth => Body::Birth(birth(bytes)?),
        Kind::Born => Body::Born(birth(bytes)?),
        Kind::Edge => Body::Edge(Box::new(edge(bytes)?)),
        Kind::Grow => {
            let r: record::Grow = fixed(bytes, "Grow")?;
            Body::Grow { pair: r.pair, bytes: r.bytes }
        }
        Kind::Exec => {
            let r: record::Exec = fixed(bytes, "Exec")?;
            Body::Exec {
                actor: Strings::of(bytes, r.tail)?.actor(r.actor),
                old: r.old,
                before: r.before,
                after: r.after,
                longer: r.arg_len.saturating_sub(r.arg_len_before),
            }
        }
        Kind::Fork => {
            let r: record::Fork = fixed(bytes, "Fork")?;
            Body::Fork { parent: r.parent, child: r.child, set: r.set }
        }
        Kind::Exit => {
            let r: record::Exit = fixed(bytes, "Exit")?;
            Body::Exit { task: r.task }
        }
        Kind::Connect => {
            let r: record::Connect = fixed(bytes, "Connect")?;
            let actor = Strings::of(bytes, r.tail)?.actor(r.actor);
            Body::Connect { actor, set: r.set, socket: Socket::from(&r.sock) }
        }
        Kind::Truncate => {
            let r: record::Truncate = fixed(bytes, "Truncate")?;
            Body::Truncate { actor: Strings::of(bytes, r.tail)?.actor(r.actor), key: r.file }
        }
        Kind::Verdict => verdict(bytes)?,
        Kind::Crash => {
            let r: record::Crash = fixed(bytes, "Crash")?;
            Body::Crash { actor: Strings::of(bytes, r.tail)?.actor(r.actor), signal: r.signal }
        }
    })
}

fn birth(bytes: &Bytes) -> Result<Birth> {
    let r: record::Birth = fixed(bytes, "Birth")?;
    let strings = Strings::of(bytes, r.tail)?;
    let sink = match r.sink {
        0 => CoreSink::File,
        1 => CoreSink::Pipe,
        2 => CoreSink::Socket,
        3 => CoreSink::Program(format(r.format)?),
        4 => CoreSink::Memory,
        5 => CoreSink::Perhaps,
        value => return Err(DecodeError::Value { field: "sink", value }),
    };
    Ok(Birth {
        dump: r.dump,
        object: r.object,
        colour: u32::try_from(r.colour).ok(),
        sink,
        file: strings.file(r.file, r.tail),
        actor: strings.actor(r.actor),
        traced: (matches!(sink, CoreSink::Program(_) | CoreSink::Memory | CoreSink::Perhaps)
            && r.traced.generation != 0)
            .then_some(r.traced),
    })
}

fn format(value: u64) -> Result<Format> {
    let known = u8::try_from(value).ok().and_then(Format::from_u8);
    known.ok_or(DecodeError::Value { field: "format", value })
}

fn edge(bytes: &Bytes) -> Result<Edge> {
    let r: record::Edge = fixed(bytes, "Edge")?;
    let strings = Strings::of(bytes, r.tail)?;
    Ok(Edge {
        pair: r.pair,
        set: r.set,
        bytes_before: r.bytes_before,
        bytes: r.bytes,
        file: (r.file.object != 0).then(|| strings.file(r.file, r.tail)),
        socket: (r.sock.family != 0).then(|| Socket::from(&r.sock)),
        actor: strings.actor(r.actor),
        via: via(r.via)?,
        direction: direction(r.direction)?,
    })
}

fn via(value: u8) -> Result<Via> {
    Via::from_u8(value).ok_or(DecodeError::Value { field: "via", value: u64::from(value) })
}

fn direction(value: u8) -> Result<Move> {
    Ok(match value {
        0 => Move::Read,
        1 => Move::Write,
        2 => Move::Transfer,
        3 => Move::Open,
        _ => return Err(DecodeError::Value { field: "direction", value: u64::from(value) }),
    })
}

fn verdict(bytes: &Bytes) -> Result<Body> {
    let r: record::Verdict = fixed(bytes, "Verdict")?;
    let edge = Edge {
        pair: r.pair,
        set: r.set,
        bytes_before: 0,
        bytes: 0,
        file: None,
        socket: (r.sock.family != 0).then(|| Socket::from(&r.sock)),
        actor: Actor { base: r.actor, ..Actor::default() },
        via: via(r.via)?,
        direction: direction(r.direction)?,
    };
    Ok(Body::Verdict { edge: Box::new(edge), refused: r.refused != 0 })
}

fn fixed<T: FromBytes>(bytes: &Bytes, what: &'static str) -> Result<T> {
    T::read_from_prefix(bytes).map(|(value, _)| value).map_err(|_| DecodeError::Short { len: bytes.len(), what })
}

/// The strings behind the fixed part.
struct Strings {
    path: Option<String>,
    executable: Option<String>,
    argv: Option<Vec<u8>>,
}

impl Strings {
    fn of(bytes: &Bytes, tail: Tail) -> Result<Self> {
        let short = || DecodeError::Short { len: bytes.len(), what: "its strings" };
        let mut rest = bytes.get(STRINGS..).ok_or_else(short)?;
        let mut take = |len: u16| {
            let (head, tail) = rest.split_at_checked(usize::from(len)).ok_or_else(short)?;
            rest = tail;
            Ok(head)
        };
        let (path, executable, argv) = (take(tail.path)?, take(tail.exe)?, take(tail.argv)?);
        Ok(Self {
            path: path_of(path),
            executable: path_of(executable),
            argv: (!argv.is_empty()).then(|| argv.to_vec()),
        })
    }
    fn actor(&self, base: record::Actor) -> Actor {
        Actor { base, executable: self.executable.clone(), argv: self.argv.clone() }
    }
    fn file(&self, base: record::FileInfo, tail: Tail) -> File {
        File { base, path: self.path.clone(), path_in_fs: tail.path_in_fs != 0 }
    }
}

/// Components leaf first, each with its NUL, to a path.
fn path_of(bytes: &[u8]) -> Option<String> {
    let components: Vec<_> = bytes.split(|b| *b == 0).filter(|c| !c.is_empty()).collect();
    if components.is_empty() {
        return None;
    }
    let mut path = String::new();
    for component in components.iter().rev() {
        path.push('/');
        path.push_str(&crate::event::printable(component));
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    fn edge_bytes() -> Vec<u8> {
        let strings: &[u8] = b"core\0tmp\0curl\0bin\0usr\0curl\0-T\0core\0";
        let mut r = record::Edge::default();
        r.header.kind = Kind::Edge as u16;
        r.header.len = (STRINGS + strings.len()) as u16;
        r.tail = Tail { path: 9, exe: 13, argv: 13, path_in_fs: 0 };
        r.file.object = 1;
        let mut bytes = r.as_bytes().to_vec();
        bytes.resize(STRINGS, 0);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn an_edge_comes_back_with_its_strings() {
        let event = decode(&Bytes::from(edge_bytes())).unwrap();
        let Body::Edge(edge) = event.body else { panic!("not an edge") };
        assert_eq!(edge.file.unwrap().path.as_deref(), Some("/tmp/core"));
        assert_eq!(edge.actor.executable.as_deref(), Some("/usr/bin/curl"));
        assert_eq!(edge.actor.argv.as_deref(), Some(&b"curl\0-T\0core\0"[..]));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_an_event_or_an_error() {
        let good = edge_bytes();
        for len in 0..good.len() {
            assert!(decode(&Bytes::copy_from_slice(&good[..len])).is_err(), "{len}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            let _ = decode(&Bytes::from(bad));
        }
    }

    #[test]
    fn wrong_numbers_are_named() {
        let mut bad = edge_bytes();
        bad[8] = 77;
        assert_eq!(decode(&Bytes::from(bad)), Err(DecodeError::Kind(77)));
    }
}
