//! One seed from start to verdict: a fleet of 20 to 50 members, in one seed of eight of 4 to 19;
//! 120 virtual seconds, faults in the first 85, calm after.

use super::check::Checker;
use super::faults::{Fault, Happened, script};
use super::hosts::{FLEET, head_of};
use super::keys::SimKeys;
use super::net::Latency;
use super::world::World;
use crate::event::Event;
use crate::id::{MS, Micros, Rng, SECOND};
use crate::queue::MAX_QUEUE;
use crate::record::{Floor, Slot};

/// How long faults go on, and when it ends.
const FAULTS: Micros = 85 * SECOND;
const END: Micros = 120 * SECOND;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What did not hold; empty is good.
    pub violations: Vec<String>,
    /// What went wrong on purpose.
    pub happened: Happened,
    /// Of all that was delivered.
    pub digest: u64,
}

/// Plays one seed.
pub fn campaign(seed: u64) -> Outcome {
    play(seed, false)
}

/// The same with members that do not ask floors, for the checker's own test.
pub(super) fn play(seed: u64, ignores_floors: bool) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut world = fleet(seed, &mut rng, ignores_floors);
    let hosts = world.hosts.len();
    let mut faults = script(&mut rng, hosts, FAULTS);
    // Calm: all ways open, everyone back but those that are gone for good.
    faults.push((FAULTS, Fault::Mend));
    faults.push((FAULTS, Fault::Noise { loss: 10_000, duplicates: 0, late: 0 }));
    faults.sort_by_key(|it| it.0);
    let mut serial = 0;
    let mut gone = vec![false; hosts];
    for (at, fault) in faults {
        run_looking(&mut world, at);
        apply(&mut world, &fault, &mut serial, &mut gone, &mut rng);
    }
    run_looking(&mut world, FAULTS + SECOND);
    for (host, gone) in gone.iter().enumerate() {
        world.set_slow(host, 0);
        // One in ten stays down.
        if world.node(host).is_none() && !gone && !rng.chance(100_000) {
            world.start(host);
        }
    }
    run_looking(&mut world, END);
    world.verdict();
    let checker = world.checker.take().unwrap_or_default();
    let (violations, digest) = (checker.violations, world.digest());
    Outcome { violations, happened: world.happened, digest }
}

/// The fleet of a seed, begun.
fn fleet(seed: u64, rng: &mut Rng, ignores_floors: bool) -> World {
    let small = seed % 8 == 7;
    let hosts = usize::try_from(rng.within(if small { 4..20 } else { 20..51 })).unwrap_or(20);
    let mut world = World::new(hosts, rng.any());
    world.ignores_floors = ignores_floors;
    world.happened.small = u64::from(small);
    if rng.chance(300_000) {
        world.net.latency = Latency::Distance(80 * MS);
        world.happened.distant = 1;
    }
    // Of a few all may be down at once, and then nobody who has lost its disk is in time.
    world.seeds = (0..if small { hosts.min(5) } else { 3 }).collect();
    // In a third of the seeds some members only dial out.
    if rng.chance(333_333) {
        for host in world.hosts.iter_mut().skip(5) {
            host.hidden = rng.chance(300_000);
        }
    }
    if rng.chance(333_333) {
        world.hostile = Some(hosts - 1);
    }
    let mut checker = Checker::default();
    checker.network(true, world.now());
    world.checker = Some(checker);
    for host in 0..hosts {
        world.start(host);
    }
    world
}

/// Plays on, and has the checker look at all views each second.
fn run_looking(world: &mut World, end: Micros) {
    while world.now() < end {
        let next = (world.now() / SECOND + 1) * SECOND;
        world.run_until(next.min(end));
        let now = world.now();
        if let Some(checker) = &mut world.checker {
            checker.look(now);
        }
    }
}

fn apply(world: &mut World, fault: &Fault, serial: &mut u64, gone: &mut [bool], rng: &mut Rng) {
    let runs = |world: &World, host: usize| world.node(host).is_some();
    let happens = match fault {
        Fault::Stop(host, _)
        | Fault::Slow(host, _)
        | Fault::Jump(host, _)
        | Fault::Crash(host, _)
        | Fault::Publish(host)
        | Fault::Leave(host) => runs(world, *host),
        Fault::Start(host) => !runs(world, *host) && !gone[*host],
        Fault::Remove(_) => runs(world, 0) && !world.hosts[0].stopped,
        _ => true,
    };
    if !happens {
        return;
    }
    world.happened.count(fault);
    let now = world.now();
    match fault {
        Fault::Noise { loss, duplicates, late } => {
            (world.net.loss, world.net.duplicates, world.net.late) = (*loss, *duplicates, *late);
        }
        Fault::Split { groups, .. } => world.net.groups.clone_from(groups),
        Fault::OneWay(from, to) => world.net.cuts.push((*from, *to)),
        Fault::Mend => {
            world.net.groups.clear();
            world.net.cuts.clear();
        }
        Fault::Stop(host, span) => {
            world.stop(*host, *span);
        }
        Fault::Slow(host, late) => world.set_slow(*host, *late),
        Fault::Jump(host, by) => {
            world.jump(*host, *by);
        }
        Fault::Crash(host, disk) => world.crash(*host, *disk),
        Fault::Start(host) => world.start(*host),
        Fault::Publish(host) => {
            let mut head = head_of(*host, rng.below(20));
            head.dialable = !world.hosts[*host].hidden;
            head.drifted = rng.below(1_000);
            world.give(*host, Event::Publish(Box::new(head)));
            let body = rng.any().to_le_bytes();
            world.give(*host, Event::Put { slot: Slot::Services, body: &body });
        }
        Fault::Remove(host) => {
            *serial += 1;
            gone[*host] = true;
            world.goes(*host, true);
            let revoked = rng.chance(500_000);
            let floor = Floor { serial: *serial, incarnation: Floor::REMOVED, revoked };
            world.floor(0, *host, floor);
        }
        Fault::Leave(host) => {
            gone[*host] = true;
            world.goes(*host, false);
            world.give(*host, Event::Leave);
        }
    }
    let calm = world.net.whole() && world.net.loss <= 100_000;
    if let Some(checker) = &mut world.checker {
        checker.network(calm, now);
    }
}

impl World {
    /// The checker is told whether a host is slow or stopped, or was until now.
    pub(super) fn disturbed(&mut self, host: usize) {
        let it = &self.hosts[host];
        if let Some(checker) = &mut self.checker {
            checker.disturbed(&it.name, it.stopped || 0 < it.slow, self.now);
        }
    }

    /// The hub sets a floor, told to one member.
    pub(super) fn floor(&mut self, at: usize, of: usize, floor: Floor) {
        let name = self.hosts[of].name.clone();
        let record = floor.seal(name.as_str(), |signed| SimKeys::hub_sign(FLEET, signed));
        self.give(at, Event::Floor(&record));
    }

    fn set_slow(&mut self, host: usize, late: Micros) {
        if self.hosts[host].slow != late {
            self.hosts[host].slow = late;
            self.disturbed(host);
        }
    }

    fn jump(&mut self, host: usize, by: Micros) {
        self.hosts[host].ahead += by;
        self.disturbed(host);
        self.give(host, Event::Timer);
    }

    fn goes(&mut self, host: usize, removed: bool) {
        let name = self.hosts[host].name.clone();
        if let Some(checker) = &mut self.checker {
            checker.goes(&name, removed);
        }
    }

    /// What has to hold at the end, after calm.
    fn verdict(&mut self) {
        let Some(mut checker) = self.checker.take() else { return };
        let well = checker.all_well(self.now);
        let nodes: Vec<_> = self.hosts.iter().filter_map(|it| it.node.as_ref()).collect();
        let well: Vec<_> = nodes.iter().filter(|it| well.contains(it.name())).collect();
        let roots: Vec<_> = well.iter().map(|it| (it.name().clone(), it.root())).collect();
        checker.equal(&roots, self.now);
        for of in &well {
            let own = of.record_of(of.name().as_str(), Slot::Head).map(|it| it.stamp);
            for by in &well {
                let has = by.record_of(of.name().as_str(), Slot::Head).map(|it| it.stamp);
                checker.reached(by.name(), of.name(), has, own.unwrap_or_default());
            }
        }
        for node in &nodes {
            checker.queue(node.name(), node.counters().longest_queue, MAX_QUEUE);
        }
        self.checker = Some(checker);
    }
}
