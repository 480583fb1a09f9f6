//! What a collector's answer means for the batch: sent, again, later, or never.

use std::{error::Error, time::Duration};

use prost::Message;
use tonic::{Code, Status};

use crate::clock::Time;

/// Longest pause that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Taken, but for so many records.
    Sent { rejected: u64, message: String },
    /// The collector is away or busy: again, after a pause that it may have asked for.
    Retry { after: Option<Duration>, why: String },
    /// Refused for who we are or where we send, not for what: no record is given up for that. Again, slowly.
    Held { why: String },
    /// The collector failed: again, but not for ever, since the batch may be why.
    Faulty { why: String },
    /// Refused for what it is.
    Refused { why: String },
}

/// The meaning of a gRPC status, by the OTLP specification.
pub(super) fn of_status(status: &Status) -> Outcome {
    let why = format!("{:?}: {}", status.code(), status.message());
    let after = retry_info(status.details());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::Retry { after, why },
        Code::ResourceExhausted if after.is_some() => Outcome::Retry { after, why },
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => Outcome::Held { why },
        // The connection broke: nothing that the collector said.
        Code::Unknown if status.source().is_some() || status.message().starts_with("Service was not ready") => {
            Outcome::Retry { after, why }
        }
        Code::Unknown | Code::Internal => Outcome::Faulty { why },
        _ => Outcome::Refused { why },
    }
}

/// The meaning of an HTTP status that is no success.
pub(super) fn of_http(code: u16, retry_after: Option<&str>, now: Time) -> Outcome {
    let why = format!("HTTP {code}");
    match code {
        429 | 502 | 503 | 504 => Outcome::Retry { after: retry_after.and_then(|text| pause(text, now)), why },
        401 | 403 | 404 | 405 | 407 | 300..=399 => Outcome::Held { why },
        408 | 500..=599 => Outcome::Faulty { why },
        _ => Outcome::Refused { why },
    }
}

/// `Retry-After`: seconds, or a date.
fn pause(text: &str, now: Time) -> Option<Duration> {
    let seconds = text.trim().parse().map(Duration::from_secs).ok();
    let pause = seconds.or_else(|| {
        let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_nanosecond();
        Some(Duration::from_nanos(Time(u64::try_from(date).ok()?).since(now)))
    })?;
    Some(pause.min(LONGEST_PAUSE))
}

/// `google.rpc.Status`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct Rich {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let rich = Rich::decode(details).ok()?;
    let info = rich.details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&info.value[..]).ok()?.delay?;
    let pause = Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?.min(999_999_999));
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(784_111_777_000_000_000); // 1994-11-06T08:49:37Z

    fn http(code: u16) -> Outcome {
        of_http(code, None, NOW)
    }

    #[test]
    fn only_what_is_refused_for_what_it_is_is_given_up() {
        for code in [400, 413, 415, 422] {
            assert!(matches!(http(code), Outcome::Refused { .. }), "{code}");
        }
        for code in [401, 403, 404, 301] {
            assert!(matches!(http(code), Outcome::Held { .. }), "{code}");
        }
        for code in [500, 501, 507, 408] {
            assert!(matches!(http(code), Outcome::Faulty { .. }), "{code}");
        }
        for code in [429, 502, 503, 504] {
            assert!(matches!(http(code), Outcome::Retry { after: None, .. }), "{code}");
        }
        assert!(matches!(of_status(&Status::unavailable("")), Outcome::Retry { .. }));
        assert!(matches!(of_status(&Status::invalid_argument("")), Outcome::Refused { .. }));
        assert!(matches!(of_status(&Status::resource_exhausted("")), Outcome::Refused { .. }));
        assert!(matches!(of_status(&Status::unauthenticated("")), Outcome::Held { .. }));
        assert!(matches!(of_status(&Status::internal("")), Outcome::Faulty { .. }));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let after = |text| match of_http(503, Some(text), NOW) {
            Outcome::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:40 GMT"), Some(Duration::from_secs(3)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:30 GMT"), Some(Duration::ZERO));
        assert_eq!(after("99999999"), Some(LONGEST_PAUSE));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn grpc_s_retry_info_is_read() {
        let info = RetryInfo { delay: Some(Delay { seconds: 2, nanos: 500_000_000 }) };
        let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() };
        let details = Rich { details: vec![any] }.encode_to_vec();
        let status = Status::with_details(Code::ResourceExhausted, "", details.into());
        assert!(matches!(of_status(&status), Outcome::Retry { after: Some(d), .. } if d.as_millis() == 2500));
    }
}
