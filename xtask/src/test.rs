//! `cargo xtask test`: every test that can run on this machine, with what it needs.

use std::fs;
use std::process::{Command, ExitCode};

use kogge_testkit::{kube, skip};

use crate::{run, tools};

/// Run every test that can run here, after fetching kubectl and building kogge
///
/// Tests on real Kubernetes run where `cargo xtask kube` has built it, and are counted as
/// skipped elsewhere.
#[derive(clap::Args)]
pub struct Args {
    /// Passed on to `cargo test --workspace`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Points tests of other crates at the built binary.
const KOGGE: &str = "KOGGE_BINARY";

/// Property tests try the same cases everywhere, so that who fails and who looks for the cause see
/// the same; who looks for new cases sets another seed, or more `PROPTEST_CASES`.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261128");

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tools::fetch();
    if kube::binary().is_none() {
        eprintln!("real Kubernetes is not built here (cargo xtask kube): its tests are skipped");
    }
    run::checked(&mut run::cargo(&["build", "--package", "kogge"]))?;
    let words: Vec<&str> = args.cargo.iter().map(String::as_str).collect();
    counted(run::cargo(&["test", "--workspace"]).args(words))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs tests that find the built binary, and says which were skipped.
pub fn counted(command: &mut Command) -> anyhow::Result<()> {
    let skipped = tempfile::NamedTempFile::new()?;
    command.env(skip::SKIPPED, skipped.path());
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    if std::env::var_os(SEED.0).is_none() {
        command.env(SEED.0, SEED.1);
    }
    command.env(KOGGE, run::root().join(target).join("debug/kogge"));
    let done = run::checked(command);
    let list = fs::read_to_string(skipped.path())?;
    if !list.is_empty() {
        eprint!("\n{} tests were skipped:\n{list}", list.lines().count());
    }
    done
}
