//! What keeps the in-kernel programs readable: hooks adapt, the engine decides, `kernel/**` reads.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Finding, Source};

const HOOKS: &str = "sensor-ebpf/src/hooks";
/// The table of system calls: its few branches read the table's rows.
const TABLE: &str = "syscalls.rs";

/// `if` and `match` in hooks.
pub(super) fn branches(source: &Source) -> Vec<Finding> {
    if source.below(HOOKS).is_none_or(|path| path.ends_with(TABLE)) {
        return Vec::new();
    }
    let mut visitor = Branches(Vec::new());
    visitor.visit_file(&source.ast);
    visitor.0
}

struct Branches(Vec<Finding>);

impl<'ast> Visit<'ast> for Branches {
    fn visit_expr_if(&mut self, expression: &'ast syn::ExprIf) {
        self.0.push(Finding::at(expression.if_token.span, "`if`"));
        visit::visit_expr_if(self, expression);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        self.0.push(Finding::at(expression.match_token.span, "`match`"));
        visit::visit_expr_match(self, expression);
    }
}

/// Names of `maps` in hooks.
pub(super) fn maps(source: &Source) -> Vec<Finding> {
    if source.below(HOOKS).is_none() {
        return Vec::new();
    }
    names(source, |name| name == "maps")
}

/// Reads of kernel memory outside `kernel/**`. Reads of user memory are no business of this rule.
pub(super) fn reads(source: &Source) -> Vec<Finding> {
    let inside = |path: &std::path::Path| path.starts_with("kernel") || path == std::path::Path::new("kernel.rs");
    if source.below("sensor-ebpf/src").is_none_or(inside) {
        return Vec::new();
    }
    names(source, |name| name == "bpf_probe_read" || name.starts_with("bpf_probe_read_kernel"))
}

/// Every identifier of paths and imports that `wanted` names.
fn names(source: &Source, wanted: fn(&str) -> bool) -> Vec<Finding> {
    let mut visitor = Names { wanted, findings: Vec::new() };
    visitor.visit_file(&source.ast);
    visitor.findings
}

struct Names {
    wanted: fn(&str) -> bool,
    findings: Vec<Finding>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        if (self.wanted)(&name.to_string()) {
            self.findings.push(Finding::at(name.span(), format!("`{name}`")));
        }
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        // A macro's body is tokens: look at them as text.
        let body = invocation.tokens.to_string();
        if body.split(|c: char| !c.is_alphanumeric() && c != '_').any(self.wanted) {
            self.findings.push(Finding::at(invocation.path.span(), "in the body of a macro"));
        }
        visit::visit_macro(self, invocation);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn a_branch_in_a_hook_is_found() {
        let text = "fn f(a: bool) {\n if a {}\n match a { _ => {} }\n if let true = a {}\n}";
        assert_eq!(lines(branches, "sensor-ebpf/src/hooks/tracepoint/file.rs", text), [2, 3, 4]);
        assert_eq!(lines(branches, "sensor-ebpf/src/engine.rs", text), [0_usize; 0]);
        assert_eq!(lines(branches, "sensor-ebpf/src/hooks/tracepoint/syscalls.rs", text), [0_usize; 0]);
    }

    #[test]
    fn a_map_in_a_hook_is_found() {
        let text = "use crate::maps::FILES;\nfn f() { crate::maps::TASKS.get(1); }";
        assert_eq!(lines(maps, "sensor-ebpf/src/hooks/lsm.rs", text), [1, 2]);
        assert_eq!(lines(maps, "sensor-ebpf/src/engine/marks.rs", text), [0_usize; 0]);
    }

    #[test]
    fn a_read_of_a_kernel_struct_is_found_outside_its_folder() {
        let text = "use aya_ebpf::helpers::bpf_probe_read_kernel;\nfn f() { vec![bpf_probe_read(1)]; }\n\
                    fn g() { bpf_probe_read_user(1); }";
        assert_eq!(lines(reads, "sensor-ebpf/src/engine.rs", text), [1, 2]);
        assert_eq!(lines(reads, "sensor-ebpf/src/kernel/file.rs", text), [0_usize; 0]);
        assert_eq!(lines(reads, "sensor-ebpf/src/kernel.rs", text), [0_usize; 0]);
    }
}
