//! Hosts with clocks and disks, and the order of events between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::check::Checker;
use super::faults::{Disk, Happened};
use super::hosts::{FLEET, head_of, host_of, name_of};
use super::keys::SimKeys;
use super::net::{Net, Traffic};
use crate::event::{Action, Channel, Event, Setup};
use crate::head::Head;
use crate::id::{Micros, Name, Rng, SECOND, hash, mix};
use crate::node::Node;
use crate::record::{Floor, Slot};

/// Frames that a stopped host's kernel keeps.
const HELD: usize = 10_000;

pub(super) enum Item {
    Frame {
        from: usize,
        to: usize,
        how: Channel,
        bytes: Vec<u8>,
    },
    /// The next try of a stream.
    Stream {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
        tries: usize,
    },
    Undialable {
        at: usize,
        peer: usize,
    },
    Met {
        at: usize,
        peer: usize,
    },
    Wake(usize),
    Resume(usize),
}

/// A place where a member runs, or not.
pub(super) struct Host {
    pub name: Name,
    pub node: Option<Node>,
    pub incarnation: u64,
    pub snapshot: Vec<u8>,
    pub old_incarnation: u64,
    pub stopped: bool,
    held: Vec<Item>,
    pub slow: Micros,
    /// Its clock is ahead by this.
    pub ahead: Micros,
    wake: Micros,
    pub sent: Traffic,
    pub received: Traffic,
    pub life: u64,
    /// Nobody can open a connection to it.
    pub hidden: bool,
    /// To whom it has opened one, and when it was last used.
    pub(super) opened: BTreeMap<usize, Micros>,
}

/// A fleet and its network.
pub struct World {
    /// What happens to frames from now on.
    pub net: Net,
    pub(super) hosts: Vec<Host>,
    pub(super) now: Micros,
    pub(super) rng: Rng,
    queue: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    items: Vec<Option<Item>>,
    free: Vec<usize>,
    count: u64,
    actions: Vec<Action>,
    /// Everything that was delivered, hashed in order.
    digest: u64,
    /// A record whose arrivals as news are counted.
    pub(super) watched: Option<Vec<u8>>,
    pub(super) copies: u64,
    pub(super) checker: Option<Checker>,
    pub(super) happened: Happened,
    pub(super) seeds: Vec<usize>,
    /// A host that sends on what it gets, as it was, as its own, or damaged.
    pub(super) hostile: Option<usize>,
    /// Test hook, given to each node that starts.
    pub(super) ignores_floors: bool,
}

impl World {
    /// `hosts` hosts on which nothing runs yet; the first is the seed of all.
    pub fn new(hosts: usize, seed: u64) -> Self {
        let host = |at| Host {
            name: name_of(at),
            node: None,
            incarnation: 0,
            snapshot: Vec::new(),
            old_incarnation: 0,
            stopped: false,
            held: Vec::new(),
            slow: 0,
            ahead: 0,
            wake: Micros::MAX,
            sent: Traffic::default(),
            received: Traffic::default(),
            life: 0,
            hidden: false,
            opened: BTreeMap::new(),
        };
        Self {
            net: Net::default(),
            hosts: (0..hosts).map(host).collect(),
            now: SECOND,
            rng: Rng::new(seed),
            queue: BinaryHeap::new(),
            items: Vec::new(),
            free: Vec::new(),
            count: 0,
            actions: Vec::new(),
            digest: seed,
            watched: None,
            copies: 0,
            checker: None,
            happened: Happened::default(),
            seeds: vec![0],
            hostile: None,
            ignores_floors: false,
        }
    }

    /// The moment.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Of all that was delivered, in order: equal runs have equal ones.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The member on a host, if it runs.
    pub fn node(&self, host: usize) -> Option<&Node> {
        self.hosts[host].node.as_ref()
    }

    /// What a host has sent and received.
    pub fn traffic(&self, host: usize) -> (Traffic, Traffic) {
        (self.hosts[host].sent, self.hosts[host].received)
    }

    fn setup(&mut self, host: usize) -> Setup {
        let name = self.hosts[host].name.clone();
        Setup {
            fleet: FLEET.into(),
            keys: SimKeys::new(FLEET, &name),
            name,
            head: Head { dialable: !self.hosts[host].hidden, ..head_of(host, 7) },
            incarnation: self.hosts[host].incarnation,
            seed: self.rng.any(),
        }
    }

    /// Starts a member with what is on its disk.
    pub fn start(&mut self, host: usize) {
        let setup = self.setup(host);
        let now = self.now + self.hosts[host].ahead;
        let snapshot = std::mem::take(&mut self.hosts[host].snapshot);
        let mut actions = std::mem::take(&mut self.actions);
        let mut node = Node::new(setup, &snapshot, now, &mut actions);
        node.table.ignores_floors = self.ignores_floors;
        let it = &mut self.hosts[host];
        (it.node, it.snapshot, it.stopped) = (Some(node), snapshot, false);
        (it.life, it.slow) = (it.life + 1, 0);
        let (name, life) = (it.name.clone(), it.life);
        if let Some(checker) = &mut self.checker {
            checker.started(&name, life, self.now);
        }
        self.carry_out(host, &mut actions);
        self.actions = actions;
        self.schedule_wake(host);
    }

    /// Starts all members, each of which knows all others already.
    pub fn start_known(&mut self) {
        for host in 0..self.hosts.len() {
            self.start(host);
        }
        let keys = SimKeys::new(FLEET, &name_of(0));
        let mut table = crate::table::Table::new(FLEET);
        for host in &self.hosts {
            let node = host.node.as_ref().expect("all have started");
            for record in node.table.members[node.me].records() {
                let read = crate::record::RecordRef::read(record.bytes()).expect("it was sealed");
                table.offer(&read, &*keys, self.now);
            }
        }
        for host in &mut self.hosts {
            let node = host.node.as_mut().expect("all have started");
            node.table = table.clone();
            node.table.ignores_floors = self.ignores_floors;
            node.me = node.table.named(node.name.as_str()).expect("its head is there");
            node.ring_moved = true;
        }
        for host in 0..self.hosts.len() {
            self.give(host, Event::Timer);
        }
    }

    /// The host loses power. What it wrote is still there when it starts.
    pub fn crash(&mut self, host: usize, disk: Disk) {
        let it = &mut self.hosts[host];
        if let Some(node) = it.node.take() {
            match disk {
                Disk::Kept => it.snapshot = node.snapshot(),
                Disk::Lost => (it.incarnation, it.snapshot) = (0, Vec::new()),
                Disk::Old => it.incarnation = it.old_incarnation,
            }
            it.old_incarnation = it.incarnation;
        }
        it.held.clear();
        (it.stopped, it.wake) = (false, Micros::MAX);
        let name = it.name.clone();
        if let Some(checker) = &mut self.checker {
            checker.crashed(&name, self.now);
        }
    }

    /// The process is stopped (SIGSTOP) for a while; frames wait in the kernel.
    pub fn stop(&mut self, host: usize, span: Micros) {
        self.hosts[host].stopped = true;
        self.disturbed(host);
        self.push(self.now + span, Item::Resume(host));
    }

    /// Gives an event to the member on a host.
    pub fn give(&mut self, host: usize, event: Event<'_>) {
        let local = self.now + self.hosts[host].ahead;
        let mut actions = std::mem::take(&mut self.actions);
        if let Some(node) = &mut self.hosts[host].node {
            node.handle(event, local, &mut actions);
        }
        self.carry_out(host, &mut actions);
        self.actions = actions;
        self.schedule_wake(host);
    }

    fn schedule_wake(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        let Some(node) = &it.node else { return };
        let wake = node.wakes_at().saturating_sub(it.ahead).max(self.now);
        if wake < it.wake {
            it.wake = wake;
            let late = it.slow;
            self.push(wake + late, Item::Wake(host));
        }
    }

    fn carry_out(&mut self, host: usize, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Send { to, how, bytes } => self.send(host, host_of(&to), how, bytes),
                Action::Persist { incarnation } => self.hosts[host].incarnation = incarnation,
                Action::DialSeeds => {
                    let peer = *self.rng.choose(&self.seeds).unwrap_or(&0);
                    let open = self.net.open(host, peer) && self.net.open(peer, host);
                    if peer != host && open && self.hosts[peer].node.is_some() {
                        let trip = 2 * self.net.takes(host, peer, &mut self.rng);
                        self.push(self.now + trip, Item::Met { at: host, peer });
                    }
                }
                Action::Member { name, state, incarnation } => {
                    self.happened.saw(state);
                    let by = &self.hosts[host];
                    if let Some(checker) = &mut self.checker {
                        checker.member(&by.name, by.life, &name, state, incarnation, self.now);
                    }
                }
                Action::Record { name, slot, stamp } => {
                    let by = &self.hosts[host];
                    if let Some(checker) = &mut self.checker {
                        let floor = (slot == Slot::Floor)
                            .then(|| by.node.as_ref()?.record_of(name.as_str(), slot).cloned())
                            .flatten()
                            .and_then(|it| Floor::read(it.stamp, it.body()).ok());
                        checker.record(&by.name, by.life, &name, slot, stamp, floor);
                    }
                }
                Action::Revoke { .. } => self.happened.revocations += 1,
                Action::Restore { .. } => {}
            }
        }
    }

    pub(super) fn push(&mut self, at: Micros, item: Item) {
        let place = if let Some(place) = self.free.pop() {
            self.items[place] = Some(item);
            place
        } else {
            self.items.push(Some(item));
            self.items.len() - 1
        };
        self.count += 1;
        self.queue.push(Reverse((at, self.count, place)));
    }

    /// Plays on until that moment.
    pub fn run_until(&mut self, end: Micros) {
        while let Some(Reverse((at, ..))) = self.queue.peek()
            && *at <= end
        {
            let Some(Reverse((at, _, place))) = self.queue.pop() else { break };
            self.now = at;
            self.free.push(place);
            if let Some(item) = self.items[place].take() {
                self.happen(item);
            }
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::Frame { from, to, how, bytes } => self.arrive(from, to, how, bytes),
            Item::Stream { from, to, bytes, tries } => {
                if self.hosts[from].node.is_some() {
                    self.stream(from, to, bytes, tries);
                }
            }
            Item::Undialable { at, peer } => {
                let name = self.hosts[peer].name.clone();
                if !self.hosts[at].stopped {
                    self.give(at, Event::Undialable(name));
                }
            }
            Item::Met { at, peer } => {
                let name = self.hosts[peer].name.clone();
                if !self.hosts[at].stopped {
                    self.give(at, Event::Met(name));
                }
            }
            Item::Wake(host) => {
                let it = &mut self.hosts[host];
                // A later wish has taken its place, or it has been done.
                if it.stopped || self.now < it.wake {
                    return;
                }
                it.wake = Micros::MAX;
                self.give(host, Event::Timer);
            }
            Item::Resume(host) => {
                if self.hosts[host].stopped {
                    self.hosts[host].stopped = false;
                    self.disturbed(host);
                    self.hosts[host].wake = Micros::MAX;
                    for item in std::mem::take(&mut self.hosts[host].held) {
                        self.happen(item);
                    }
                    self.give(host, Event::Timer);
                }
            }
        }
    }

    fn arrive(&mut self, from: usize, to: usize, how: Channel, bytes: Vec<u8>) {
        let it = &mut self.hosts[to];
        if it.node.is_none() {
            return;
        }
        if it.stopped {
            self.happened.held += 1;
            if it.held.len() < HELD {
                it.held.push(Item::Frame { from, to, how, bytes });
            }
            return;
        }
        if 0 < it.slow {
            self.happened.slowed += 1;
        }
        it.received.add(how, bytes.len());
        if self.watched.as_ref().is_some_and(|it| bytes.ends_with(it)) {
            self.copies += 1;
        }
        let place = (from as u64) << 32 | to as u64;
        self.digest = mix(mix(self.digest, self.now), hash(place, &bytes));
        if self.hostile == Some(to) {
            self.abuse(to, &bytes);
        }
        let name = self.hosts[from].name.clone();
        self.give(to, Event::Frame { from: name.as_str(), bytes: &bytes });
    }
}
