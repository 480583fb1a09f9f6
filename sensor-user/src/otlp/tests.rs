use std::sync::Arc;

use opentelemetry_proto::tonic::{common::v1::any_value::Value as Any, trace::v1::Span};
use prost::Message;

use super::*;
use crate::{samples, step::StepKind};

fn encoder() -> Encoder {
    let identity = Identity { host_id: "h1".into(), host_name: "host".into(), version: "0.1.0".into() };
    Encoder::new(&Attributes::new(&identity, |_| None), "0.1.0")
}

fn only_log(bytes: &[u8]) -> (ResourceLogs, LogRecord) {
    let mut request = ExportLogsServiceRequest::decode(bytes).unwrap();
    assert_eq!(request.resource_logs.len(), 1);
    let mut logs = request.resource_logs.remove(0);
    let record = logs.scope_logs[0].log_records.remove(0);
    (logs, record)
}

fn get<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Any> {
    attributes.iter().find(|a| a.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(text: &str) -> Any {
    string(text)
}

fn spans_of(bytes: Option<Vec<u8>>) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(&bytes.expect("spans")[..]).unwrap();
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

#[test]
fn an_alert_is_a_log_record_with_the_contract_s_names() {
    let alert = samples::alert();
    let (logs, record) = only_log(&encoder().alert(&alert, true));
    assert_eq!(record.event_name, "dumptrail.alert");
    assert_eq!((record.severity_number, record.severity_text.as_str()), (21, "critical"));
    assert_eq!(record.body.unwrap().value.unwrap(), string(&alert.summary));
    assert_eq!(record.time_unix_nano, alert.step.time.0);
    assert_eq!(record.trace_id, samples::dump().id.0);
    assert_eq!(record.span_id.len(), 8);
    assert_eq!(get(&record.attributes, "log.record.uid"), Some(&text(&alert.id.to_string())));
    assert_eq!(get(&record.attributes, "dumptrail.rule.id"), Some(&text("dump-left-isolation")));
    assert_eq!(get(&record.attributes, "process.executable.path"), Some(&text("/usr/bin/curl")));
    assert_eq!(get(&record.attributes, "destination.port"), Some(&Any::IntValue(443)));
    assert_eq!(get(&record.attributes, "dumptrail.journaled"), None);
    let resource = logs.resource.unwrap().attributes;
    let keys: Vec<_> = resource.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(keys, ["host.id", "host.name", "service.name", "service.version"], "nothing of the actor");
    assert_eq!(logs.scope_logs[0].schema_url, SCHEMA_URL);
}

#[test]
fn known_content_names_the_trace_and_an_alert_that_is_not_durable_says_so() {
    let mut step = samples::sent();
    step.dump.as_mut().unwrap().content = Some(samples::content());
    let (_, record) = only_log(&encoder().alert(&samples::alert_on(step), false));
    assert_eq!(record.trace_id, samples::content().0);
    assert_eq!(get(&record.attributes, "dumptrail.journaled"), Some(&Any::BoolValue(false)));
}

#[test]
fn every_present_field_is_an_attribute_once() {
    let alert = samples::alert();
    let (_, record) = only_log(&encoder().alert(&alert, true));
    let view = View { step: &alert.step, alert: Some(&alert) };
    for field in fields::all() {
        let count = record.attributes.iter().filter(|a| a.key == field.otlp_key()).count();
        assert_eq!(count, usize::from((field.get)(&view).is_some()), "{}", field.name);
    }
}

#[test]
fn a_gap_is_a_medium_log_record() {
    let gap = samples::gap();
    let (_, record) = only_log(&encoder().gap(&gap));
    assert_eq!((record.event_name.as_str(), record.severity_number), ("dumptrail.gap", 13));
    assert_eq!(get(&record.attributes, "dumptrail.gap.cause"), Some(&text("flow_ring_full")));
    assert_eq!(get(&record.attributes, "dumptrail.gap.count"), Some(&Any::IntValue(7)));
    assert!(matches!(get(&record.attributes, "dumptrail.gap.dumps"), Some(Any::ArrayValue(a)) if a.values.len() == 1));
    assert_eq!(encoder().gap(&gap), encoder().gap(&gap), "a replay repeats it");
}

#[test]
fn concatenated_requests_are_one_request() {
    let mut bytes = encoder().alert(&samples::alert(), true);
    bytes.extend(encoder().gap(&samples::gap()));
    assert_eq!(ExportLogsServiceRequest::decode(&bytes[..]).unwrap().resource_logs.len(), 2);
}

#[test]
fn a_crossing_brings_the_path_that_led_to_it() {
    let (encoder, mut spans) = (encoder(), Spans::default());
    let birth = Arc::new(samples::step(StepKind::Created, "app[7]", "core.7", "birth"));
    let born = spans_of(spans.step(&encoder, &birth));
    assert_eq!(born.len(), 1);
    assert_eq!((born[0].name.as_str(), born[0].parent_span_id.len()), ("dump created", 0));
    let read = Arc::new(samples::step(StepKind::Read, "core.7", "curl[812]", "read"));
    assert_eq!(spans.step(&encoder, &read), None, "no crossing yet");
    let crossing = Arc::new(samples::sent());
    let sent = spans_of(spans.step(&encoder, &crossing));
    let names: Vec<_> = sent.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["dump read", "dump sent"], "the birth was sent already");
    assert_eq!(sent[0].parent_span_id, born[0].span_id);
    assert_eq!(sent[1].parent_span_id, sent[0].span_id);
    assert!(sent.iter().all(|s| s.trace_id == samples::dump().id.0));
    assert_eq!(sent[1].start_time_unix_nano, crossing.started.0);
    assert_eq!(spans.step(&encoder, &crossing), None, "a growth report is no new span");
    let alert = samples::alert_on(samples::sent());
    assert_eq!(only_log(&encoder.alert(&alert, true)).1.span_id, sent[1].span_id, "the alert points at its span");
}

#[test]
fn the_end_of_a_grown_flow_is_a_span_of_its_own() {
    let (encoder, mut spans) = (encoder(), Spans::default());
    let first = spans_of(spans.step(&encoder, &Arc::new(samples::sent())));
    let grown = Step { bytes: 900_000, ended: Some(samples::NOON), ..samples::sent() };
    let end = spans_of(spans.step(&encoder, &Arc::new(grown.clone())));
    assert_eq!((end.len(), end[0].name.as_str()), (1, "dump sent (end)"));
    assert_eq!(end[0].parent_span_id, first[0].span_id);
    assert_eq!(spans.step(&encoder, &Arc::new(grown)), None);
}

#[test]
fn content_begins_a_whole_trace_that_links_back() {
    let (encoder, mut spans) = (encoder(), Spans::default());
    let birth = Arc::new(samples::step(StepKind::Created, "app[7]", "curl[812]", "birth"));
    let born = spans_of(spans.step(&encoder, &birth));
    let mut step = samples::sent();
    step.dump.as_mut().unwrap().content = Some(samples::content());
    let sent = spans_of(spans.step(&encoder, &Arc::new(step)));
    assert_eq!(sent.len(), 2, "the birth again, in the trace of the content");
    assert!(sent.iter().all(|s| s.trace_id == samples::content().0));
    assert_eq!(sent[0].span_id, born[0].span_id);
    assert_eq!(sent[1].links[0].trace_id, samples::dump().id.0);
}

#[test]
fn a_thousand_spans_then_one_summary() {
    let (encoder, mut spans) = (encoder(), Spans::default());
    let mut all = Vec::new();
    for flow in 0..SPANS + 50 {
        let step = Step { flow: Id::of(&[&flow.to_le_bytes()]), ..samples::sent() };
        all.extend(spans.step(&encoder, &Arc::new(step)).into_iter().flat_map(|b| spans_of(Some(b))));
    }
    assert_eq!(all.len(), SPANS + 1);
    assert_eq!(all.iter().filter(|s| s.name == "dump spans cut").count(), 1);
}

const SPANS: usize = spans::SPANS_A_DUMP;
