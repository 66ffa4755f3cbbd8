//! The figures of a fleet: how fast, how dear, how wrong.

use super::faults::Disk;
use super::hosts::head_of;
use super::world::World;
use crate::event::Event;
use crate::id::{MS, Micros, SECOND};
use crate::record::Slot;
use crate::table::State;

/// One update to all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct News {
    /// From its publication until the last living member has it; `None` if some do not after 30 s.
    pub to_all: Option<Micros>,
    /// Copies that a member received, in the mean, until then.
    pub copies: f64,
    /// Members without it after 30 s.
    pub missed: usize,
}

/// One member dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// Until the first member calls it dead.
    pub first: Option<Micros>,
    /// Until all do.
    pub all: Option<Micros>,
}

/// A fleet starts by one seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Join {
    /// Until all know all.
    pub took: Option<Micros>,
    /// Received by a member, in the mean and at most, and sent by the seed.
    pub received: f64,
    /// See there.
    pub most: u64,
    /// See there.
    pub by_seed: u64,
    /// Members that another called dead meanwhile, although all live.
    pub false_deaths: u64,
}

/// All of it: what `kogge sim gossip` prints. Bytes are frames with UDP and IP headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Seconds from an update until the last member has it; `None`: some never do.
    pub time_to_all_seconds: Option<f64>,
    /// Copies of it that a member receives.
    pub copies_per_member: f64,
    /// Members that miss it.
    pub missed: usize,
    /// Bytes that an idle member sends in a second.
    pub idle_bytes_per_second: f64,
    /// Seconds from a death until the first member knows.
    pub first_detection_seconds: Option<f64>,
    /// Seconds until all do.
    pub all_know_seconds: Option<f64>,
    /// Living members called dead by anybody: at rest, during the update and while all join. In
    /// the split each part calls the other dead, so that is not counted.
    pub false_deaths: u64,
    /// Seconds until a fleet that starts by one seed knows itself.
    pub join_seconds: Option<f64>,
    /// Seconds from the end of a split of 30 to 70, of 120 s, until all see all alive.
    pub heal_seconds: Option<f64>,
}

/// A fleet that knows itself and has come to rest.
fn fleet(members: usize, loss: u64, seed: u64) -> World {
    let mut world = World::new(members, seed);
    world.net.loss = loss;
    world.start_known();
    let rested = world.now() + 8 * SECOND;
    world.run_until(rested);
    world
}

/// Figures are this exact.
const STEP: Micros = 2 * MS;

/// Plays on in small steps until `done`, at most `limit` long: how long it took.
fn until(world: &mut World, limit: Micros, done: impl Fn(&World) -> bool) -> Option<Micros> {
    let start = world.now();
    while world.now() < start + limit {
        if done(world) {
            return Some(world.now() - start);
        }
        let next = world.now() + STEP;
        world.run_until(next);
    }
    None
}

/// A random member has news. `loss` is in a million, here and below.
pub fn news(members: usize, loss: u64, seed: u64) -> News {
    spread(&mut fleet(members, loss, seed))
}

fn spread(world: &mut World) -> News {
    let members = world.hosts.len();
    let owner = usize::try_from(world.rng.below(members as u64)).unwrap_or(0);
    let name = world.hosts[owner].name.clone();
    let mut head = head_of(owner, 7);
    head.drifted = 1 + world.rng.below(1_000_000);
    world.give(owner, Event::Publish(Box::new(head)));
    let stamp = |world: &World, host: usize| {
        Some(world.node(host)?.record_of(name.as_str(), Slot::Head)?.stamp)
    };
    let newest = stamp(world, owner);
    let record = world.node(owner).and_then(|it| it.record_of(name.as_str(), Slot::Head));
    world.watched = record.map(|it| it.bytes().to_vec());
    world.copies = 0;
    let lacking = |world: &World| (0..members).filter(|it| stamp(world, *it) != newest).count();
    let to_all = until(world, 30 * SECOND, |world| lacking(world) == 0);
    // Copies that are still under way count too.
    let end = world.now() + SECOND;
    world.run_until(end);
    #[expect(clippy::cast_precision_loss, reason = "counts of frames")]
    let copies = world.copies as f64 / (members - 1) as f64;
    News { to_all, copies, missed: lacking(world) }
}

/// Bytes that a member sends in a second when nothing happens.
pub fn idle(members: usize, loss: u64, seed: u64) -> f64 {
    let mut world = fleet(members, loss, seed);
    rest(&mut world, 30)
}

fn rest(world: &mut World, seconds: u32) -> f64 {
    let sent = |world: &World| -> u64 { world.hosts.iter().map(|it| it.sent.bytes).sum() };
    let before = sent(world);
    let end = world.now() + Micros::from(seconds) * SECOND;
    world.run_until(end);
    #[expect(clippy::cast_precision_loss, reason = "counts of bytes")]
    let each = (sent(world) - before) as f64 / world.hosts.len() as f64;
    each / f64::from(seconds)
}

/// A member loses power.
pub fn detection(members: usize, loss: u64, seed: u64) -> Death {
    die(&mut fleet(members, loss, seed))
}

fn die(world: &mut World) -> Death {
    let members = world.hosts.len();
    let victim = usize::try_from(1 + world.rng.below(members as u64 - 1)).unwrap_or(1);
    let pause = world.rng.below(SECOND);
    let moment = world.now() + pause;
    world.run_until(moment);
    world.crash(victim, Disk::Kept);
    let name = world.hosts[victim].name.clone();
    let knows = |world: &World, host: usize| {
        host == victim
            || world.node(host).is_none_or(|it| it.state_of(name.as_str()) == Some(State::Dead))
    };
    let first = until(world, 60 * SECOND, |world| {
        (0..members).any(|it| it != victim && world.node(it).is_some() && knows(world, it))
    });
    let rest = until(world, 60 * SECOND, |world| (0..members).all(|it| knows(world, it)));
    Death { first, all: first.zip(rest).map(|it| it.0 + it.1) }
}

/// All start at once and know the seed only.
pub fn join(members: usize, loss: u64, seed: u64) -> Join {
    let mut world = World::new(members, seed);
    world.net.loss = loss;
    for host in 0..members {
        world.start(host);
    }
    let took = until(&mut world, 120 * SECOND, |world| {
        world.hosts.iter().all(|it| {
            let all = |it: &crate::Node| {
                it.table.members.len() == members && it.table.living().count() == members
            };
            it.node.as_ref().is_some_and(all)
        })
    });
    let received: Vec<u64> = world.hosts.iter().skip(1).map(|it| it.received.bytes).collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of bytes")]
    let mean = received.iter().sum::<u64>() as f64 / received.len().max(1) as f64;
    let most = received.into_iter().max().unwrap_or(0);
    let (by_seed, false_deaths) = (world.hosts[0].sent.bytes, world.happened.died);
    Join { took, received: mean, most, by_seed, false_deaths }
}

/// The network is split 30 to 70 for 120 s. How long after that all see all alive, and know the
/// same.
pub fn heal(members: usize, loss: u64, seed: u64) -> (Option<Micros>, Option<Micros>) {
    split(&mut fleet(members, loss, seed))
}

fn split(world: &mut World) -> (Option<Micros>, Option<Micros>) {
    let members = world.hosts.len();
    world.net.groups = (0..members).map(|it| u8::from(it * 10 < members * 3)).collect();
    let end = world.now() + 120 * SECOND;
    world.run_until(end);
    world.net.groups.clear();
    let lives = |world: &World, by: usize| {
        world.node(by).is_none_or(|it| it.table.living().count() == members)
    };
    let alive = until(world, 120 * SECOND, |world| (0..members).all(|it| lives(world, it)));
    let equal = until(world, 120 * SECOND, |world| {
        let mut roots = world.hosts.iter().filter_map(|it| it.node.as_ref()).map(crate::Node::root);
        let first = roots.next();
        roots.all(|it| Some(it) == first)
    });
    (alive, alive.zip(equal).map(|it| it.0 + it.1))
}

/// A fleet at rest in which nothing happens but loss.
pub struct Soak(World);

impl Soak {
    /// See [`news`] for `loss`.
    pub fn new(members: usize, loss: u64, seed: u64) -> Self {
        Self(fleet(members, loss, seed))
    }

    /// Plays on for that many virtual seconds: living members called dead by anybody until then.
    pub fn play(&mut self, seconds: u64) -> u64 {
        let end = self.0.now() + seconds * SECOND;
        self.0.run_until(end);
        self.0.happened.died
    }
}

/// All figures of a fleet. `begins` is told what is played next.
pub fn fleet_figures(
    members: usize,
    loss: u64,
    seed: u64,
    mut begins: impl FnMut(&str),
) -> Figures {
    #[expect(clippy::cast_precision_loss, reason = "spans of minutes")]
    let seconds = |it: Micros| it as f64 / SECOND as f64;
    begins("an idle fleet");
    let mut world = fleet(members, loss, seed);
    let idle_bytes_per_second = rest(&mut world, 30);
    begins("one update to all");
    let News { to_all, copies, missed } = spread(&mut world);
    let false_deaths = world.happened.died;
    begins("a death");
    let death = die(&mut world);
    begins("all join by one seed");
    let joined = join(members, loss, seed);
    begins("a split of 30 to 70 and its end, which takes longest");
    let healed = heal(members, loss, seed).0;
    Figures {
        time_to_all_seconds: to_all.map(seconds),
        copies_per_member: copies,
        missed,
        idle_bytes_per_second,
        first_detection_seconds: death.first.map(seconds),
        all_know_seconds: death.all.map(seconds),
        false_deaths: false_deaths + joined.false_deaths,
        join_seconds: joined.took.map(seconds),
        heal_seconds: healed.map(seconds),
    }
}
