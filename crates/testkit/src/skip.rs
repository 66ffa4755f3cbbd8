//! Tests whose tools are missing say so and are counted; where they must run, they fail.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Set to 1 in CI: a test that would be skipped fails instead.
pub const REQUIRE: &str = "KOGGE_REQUIRE_KUBE";

/// A file to which each skipped test adds a line; `cargo xtask test` counts them.
pub const SKIPPED: &str = "KOGGE_SKIPPED";

/// Hands on what a test needs. Where it is missing, the test is skipped: it should return.
///
/// # Panics
/// Where [`REQUIRE`] is 1 and the thing is missing.
#[track_caller]
pub fn unless<T>(found: Option<T>, missing: &str) -> Option<T> {
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let required = env::var(REQUIRE).is_ok_and(|it| it == "1");
        assert!(!required, "{test} cannot run: {missing} (and {REQUIRE}=1 forbids skipping)");
        say(&format!("SKIPPED {test}: {missing}\n"));
    }
    found
}

/// The same for what a clone of the repository cannot get by itself, so that [`REQUIRE`] does not
/// ask for it.
pub fn unless_given<T>(found: Option<T>, missing: &str) -> Option<T> {
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        say(&format!("SKIPPED {test}: {missing}\n"));
    }
    found
}

/// Past the test harness, which swallows what a passing test prints.
fn say(line: &str) {
    // Nobody is left to tell when standard error or the list itself is gone.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = env::var_os(SKIPPED) {
        let opened = OpenOptions::new().create(true).append(true).open(list);
        let _ = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_handed_on() {
        assert_eq!(unless(Some(7), "seven is missing"), Some(7));
    }
}
