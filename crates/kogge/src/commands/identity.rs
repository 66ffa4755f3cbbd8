//! `kogge identity`: what makes the hub the hub, taken out of a data directory, and the word that
//! a hub which lost its state has it again.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kogge_hub::{Recovering, pull::RECOVERY_PATH};

use crate::{data_dir, hub_identity::HubIdentity, kubeconfig::Target};

/// The identity of the hub, for the day when its disk is lost
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write the hub's keys and identity to a file, also while it runs
    ///
    /// Whoever has this file is the hub: keep it as you keep the fleet's admin credentials. A hub
    /// with an empty disk is given it by: kogge hub --identity FILE
    Export(Export),
    /// Say that a hub that lost its state has it again
    ///
    /// From now on what the hub holds is what clusters should hold: it places, moves and deletes
    /// again, and what it lacks goes from the clusters. Much at once still waits on each cluster.
    Recovered(Recovered),
}

#[derive(Debug, clap::Args)]
struct Export {
    /// File to write, which must not exist; - for standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Directory of the hub [default: $XDG_DATA_HOME/kogge]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Recovered {
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.what {
        What::Export(args) => export(args, out),
        What::Recovered(args) => recovered(args, out).await,
    }
}

fn export(args: &Export, out: &mut dyn Write) -> anyhow::Result<()> {
    let dir = args.data_dir.clone().map_or_else(data_dir::default, Ok)?;
    let text = HubIdentity::of(&dir)?.to_json()?;
    if args.file == Path::new("-") {
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    let path = &args.file;
    match kogge_files::create(path, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already, and is not written over; name another file", path.display())
        }
        written => {
            written.with_context(|| format!("could not write {}", path.display()))?;
        }
    }
    writeln!(out, "The hub's identity is in {}; keep it secret", path.display())?;
    Ok(())
}

async fn recovered(args: &Recovered, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = args.target.client().await?;
    let failed = "could not ask the hub whether it waits for its state";
    let now = hub.raw(RECOVERY_PATH).await.context(failed)?;
    let now: Option<Recovering> = serde_json::from_str(&now).context(failed)?;
    let Some(recovering) = now else {
        bail!("the hub waits for nothing: it has its state");
    };
    let said = hub.post_bytes(RECOVERY_PATH, Vec::new()).await;
    said.context("could not tell the hub that it has its state")?;
    writeln!(out, "It waited since {:.0}: {}", recovering.since, recovering.why)?;
    writeln!(out, "From now on what the hub holds is what clusters should hold")?;
    Ok(())
}
