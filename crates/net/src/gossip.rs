//! The loop around a [`Node`]: frames in and out, time, disk, and what others want to know.

use std::{collections::BTreeSet, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_gossip::{Action, Event, Head, Micros, Name, Node, Setup, State, View};
use ring::rand::SecureRandom as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    advertise::completed,
    authority::Issued,
    carry::{Carried, Carrier},
    disk::Disk,
    identity::{Identity, RecordKeys},
    links::{Heard, Links},
    report::FleetReport,
};

/// Frames that wait for the loop.
const HEARD: usize = 1_024;

/// How often the table is kept, if it changed.
const KEEP: Duration = Duration::from_secs(10);

/// How often a member that cannot be dialled looks whether it has its links.
const LINKS: Duration = Duration::from_secs(5);

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
        let clock = Clock(Instant::now());
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

/// Time since the start.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Micros {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    /// As an instant; something never is in an hour.
    fn at(self, moment: Micros) -> Instant {
        let never = Duration::from_hours(1);
        let after = Duration::from_micros(moment.saturating_sub(self.now())).min(never);
        Instant::now() + after
    }
}

struct Loop {
    node: Node,
    clock: Clock,
    links: Links,
    disk: Disk,
    identity: Identity,
    keys: Arc<RecordKeys>,
    seeds: Vec<String>,
    actions: Vec<Action>,
}

impl Loop {
    async fn run(mut self, mut heard: mpsc::Receiver<Heard>, mut asked: mpsc::Receiver<Command>) {
        let mut keep = tokio::time::interval(KEEP);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kept = 0;
        let mut links = tokio::time::interval(LINKS);
        links.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Beside the loop: probes are answered meanwhile.
        let mut keeping = JoinSet::new();
        self.act().await;
        loop {
            tokio::select! {
                Some(heard) = heard.recv() => self.on_heard(heard),
                command = asked.recv() => match command {
                    Some(command) => {
                        if matches!(command, Command::Floor(_)) {
                            // What it says of a member is said once.
                            keep.reset_immediately();
                        }
                        self.on_command(command);
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(self.clock.at(self.node.wakes_at())) => {
                    self.handle(Event::Timer);
                }
                _ = keep.tick(), if keeping.is_empty() => {
                    let root = self.node.root();
                    if root != kept {
                        keeping.spawn(keep_table(self.disk.clone(), self.node.snapshot(), root));
                    }
                }
                Some(Ok(Some(root))) = keeping.join_next() => kept = root,
                _ = links.tick() => self.keep_links(),
            }
            if self.act().await {
                // Who is there is worth more than what they say.
                keep.reset_immediately();
            }
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        self.node.handle(event, self.clock.now(), &mut self.actions);
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Frame { from, bytes } => {
                self.handle(Event::Frame { from: from.as_str(), bytes: &bytes });
            }
            Heard::Met(name) => self.handle(Event::Met(name)),
            Heard::Asked { answer } => {
                let report = FleetReport::from(self.view());
                let report = serde_json::to_vec(&report).expect("a report is plain JSON");
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(report);
            }
            Heard::Undialable(name) => self.handle(Event::Undialable(name)),
        }
    }

    fn on_command(&mut self, command: Command) {
        // Whoever asked may have gone meanwhile.
        match command {
            Command::Publish(head) => {
                let known = self.node.head_of(self.identity.name.as_str()).unwrap_or_default();
                let head = Head {
                    uid: known.uid,
                    credential: self.identity.issued.credential.clone(),
                    addresses: known.addresses,
                    dialable: known.dialable,
                    ..*head
                };
                self.handle(Event::Publish(Box::new(head)));
            }
            Command::Floor(floor) => self.handle(Event::Floor(&floor)),
            Command::View(answer) => drop(answer.send(self.view())),
            // Of a name that nobody has, nothing is kept here.
            Command::Ask { whom, answer } if self.node.head_of(whom.as_str()).is_some() => {
                let addresses = self.addresses(&whom);
                self.links.ask(&whom, addresses, answer);
            }
            Command::Carry { by, answer } if self.node.head_of(by.as_str()).is_some() => {
                self.links.carry(&by, self.addresses(&by), answer);
            }
            Command::Ask { .. } | Command::Carry { .. } => {}
            Command::Head { of, answer } => drop(answer.send(self.node.head_of(of.as_str()))),
            Command::Floors(answer) => drop(answer.send(self.node.floors())),
            Command::Renew(issued) => self.renew(*issued),
            Command::Leave => self.handle(Event::Leave),
        }
    }

    /// The certificate for links, whom it trusts, and the credential in its head.
    fn renew(&mut self, issued: Issued) {
        self.identity.issued = issued;
        if let Err(error) = self.links.renew(&self.identity) {
            tracing::error!(%error, "the new certificate cannot be used");
        }
        let Issued { credential, trust, .. } = &self.identity.issued;
        self.keys.trust(&trust.keys);
        let known = self.node.head_of(self.identity.name.as_str()).unwrap_or_default();
        if known.credential != *credential {
            let head = Head { credential: credential.clone(), ..known };
            self.handle(Event::Publish(Box::new(head)));
        }
    }

    /// Does what the node asks for, in its order, and says whether members came or went.
    async fn act(&mut self) -> bool {
        let actions = std::mem::take(&mut self.actions);
        let moved = actions.iter().any(|it| matches!(it, Action::Member { .. }));
        if moved {
            self.keep_links();
        }
        for action in actions {
            match action {
                Action::Persist { incarnation } => self.persist(incarnation).await,
                Action::Send { to, how, bytes } => {
                    let addresses = self.addresses(&to);
                    self.links.send(&to, how, bytes, addresses);
                }
                Action::Member { name, state, .. } => {
                    tracing::info!(member = %name, ?state, "gossip");
                }
                // Who wants to know looks at the view.
                Action::Record { .. } => {}
                Action::Revoke { name } => self.links.revoke(&name),
                Action::Restore { name } => self.links.restore(&name),
                Action::DialSeeds => {
                    let known = self.living_addresses();
                    for seed in self.seeds.iter().filter(|it| !known.contains(*it)) {
                        self.links.meet(seed.clone());
                    }
                }
            }
        }
        moved
    }

    /// A member that cannot be dialled opens the links itself by which it watches and is watched.
    fn keep_links(&self) {
        let own = self.node.head_of(self.identity.name.as_str());
        if own.is_some_and(|it| it.dialable) {
            return;
        }
        for peer in self.node.warm() {
            let addresses = self.addresses(&peer);
            if !addresses.is_empty() {
                self.links.keep(&peer, addresses);
            }
        }
    }

    /// With ages as of now, and not as of the last frame.
    fn view(&mut self) -> View {
        self.handle(Event::Timer);
        self.node.view()
    }

    /// Who is there is in the table, and nobody new to be found.
    fn living_addresses(&self) -> BTreeSet<String> {
        let members = self.node.view().members.into_iter();
        let living = members.filter(|it| it.state == State::Alive);
        living.flat_map(|it| self.addresses(&it.name)).collect()
    }

    fn addresses(&self, of: &Name) -> Vec<String> {
        let head = self.node.head_of(of.as_str());
        head.filter(|it| it.dialable).map(|it| it.addresses).unwrap_or_default()
    }

    /// Nothing that is signed with an incarnation leaves before it is on disk.
    async fn persist(&self, incarnation: u64) {
        while let Err(error) = self.disk.keep_incarnation(incarnation).await {
            tracing::error!(%error, "gossip waits: the incarnation cannot be written");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The root of the table, once it is on disk.
async fn keep_table(disk: Disk, table: Vec<u8>, root: u128) -> Option<u128> {
    let kept = disk.keep_table(table).await;
    if let Err(error) = &kept {
        tracing::warn!(%error, "the table of gossip could not be written");
    }
    kept.ok().map(|()| root)
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers no link could be made either; the seed only spreads the load.
    let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
