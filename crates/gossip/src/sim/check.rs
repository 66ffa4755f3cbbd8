//! What must hold in any run. The checker is told what members saw and what was done to them; it
//! knows nothing of how they work, so that a handcrafted trace can show it wrong.

use std::collections::BTreeMap;

use crate::id::{Micros, Name, SECOND};
use crate::record::{Floor, Slot, Stamp};
use crate::table::State;
use crate::words::ENOUGH;

/// Within this long of calm everything is as it should be.
pub const BOUND: Micros = 12 * SECOND;

/// What is true of a member, whatever others see.
#[derive(Clone, Debug, Default)]
struct Truth {
    runs: bool,
    /// Since when it runs, or does not, or is disturbed.
    since: Micros,
    /// Stopped or slow: neither dead nor well.
    disturbed: bool,
    left: bool,
    removed: bool,
}

/// What one life of a member has seen of another.
#[derive(Clone, Debug, Default)]
struct Seen {
    stamps: [Option<Stamp>; Slot::ALL.len()],
    floor: Option<Floor>,
    state: Option<State>,
    /// Since when it is in that state.
    since: Micros,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    truth: BTreeMap<Name, Truth>,
    seen: BTreeMap<(Name, Name), (u64, Seen)>,
    /// Since when the network is whole and loses little.
    calm: Option<Micros>,
    /// What does not hold.
    pub violations: Vec<String>,
}

impl Checker {
    /// A member runs from now on: its `life` tells its starts apart.
    pub fn started(&mut self, name: &Name, life: u64, now: Micros) {
        self.seen.retain(|(by, _), (before, _)| by != name || *before == life);
        let truth = self.truth.entry(name.clone()).or_default();
        (truth.runs, truth.disturbed, truth.since) = (true, false, now);
    }

    /// It does not.
    pub fn crashed(&mut self, name: &Name, now: Micros) {
        let truth = self.truth.entry(name.clone()).or_default();
        (truth.runs, truth.since) = (false, now);
    }

    /// It is stopped or slow, or is no longer.
    pub fn disturbed(&mut self, name: &Name, disturbed: bool, now: Micros) {
        let truth = self.truth.entry(name.clone()).or_default();
        (truth.disturbed, truth.since) = (disturbed, now);
    }

    /// It is on its way out, by its own will or the hub's.
    pub fn goes(&mut self, name: &Name, removed: bool) {
        let truth = self.truth.entry(name.clone()).or_default();
        truth.left |= !removed;
        truth.removed |= removed;
    }

    /// The network is calm from now on, or is not.
    pub fn network(&mut self, calm: bool, now: Micros) {
        self.calm = if calm { Some(self.calm.unwrap_or(now)) } else { None };
    }

    fn seen(&mut self, by: &Name, life: u64, of: &Name) -> &mut Seen {
        let (known, seen) = self.seen.entry((by.clone(), of.clone())).or_default();
        if *known != life {
            (*known, *seen) = (life, Seen::default());
        }
        seen
    }

    fn wrong(&mut self, text: String) {
        if self.violations.len() < 20 {
            self.violations.push(text);
        }
    }

    /// A member has stored a record: stamps never go back.
    pub fn record(
        &mut self,
        by: &Name,
        life: u64,
        of: &Name,
        slot: Slot,
        stamp: Stamp,
        floor: Option<Floor>,
    ) {
        let seen = self.seen(by, life, of);
        let before = seen.stamps[slot.at()].replace(stamp);
        seen.floor = floor.or(seen.floor);
        let (floor, own) = (seen.floor, by == of);
        if before.is_some_and(|it| stamp < it) {
            self.wrong(format!("{by}: {of} {slot:?} went from {before:?} back to {stamp:?}"));
        }
        if slot != Slot::Floor
            && !own
            && floor.is_some_and(|it| stamp.incarnation <= it.incarnation)
        {
            self.wrong(format!("{by}: {of} rose from below its floor: {slot:?} {stamp:?}"));
        }
    }

    /// A member sees another in a new state.
    pub fn member(
        &mut self,
        by: &Name,
        life: u64,
        of: &Name,
        state: State,
        incarnation: u64,
        now: Micros,
    ) {
        let seen = self.seen(by, life, of);
        if seen.state.replace(state) != Some(state) {
            seen.since = now;
        }
        let floor = seen.floor;
        let void = floor.is_some_and(|it| incarnation <= it.incarnation);
        if state != State::Removed && void && by != of {
            self.wrong(format!("{by}: {of} rose from the removed in life {incarnation}"));
        }
        if state == State::Dead
            && self.well(of, now)
            && self.well(by, now)
            && Self::long(self.calm, now)
        {
            self.wrong(format!("{by}: {of} is called dead, and is well, at {now}"));
        }
    }

    fn long(since: Option<Micros>, now: Micros) -> bool {
        since.is_some_and(|it| it + BOUND <= now)
    }

    /// Runs undisturbed for as long as the bound.
    fn well(&self, name: &Name, now: Micros) -> bool {
        self.truth.get(name).is_some_and(|it| {
            it.runs && !it.disturbed && !it.removed && !it.left && Self::long(Some(it.since), now)
        })
    }

    /// Looks at all views at a moment: after calm, the well are alive to the well. If three are well
    /// they are not suspected for longer than the bound, and who does not run is not alive: fewer do
    /// not bury two that fail together, and what those said last stands.
    pub fn look(&mut self, now: Micros) {
        if !Self::long(self.calm, now) {
            return;
        }
        let mut wrong = Vec::new();
        let enough = ENOUGH <= self.all_well(now).len();
        for ((by, of), (_, seen)) in &self.seen {
            if by == of || !self.well(by, now) {
                continue;
            }
            let Some(truth) = self.truth.get(of) else { continue };
            let dead = enough && !truth.runs && Self::long(Some(truth.since), now);
            match seen.state {
                Some(State::Dead | State::Left | State::Removed) if self.well(of, now) => {
                    wrong.push(format!("{by}: {of} is {:?}, and is well", seen.state));
                }
                // Loss makes suspects for a moment, not for good.
                Some(State::Suspect)
                    if enough && self.well(of, now) && Self::long(Some(seen.since), now) =>
                {
                    wrong.push(format!("{by}: {of} stays suspected, and is well"));
                }
                Some(State::Alive | State::Suspect) if dead && !truth.left && !truth.removed => {
                    wrong.push(format!("{by}: {of} is {:?}, and does not run", seen.state));
                }
                _ => {}
            }
        }
        for text in wrong {
            self.wrong(format!("{text}, at {now}"));
        }
    }

    /// Who is well at a moment, and has to know what there is to know.
    pub fn all_well(&self, now: Micros) -> Vec<Name> {
        self.truth.keys().filter(|it| self.well(it, now)).cloned().collect()
    }

    /// After calm, everyone who is well has the same records.
    pub fn equal(&mut self, roots: &[(Name, u128)], now: Micros) {
        if let Some(first) = roots.first().map(|it| it.1)
            && let Some((name, _)) = roots.iter().find(|it| it.1 != first)
        {
            self.wrong(format!("{name} and {} do not know the same, at {now}", roots[0].0));
        }
    }

    /// A record that its owner published reaches everyone.
    pub fn reached(&mut self, by: &Name, of: &Name, has: Option<Stamp>, published: Stamp) {
        if has.is_none_or(|it| it < published) {
            self.wrong(format!("{by} has {has:?} of {of}, which published {published:?}"));
        }
    }

    /// Queues stay short.
    pub fn queue(&mut self, by: &Name, longest: usize, limit: usize) {
        if limit < longest {
            self.wrong(format!("{by}: a queue was {longest} long"));
        }
    }
}
