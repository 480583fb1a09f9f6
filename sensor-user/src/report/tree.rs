//! A trail as a tree that a person reads: from the birth downwards, one line a movement, crossings and alerts where
//! they happened.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    fmt::Write as _,
};

use super::{Alert, Edge, Trail, time_text};
use crate::{enrich::mask::escape, step::Severity, units};

/// Deepest indentation; what goes on is continued at the left edge, so that no trail grows too wide.
const MAX_DEPTH: usize = 20;
/// Widest first column that the others are aligned to.
const MAX_NAME: usize = 56;

/// Most addresses that are named with a process.
const MAX_ADDRESSES: usize = 3;

/// Writes the tree. `colour`: the reader is a terminal.
pub fn text(trail: &Trail, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = header(trail, paint);
    let rows = Writer::of(trail);
    let widths = Widths::of(&rows);
    for row in &rows {
        out.push_str(&row.render(&widths, paint));
    }
    for gap in &trail.gaps {
        let from = time_text(&gap.from);
        let text = format!("! lost between {from} and {}: {} × {}", time_text(&gap.to), gap.count, escape(&gap.cause));
        let _ = writeln!(out, "{}", paint.yellow(&text));
    }
    out
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn code(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
    pub(super) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }
    pub(super) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }
    fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }
    fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }
    pub(super) fn severity(self, severity: Option<Severity>, text: &str) -> String {
        match severity {
            Some(Severity::Critical | Severity::High) => self.red(text),
            Some(Severity::Medium) => self.yellow(text),
            _ => self.bold(text),
        }
    }
}

fn header(trail: &Trail, paint: Paint) -> String {
    let (dump, origin) = (&trail.dump, &trail.origin);
    let size = dump.size.map(|s| format!(", {}", units::bytes(s))).unwrap_or_default();
    let mut out = format!("{} {} ({}{size})\n", paint.bold("dump"), paint.bold(&escape(&dump.id)), escape(&dump.kind));
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {} {text}", paint.dim(&format!("{name:<8}")));
    };
    if let Some(content) = &dump.content {
        line("content", escape(content));
    }
    let how = if origin.inferred { " (inferred)" } else { "" };
    let zone = format!("{} ({})", escape(&origin.zone), escape(&origin.exposure));
    line("born", format!("{} in {zone} on {}{how}", time_text(&dump.created), escape(&origin.host)));
    if let Some(who) = victim(trail) {
        line("of", who);
    }
    line("seen", seen(trail, paint));
    out.push('\n');
    out
}

/// Whose memory it is.
fn victim(trail: &Trail) -> Option<String> {
    let word = |key: &str| trail.origin.who.get(key).and_then(|v| v.as_str()).map(escape);
    let pid = trail.origin.who.get("process.pid").and_then(serde_json::Value::as_u64)?;
    let mut who = format!("{}[{pid}]", word("process.command").unwrap_or_default());
    let container = word("container.id").map(|c| format!("container {c:.12}"));
    let pod = word("k8s.namespace.name").zip(word("k8s.pod.name")).map(|(space, pod)| format!("pod {space}/{pod}"));
    for part in [word("process.executable.path"), container, pod].into_iter().flatten() {
        who.extend([" ", &part]);
    }
    Some(who)
}

fn seen(trail: &Trail, paint: Paint) -> String {
    let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let crossings = count(trail.crossings(), "crossing");
    let crossings = if trail.crossings() > 0 { paint.red(&crossings) } else { crossings };
    let open = trail.alerts.iter().filter(|a| !a.superseded).count();
    let mut parts = vec![count(trail.edges.len(), "movement"), crossings, count(open, "alert")];
    parts.extend(trail.worst().map(|w| format!("worst {}", paint.severity(Some(w), w.name()))));
    parts.join(", ")
}

/// One line of the tree, and the lines that belong to it.
#[derive(Debug, Default)]
struct Row {
    branch: String,
    name: String,
    what: String,
    bytes: String,
    when: String,
    zone: String,
    crossing: bool,
    /// Below the line: indentation, text, severity of an alert.
    notes: Vec<(String, String, Option<Severity>)>,
}

#[derive(Debug, Default)]
struct Widths {
    name: usize,
    what: usize,
    bytes: usize,
    when: usize,
}

impl Widths {
    fn of(rows: &[Row]) -> Self {
        let widest = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or_default();
        Self {
            name: widest(&|r| Some(width(&r.branch) + width(&r.name)).filter(|w| *w <= MAX_NAME).unwrap_or_default()),
            what: widest(&|r| width(&r.what)),
            bytes: widest(&|r| width(&r.bytes)),
            when: widest(&|r| width(&r.when)),
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

impl Row {
    fn render(&self, widths: &Widths, paint: Paint) -> String {
        let used = width(&self.branch) + width(&self.name);
        let gap = " ".repeat(widths.name.saturating_sub(used));
        let columns = format!(
            "{:<what$}  {:>bytes$}  {:>when$}",
            self.what,
            self.bytes,
            self.when,
            what = widths.what,
            bytes = widths.bytes,
            when = widths.when
        );
        let zone = if self.crossing { paint.red(&format!("{}  CROSSING", self.zone)) } else { self.zone.clone() };
        let line = format!("{}{}{gap}  {columns}  {zone}", paint.dim(&self.branch), paint.bold(&self.name));
        let mut out = line.trim_end().to_owned() + "\n";
        for (indent, text, severity) in &self.notes {
            let text = if severity.is_some() { paint.severity(*severity, text) } else { paint.dim(text) };
            let _ = writeln!(out, "{}{text}", paint.dim(indent));
        }
        out
    }
}

/// All movements from one node to another: one line.
struct Group<'a> {
    to: usize,
    edges: Vec<&'a Edge>,
}

/// Makes the rows: depth first, each node opened once.
struct Writer<'a> {
    trail: &'a Trail,
    groups: Vec<Vec<Group<'a>>>,
    opened: HashSet<usize>,
    later: VecDeque<usize>,
    rows: Vec<Row>,
}

/// What is still to be written: a group below a node.
struct Todo {
    from: usize,
    group: usize,
    indent: String,
    depth: usize,
}

impl<'a> Writer<'a> {
    fn of(trail: &'a Trail) -> Vec<Row> {
        let mut rows =
            Self { trail, groups: groups(trail), opened: HashSet::new(), later: VecDeque::new(), rows: Vec::new() };
        for root in roots(trail) {
            rows.root(root, "");
            while let Some(next) = rows.later.pop_front() {
                rows.root(next, "⋯ ");
            }
        }
        rows.rows
    }

    fn root(&mut self, node: usize, mark: &str) {
        if mark.is_empty() && self.opened.contains(&node) {
            return;
        }
        let name = escape(&self.trail.nodes[node].name);
        let zone = escape(&self.trail.nodes[node].zone);
        self.rows.push(Row { branch: mark.to_owned(), name, zone, ..Row::default() });
        if mark.is_empty() {
            self.command(node, "│  ");
        }
        let mut todo = self.open(node, "", 0);
        while let Some(next) = todo.pop() {
            todo.extend(self.child(&next));
        }
    }

    /// The groups below a node, last first, so that the first is popped first.
    fn open(&mut self, node: usize, indent: &str, depth: usize) -> Vec<Todo> {
        self.opened.insert(node);
        let all = 0..self.groups[node].len();
        all.rev().map(|group| Todo { from: node, group, indent: indent.to_owned(), depth }).collect()
    }

    fn child(&mut self, todo: &Todo) -> Vec<Todo> {
        let last = todo.group + 1 == self.groups[todo.from].len();
        let group = &self.groups[todo.from][todo.group];
        let (to, mut row) = (group.to, group.row(self.trail));
        row.branch = format!("{}{}", todo.indent, if last { "└─ " } else { "├─ " });
        let below = format!("{}{}", todo.indent, if last { "   " } else { "│  " });
        let has_more = !self.groups[to].is_empty();
        let notes_indent = format!("{below}{}", if has_more { "│  " } else { "   " });
        let alerts = group.alerts(self.trail);
        row.notes = alerts.into_iter().map(|(text, severity)| (notes_indent.clone(), text, Some(severity))).collect();
        let again = self.opened.contains(&to) && has_more;
        let deep = has_more && !again && todo.depth + 1 >= MAX_DEPTH;
        row.name += if again {
            "  ↑ see above"
        } else if deep {
            "  ⋯ goes on below"
        } else {
            ""
        };
        self.rows.push(row);
        if again || self.opened.contains(&to) {
            return Vec::new();
        }
        self.command(to, &notes_indent);
        if deep {
            self.opened.insert(to);
            self.later.push_back(to);
            return Vec::new();
        }
        self.open(to, &below, todo.depth + 1)
    }

    /// The command line of a process, below the line where it first appears, before the alerts.
    fn command(&mut self, node: usize, indent: &str) {
        let node = &self.trail.nodes[node];
        let user = node.user.as_ref().map(|u| format!("{}: ", escape(u))).unwrap_or_default();
        if let (Some(line), Some(row)) = (&node.command_line, self.rows.last_mut()) {
            row.notes.insert(0, (indent.to_owned(), format!("{user}{}", escape(line)), None));
        }
    }
}

fn groups(trail: &Trail) -> Vec<Vec<Group<'_>>> {
    let mut by_pair: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut groups: Vec<Vec<Group<'_>>> = trail.nodes.iter().map(|_| Vec::new()).collect();
    for edge in &trail.edges {
        let below = &mut groups[edge.from];
        let place = *by_pair.entry((edge.from, edge.to)).or_insert_with(|| {
            below.push(Group { to: edge.to, edges: Vec::new() });
            below.len() - 1
        });
        below[place].edges.push(edge);
    }
    groups
}

/// Where to begin: what nothing led to, by time; then, for loops without a beginning, whatever came first.
fn roots(trail: &Trail) -> Vec<usize> {
    let led_to: HashSet<usize> = trail.edges.iter().filter(|e| e.from != e.to).map(|e| e.to).collect();
    let sources = || trail.edges.iter().map(|e| e.from);
    sources().filter(|n| !led_to.contains(n)).chain(sources()).collect()
}

impl Group<'_> {
    fn row(&self, trail: &Trail) -> Row {
        let mut kinds: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        for edge in &self.edges {
            let (count, bytes) = kinds.entry(&edge.kind).or_default();
            *count += 1;
            *bytes = bytes.saturating_add(edge.bytes);
        }
        let bytes = kinds.values().map(|(_, bytes)| *bytes).max().unwrap_or_default();
        let crossing = self.edges.iter().find(|e| e.crossing);
        let zone = match crossing {
            Some(edge) => format!("{} ══▶ {}", escape(&edge.from_zone), escape(&edge.to_zone)),
            None => escape(&trail.nodes[self.to].zone),
        };
        Row {
            name: self.name(trail),
            what: self.what(&kinds),
            bytes: if bytes > 0 { units::bytes(bytes) } else { String::new() },
            when: self
                .edges
                .iter()
                .map(|e| &e.started)
                .min()
                .map_or_else(String::new, |s| offset(&trail.dump.created, s)),
            zone,
            crossing: crossing.is_some(),
            ..Row::default()
        }
    }

    /// The sink; of a process that took bytes from the network also where it took them.
    fn name(&self, trail: &Trail) -> String {
        let name = &trail.nodes[self.to].name;
        let sent_to = self.edges.iter().filter_map(|e| e.destination.as_deref());
        let addresses: BTreeSet<&str> = sent_to.filter(|a| a != name).collect();
        let shown: Vec<&str> = addresses.iter().take(MAX_ADDRESSES).copied().collect();
        let more = if addresses.len() > shown.len() { ", …" } else { "" };
        escape(&if shown.is_empty() { name.clone() } else { format!("{name} ({}{more})", shown.join(", ")) })
    }

    /// `opened, read file`, `sent ×3 tcp`, in the order of time; what is not certain says so.
    fn what(&self, kinds: &BTreeMap<&str, (usize, u64)>) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut means: Vec<&str> = Vec::new();
        for edge in &self.edges {
            let count = kinds[edge.kind.as_str()].0;
            let word = if count > 1 { format!("{} ×{count}", edge.kind) } else { edge.kind.clone() };
            if !words.contains(&word) {
                words.push(word);
            }
            if !means.contains(&edge.via.as_str()) {
                means.push(&edge.via);
            }
        }
        let sure = self.edges.iter().any(|e| e.confidence == "direct" || e.confidence.is_empty());
        let doubt = if sure { String::new() } else { format!(" ({})", self.edges[0].confidence) };
        escape(&format!("{} {}{doubt}", words.join(", "), means.join(", ")))
    }

    fn alerts(&self, trail: &Trail) -> Vec<(String, Severity)> {
        let all = self.edges.iter().flat_map(|e| &e.alerts).filter_map(|a| trail.alerts.get(*a));
        all.filter(|a| !a.superseded).map(|a| (alert_text(a), a.rank().unwrap_or(Severity::Info))).collect()
    }
}

fn alert_text(alert: &Alert) -> String {
    format!("▲ {} {}: {}", escape(&alert.severity).to_uppercase(), escape(&alert.rule), escape(&alert.summary))
}

/// Time since the birth: `+0.004s`, `+1m36s`, `+3d04h`; empty when either is no time.
fn offset(created: &str, at: &str) -> String {
    let (Ok(created), Ok(at)) = (created.parse::<jiff::Timestamp>(), at.parse::<jiff::Timestamp>()) else {
        return String::new();
    };
    let ns = at.as_nanosecond() - created.as_nanosecond();
    let sign = if ns < 0 { '-' } else { '+' };
    let (ms, seconds) = (ns.unsigned_abs() / 1_000_000, ns.unsigned_abs() / 1_000_000_000);
    match seconds {
        0..60 => format!("{sign}{seconds}.{:03}s", ms % 1000),
        60..3600 => format!("{sign}{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{sign}{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{sign}{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}
