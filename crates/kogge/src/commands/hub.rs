//! `kogge hub`: the hub alone.

use std::{
    fs,
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use kogge_hub::{FleetGossip, GossipOptions, Hub, Options, pull::Agents};
use kogge_store::{Embedded, Store as _};
use uuid::Uuid;

use crate::{
    clock, data_dir,
    hub_identity::{self, HubIdentity},
    kubeconfig,
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
    /// Port of gossip, UDP and TCP [default: the one of last time, 7946 at first, any if it is taken]
    #[arg(long)]
    gossip_port: Option<u16>,
    /// How long the certificate of an agent lives; it is renewed at two thirds
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = life)]
    agent_certificate_life: Duration,
    /// Identity of a hub that lost its disk, as `kogge identity export` wrote it
    ///
    /// The hub then waits: nothing is placed, moved or deleted until `kogge identity recovered`.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// The port of gossip, as others use it.
const GOSSIP_PORT: u16 = 7946;

/// As `--agent-certificate-life` has it.
pub const CERTIFICATE_LIFE: Duration = Duration::from_hours(24);

/// A time that is more than none, such as 24h or 90s.
pub fn life(text: &str) -> Result<Duration, String> {
    let time: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no time; say 24h or 30m"))?;
    if time <= SignedDuration::ZERO {
        return Err("it must be more than 0".to_owned());
    }
    Ok(time.unsigned_abs())
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let dir = args.data_dir.clone().map_or_else(data_dir::default, Ok)?;
    data_dir::create(&dir)?;
    if let Some(file) = &args.identity {
        HubIdentity::from_file(file)?.place(&dir)?;
    }
    let hub = start(&dir, clock::now, args.agent_certificate_life).await?;
    let place = Place {
        name: CONTEXT,
        pki: &dir.join("hub/pki"),
        address: args.bind_address,
        port: args.port.map_or(Port::Rather(PORT), Port::Exactly),
        names: &args.names,
    };
    let Endpoint { serving, admin, address } =
        serving::serve(hub.server(), &place, hub.added(), clock::now()).await?;
    let _gossip = gossip(&hub, &dir, address, args.gossip_port, &args.names).await?;
    let path = dir.join("kubeconfig");
    writeln!(out, "The fleet is served at {}", admin.server)?;
    kubeconfig::write(&path, &kubeconfig::build(&[admin]))?;
    tell_recovering(&hub, out)?;
    writeln!(out, "Its admin kubeconfig: {}", path.display())?;
    writeln!(out, "Add a cluster with: kogge join NAME --cluster-kubeconfig FILE")?;
    writeln!(out, "or, where the hub cannot dial it, with: kogge token create")?;
    out.flush()?;
    stop.asked().await;
    serving.stop().await;
    Ok(())
}

/// Says what a hub waits for that has lost its state.
pub fn tell_recovering(hub: &Hub, out: &mut dyn Write) -> std::io::Result<()> {
    match hub.recovering() {
        Some(recovering) => writeln!(out, "RECOVERING: {}", recovering.message()),
        None => Ok(()),
    }
}

/// Opens the hub's store in a data directory and starts the hub over it.
pub async fn start(dir: &Path, now: fn() -> Timestamp, life: Duration) -> anyhow::Result<Hub> {
    hub_identity::mark_lost(dir, now())?;
    let store = open_store_as(&dir.join("hub/store"), hub_identity::id(dir)?).await?;
    hub_identity::check(dir, store.id())?;
    hub_identity::remember(dir, store.id())?;
    let options = Options { store: Arc::new(store), data_dir: dir.join("hub"), now };
    let authority = serving::authority(&dir.join("hub/pki"), CONTEXT, now())?;
    Hub::start_with(options, Some(Agents { authority, life }))
        .await
        .context("could not start the hub")
}

/// Joins the fleet's gossip at a port, on the address where the hub's API is. Where none is asked for
/// that is the one of last time, by which members know it, or the usual, or any that is free.
pub async fn gossip(
    hub: &Hub,
    dir: &Path,
    api: SocketAddr,
    asked: Option<u16>,
    names: &[String],
) -> anyhow::Result<Arc<FleetGossip>> {
    let file = dir.join("hub/gossip/port");
    let kept = fs::read_to_string(&file).ok().and_then(|it| it.trim().parse().ok());
    let ports: Vec<u16> = match asked {
        Some(asked) => vec![asked],
        None => kept.into_iter().chain([GOSSIP_PORT, 0]).collect(),
    };
    let mut last = None;
    for port in ports {
        let options = GossipOptions {
            listen: SocketAddr::new(api.ip(), port),
            advertise: names.iter().take(1).cloned().collect(),
            api: SocketAddr::new(serving::reachable(api), api.port()).to_string(),
            dir: dir.join("hub/gossip"),
        };
        match hub.gossip(options).await {
            Ok(gossip) => {
                // One that is taken for once is tried again next time.
                if kept.is_none() || asked.is_some_and(|it| kept != Some(it)) {
                    let written = gossip.address().port().to_string();
                    let written = kogge_files::replace(&file, written.as_bytes());
                    written.with_context(|| format!("could not write {}", file.display()))?;
                }
                return Ok(gossip);
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.context("there is always a port to try")?;
    Err(error).context("could not gossip")
}

/// Opens a store without blocking others: reading a large one takes a second.
pub async fn open_store(dir: &Path) -> anyhow::Result<Embedded> {
    open_store_as(dir, None).await
}

/// The same; one that is made gets this identity.
async fn open_store_as(dir: &Path, id: Option<Uuid>) -> anyhow::Result<Embedded> {
    let path = dir.to_owned();
    let options = kogge_store::Options { id, ..kogge_store::Options::default() };
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&path, options));
    let opened = opened.await.context("opening the store was cut short")?;
    opened.with_context(|| format!("could not open the store in {}", dir.display()))
}
