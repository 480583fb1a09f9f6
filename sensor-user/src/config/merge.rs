//! Several files make one configuration: lists append, ids are unique per kind, a scalar is set once; and what one line
//! names, another must define.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Config, Privacy,
    diagnostic::{listed, meant},
    read::{Errors, Table, boolean, one_of},
    schema::{self, Arming, CommandLine, Enforcement},
    spans::{At, Node, Text, Value},
};

/// Every top-level key, in the order in which it is hashed.
const KEYS: &[&str] = &[
    "host_zone",
    "arming",
    "enforcement",
    "shipped_rules",
    "privacy",
    "dumps",
    "zones",
    "relays",
    "trusted",
    "rules",
    "overrides",
];

/// Reads `trees` into one configuration.
#[derive(Default)]
pub(super) struct Merger {
    config: Config,
    shipped_rules: Option<bool>,
    set: BTreeMap<&'static str, At>,
    /// Some file has a key `zones`, or one that looks like it.
    declares_zones: bool,
}

impl Merger {
    /// Takes in one file.
    pub(super) fn add(&mut self, tree: &Node, errors: &mut Errors) {
        let Some(mut table) = Table::open(tree, "configuration", errors) else { return };
        self.declares_zones |= table.entries().iter().any(|(k, _)| meant(&k.name, ["zones"]).is_some());
        if let Some(version) = table.need("version", errors) {
            known_version(version, errors);
        }
        self.scalars(&mut table, errors);
        let c = &mut self.config;
        c.zones.extend(table.take_list("zones", errors, schema::zone));
        c.relays.extend(table.take_list("relays", errors, schema::relay));
        c.trusted.extend(table.take_list("trusted", errors, schema::trusted));
        c.rules.extend(table.take_list("rules", errors, schema::rule));
        c.overrides.extend(table.take_list("overrides", errors, schema::override_));
        c.tests.extend(table.take_list("tests", errors, schema::test));
        table.close(errors);
    }

    fn scalars(&mut self, table: &mut Table<'_>, errors: &mut Errors) {
        if let Some(node) = self.once(table, "host_zone", errors) {
            self.config.host_zone = super::read::text(node, errors);
        }
        if let Some(node) = self.once(table, "arming", errors) {
            let find = |n: &str| [("auto", Arming::Auto), ("always", Arming::Always)].into_iter().find(|x| x.0 == n);
            self.config.arming = one_of(node, &["auto", "always"], find, errors).map(|x| x.1).unwrap_or_default();
        }
        if let Some(node) = self.once(table, "enforcement", errors) {
            let names = [("observe", Enforcement::Observe), ("enforce", Enforcement::Enforce)];
            let find = |n: &str| names.into_iter().find(|x| x.0 == n).map(|x| x.1);
            self.config.enforcement = one_of(node, &["observe", "enforce"], find, errors).unwrap_or_default();
        }
        if let Some(node) = self.once(table, "shipped_rules", errors) {
            self.shipped_rules = boolean(node, errors);
        }
        if let Some(node) = self.once(table, "privacy", errors) {
            self.config.privacy = privacy(node, errors);
        }
        if let Some(mut dumps) = table.take("dumps").and_then(|n| Table::open(n, "dumps", errors)) {
            let folder = |n: &Node, e: &mut Errors| schema::absolute(super::read::text(n, e), e);
            self.config.dump_folders.extend(dumps.take_list("folders", errors, folder));
            dumps.close(errors);
        }
    }

    /// The value of a key that only one file may set.
    fn once<'a>(&mut self, table: &mut Table<'a>, key: &'static str, errors: &mut Errors) -> Option<&'a Node> {
        let node = table.take(key)?;
        if let Some(first) = self.set.get(key) {
            let found = node.at.error(format!("`{key}` is set twice"));
            errors.push(found.hint(format!("it is already set at {}", first.line_name())));
        }
        self.set.insert(key, node.at.clone());
        Some(node)
    }

    /// True when the embedded zones are to be taken. Where files are broken that would only add errors that are none,
    /// unless it is certain that they were to have no zones of their own: all were `parsed`.
    pub(super) fn wants_default_zones(&self, broken: bool, parsed: bool) -> bool {
        self.config.zones.is_empty() && (!broken || parsed && !self.declares_zones)
    }

    /// Takes the embedded zones; a `host_zone` that was set stays.
    pub(super) fn add_default_zones(&mut self, tree: &Node, errors: &mut Errors) {
        let mut defaults = Self::default();
        defaults.add(tree, errors);
        self.config.host_zone = self.config.host_zone.take().or(defaults.config.host_zone);
        self.config.zones = defaults.config.zones;
        self.config.default_zones = true;
    }

    /// True unless the configuration declines the shipped rules.
    pub(super) fn wants_shipped_rules(&self) -> bool {
        self.shipped_rules.unwrap_or(true)
    }

    /// Takes a shipped file. A rule of the configuration with the id of a shipped one takes its place; that is said, unless it
    /// repeats it word for word.
    pub(super) fn add_shipped(&mut self, tree: &Node, errors: &mut Errors) {
        let mut shipped = Self::default();
        shipped.add(tree, errors);
        let mut is_free = |rule: &schema::RuleDef| {
            let Some(own) = self.config.rules.iter().find(|own| own.id.value == rule.id.value) else { return true };
            if own.content != rule.content {
                let found =
                    own.id.at.error(format!("`{}` takes the place of the shipped rule of that name", own.id.value));
                errors.push(found.hint("give it another id to have both").warning());
            }
            false
        };
        let rules: Vec<_> = shipped.config.rules.into_iter().filter(|rule| is_free(rule)).collect();
        self.config.rules.extend(rules);
    }

    /// Checks what spans files, and gives the configuration its hash.
    pub(super) fn finish(mut self, trees: &[Node], errors: &mut Errors) -> Config {
        self.config.hash = digest(trees);
        check_zones(&self.config, errors);
        check_rules(&self.config, errors);
        self.config
    }
}

fn known_version(node: &Node, errors: &mut Errors) {
    if node.value != Value::Int(1) {
        errors.push(node.at.error("not a version that this program knows").hint("write `version: 1`"));
    }
}

fn privacy(node: &Node, errors: &mut Errors) -> Privacy {
    let Some(mut table) = Table::open(node, "privacy", errors) else { return Privacy::default() };
    let names = [("none", CommandLine::None), ("masked", CommandLine::Masked), ("full", CommandLine::Full)];
    let find = |n: &str| names.into_iter().find(|x| x.0 == n).map(|x| x.1);
    let line = table.take("command_line").and_then(|n| one_of(n, &["none", "masked", "full"], find, errors));
    table.close(errors);
    Privacy { command_line: line.unwrap_or_default() }
}

/// BLAKE3 over the content: key by key, file by file, item by item; tests do not count.
fn digest(trees: &[Node]) -> Arc<str> {
    let mut hasher = blake3::Hasher::new();
    for key in KEYS {
        hasher.update(key.as_bytes());
        for tree in trees {
            let Value::Map(entries) = &tree.value else { continue };
            match entries.iter().find(|(k, _)| *k.name == **key).map(|(_, n)| n) {
                Some(Node { value: Value::List(items), .. }) => items.iter().for_each(|i| i.digest(&mut hasher)),
                Some(node) => node.digest(&mut hasher),
                None => {}
            }
        }
    }
    hasher.finalize().to_hex().as_str().into()
}

/// Notes every id that an earlier item has.
fn unique<'a>(what: &str, hint: &str, ids: impl IntoIterator<Item = &'a Text>, errors: &mut Errors) {
    let mut seen: BTreeMap<&str, &At> = BTreeMap::new();
    for id in ids {
        if let Some(first) = seen.get(&*id.value) {
            let found = id.at.error(format!("duplicate {what} `{}`", id.value));
            errors.push(found.hint(format!("the first is at {}; {hint}", first.line_name())));
        } else {
            seen.insert(&id.value, &id.at);
        }
    }
}

/// Notes a name that nothing defines.
fn defined(what: &str, name: &Text, known: &[&str], errors: &mut Errors) {
    if errors.is_full() || known.contains(&&*name.value) {
        return;
    }
    let hint = match meant(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("no {what} is defined at all"),
        None => format!("defined are: {}", listed(known)),
    };
    errors.push(name.at.error(format!("undefined {what} `{}`", name.value)).hint(hint));
}

fn check_zones(config: &Config, errors: &mut Errors) {
    unique("zone", "give it another name", config.zones.iter().map(|z| &z.name), errors);
    let names: Vec<&str> = config.zones.iter().map(|z| &*z.name.value).collect();
    // Without any zone the zones are what broke, and that was noted.
    let used = config.host_zone.iter().chain(config.relays.iter().map(|r| &r.reaches));
    for name in used.filter(|_| !names.is_empty()) {
        defined("zone", name, &names, errors);
    }
    one_zone_each(config, errors);
    if config.host_zone.is_none()
        && let Some(zone) = config.zones.first()
    {
        let found = zone.name.at.error("zones, but no `host_zone`: processes that no workload matches are `unknown`");
        errors.push(found.hint(format!("set `host_zone:` to one of: {}", listed(&names))).warning());
    }
}

/// The same prefix, workload or mount in two zones is a tie that nobody can break.
fn one_zone_each(config: &Config, errors: &mut Errors) {
    let mut seen: BTreeMap<String, (&str, &At)> = BTreeMap::new();
    for zone in &config.zones {
        let networks = zone
            .networks
            .iter()
            .flat_map(|n| n.parts().into_iter().map(move |part| (format!("network {part}"), &n.at)));
        let workloads = zone.workloads.iter().map(|w| (format!("workload {}", w.canonical()), &w.at));
        let mounts = zone.mounts.iter().map(|m| (format!("mount {}", m.canonical()), m.at()));
        for (what, at) in networks.chain(workloads).chain(mounts) {
            let (first, place) = *seen.entry(what.clone()).or_insert((&*zone.name.value, at));
            if first != &*zone.name.value {
                let kind = what.split(' ').next().unwrap_or_default();
                let found = at.error(format!("this {kind} is also in zone `{first}`"));
                errors.push(found.hint(format!("see {}; keep one of the two", place.line_name())));
            }
        }
    }
}

fn check_rules(config: &Config, errors: &mut Errors) {
    unique("rule id", "give it another id", config.rules.iter().map(|r| &r.id), errors);
    unique("override for rule", "keep one of the two", config.overrides.iter().map(|o| &o.rule), errors);
    let names: Vec<&str> = config.rules.iter().map(|r| &*r.id.value).collect();
    for name in config.overrides.iter().map(|o| &o.rule).chain(config.tests.iter().map(|t| &t.rule)) {
        defined("rule", name, &names, errors);
    }
    for rule in &config.rules {
        unique("exception id", "give it another id", rule.exceptions.iter().map(|e| &e.id), errors);
    }
}
