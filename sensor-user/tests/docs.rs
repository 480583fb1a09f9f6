//! docs/fields.md is written from the field table; `UPDATE_DOCS=1` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::{fmt::Write as _, fs, path::Path};

use sensor_user::{
    fields::{self, Field, Type},
    journal,
    step::{Gap, StepKind},
};

fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Str => "text",
        Type::Int => "whole number",
        Type::Float => "number",
        Type::Bool => "true, false",
        Type::List => "list of text",
        Type::Map => "map of text",
    }
}

fn row(field: &Field) -> String {
    let unit = match field.unit {
        "" => String::new(),
        "By" => ", bytes".to_owned(),
        "s" => ", seconds".to_owned(),
        other => format!(", {other}"),
    };
    let values = match field.values {
        [] => String::new(),
        values => format!(" Values: {}.", values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")),
    };
    let present = if field.optional { "when known" } else { "always" };
    let name = field.name;
    format!(
        "| `{name}` | {}{unit} | {present} | `{}` | `{}` | {}{values} |\n",
        type_name(field.ty),
        field.json_key(),
        field.otlp_key(),
        field.doc
    )
}

/// The group of a field: the first part of its name, but all of an alert's own fields together.
fn group(field: &Field) -> &'static str {
    match field.name.split('.').next().unwrap_or_default() {
        "dump" => "The dump",
        "origin" => "Where it was born",
        "from" | "to" => "The two ends",
        "step" | "flow" => "The step",
        "process" | "user" | "container" | "k8s" => "Who",
        "file" | "mount" | "destination" | "network" => "What and where",
        _ => "The alert (not in conditions)",
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Fields\n\n\
         <!-- Written by `UPDATE_DOCS=1 cargo test -p sensor-user --test docs`. Do not edit. -->\n\n\
         Every field of a step and of an alert. *Name* is what conditions and rule tests use; *NDJSON* and *OTLP* are the \
         keys in the output: the OpenTelemetry name where there is one. A field that is present *when known* may be \
         absent; docs/rules.md says what a condition makes of that. The fields of the dump and of its origin are absent \
         on host events only, unless their line says more.\n",
    );
    let mut current = "";
    for field in fields::all() {
        if group(field) != current {
            current = group(field);
            write!(
                page,
                "\n## {current}\n\n| name | type | present | NDJSON | OTLP | what it is |\n|---|---|---|---|---|---|\n"
            )
            .unwrap();
        }
        page.push_str(&row(field));
    }
    page
}

#[test]
fn fields_md_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fields.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/fields.md is out of date: UPDATE_DOCS=1 cargo test -p sensor-user --test docs");
}

/// Every rule that is shipped is described, and every field that the reference names exists.
#[test]
fn rules_md_knows_the_rules_and_names_real_fields() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md")).unwrap();
    for rule in sensor_user::rules::embedded().ruleset.rules() {
        assert!(text.contains(&format!("`{}`", rule.id)), "{} is not described", rule.id);
    }
    let groups = ["dump", "origin", "from", "to", "step", "process", "user", "k8s", "destination"];
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
    for word in words.map(|w| w.trim_end_matches('.')) {
        let field = word.split_once('.').is_some_and(|(group, _)| groups.contains(&group));
        let prefix = fields::all().iter().any(|f| f.name == word || f.name.starts_with(&format!("{word}.")));
        assert!(!field || prefix || word.ends_with(".service"), "{word} is no field");
    }
}

/// What rules may name and no step has is said where people look.
#[test]
fn kinds_that_are_not_made_are_told() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let not_yet = readme.split_once("\nNot yet: ").unwrap().1;
    for kind in StepKind::NOT_YET {
        let name = format!("`{kind}`");
        assert!(not_yet.contains(&name) && fields::find("step.kind").unwrap().doc.contains(&name), "{name}");
    }
}

/// Every cause by which the kernel side or the journal loses something says what is missed then.
#[test]
fn threat_model_md_knows_the_causes_of_loss() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/threat-model.md")).unwrap();
    let own = journal::CAUSES.iter().copied().chain([Gap::AGENT_KILLED]);
    for cause in sensor_abi::fault::Fault::ALL.iter().map(|fault| fault.name()).chain(own) {
        assert!(text.contains(&format!("`{cause}`")), "{cause} is not described");
    }
}
