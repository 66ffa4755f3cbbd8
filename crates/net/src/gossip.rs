//! A member that gossips, as the rest of the program sees it; [`run`] is what it does.

mod run;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_gossip::{Head, Name, Node, Setup, View};
use ring::rand::SecureRandom as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use self::run::{Clock, Loop};
use crate::{
    advertise::completed,
    authority::Issued,
    carry::{Carried, Carrier},
    disk::Disk,
    identity::{Identity, RecordKeys},
    links::Links,
    report::FleetReport,
};

/// Frames that wait for the loop.
const HEARD: usize = 1_024;

/// How long another member is asked for its view.
const ANSWER: Duration = Duration::from_secs(6);

#[derive(Clone)]
pub struct Options {
    pub identity: Identity,
    /// Where others dial it, UDP and TCP; `None` if it only dials.
    pub listen: Option<SocketAddr>,
    /// Where others dial it, `host:port`, or a host with the port where it listens; empty: where it
    /// listens, unless that is any address.
    pub advertise: Vec<String>,
    /// Members to begin with, `host:port`.
    pub seeds: Vec<String>,
    /// The hub's API as this member reaches it, `host:port`: others' streams are carried there.
    pub carries_to: Option<String>,
    /// For what outlives a start.
    pub dir: Option<PathBuf>,
    /// What it says of itself; uid, credential and addresses are filled in.
    pub head: Head,
    pub now: fn() -> Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("gossip cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("gossip cannot open a socket")]
    Socket(#[source] io::Error),
    #[error("could not read what gossip kept")]
    Disk(#[source] io::Error),
}

/// A member that gossips. Stops without a goodbye when it is dropped.
pub struct Gossip {
    commands: mpsc::Sender<Command>,
    name: Name,
    links: Links,
    _tasks: JoinSet<()>,
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.links.close();
    }
}

enum Command {
    Publish(Box<Head>),
    Floor(Vec<u8>),
    View(oneshot::Sender<View>),
    Ask { whom: Name, answer: oneshot::Sender<Vec<u8>> },
    Carry { by: Name, answer: oneshot::Sender<Carried> },
    Head { of: Name, answer: oneshot::Sender<Option<Head>> },
    Floors(oneshot::Sender<Vec<Vec<u8>>>),
    Renew(Box<Issued>),
    Leave,
}

impl Gossip {
    /// Listens, and joins by the seeds.
    ///
    /// # Errors
    /// If it cannot listen, or what it kept cannot be read.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let disk = Disk::open(options.dir.as_deref()).map_err(StartError::Disk)?;
        let (incarnation, table) = disk.read().map_err(StartError::Disk)?;
        let (heard, receive) = mpsc::channel(HEARD);
        let mut tasks = JoinSet::new();
        let failed = |source| match options.listen {
            Some(address) => StartError::Listen { address, source },
            None => StartError::Socket(source),
        };
        let carrier = Carrier::new(options.carries_to);
        let opening =
            Links::open(&options.identity, options.listen, options.now, heard, carrier, &mut tasks);
        let links = opening.await.map_err(failed)?;
        let address = links.address();
        let identity = options.identity;
        let keys = Arc::new(RecordKeys::new(&identity));
        let setup = Setup {
            fleet: identity.issued.trust.fleet.clone(),
            name: identity.name.clone(),
            head: completed(
                options.head,
                &identity,
                &options.advertise,
                options.listen.and(Some(address)),
            ),
            incarnation,
            keys: keys.clone(),
            seed: random(),
        };
        let name = identity.name.clone();
        let clock = Clock::start();
        let mut actions = Vec::new();
        let node = Node::new(setup, &table, clock.now(), &mut actions);
        let (commands, asked) = mpsc::channel(64);
        let seeds = options.seeds;
        let running =
            Loop { node, clock, links: links.clone(), disk, identity, keys, seeds, actions };
        tasks.spawn(running.run(receive, asked));
        Ok(Self { commands, name, links, _tasks: tasks })
    }

    /// Where it listens, or from where it dials.
    pub fn address(&self) -> SocketAddr {
        self.links.address()
    }

    /// Where others dial it, `host:port`; empty if they cannot.
    pub async fn advertised(&self) -> Vec<String> {
        self.head(&self.name).await.map(|it| it.addresses).unwrap_or_default()
    }

    /// Says how this member is; as often as one likes.
    pub async fn publish(&self, head: Head) {
        self.tell(Command::Publish(Box::new(head))).await;
    }

    /// A floor that this fleet's authority signed.
    pub async fn floor(&self, floor: Vec<u8>) {
        self.tell(Command::Floor(floor)).await;
    }

    /// The records of all floors that are known.
    pub async fn floors(&self) -> Vec<Vec<u8>> {
        let (answer, floors) = oneshot::channel();
        self.tell(Command::Floors(answer)).await;
        floors.await.unwrap_or_default()
    }

    /// The same member with a newer certificate and credential, and with whom it trusts from now on.
    pub async fn renew(&self, issued: Issued) {
        self.tell(Command::Renew(Box::new(issued))).await;
    }

    /// Says goodbye to the fleet: it is not missed.
    pub async fn leave(&self) {
        self.tell(Command::Leave).await;
    }

    /// The fleet as this member sees it; `None` if it has stopped.
    pub async fn view(&self) -> Option<View> {
        let (answer, view) = oneshot::channel();
        self.tell(Command::View(answer)).await;
        view.await.ok()
    }

    /// The fleet as another member sees it; `None` if it cannot be asked.
    pub async fn report_of(&self, whom: &Name) -> Option<FleetReport> {
        let (answer, report) = oneshot::channel();
        self.tell(Command::Ask { whom: whom.clone(), answer }).await;
        let report = tokio::time::timeout(ANSWER, report).await.ok()?.ok()?;
        serde_json::from_slice(&report).ok()
    }

    /// A stream to the hub that another member carries; `None` if it does not.
    pub async fn carried_by(&self, by: &Name) -> Option<Carried> {
        let (answer, carried) = oneshot::channel();
        self.tell(Command::Carry { by: by.clone(), answer }).await;
        carried.await.ok()
    }

    /// What a member says of itself.
    pub async fn head(&self, of: &Name) -> Option<Head> {
        let (answer, head) = oneshot::channel();
        self.tell(Command::Head { of: of.clone(), answer }).await;
        head.await.ok().flatten()
    }

    async fn tell(&self, command: Command) {
        // Only a loop that has stopped does not listen.
        let _ = self.commands.send(command).await;
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers no link could be made either; the seed only spreads the load.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
