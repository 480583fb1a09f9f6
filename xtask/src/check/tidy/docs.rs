//! Public modules say what they are; exceptions say why they are.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Finding, Source};
use crate::cmd;

/// Public modules with neither a doc comment here nor one at the top of their file.
pub(super) fn public_modules(source: &Source) -> Vec<Finding> {
    let modules = source.ast.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if !matches!(module.vis, syn::Visibility::Inherited) => Some(module),
        _ => None,
    });
    let silent = modules.filter(|module| !documented(&module.attrs) && !documented_inside(source, module));
    silent.map(|module| Finding::at(module.span(), format!("`mod {}`", module.ident))).collect()
}

fn documented(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("doc"))
}

fn documented_inside(source: &Source, module: &syn::ItemMod) -> bool {
    if module.content.is_some() {
        return false;
    }
    let folder = match source.path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main") | None => source.path.with_file_name(""),
        Some(_) => source.path.with_extension(""),
    };
    let file = cmd::root().join(folder).join(format!("{}.rs", module.ident));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    syn::parse_file(&text).is_ok_and(|file| documented(&file.attrs))
}

/// `#[allow(..)]`, also inside `cfg_attr`.
pub(super) fn allowances(source: &Source) -> Vec<Finding> {
    let mut visitor = Allowances(Vec::new());
    visitor.visit_file(&source.ast);
    visitor.0
}

struct Allowances(Vec<Finding>);

impl<'ast> Visit<'ast> for Allowances {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let conditional = attribute.path().is_ident("cfg_attr")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains(", allow ("));
        if attribute.path().is_ident("allow") || conditional {
            self.0.push(Finding::at(attribute.span(), "`allow`"));
        }
        visit::visit_attribute(self, attribute);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn a_silent_public_module_is_found() {
        let text = "/// Says it.\npub mod a {}\npub mod b {}\nmod c {}\npub(crate) mod d {}\n";
        assert_eq!(lines(public_modules, "sensor-user/src/x.rs", text), [3, 5]);
    }

    #[test]
    fn a_module_may_say_it_in_its_own_file() {
        assert_eq!(lines(public_modules, "sensor-abi/src/lib.rs", "pub mod flow;\npub mod absent;\n"), [2]);
    }

    #[test]
    fn an_allowance_is_found_in_every_form() {
        let text = "#![allow(dead_code)]\n#[allow(unused)]\nfn f() {}\n#[cfg_attr(test, allow(unused))]\nfn g() {}\n\
                    #[expect(unused, reason = \"r\")]\nfn h() {}\n";
        assert_eq!(lines(allowances, "sensor-user/src/x.rs", text), [1, 2, 4]);
    }
}
