//! Alerts, gaps and steps as OTLP, byte for byte what a collector gets. Pure: no clock, no environment, no network.
//!
//! Requests of the same signal may be concatenated: `resource_logs` and `resource_spans` are repeated fields, so the
//! bytes of two requests one after the other are one request with both. The exporter uses that for batches.

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use prost::Message;

use crate::{
    alert::Alert,
    fields::{self, Value, View},
    step::{Gap, Id, Severity, Step},
};

mod resource;
mod spans;

pub(crate) use resource::decode;
pub use resource::{Attributes, Identity};
pub use spans::Spans;

/// Event name of an alert.
pub const ALERT_EVENT: &str = "dumptrail.alert";
/// Event name of a gap.
pub const GAP_EVENT: &str = "dumptrail.gap";
/// Name of the instrumentation scope.
pub const SCOPE: &str = "dumptrail";

/// Encodes for one agent: it knows the resource and the scope that every request carries.
#[derive(Clone, Debug)]
pub struct Encoder {
    resource: Resource,
    scope: InstrumentationScope,
}

impl Encoder {
    /// An encoder for the agent that `attributes` describe.
    pub fn new(attributes: &Attributes, version: &str) -> Self {
        let attributes = attributes.pairs().map(|(k, v)| pair(k, string(v))).collect();
        Self {
            resource: Resource { attributes, ..Resource::default() },
            scope: InstrumentationScope { name: SCOPE.into(), version: version.into(), ..Default::default() },
        }
    }

    /// The alert as the bytes of an `ExportLogsServiceRequest`. `journaled` is false for an alert that could not be
    /// made durable in time; only then there is an attribute that says so.
    pub fn alert(&self, alert: &Alert, journaled: bool) -> Vec<u8> {
        let view = View { step: &alert.step, alert: Some(alert) };
        let mut attributes = attributes(view);
        attributes.push(pair("log.record.uid", string(&alert.id.to_string())));
        if !journaled {
            attributes.push(pair("dumptrail.journaled", any_value::Value::BoolValue(false)));
        }
        self.log(LogRecord {
            time_unix_nano: alert.step.time.0,
            observed_time_unix_nano: alert.time.0,
            severity_number: alert.severity.otel(),
            severity_text: alert.severity.name().into(),
            body: Some(any(string(&alert.summary))),
            attributes,
            trace_id: trace_id(&alert.step).map_or_else(Vec::new, |id| id.0.to_vec()),
            span_id: spans::span_id(&alert.step).map_or_else(Vec::new, |id| id.to_vec()),
            event_name: ALERT_EVENT.into(),
            ..LogRecord::default()
        })
    }

    /// The gap as the bytes of an `ExportLogsServiceRequest`.
    pub fn gap(&self, gap: &Gap) -> Vec<u8> {
        let uid = Id::of(&[b"gap", gap.cause.as_bytes(), &gap.from.0.to_le_bytes(), &gap.to.0.to_le_bytes()]);
        let dumps = gap.dumps.iter().map(ToString::to_string).collect();
        self.log(LogRecord {
            time_unix_nano: gap.to.0,
            observed_time_unix_nano: gap.to.0,
            severity_number: Severity::Medium.otel(),
            severity_text: Severity::Medium.name().into(),
            body: Some(any(string(&gap.sentence()))),
            attributes: vec![
                pair("log.record.uid", string(&uid.to_string())),
                pair("dumptrail.gap.from", string(&gap.from.rfc3339())),
                pair("dumptrail.gap.to", string(&gap.to.rfc3339())),
                pair("dumptrail.gap.cause", string(gap.cause)),
                pair("dumptrail.gap.count", any_value::Value::IntValue(i64::try_from(gap.count).unwrap_or(i64::MAX))),
                pair("dumptrail.gap.dumps", value(Value::List(dumps))),
            ],
            event_name: GAP_EVENT.into(),
            ..LogRecord::default()
        })
    }

    /// The spans as the bytes of an `ExportTraceServiceRequest`.
    pub fn spans(&self, spans: Vec<Span>) -> Vec<u8> {
        let scope_spans = ScopeSpans { scope: Some(self.scope.clone()), spans, schema_url: SCHEMA_URL.into() };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            schema_url: SCHEMA_URL.into(),
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
    }

    fn log(&self, record: LogRecord) -> Vec<u8> {
        let scope_logs =
            ScopeLogs { scope: Some(self.scope.clone()), log_records: vec![record], schema_url: SCHEMA_URL.into() };
        let resource_logs = ResourceLogs {
            resource: Some(self.resource.clone()),
            scope_logs: vec![scope_logs],
            schema_url: SCHEMA_URL.into(),
        };
        ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec()
    }
}

/// Trace id of a step's dump: its content where known, so that the same dump on two hosts is one trace; else its id.
pub fn trace_id(step: &Step) -> Option<Id> {
    step.dump.as_ref().map(|d| d.content.unwrap_or(d.id))
}

/// Every present field of `view` as an attribute.
fn attributes(view: View<'_>) -> Vec<KeyValue> {
    fields::all().iter().filter_map(|f| Some(pair(&f.otlp_key(), value((f.get)(&view)?)))).collect()
}

fn value(value: Value) -> any_value::Value {
    match value {
        Value::Str(text) => any_value::Value::StringValue(text),
        Value::Int(number) => any_value::Value::IntValue(number),
        Value::Float(number) => any_value::Value::DoubleValue(number),
        Value::Bool(truth) => any_value::Value::BoolValue(truth),
        Value::List(list) => {
            let values = list.into_iter().map(|text| any(any_value::Value::StringValue(text))).collect();
            any_value::Value::ArrayValue(ArrayValue { values })
        }
        Value::Map(map) => {
            let values = map.iter().map(|(key, text)| pair(key, string(text))).collect();
            any_value::Value::KvlistValue(KeyValueList { values })
        }
    }
}

fn string(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn any(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

#[cfg(test)]
mod tests;
