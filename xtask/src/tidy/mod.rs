//! `cargo xtask tidy`: what the compiler and clippy do not check.
//!
//! Each rule is a function from a file's path and text to findings; this module feeds them the
//! tracked files and prints. `arrows` reads manifests, `backed` the promises of docs/failure-modes.md,
//! `text` everything else.

mod arrows;
mod backed;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::run;

/// Check dependency arrows between crates, file sizes, names and bans
#[derive(clap::Args)]
pub struct Args {}

/// Something that is not as it should be, or that a reviewer should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    Fault(String),
    Warning(String),
}

/// Tracked text files by path from the root.
type Files = BTreeMap<String, String>;

pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    Ok(if check(&run::root())? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what is wrong; whether nothing is.
pub fn check(root: &Path) -> anyhow::Result<bool> {
    let findings = look(&tracked(root)?);
    for finding in &findings {
        match finding {
            Finding::Fault(text) => run::print(format_args!("error: {text}"))?,
            Finding::Warning(text) => run::print(format_args!("warning: {text}"))?,
        }
    }
    Ok(!findings.iter().any(|it| matches!(it, Finding::Fault(_))))
}

fn look(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        if path.ends_with("Cargo.toml") {
            arrows::check(path, text, &mut findings);
        }
        text::check(path, text, &mut findings);
    }
    backed::check(files, &mut findings);
    findings.sort();
    findings
}

/// What git tracks and is text; a file that is deleted but not committed so is passed over.
fn tracked(root: &Path) -> anyhow::Result<Files> {
    let list = run::output(run::command("git", &["ls-files", "-z"]).current_dir(root))
        .context("tidy looks at what git tracks")?;
    let paths = list.split_terminator('\0');
    let read = |path: &str| Some((path.to_owned(), std::fs::read_to_string(root.join(path)).ok()?));
    Ok(paths.filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let files = tracked(&run::root()).unwrap();
        assert!(files.contains_key("xtask/src/tidy/mod.rs"), "git lists the files");
        let is_fault = |it: &Finding| matches!(it, Finding::Fault(_));
        let faults: Vec<Finding> = look(&files).into_iter().filter(is_fault).collect();
        assert_eq!(faults, [], "cargo xtask tidy prints them");
    }
}
