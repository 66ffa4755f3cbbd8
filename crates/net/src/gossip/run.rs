//! The loop around a [`Node`]: frames in and out, time, disk, and what others want to know.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kogge_gossip::{Action, Event, Head, Micros, Name, Node, State, View};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use super::Command;
use crate::{
    authority::Issued,
    disk::Disk,
    identity::{Identity, RecordKeys},
    links::{Heard, Links},
    report::FleetReport,
};

/// How often the table is kept, if it changed; and once members came or went.
const KEEP: Duration = Duration::from_secs(10);
const KEEP_SOON: Duration = Duration::from_secs(1);

/// How often a member that cannot be dialled looks whether it has its links.
const LINKS: Duration = Duration::from_secs(5);

/// Time since the start.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(self) -> Micros {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(Micros::MAX)
    }

    /// As an instant; something never is in an hour.
    fn at(self, moment: Micros) -> Instant {
        let never = Duration::from_hours(1);
        let after = Duration::from_micros(moment.saturating_sub(self.now())).min(never);
        Instant::now() + after
    }
}

pub(super) struct Loop {
    pub node: Node,
    pub clock: Clock,
    pub links: Links,
    pub disk: Disk,
    pub identity: Identity,
    pub keys: Arc<RecordKeys>,
    pub seeds: Vec<String>,
    pub actions: Vec<Action>,
}

impl Loop {
    pub async fn run(
        mut self,
        mut heard: mpsc::Receiver<Heard>,
        mut asked: mpsc::Receiver<Command>,
    ) {
        let mut keep = Instant::now() + KEEP;
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
                            keep = Instant::now();
                        }
                        self.on_command(command);
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(self.clock.at(self.node.wakes_at())) => {
                    self.handle(Event::Timer);
                }
                () = tokio::time::sleep_until(keep), if keeping.is_empty() => {
                    keep = Instant::now() + KEEP;
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
                keep = keep.min(Instant::now() + KEEP_SOON);
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
