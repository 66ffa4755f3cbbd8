//! `cargo xtask schemas`: the structure of Kubernetes' own kinds, from a real API server.
//!
//! Sources: the server's OpenAPI v3 and discovery documents (`source`), and of Kubernetes' Go
//! modules the field numbers of `generated.proto` (`proto`) and the tags (`gotypes`). `write` joins them into one text that
//! the API server carries; it holds structure only, no prose. Format: see `write`.

mod gotypes;
mod proto;
mod source;
mod write;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::run;

const TABLE: &str = "crates/apiserver/src/schema/table.txt";
const MODULES: [&str; 4] = ["api", "apimachinery", "apiextensions-apiserver", "kube-aggregator"];

/// Write the table of Kubernetes' own kinds that the API server carries
///
/// Reads the OpenAPI and discovery documents that Kubernetes publishes in its Go module, or those
/// of a running server with --kubeconfig, or of a folder with --dir (files named and laid out as
/// in the module's `api` folder). Field numbers always come from the Go modules. Needs Go.
#[derive(clap::Args)]
pub struct Args {
    /// Ask the server of this kubeconfig (by kubectl)
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    kubeconfig: Option<PathBuf>,
    /// Read this folder: `openapi-spec/v3/*.json` and `discovery/aggregated_v2.json`
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Which Kubernetes' modules to read
    #[arg(long, default_value = "1.37.2")]
    version: String,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let documents = match (&args.kubeconfig, &args.dir) {
        (Some(file), _) => source::from_server(file)?,
        (None, Some(dir)) => source::from_dir(dir)?,
        (None, None) => source::from_dir(&module("kubernetes", "1", &args.version)?.join("api"))?,
    };
    let mut messages = proto::Messages::default();
    let mut structs = gotypes::Structs::default();
    for name in MODULES {
        let dir = module(name, "0", &args.version)?;
        messages.read_tree(&dir)?;
        structs.read_tree(&dir, name)?;
    }
    let types = write::Types { messages, structs };
    let table = write::table(&documents, &types, &args.version)?;
    let path = run::root().join(TABLE);
    fs::write(&path, &table).with_context(|| format!("could not write {}", path.display()))?;
    eprintln!("{TABLE}: {} lines, {} bytes", table.lines().count(), table.len());
    Ok(ExitCode::SUCCESS)
}

/// Where a module of Kubernetes is in Go's cache; fetched if need be. `1.37.2` is `v0.37.2` there
/// for all but the main one.
fn module(name: &str, major: &str, version: &str) -> anyhow::Result<PathBuf> {
    let (_, rest) = version.split_once('.').context("a version looks like 1.37.2")?;
    let wanted = format!("k8s.io/{name}@v{major}.{rest}");
    let said = run::output(&mut run::command("go", &["mod", "download", "-json", &wanted]))?;
    let answer: serde_json::Value = serde_json::from_str(&said)?;
    let dir =
        answer["Dir"].as_str().with_context(|| format!("go did not say where {wanted} is"))?;
    Ok(dir.into())
}
