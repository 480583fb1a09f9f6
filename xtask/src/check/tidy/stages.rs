//! Data flows one way, so modules import one way.

use syn::visit::{self, Visit};

use super::{Finding, Source, test_only};

/// The modules of `sensor-user`, earliest first; those of one row may import each other. A new module gets its place here.
const RANKS: &[&[&str]] = &[
    &["bell", "clock", "sys", "units"],
    &["alert", "fields", "step"], // the currency of all stages
    &["probe"],
    &["event"],
    &["decode"],
    &["ring"], // hands out events, so it calls the decoder
    &["config"],
    &["enrich"],
    &["zones"],
    &["host"], // what zones ask of the running host
    &["dump"],
    &["trail"],
    &["rules"],
    &["core"],
    &["otlp", "ndjson"],
    &["journal"],
    &["sinks"],
    &["telemetry"],
    &["report"],
    &["app"], // these two know the wiring; the command line starts the agent, never the other way
    &["cli"],
];

/// These are no stage.
const FREE: [&str; 3] = ["lib", "main", "samples"];

/// Imports of a later stage.
pub(super) fn imports(source: &Source) -> Vec<Finding> {
    let Some(stage) = stage(source) else { return Vec::new() };
    let Some(rank) = rank(&stage) else {
        return vec![Finding { line: 1, what: format!("`{stage}` has no place in tidy's table of stages") }];
    };
    let top = source.below("sensor-user/src").is_some_and(|path| path.components().count() == 1);
    let mut visitor = Imports { rank, top, findings: Vec::new() };
    visitor.visit_file(&source.ast);
    visitor.findings
}

/// The first component below `src`, without `.rs`.
fn stage(source: &Source) -> Option<String> {
    let first = source.below("sensor-user/src")?.components().next()?.as_os_str().to_str()?;
    let stage = first.trim_end_matches(".rs");
    (!FREE.contains(&stage)).then(|| stage.to_owned())
}

fn rank(stage: &str) -> Option<usize> {
    RANKS.iter().position(|row| row.contains(&stage))
}

struct Imports {
    rank: usize,
    /// The file lies in `src` itself: its `super` is the crate.
    top: bool,
    findings: Vec<Finding>,
}

impl Imports {
    fn is_root(&self, name: &syn::Ident) -> bool {
        name == "crate" || self.top && name == "super"
    }

    fn note(&mut self, name: &syn::Ident) {
        if rank(&name.to_string()).is_some_and(|rank| rank > self.rank) {
            self.findings.push(Finding::at(name.span(), format!("imports `{name}`")));
        }
    }

    fn note_tree(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => self.note(&path.ident),
            syn::UseTree::Name(name) => self.note(&name.ident),
            syn::UseTree::Rename(rename) => self.note(&rename.ident),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(tree)),
            syn::UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if let syn::UseTree::Path(path) = &item.tree
            && self.is_root(&path.ident)
        {
            self.note_tree(&path.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names = path.segments.iter().map(|segment| &segment.ident);
        if let (Some(first), Some(second)) = (names.next(), names.next())
            && self.is_root(first)
        {
            self.note(second);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        // In a module's body `super` is this file, not the crate.
        if !test_only(&module.attrs) {
            let top = std::mem::replace(&mut self.top, false);
            visit::visit_item_mod(self, module);
            self.top = top;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn an_import_of_a_later_stage_is_found_in_every_form() {
        let text = "use crate::rules::Rule;\nuse crate::{step, sinks as out};\nfn f() { crate::app::go(); }\n\
                    use super::journal;\n";
        assert_eq!(lines(imports, "sensor-user/src/zones.rs", text), [1, 2, 3, 4]);
    }

    #[test]
    fn earlier_stages_tests_and_the_wiring_are_free() {
        let text = "use crate::step::Step;\n#[cfg(test)]\nmod tests { use crate::rules::Rule; }\n";
        assert_eq!(lines(imports, "sensor-user/src/zones/select.rs", text), [0_usize; 0]);
        assert_eq!(lines(imports, "sensor-user/src/app.rs", "use crate::rules::Rule;\nuse crate::cli::run;"), [2]);
        assert_eq!(lines(imports, "sensor-user/src/zones/select.rs", "use super::rules::Own;"), [0_usize; 0]);
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        assert_eq!(lines(imports, "sensor-user/src/novelty.rs", ""), [1]);
    }
}
