//! `cargo xtask bench [NAME]`: the benches of all crates, by name.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::run;

/// Run a bench by name, or list them all
#[derive(clap::Args)]
pub struct Args {
    /// The bench's name; without it the benches are listed
    name: Option<String>,
    /// Passed on to the bench
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let benches = find()?;
    let Some(name) = &args.name else {
        for (name, package) in benches {
            run::print(format_args!("{name:20} {package}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let package = benches.get(name).with_context(|| {
        format!("no crate has a bench named {name}; cargo xtask bench lists them")
    })?;
    let mut bench = run::cargo(&["bench", "--package", package, "--bench", name, "--"]);
    run::checked(bench.args(&args.arguments))?;
    Ok(ExitCode::SUCCESS)
}

/// Bench to package, from every manifest of the workspace.
fn find() -> anyhow::Result<BTreeMap<String, String>> {
    let files = run::output(&mut run::command("git", &["ls-files", "crates/*/Cargo.toml"]))?;
    let mut benches = BTreeMap::new();
    for file in files.lines() {
        let manifest = std::fs::read_to_string(run::root().join(file))?;
        let (package, names) = read(&manifest);
        benches.extend(names.into_iter().map(|it| (it, package.clone())));
    }
    Ok(benches)
}

/// The package's name and its `[[bench]]` targets.
fn read(manifest: &str) -> (String, Vec<String>) {
    let (mut section, mut package, mut benches) = ("", String::new(), Vec::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some(("name", value)) = line.split_once('=').map(|(k, v)| (k.trim(), v)) {
            let value = value.trim().trim_matches('"').to_owned();
            match section {
                "[package]" => package = value,
                "[[bench]]" => benches.push(value),
                _ => {}
            }
        }
    }
    (package, benches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_are_found_under_their_package() {
        let manifest = "[package]\nname = \"kogge-store\"\n[[bench]]\nname = \"writes\"\n\
                        harness = false\n[[bench]]\nname=\"open\"\n[[test]]\nname = \"other\"\n";
        let expected = ("kogge-store".to_owned(), vec!["writes".to_owned(), "open".to_owned()]);
        assert_eq!(read(manifest), expected);
    }
}
