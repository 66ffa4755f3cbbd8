//! What docs/failure-modes.md promises: each line of a table names tests, and all of them are there.

use std::{collections::BTreeSet, path::Path};

use super::{Files, Finding};

const PROMISES: &str = "docs/failure-modes.md";

pub fn check(files: &Files, findings: &mut Vec<Finding>) {
    let Some(promises) = files.get(PROMISES) else { return };
    let is_rust = |path: &str| Path::new(path).extension().is_some_and(|it| it == "rs");
    let rust = files.iter().filter(|(path, _)| is_rust(path));
    let defined: BTreeSet<&str> = rust.flat_map(|(_, text)| functions(text)).collect();
    for (index, line) in promises.lines().enumerate() {
        let Some(column) = last_column(line) else { continue };
        let mut fault = |what: &str| {
            findings.push(Finding::Fault(format!("{PROMISES}:{}: {what}", index + 1)));
        };
        let names: Vec<&str> = column.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            fault("no test is named");
        }
        for name in names.into_iter().filter(|it| !defined.contains(it)) {
            fault(&format!("there is no test {name}"));
        }
    }
}

/// Of a table's line, unless it is one of the two at its head.
fn last_column(line: &str) -> Option<&str> {
    let column = line.strip_prefix('|')?.strip_suffix('|')?.rsplit('|').next()?.trim();
    (column != "test" && !column.starts_with("--")).then_some(column)
}

fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("fn ").map(|(at, it)| {
        let rest = &text[at + it.len()..];
        rest.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_names_tests_and_all_of_them_are_there() {
        let promises = "\
| fault | test |
|---|---|
| it ends | hub `it_ends`, `it_never_ends` |
| it begins | hub |
";
        let code = "#[test]\nfn it_ends() {}\n";
        let files = [(PROMISES, promises), ("crates/hub/src/a.rs", code)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let mut findings = Vec::new();
        check(&files, &mut findings);
        let expected = ["3: there is no test it_never_ends", "4: no test is named"];
        assert_eq!(findings, expected.map(|it| Finding::Fault(format!("{PROMISES}:{it}"))));
    }
}
