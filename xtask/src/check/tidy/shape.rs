//! The shape of a file: its length, its name, and what it leaves undone.

use syn::spanned::Spanned;

use super::{Finding, Source, test_only};

const LIMIT: usize = 500;
/// Files that are one table each, and may be as long as their table.
const TABLES: [&str; 0] = [];
const UNDONE: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// More than 500 lines, tests not counted.
pub(super) fn length(source: &Source) -> Vec<Finding> {
    let path = source.path.to_string_lossy();
    let exempt = path.contains("/tests/") || path.ends_with("/tests.rs") || TABLES.contains(&path.as_ref());
    let lines = source.text.lines().count() - tests(source);
    if exempt || lines <= LIMIT {
        return Vec::new();
    }
    vec![Finding { line: LIMIT + 1, what: format!("{lines} lines without tests") }]
}

/// The lines of the modules that are compiled for tests only.
fn tests(source: &Source) -> usize {
    let modules = source.ast.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if test_only(&module.attrs) => Some(module.span()),
        _ => None,
    });
    modules.map(|span| span.end().line - span.start().line + 1).sum()
}

/// `mod.rs`.
pub(super) fn module_file(source: &Source) -> Vec<Finding> {
    if source.path.file_name().is_some_and(|name| name == "mod.rs") {
        return vec![Finding { line: 1, what: "mod.rs".to_owned() }];
    }
    Vec::new()
}

/// A comment about undone work without `#123`.
pub(super) fn unowned_work(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().enumerate();
    lines.filter_map(|(index, line)| Some(Finding { line: index + 1, what: unowned(line)?.to_owned() })).collect()
}

fn unowned(line: &str) -> Option<&str> {
    let comment = &line[line.find("//")?..];
    let mut words = comment.split(|c: char| !c.is_ascii_alphanumeric());
    let issue = comment.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    words.find(|word| UNDONE.contains(word)).filter(|_| !issue)
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::*;

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "fn f() {}\n".repeat(LIMIT);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn t() {}\n".repeat(50));
        assert_eq!(lines(length, "sensor-user/src/a.rs", &(code.clone() + &tests)), [0_usize; 0]);
        assert_eq!(lines(length, "sensor-user/src/a.rs", &(code.clone() + "fn g() {}\n")), [LIMIT + 1]);
        assert_eq!(lines(length, "sensor-user/src/a/tests.rs", &(code + "fn g() {}\n")), [0_usize; 0]);
    }

    #[test]
    fn mod_rs_is_found() {
        assert_eq!(lines(module_file, "sensor-user/src/zones/mod.rs", ""), [1]);
        assert_eq!(lines(module_file, "sensor-user/src/zones.rs", ""), [0_usize; 0]);
    }

    #[test]
    fn undone_work_needs_an_issue() {
        let word = UNDONE[0];
        let text = format!("// {word}: later\n// {word}(#12): later\nlet {word} = 1; /// fine\nf(); // {word}\n");
        let found: Vec<_> = text.lines().map(unowned).collect();
        assert_eq!(found, [Some(word), None, None, Some(word)]);
    }
}
