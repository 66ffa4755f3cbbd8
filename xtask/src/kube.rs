//! `cargo xtask kube`: builds the Kubernetes testbed once, and runs it by hand.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use kogge_testkit::cache;
use kogge_testkit::kube::{self, Cluster, Options};

use crate::run;

/// The exit code where Go is missing, so that scripts can tell it from a failure.
const NO_GO: u8 = 3;

/// Build the Kubernetes testbed (once) and print where the binary is
///
/// Takes some eight minutes the first time and 1 GB of Go's module cache. Exit code 3: Go is
/// not installed.
#[derive(clap::Args)]
pub struct Args {
    /// Run one control plane of that name until Ctrl-C, and print its kubeconfig
    #[arg(long, value_name = "NAME")]
    up: Option<String>,
    /// Further flags of the controller manager, with --up
    #[arg(long, value_name = "FLAG", requires = "up", allow_hyphen_values = true)]
    controllers: Vec<String>,
    /// Let etcd wait for the disk, with --up
    #[arg(long, requires = "up")]
    fsync: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(binary) = build()? else {
        eprintln!("Go is not installed: the Kubernetes testbed in tests/kube needs Go 1.26");
        return Ok(ExitCode::from(NO_GO));
    };
    match &args.up {
        Some(name) => up(name, args, &binary)?,
        None => run::print(binary.display())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The binary, built if need be; `None` where Go is missing.
pub fn build() -> anyhow::Result<Option<PathBuf>> {
    if let Some(binary) = kube::binary() {
        return Ok(Some(binary));
    }
    if !run::exists("go", "version") {
        return Ok(None);
    }
    let binary = kube::cached();
    let dir = binary.parent().context("the cached binary has a folder")?;
    fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    // Two builds at once would do the work twice; the second finds the first one's binary.
    let lock = File::create(dir.join("lock"))?;
    lock.lock()?;
    if !binary.is_file() {
        compile(&binary)?;
    }
    Ok(Some(binary))
}

fn compile(binary: &std::path::Path) -> anyhow::Result<()> {
    // Under its own name only when it is whole.
    let partial = binary.with_extension("partial");
    let output = partial.display().to_string();
    // Clients cannot parse the version without major and minor.
    let version = "-X k8s.io/component-base/version.git";
    let mut numbers = kube::VERSION.split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    let flags = format!(
        "-s -w {version}Version=v{} {version}Major={major} {version}Minor={minor}",
        kube::VERSION
    );
    let arguments = ["build", "-trimpath", "-ldflags", &flags, "-o", &output, "."];
    let mut go = run::command("go", &arguments);
    go.current_dir(run::root().join("tests/kube")).env("CGO_ENABLED", "0");
    run::checked(&mut go)?;
    fs::rename(&partial, binary)?;
    Ok(())
}

fn up(name: &str, args: &Args, binary: &std::path::Path) -> anyhow::Result<()> {
    let dir = cache::root().join("up").join(name);
    fs::create_dir_all(&dir)?;
    let lock = File::create(dir.with_extension("lock"))?;
    lock.try_lock().with_context(|| format!("a control plane named {name} runs already"))?;
    fs::remove_dir_all(&dir)?;
    let options = Options {
        fsync: args.fsync,
        controllers: args.controllers.clone(),
        dir: Some(dir.clone()),
        ..Options::named(name)
    };
    let cluster = Cluster::start(binary, &options)?;
    run::print(cluster.kubeconfig().display())?;
    eprintln!("{} is up; logs in {}; Ctrl-C stops it", cluster.url(), cluster.logs().display());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(stopped())?;
    drop(cluster);
    fs::remove_dir_all(&dir).with_context(|| format!("could not remove {}", dir.display()))
}

async fn stopped() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done.context("could not wait for Ctrl-C"),
        _ = term.recv() => Ok(()),
    }
}
