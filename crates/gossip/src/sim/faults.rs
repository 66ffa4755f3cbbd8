//! What goes wrong, and how often it did.

use crate::id::{MS, Micros, Rng, SECOND};
use crate::table::State;

/// What a host that lost power finds on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// All that was written.
    Kept,
    /// Nothing.
    Lost,
    /// An older incarnation, as after a restored backup.
    Old,
}

/// One thing that goes wrong, or is put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Loss, duplicates and late frames from now on, in a million each.
    Noise { loss: u64, duplicates: u64, late: u64 },
    /// Hosts by groups that do not reach each other.
    Split {
        /// The group of each.
        groups: Vec<u8>,
        /// The split has been there, and went, a moment ago.
        again: bool,
    },
    /// Nothing from one host to another.
    OneWay(usize, usize),
    /// All ways are open.
    Mend,
    /// SIGSTOP for a while.
    Stop(usize, Micros),
    /// What a host does comes that late.
    Slow(usize, Micros),
    /// A host's clock jumps ahead.
    Jump(usize, Micros),
    /// A host loses power.
    Crash(usize, Disk),
    /// It starts again.
    Start(usize),
    /// Its state changes.
    Publish(usize),
    /// The hub removes it.
    Remove(usize),
    /// It says goodbye, and stops a second later.
    Leave(usize),
}

/// How often things happened: a run in which nothing went wrong has shown nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Frames lost.
    pub lost: u64,
    /// Frames that came twice.
    pub duplicated: u64,
    /// Frames that came late, and so perhaps out of order.
    pub late: u64,
    /// Frames that a split or a one-way cut took.
    pub cut: u64,
    /// Frames that waited for a stopped host.
    pub held: u64,
    /// Frames that came to a slow host.
    pub slowed: u64,
    /// Frames that a hostile member sent.
    pub abused: u64,
    /// Splits, those of them that came back, and one-way cuts.
    pub splits: u64,
    /// See there.
    pub flaps: u64,
    /// See there.
    pub one_way: u64,
    /// Fleets of fewer than twenty.
    pub small: u64,
    /// Fleets in which frames take as long as it is far.
    pub distant: u64,
    /// Hosts stopped.
    pub stops: u64,
    /// Clocks that jumped.
    pub jumps: u64,
    /// Crashes by what was left: kept, lost, old.
    pub crashes: [u64; 3],
    /// Restarts.
    pub starts: u64,
    /// Records published.
    pub published: u64,
    /// Members removed by the hub, and their links cut.
    pub removed: u64,
    /// See there.
    pub revocations: u64,
    /// Goodbyes.
    pub left: u64,
    /// States that members saw others come to: suspected, dead, alive again.
    pub suspected: u64,
    /// See there.
    pub died: u64,
    /// See there.
    pub alive: u64,
}

impl Happened {
    pub(super) fn saw(&mut self, state: State) {
        match state {
            State::Suspect => self.suspected += 1,
            State::Dead => self.died += 1,
            State::Alive => self.alive += 1,
            State::Left | State::Removed => {}
        }
    }

    pub(super) fn count(&mut self, fault: &Fault) {
        self.flaps += u64::from(matches!(fault, Fault::Split { again: true, .. }));
        let counter = match fault {
            Fault::Split { .. } => &mut self.splits,
            Fault::OneWay(..) => &mut self.one_way,
            Fault::Stop(..) => &mut self.stops,
            Fault::Jump(..) => &mut self.jumps,
            Fault::Crash(_, disk) => &mut self.crashes[*disk as usize],
            Fault::Start(_) => &mut self.starts,
            Fault::Publish(_) => &mut self.published,
            Fault::Remove(_) => &mut self.removed,
            Fault::Leave(_) => &mut self.left,
            Fault::Noise { .. } | Fault::Mend | Fault::Slow(..) => return,
        };
        *counter += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.lost, other.lost),
            (&mut self.duplicated, other.duplicated),
            (&mut self.late, other.late),
            (&mut self.cut, other.cut),
            (&mut self.held, other.held),
            (&mut self.slowed, other.slowed),
            (&mut self.abused, other.abused),
            (&mut self.splits, other.splits),
            (&mut self.flaps, other.flaps),
            (&mut self.one_way, other.one_way),
            (&mut self.small, other.small),
            (&mut self.distant, other.distant),
            (&mut self.stops, other.stops),
            (&mut self.jumps, other.jumps),
            (&mut self.starts, other.starts),
            (&mut self.published, other.published),
            (&mut self.removed, other.removed),
            (&mut self.revocations, other.revocations),
            (&mut self.left, other.left),
            (&mut self.suspected, other.suspected),
            (&mut self.died, other.died),
            (&mut self.alive, other.alive),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
        for (sum, more) in self.crashes.iter_mut().zip(other.crashes) {
            *sum += more;
        }
    }

    /// The name of something that never happened, if there is any.
    pub fn missing(&self) -> Option<&'static str> {
        let all = [
            (self.lost, "loss"),
            (self.duplicated, "duplicates"),
            (self.late, "late frames"),
            (self.cut, "frames cut"),
            (self.held, "frames held"),
            (self.slowed, "frames slowed"),
            (self.abused, "abuse"),
            (self.splits, "splits"),
            (self.flaps, "splits that come back"),
            (self.one_way, "one-way cuts"),
            (self.small, "small fleets"),
            (self.distant, "latency by distance"),
            (self.stops, "stops"),
            (self.jumps, "clock jumps"),
            (self.crashes[0], "crashes, disk kept"),
            (self.crashes[1], "crashes, disk lost"),
            (self.crashes[2], "crashes, disk old"),
            (self.starts, "restarts"),
            (self.published, "publications"),
            (self.removed, "removals"),
            (self.revocations, "revocations"),
            (self.left, "goodbyes"),
            (self.suspected, "suspicions"),
            (self.died, "deaths"),
            (self.alive, "recoveries"),
        ];
        all.into_iter().find(|it| it.0 == 0).map(|it| it.1)
    }
}

/// A script for `hosts` hosts: faults by moment, until `end`. Host 0, the seed, is spared of what
/// a fleet cannot survive alone: removal and goodbye.
pub(super) fn script(rng: &mut Rng, hosts: usize, end: Micros) -> Vec<(Micros, Fault)> {
    let mut script = Vec::new();
    let mut at = 5 * SECOND;
    let mut gone: Vec<usize> = Vec::new();
    while at < end {
        fault(rng, hosts, at, &mut gone, &mut script);
        at += rng.within(500 * MS..6 * SECOND);
    }
    for _ in 0..hosts {
        script.push((rng.within(SECOND..end), Fault::Publish(index(rng, hosts))));
    }
    script.sort_by_key(|it| it.0);
    script
}

fn index(rng: &mut Rng, hosts: usize) -> usize {
    usize::try_from(rng.below(hosts as u64)).unwrap_or(0)
}

fn fault(
    rng: &mut Rng,
    hosts: usize,
    at: Micros,
    gone: &mut Vec<usize>,
    script: &mut Vec<(Micros, Fault)>,
) {
    let host = 1 + index(rng, hosts - 1);
    let span = rng.within(500 * MS..15 * SECOND);
    match rng.below(12) {
        0 | 1 => {
            let (loss, duplicates) = (rng.below(300_000), rng.below(50_000));
            script.push((at, Fault::Noise { loss, duplicates, late: rng.below(50_000) }));
        }
        2 => {
            let share = rng.within(100_000..600_000);
            let groups: Vec<u8> = (0..hosts).map(|_| u8::from(rng.chance(share))).collect();
            // Flapping: the same split comes and goes.
            let flaps = 1 + rng.below(3);
            for flap in 0..flaps {
                let begin = at + flap * span / flaps;
                let again = 0 < flap;
                script.push((begin, Fault::Split { groups: groups.clone(), again }));
                script.push((begin + span / flaps * 2 / 3, Fault::Mend));
            }
        }
        3 | 4 => {
            for _ in 0..=rng.below(4) {
                script.push((at, Fault::OneWay(index(rng, hosts), host)));
            }
            script.push((at + span, Fault::Mend));
        }
        5 | 6 => script.push((at, Fault::Stop(host, span))),
        7 => {
            script.push((at, Fault::Slow(host, rng.within(50 * MS..800 * MS))));
            script.push((at + span, Fault::Slow(host, 0)));
        }
        8 => script.push((at, Fault::Jump(host, rng.within(100 * MS..3_600 * SECOND)))),
        9 | 10 => {
            let disk = *rng.choose(&[Disk::Kept, Disk::Lost, Disk::Old]).unwrap_or(&Disk::Kept);
            for _ in 0..=rng.below(3) {
                let host = index(rng, hosts);
                if !gone.contains(&host) {
                    script.push((at, Fault::Crash(host, disk)));
                    script.push((at + span, Fault::Start(host)));
                }
            }
        }
        _ => {
            // Of those that are gone for good at most a quarter.
            if gone.len() * 4 < hosts && !gone.contains(&host) {
                gone.push(host);
                let leaves = rng.chance(500_000);
                script.push((at, if leaves { Fault::Leave(host) } else { Fault::Remove(host) }));
            }
        }
    }
}
