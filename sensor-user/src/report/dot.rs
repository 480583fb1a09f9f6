//! A trail for Graphviz: zones as boxes, crossings in red.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Node, Trail};
use crate::{enrich::mask::escape, units};

/// Writes the graph in the dot language.
pub fn text(trail: &Trail) -> String {
    let mut out = format!("digraph {} {{\n", quote(&trail.dump.id));
    out.push_str("  rankdir=LR;\n  node [fontname=\"sans-serif\", style=filled, fillcolor=white];\n");
    out.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (place, (zone, nodes)) in by_zone(trail).into_iter().enumerate() {
        let exposure = nodes.first().map(|(_, n)| n.exposure.as_str()).unwrap_or_default();
        let label = quote(&format!("{zone} ({exposure})"));
        let fill = colour(exposure);
        let _ = writeln!(out, "  subgraph cluster_{place} {{\n    label={label}; style=filled; fillcolor=\"{fill}\";");
        for (index, node) in nodes {
            let _ = writeln!(out, "    n{index} [label={}, shape={}];", quote(&node.name), shape(node));
        }
        out.push_str("  }\n");
    }
    edges(trail, &mut out);
    out.push_str("}\n");
    out
}

fn edges(trail: &Trail, out: &mut String) {
    for edge in &trail.edges {
        let mut label = format!("{} {}", edge.kind, edge.via);
        if let Some(address) = edge.destination.as_ref().filter(|a| **a != trail.nodes[edge.to].name) {
            label.extend(["\n", address]);
        }
        if edge.bytes > 0 {
            label.extend(["\n", &units::bytes(edge.bytes)]);
        }
        let said = edge.alerts.iter().filter_map(|a| trail.alerts.get(*a)).filter(|a| !a.superseded);
        said.for_each(|a| label.extend(["\n▲ ", &a.severity, " ", &a.rule]));
        let crossing = if edge.crossing { ", color=red, fontcolor=red, penwidth=2" } else { "" };
        let _ = writeln!(out, "  n{} -> n{} [label={}{crossing}];", edge.from, edge.to, quote(&label));
    }
}

fn by_zone(trail: &Trail) -> BTreeMap<&str, Vec<(usize, &Node)>> {
    let mut zones: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (index, node) in trail.nodes.iter().enumerate() {
        zones.entry(&node.zone).or_default().push((index, node));
    }
    zones
}

fn colour(exposure: &str) -> &'static str {
    match exposure {
        "isolated" => "#e5f5e0",
        "internal" => "#fff7bc",
        "internet-facing" => "#fee0d2",
        _ => "#eeeeee",
    }
}

/// Files are notes, processes ellipses, all else boxes; told by the name, which has one form for each.
fn shape(node: &Node) -> &'static str {
    match node.name.as_str() {
        name if name.starts_with('/') => "note",
        name if name.ends_with(']') && !name.contains(':') => "ellipse",
        _ => "box",
    }
}

/// A quoted dot string; line breaks stay, other control characters do not.
fn quote(text: &str) -> String {
    let lines = text.lines().map(|l| escape(l).replace('\\', "\\\\").replace('"', "\\\""));
    format!("\"{}\"", lines.collect::<Vec<_>>().join("\\n"))
}
