//! `cargo xtask ci`: what a change must pass besides `cargo xtask test`.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use kogge_testkit::{kube, skip};

use crate::{run, test, tidy, tools};

/// Check format, lints, dependencies and tidiness, then run the tests on real Kubernetes
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    run::checked(&mut run::cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    run::checked(&mut run::cargo(&clippy))?;
    // Advisories are left out: their list is fetched from elsewhere on every run.
    run::checked(&mut run::cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    if run::exists("cargo-machete", "--version") {
        run::checked(&mut run::command("cargo-machete", &[]))?;
    } else {
        eprintln!("cargo-machete is not installed: unused dependencies are not looked for");
    }
    ensure!(tidy::check(&run::root())?, "the repository is not tidy");
    // The README's first command, as far as that it finds what to run.
    run::checked(&mut run::cargo(&["run", "--quiet", "--", "--version"]))?;
    real_kubernetes()?;
    Ok(ExitCode::SUCCESS)
}

/// Test targets named `kube...`, in any crate, run on real control planes; here none of them
/// may be skipped.
fn real_kubernetes() -> anyhow::Result<()> {
    let missing = tools::fetch();
    ensure!(missing.is_empty(), "could not fetch {}", missing.join(", "));
    let binary = crate::kube::build()?
        .context("Go is not installed: the tests on real Kubernetes cannot run")?;
    run::checked(&mut run::cargo(&["build", "--package", "kogge"]))?;
    let mut tests = run::cargo(&["test", "--workspace", "--test", "kube*"]);
    test::counted(tests.env(skip::REQUIRE, "1").env(kube::BINARY, binary))
}
