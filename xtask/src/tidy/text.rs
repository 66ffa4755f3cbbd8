//! Rules about the text of files: sizes, names, module docs, bans.

use std::path::Path;

use super::Finding;

/// Lines of a Rust file without its tests: past the first a reviewer asks, past the second
/// the file is cut.
const ASK: usize = 400;
const STOP: usize = 600;

/// What says nothing about a thing. Spelled in halves, so that this file may stand.
const EMPTY_NAMES: [&str; 3] = [concat!("Man", "ager"), concat!("Hel", "per"), concat!("Ut", "il")];

/// Where builds happen, not where the code lives.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Where packages come from is set by who builds, never by a file here.
const HOSTS: [&str; 4] = [
    concat!("registry.npm", "js.org"),
    concat!("py", "pi.org"),
    concat!("proxy.go", "lang.org"),
    concat!("index.cra", "tes.io"),
];

const CLOCKS: [&str; 3] =
    [concat!("SystemTime", "::now("), concat!("Timestamp", "::now("), concat!("Zoned", "::now(")];

pub fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if generated(path) {
        return;
    }
    places(path, text, findings);
    if Path::new(path).extension().is_some_and(|it| it == "rs") {
        let own = without_tests(path, text);
        size(path, own, findings);
        docs(path, text, findings);
        names(path, text, findings);
        tests(path, text, findings);
        clocks(path, own, findings);
    }
}

/// Lock files, and what others wrote.
fn generated(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    matches!(file, "Cargo.lock" | "go.sum" | "go.mod" | "LICENSE")
}

fn fault(findings: &mut Vec<Finding>, text: String) {
    findings.push(Finding::Fault(text));
}

/// The file up to its test module; nothing of a file that is all tests.
fn without_tests<'a>(path: &str, text: &'a str) -> &'a str {
    if is_test(path) {
        return "";
    }
    text.find("\n#[cfg(test)]\nmod tests {").map_or(text, |end| &text[..=end])
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

fn size(path: &str, own: &str, findings: &mut Vec<Finding>) {
    let lines = own.lines().count();
    if STOP < lines {
        fault(findings, format!("{path}: {lines} lines without tests, {STOP} is the end"));
    } else if ASK < lines {
        findings.push(Finding::Warning(format!("{path}: {lines} lines without tests")));
    }
}

fn docs(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if !text.starts_with("//!") && !path.ends_with("/tests.rs") {
        fault(findings, format!("{path}: a module starts with //! and what it is for"));
    }
}

fn names(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in numbered(text) {
        let Some(name) = defined(line) else { continue };
        let empty =
            |it: &&&str| name.contains(**it) || name.split('_').any(|w| w == it.to_lowercase());
        if let Some(word) = EMPTY_NAMES.iter().find(empty) {
            fault(findings, format!("{path}:{number}: {name} says nothing: no {word}"));
        }
    }
    let in_path = |it: &&&str| {
        let (one, many) = (it.to_lowercase(), it.to_lowercase() + "s");
        path.split(['/', '.', '_']).any(|part| part == one || part == many)
    };
    if let Some(word) = EMPTY_NAMES.iter().find(in_path) {
        fault(findings, format!("{path}: says nothing: no {word}"));
    }
}

/// The type or module that a line defines.
fn defined(line: &str) -> Option<&str> {
    let mut words = line.split(|it: char| !it.is_alphanumeric() && it != '_');
    let keywords = ["struct", "enum", "trait", "mod", "type", "union"];
    let line_start = line.trim_start();
    if line_start.starts_with("//") || line_start.starts_with('"') {
        return None;
    }
    words.find(|it| keywords.contains(it))?;
    words.next()
}

fn tests(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let (ignore, sleep) = (concat!("#[ign", "ore"), concat!("sl", "eep("));
    for (number, line) in numbered(text) {
        if line.trim_start().starts_with(ignore) {
            fault(findings, format!("{path}:{number}: a test is never ignored"));
        }
        if is_test(path) && !path.contains("/benches/") && line.contains(sleep) {
            fault(findings, format!("{path}:{number}: wait on a condition, with a deadline"));
        }
    }
}

fn places(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in numbered(text) {
        if let Some(place) = PLACES.iter().find(|it| names_place(line, it)) {
            fault(findings, format!("{path}:{number}: a path of one machine: {place}"));
        }
        if let Some(host) = HOSTS.iter().find(|it| line.contains(**it)) {
            fault(findings, format!("{path}:{number}: a registry's host: {host}"));
        }
    }
}

/// Whether `place` begins a path there, rather than standing inside a longer one or a URL.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|it| !(it.is_alphanumeric() || matches!(it, '.' | '_' | '-' | '}' | '>')))
    })
}

/// Only the binary wires clocks; everything else is given the time. Chores run outside it.
fn clocks(path: &str, own: &str, findings: &mut Vec<Finding>) {
    let free = ["crates/kogge/", "crates/testkit/", "xtask/"];
    if free.iter().any(|it| path.starts_with(it)) {
        return;
    }
    for (number, line) in numbered(own) {
        let code = line.split("//").next().unwrap_or("");
        if CLOCKS.iter().any(|it| code.contains(it)) {
            fault(findings, format!("{path}:{number}: time is an input"));
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(path: &str, text: &str, expected: &[&str]) {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        let found: Vec<String> = findings
            .into_iter()
            .map(|it| match it {
                Finding::Fault(text) => text,
                Finding::Warning(text) => format!("warning {text}"),
            })
            .collect();
        assert_eq!(found, expected);
    }

    const FILE: &str = "crates/hub/src/a.rs";

    #[test]
    fn a_long_file_is_asked_about_then_stopped_and_its_tests_are_not_counted() {
        let lines = |count| "//! a\n".repeat(count);
        expect(FILE, &lines(400), &[]);
        expect(FILE, &lines(401), &["warning crates/hub/src/a.rs: 401 lines without tests"]);
        expect(
            FILE,
            &lines(601),
            &["crates/hub/src/a.rs: 601 lines without tests, 600 is the end"],
        );
        let tested = lines(300) + "\n#[cfg(test)]\nmod tests {\n" + &"x\n".repeat(500);
        expect(FILE, &tested, &[]);
    }

    #[test]
    fn a_module_says_what_it_is_for() {
        expect(
            FILE,
            "use a::b;\n",
            &["crates/hub/src/a.rs: a module starts with //! and what it is for"],
        );
    }

    #[test]
    fn empty_names_are_found_where_something_is_defined() {
        let word = EMPTY_NAMES[0];
        let text = format!("//! a\npub struct Cluster{word} {{\nlet x: {word};\n");
        let expected = format!("crates/hub/src/a.rs:2: Cluster{word} says nothing: no {word}");
        expect(FILE, &text, &[&expected]);
        let path = format!("crates/hub/src/{}s.rs", EMPTY_NAMES[2].to_lowercase());
        expect(&path, "//! a\n", &[&format!("{path}: says nothing: no {}", EMPTY_NAMES[2])]);
    }

    #[test]
    fn tests_neither_wait_blindly_nor_are_left_out() {
        let text = concat!("//! a\n#[ign", "ore]\nthread::sl", "eep(x);\n");
        expect(
            "crates/hub/tests/a.rs",
            text,
            &[
                "crates/hub/tests/a.rs:2: a test is never ignored",
                "crates/hub/tests/a.rs:3: wait on a condition, with a deadline",
            ],
        );
    }

    #[test]
    fn paths_of_one_machine_are_found_in_any_file() {
        let text = format!("see {}main\nand x{}main\n", PLACES[0], PLACES[0]);
        let expected = format!("README.md:1: a path of one machine: {}", PLACES[0]);
        expect("README.md", &text, &[&expected]);
    }

    #[test]
    fn only_the_binary_reads_clocks() {
        let text = format!("//! a\nlet now = {});\n// {});\n", CLOCKS[1], CLOCKS[1]);
        expect(FILE, &text, &["crates/hub/src/a.rs:2: time is an input"]);
        expect("crates/kogge/src/main.rs", &text, &[]);
    }
}
