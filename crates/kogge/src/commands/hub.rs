//! `kogge hub`: the hub alone.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use jiff::Timestamp;
use kogge_hub::{Hub, Options};
use kogge_store::Embedded;

use crate::{
    clock, data_dir, kubeconfig,
    serving::{self, Endpoint, Place, Port},
    stop::Stop,
};

/// The hub's port, as of every Kubernetes API server.
pub const PORT: u16 = 6443;

/// The context of the hub in kubeconfig files.
pub const CONTEXT: &str = "fleet";

/// Run the hub alone
///
/// Serves the fleet's Kubernetes API and looks after the clusters that joined it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory for everything the hub keeps [default: $XDG_DATA_HOME/kogge]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind_address: IpAddr,
    /// Port to listen on; any free one if 6443 is taken
    #[arg(long)]
    port: Option<u16>,
    /// Name or address that clients use, for the certificate; the first is put in the kubeconfig
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let dir = args.data_dir.clone().map_or_else(data_dir::default, Ok)?;
    data_dir::create(&dir)?;
    let hub = start(&dir, clock::now).await?;
    let place = Place {
        name: CONTEXT,
        pki: &dir.join("hub/pki"),
        address: args.bind_address,
        port: args.port.map_or(Port::Rather(PORT), Port::Exactly),
        names: &args.names,
    };
    let Endpoint { serving, admin } =
        serving::serve(hub.server(), &place, Vec::new(), clock::now()).await?;
    let path = dir.join("kubeconfig");
    writeln!(out, "The fleet is served at {}", admin.server)?;
    kubeconfig::write(&path, &kubeconfig::build(&[admin]))?;
    writeln!(out, "Its admin kubeconfig: {}", path.display())?;
    writeln!(out, "Add a cluster with: kogge join NAME --cluster-kubeconfig FILE")?;
    out.flush()?;
    stop.asked().await;
    serving.stop().await;
    Ok(())
}

/// Opens the hub's store in a data directory and starts the hub over it.
pub async fn start(dir: &Path, now: fn() -> Timestamp) -> anyhow::Result<Hub> {
    let store = open_store(&dir.join("hub/store")).await?;
    let options = Options { store: Arc::new(store), data_dir: dir.join("hub"), now };
    Hub::start(options).await.context("could not start the hub")
}

/// Opens a store without blocking others: reading a large one takes a second.
pub async fn open_store(dir: &Path) -> anyhow::Result<Embedded> {
    let path = dir.to_owned();
    let opened =
        tokio::task::spawn_blocking(move || Embedded::open(&path, kogge_store::Options::default()));
    let opened = opened.await.context("opening the store was cut short")?;
    opened.with_context(|| format!("could not open the store in {}", dir.display()))
}
