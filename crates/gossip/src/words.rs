//! From words to states: when a member is suspected and when it is dead.
//!
//! Invariant: [`judge`] looks at nothing but the table, and when its words were heard here.

use crate::id::{MS, Micros};
use crate::links::{Link, Word};
use crate::own::REFUTE;
use crate::ring::OBSERVERS;
use crate::table::{Said, State, Table};

/// Words that it takes, where there are that many observers.
pub const ENOUGH: usize = 3;

/// Who lives has gone an incarnation up by then where enough call it down, and all know: it may have
/// to rest before, see `own`.
const REFUTED: Micros = REFUTE + 1_000 * MS;

/// Suspicion, when just enough say so and when all do.
const LONGEST: Micros = 2_000 * MS;
const SHORTEST: Micros = 800 * MS;

/// What the observers say about one member, as far as it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub down: usize,
    pub reached: usize,
    /// Of these, who is not called down by many itself at the moment.
    pub vouched: usize,
    /// When the last word that it is reached was heard here.
    pub reached_at: Micros,
    /// Living observers.
    pub observers: usize,
}

impl Tally {
    /// Three say so, or all where there are fewer, and at most one knows better.
    pub fn enough(self) -> bool {
        self.many_say_down() && self.reached <= 1
    }

    /// Three say that it is down, or all where there are fewer, whatever others say.
    pub fn many_say_down(self) -> bool {
        0 < self.observers && ENOUGH.min(self.observers) <= self.down
    }

    /// How long there must have been enough: the more agree, the shorter.
    pub fn suspicion(self) -> Micros {
        let enough = ENOUGH.min(self.observers);
        let (extra, all) = (self.down - enough, self.observers.max(self.down) - enough);
        if all == 0 {
            return SHORTEST;
        }
        // ln(1 + extra) / ln(1 + all) in thousandths: at most OBSERVERS - ENOUGH = 2 of either.
        let thousandths = match (extra, all) {
            (0, _) => 0,
            (1, 2) => 631,
            _ => 1_000,
        };
        LONGEST - (LONGEST - SHORTEST) * thousandths / 1_000
    }
}

/// What a member's state is to be, and from when on if it only waits for time to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub state: State,
    pub enough_since: Option<Micros>,
    pub again: Option<Micros>,
}

/// Counts what is said about a member.
pub(crate) fn tally(table: &Table, subject: usize) -> Tally {
    let life = table.members[subject].incarnation();
    let observers = table.observers(subject).take(OBSERVERS).count();
    let mut tally = Tally { observers, ..Tally::default() };
    for said in &table.members[subject].said {
        let by = &table.members[said.by];
        if said.incarnation != life || !by.lives() || !table.watches(said.by, subject) {
            continue;
        }
        tally.down += usize::from(said.word == Word::Down);
        // Members that died together would vouch for each other for ever.
        if said.word == Word::Reached && !by.doubted {
            tally.reached += 1;
            tally.vouched += usize::from(by.down_since.is_none());
            tally.reached_at = tally.reached_at.max(said.at);
        }
    }
    tally
}

/// Decides on one member.
pub(crate) fn judge(table: &Table, subject: usize, now: Micros) -> Verdict {
    let member = &table.members[subject];
    let still = Verdict { state: member.state, enough_since: None, again: None };
    if matches!(member.state, State::Left | State::Removed) {
        return still;
    }
    let tally = tally(table, subject);
    // Its observers change when others come and go; for that alone nobody rises. Who was dead too
    // and is back may still have a word of before.
    let is_reached = 1 < tally.reached && member.died <= tally.reached_at;
    if member.state == State::Dead && 0 < tally.down && !is_reached {
        return Verdict { enough_since: member.enough_since, ..still };
    }
    if !tally.enough() {
        let state = if tally.down == 0 { State::Alive } else { State::Suspect };
        return Verdict { state, ..still };
    }
    let since = member.enough_since.unwrap_or(now);
    let due = since + tally.suspicion();
    let dead = member.state == State::Dead || due <= now;
    Verdict {
        state: if dead { State::Dead } else { State::Suspect },
        enough_since: Some(since),
        again: (!dead).then_some(due),
    }
}

/// Successors whose observers may include a member.
const AFTER: usize = 4 * OBSERVERS;

impl Table {
    /// Those in question on whom it matters whether `at` lives: its successors, and of whom it
    /// said something.
    pub fn judged_by(&self, at: usize) -> Vec<usize> {
        let near = self.after(self.members[at].hash).take(AFTER);
        let spoken = self.members[at].links().0;
        let spoken = spoken.iter().filter_map(|it| self.find(it.subject));
        let mut them: Vec<usize> =
            near.chain(spoken).filter(|it| !self.members[*it].said.is_empty()).collect();
        them.sort_unstable();
        them.dedup();
        them
    }

    /// Keeps since when enough call a member down, and whether its own words count for that. If that
    /// has changed: of whom it says that it reaches them.
    pub fn doubt(&mut self, at: usize, now: Micros) -> Vec<usize> {
        let many = tally(self, at).many_say_down();
        let member = &mut self.members[at];
        member.down_since = many.then(|| member.down_since.unwrap_or(now));
        let doubted = member.down_since.is_some_and(|it| it + REFUTED <= now);
        if std::mem::replace(&mut member.doubted, doubted) == doubted {
            return Vec::new();
        }
        let words = self.members[at].links().0;
        let reached = words.iter().filter(|it| it.word == Word::Reached);
        reached.filter_map(|it| self.find(it.subject)).collect()
    }

    /// When what a member said of others counts no longer, if nothing changes.
    pub fn doubtful(&self, at: usize) -> Option<Micros> {
        let member = &self.members[at];
        member.down_since.filter(|_| !member.doubted && member.lives()).map(|it| it + REFUTED)
    }

    /// Notes what `by` says now instead of what it said before; the subjects concerned.
    pub fn say(&mut self, by: usize, before: &[Link], now: &[Link], at: Micros) -> Vec<usize> {
        let mut concerned = Vec::new();
        for link in before.iter().filter(|it| !now.contains(it)) {
            if let Some(subject) = self.find(link.subject) {
                self.members[subject].said.retain(|it| it.by != by);
                concerned.push(subject);
            }
        }
        for link in now.iter().filter(|it| !before.contains(it)) {
            if let Some(subject) = self.find(link.subject) {
                let said = Said { by, incarnation: link.incarnation, word: link.word, at };
                self.members[subject].said.retain(|it| it.by != by);
                self.members[subject].said.push(said);
                concerned.push(subject);
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        concerned
    }
}
