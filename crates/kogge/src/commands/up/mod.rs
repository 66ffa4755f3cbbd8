//! `kogge up`: a whole fleet on one machine, with nothing installed.
//!
//! Reading order: this file starts and stops things in order, `members` are the
//! simulated clusters, `gossip` is what they tell each other, `objects` what the fleet is told, `ready` what is waited
//! for, `guide` what is worth trying.

mod gossip;
mod guide;
mod members;
mod objects;
mod ready;

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use kogge_apiserver::User;
use tokio::task::JoinSet;

use self::members::Member;
use super::hub::{self, CONTEXT};
use crate::{
    clock, data_dir, kubeconfig,
    serving::{self, Place, Port},
    stop::Stop,
};

/// Where everything of `up` listens.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What `up` makes in its data directory; nothing else there is ever removed.
const OWN: [&str; 5] = ["hub", "members", "my-project", "kubeconfig", "sample"];

/// Bring up a whole fleet on this machine
///
/// A hub, simulated member clusters, and a Git repository that is synced to all of them.
/// A second `up` goes on where the first left off.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Simulated member clusters
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    members: u16,
    /// Directory for everything [default: $XDG_DATA_HOME/kogge]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of the fleet's API; any free one if 6443 is taken
    #[arg(long)]
    port: Option<u16>,
    /// Throw away what an earlier `up` left, after asking
    #[arg(long)]
    fresh: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let dir = args.data_dir.clone().map_or_else(data_dir::default, Ok)?;
    data_dir::create(&dir)?;
    let dir = dir.canonicalize().context("could not resolve the data directory")?;
    if args.fresh {
        start_anew(&dir, args.yes).await?;
    }
    tokio::select! {
        () = stop.asked() => return Ok(()),
        fleet = Fleet::start(args, &dir, out) => {
            let fleet = fleet?;
            let last = fleet.members.last().map_or("", |it| it.name.as_str());
            guide::write(&dir, last, out)?;
            out.flush()?;
            stop.asked().await;
            writeln!(out, "stopping")?;
            fleet.stop().await;
        }
    }
    Ok(())
}

/// Everything that runs.
struct Fleet {
    hub: Arc<kogge_hub::Hub>,
    front: serving::Endpoint,
    members: Vec<Member>,
    gossip: JoinSet<()>,
}

impl Fleet {
    async fn start(args: &Args, dir: &Path, out: &mut dyn Write) -> anyhow::Result<Self> {
        let hub = hub::start(dir, clock::now, hub::CERTIFICATE_LIFE).await?;
        let place = Place {
            name: CONTEXT,
            pki: &dir.join("hub/pki"),
            address: ADDRESS,
            port: args.port.map_or(Port::Rather(hub::PORT), Port::Exactly),
            names: &[],
        };
        let front = serving::serve(hub.server(), &place, hub.added(), clock::now()).await?;
        writeln!(
            out,
            "hub      {}{}",
            front.admin.server,
            other_port(&front, hub::PORT, args.port)
        )?;
        hub::tell_recovering(&hub, out)?;
        let mut members = Vec::new();
        for number in 1..=args.members {
            let member = Member::start(dir, number).await?;
            writeln!(out, "{:8} {}  {}", member.name, member.url(), member.region)?;
            members.push(member);
        }
        let mut entries = vec![front.admin.clone()];
        entries.extend(members.iter().map(|it| it.endpoint.admin.clone()));
        kubeconfig::write(&dir.join("kubeconfig"), &kubeconfig::build(&entries))?;
        let client = kogge_member::from_service(hub.server().local(User::system("kogge-up")));
        objects::join(&client, &members).await?;
        let gossip = hub::gossip(&hub, dir, front.address, None, &[]).await?;
        // Members first, so that nothing is said to fit nowhere.
        ready::wait(&client, &[ready::clusters(&members)], out).await?;
        let hub = Arc::new(hub);
        let mut tasks = JoinSet::new();
        for member in &members {
            let place = dir.join("members").join(&member.name).join("gossip");
            tasks.spawn(gossip::run(hub.clone(), gossip.clone(), member.name.clone(), place));
        }
        objects::sample(&client, dir, clock::now()).await?;
        writeln!(out, "Git      {}", dir.join("my-project").display())?;
        ready::wait(&client, &ready::sample(), out).await?;
        Ok(Self { hub, front, members, gossip: tasks })
    }

    /// The front first, so that nobody sees half a fleet; then the hub, then its members.
    async fn stop(self) {
        self.front.serving.stop().await;
        drop(self.gossip);
        drop(self.hub);
        for member in self.members {
            member.endpoint.serving.stop().await;
        }
    }
}

fn other_port(front: &serving::Endpoint, usual: u16, asked: Option<u16>) -> String {
    if asked.is_some() || front.serving.address().port() == usual {
        return String::new();
    }
    format!("  (port {usual} is taken)")
}

/// Removes what an earlier `up` made, unless one is running on it.
async fn start_anew(dir: &Path, yes: bool) -> anyhow::Result<()> {
    let there: Vec<PathBuf> =
        OWN.map(|it| dir.join(it)).into_iter().filter(|it| it.exists()).collect();
    if there.is_empty() {
        return Ok(());
    }
    // A store that cannot be opened because another process has it stops us here.
    if dir.join("hub/store").exists() {
        drop(hub::open_store(&dir.join("hub/store")).await?);
    }
    if !yes {
        ask(dir)?;
    }
    for path in there {
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("could not remove {}", path.display()))?;
    }
    Ok(())
}

fn ask(dir: &Path) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("--fresh throws away the fleet in {}; add --yes to agree", dir.display());
    }
    eprint!("Throw away the fleet in {}, its Git repository too? [y/N] ", dir.display());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("could not read the answer")?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was thrown away");
    }
    Ok(())
}
