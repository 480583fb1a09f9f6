//! The list of dumps: one line each, oldest first.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Trail, time_text, tree::Paint};
use crate::{enrich::mask::escape, units};

const TITLES: [&str; 7] = ["DUMP", "KIND", "SIZE", "BORN", "ORIGIN", "CROSSINGS", "ALERTS"];

/// Writes the list. `colour`: the reader is a terminal.
pub fn text(trails: &[Trail], colour: bool) -> String {
    if trails.is_empty() {
        return "no dumps are known\n".to_owned();
    }
    let rows: Vec<_> = trails.iter().map(cells).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|r| r[column].chars().count());
        cells.chain([TITLES[column].len()]).max().unwrap_or_default()
    });
    let paint = Paint(colour);
    let mut out = paint.dim(&line(&TITLES.map(ToOwned::to_owned), &widths)) + "\n";
    for (trail, row) in trails.iter().zip(&rows) {
        let text = line(row, &widths);
        let shown = if trail.worst().is_some() { paint.severity(trail.worst(), &text) } else { text };
        let _ = writeln!(out, "{shown}");
    }
    out
}

fn cells(trail: &Trail) -> [String; 7] {
    let open = trail.alerts.iter().filter(|a| !a.superseded).count();
    let alerts = trail.worst().map_or_else(|| "-".to_owned(), |worst| format!("{open} ({worst})"));
    [
        escape(&trail.dump.id),
        escape(&trail.dump.kind),
        trail.dump.size.map_or_else(|| "-".to_owned(), units::bytes),
        time_text(&trail.dump.created),
        escape(&trail.origin.zone),
        trail.crossings().to_string(),
        alerts,
    ]
}

fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// The list as JSON: an array of `{dump, origin, steps, crossings, alerts, worst}`.
pub fn json(trails: &[Trail]) -> Value {
    let one = |t: &Trail| {
        let alerts = t.alerts.iter().filter(|a| !a.superseded).count();
        let worst = t.worst().map(crate::step::Severity::name);
        json!({
            "dump": t.dump, "origin": t.origin, "steps": t.edges.len(), "crossings": t.crossings(),
            "alerts": alerts, "worst": worst,
        })
    };
    trails.iter().map(one).collect()
}
