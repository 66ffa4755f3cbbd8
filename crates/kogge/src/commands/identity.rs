//! `kogge identity`: what makes the hub the hub, taken out of a data directory, and the word that
//! a hub which lost its state has it again.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kogge_hub::{
    Recovering,
    pull::{FLEET_KEY_PATH, RECOVERY_PATH},
};
use kogge_net::KeyReport;

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
    /// Show which of the fleet's keys are trusted, and which one signs
    Keys(OfHub),
    /// Rotate the fleet's key while all of it runs
    ///
    /// The next key is trusted by all before it signs anything, eight days from now; the last one for
    /// eight days more, until nothing that it has signed counts. Nothing restarts. Export the identity
    /// again at once: a hub restored from one without the next key would take back who was removed
    /// meanwhile, and soon no member obeys it. A key that was stolen goes on to be trusted as long.
    Rotate(OfHub),
    /// Say that a hub that lost its state has it again
    ///
    /// From now on what the hub holds is what clusters should hold: it places, moves and deletes
    /// again, and what it lacks goes from the clusters. Much at once still waits on each cluster.
    Recovered(OfHub),
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
struct OfHub {
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.what {
        What::Export(args) => export(args, out),
        What::Keys(args) => keys(args, out).await,
        What::Rotate(args) => rotate(args, out).await,
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

async fn keys(args: &OfHub, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = args.target.client().await?;
    let said = hub.raw(FLEET_KEY_PATH).await.context("could not ask the hub for its keys")?;
    show(&said, out)
}

async fn rotate(args: &OfHub, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = args.target.client().await?;
    let said = hub.post_bytes(FLEET_KEY_PATH, Vec::new()).await;
    show(&said.context("could not rotate the fleet's key")?, out)?;
    writeln!(out, "Export the identity again at once: kogge identity export FILE")?;
    Ok(())
}

/// The keys, one a line.
fn show(said: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let keys: Vec<KeyReport> =
        serde_json::from_str(said).context("the hub says no list of keys")?;
    writeln!(out, "{:18}{:7}{:22}TRUSTED UNTIL", "KEY", "SIGNS", "SIGNS FROM")?;
    for key in keys {
        let signs = if key.signs { "yes" } else { "no" };
        let until = key.trusted_until.map_or("no end".into(), |it| format!("{it:.0}"));
        let from = format!("{:.0}", key.signs_from);
        writeln!(out, "{:18}{signs:7}{from:22}{until}", key.id)?;
    }
    Ok(())
}

async fn recovered(args: &OfHub, out: &mut dyn Write) -> anyhow::Result<()> {
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
