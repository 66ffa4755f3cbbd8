//! What probes of others, and their questions and words about third ones, bring about.

use crate::event::Channel;
use crate::frame::Frame;
use crate::gate::Gate;
use crate::id::{MS, Micros, Name, SECOND};
use crate::links::{Links, Word};
use crate::node::Node;
use crate::probe::{Stage, Subject};
use crate::record::Record;
use crate::table::State;

/// The most guests: members that are looked at for others only.
const MAX_GUESTS: usize = 16;

/// The most that wait for one look.
const MAX_WAITING: usize = 2 * crate::ring::OBSERVERS;

/// Between two looks because of signs of life.
const SIGN_AGAIN: Micros = 500 * MS;

impl Node {
    pub(crate) fn pinged(
        &mut self,
        from: &str,
        peer: Option<usize>,
        seq: u64,
        root: u64,
        how: Channel,
    ) {
        if let Some(at) = peer {
            self.compare(at, root);
        }
        if seq == 0 {
            return;
        }
        // Others look at it for somebody else, or do not know yet who observes it.
        let observes = peer.is_some_and(|at| self.table.observers(self.me).any(|it| it == at));
        let turn = if observes { self.turns.give(self.table.hash_of(from), self.now) } else { 0 };
        let frame = Frame::Ack { seq, root: self.table.short_root(), next_ms: turn / MS };
        match peer {
            Some(at) => self.send_at(at, how, &frame),
            None => {
                if let Some(to) = Name::new(from) {
                    self.send(&to, how, &frame);
                }
            }
        }
    }

    /// Somebody does not reach a member and wants to know whether we do.
    pub(crate) fn check_for(&mut self, peer: Option<usize>, seq: u64, subject: u64) {
        let (Some(peer), Some(at)) = (peer, self.table.find(subject)) else { return };
        let asks = self.table.members[peer].hash;
        if at == self.me || at == peer || !self.table.watches(peer, at) {
            return;
        }
        if !self.gate.opens(asks ^ subject, Gate::CHECK, self.now) {
            return;
        }
        let which = match self.subjects.iter().position(|it| it.at == at) {
            Some(which) => which,
            None if self.subjects.iter().filter(|it| it.guest).count() < MAX_GUESTS => {
                self.subjects.push(Subject::new(at, Micros::MAX, true));
                self.subjects.len() - 1
            }
            None => return,
        };
        let waiting = &mut self.subjects[which].waiting;
        waiting.retain(|it| it.0 != peer);
        if waiting.len() < MAX_WAITING {
            waiting.push((peer, seq));
        }
        self.look_now(which);
    }

    pub(crate) fn checked(&mut self, peer: Option<usize>, seq: u64, subject: u64, reached: bool) {
        let (Some(peer), Some(at)) = (peer, self.table.find(subject)) else { return };
        let observes = self.table.observers(at).any(|it| it == peer);
        let flight = self
            .subjects
            .iter_mut()
            .find(|it| it.at == at && it.seq == seq && it.stage == Stage::Asked);
        if let Some(flight) = flight
            && reached
            && observes
            && !flight.helped.contains(&peer)
        {
            flight.helped.push(peer);
        }
    }

    /// A frame came from a member: if we say that it does not answer, it is time to look.
    pub(crate) fn sign_of_life(&mut self, at: usize) {
        if self.own.links.0.is_empty() && self.table.members[at].state != State::Dead {
            return;
        }
        let doubted = self.word_on(at).is_some_and(|it| it != Word::Reached)
            || self.table.members[at].state == State::Dead;
        let found = self.subjects.iter().position(|it| it.at == at);
        if let Some(which) = found.filter(|_| doubted)
            && self.subjects[which].began + SIGN_AGAIN <= self.now
        {
            self.look_now(which);
        }
    }

    /// A member has begun another life: words about the last one are void, and so are its own.
    pub(crate) fn new_life(&mut self, at: usize, before: u64) {
        let said = self.table.members[at].record(crate::record::Slot::Links);
        let old = said
            .filter(|it| it.stamp.incarnation == before)
            .and_then(|it| Links::read(it.body()).ok())
            .unwrap_or_default();
        let now = self.table.members[at].links();
        if old != now {
            self.words_changed(at, &old, &now);
        }
        if before == 0 {
            self.words_before(at);
        } else if at != self.me {
            self.say(at, None);
            let due = self.now + self.rng.within(50 * MS..500 * MS);
            if let Some(subject) = self.subjects.iter_mut().find(|it| it.at == at)
                && subject.stage == Stage::Idle
            {
                subject.due = subject.due.min(due);
            }
        }
    }

    /// Words about a member that were here before it was.
    fn words_before(&mut self, at: usize) {
        let subject = self.table.members[at].hash;
        for by in 0..self.table.members.len() {
            let member = &self.table.members[by];
            let record = member.record(crate::record::Slot::Links);
            if record.is_none_or(|it| it.body().len() < 2) {
                continue;
            }
            if let Some(link) = member.links().about(subject) {
                self.table.say(by, &[], &[link], self.now);
            }
        }
    }

    pub(crate) fn links_stored(&mut self, at: usize, old: Option<&Record>, new: &Record) {
        let life = self.table.members[at].incarnation();
        let read = |it: &Record| Links::read(it.body()).unwrap_or_default();
        let before = old.filter(|it| it.stamp.incarnation == life).map(read).unwrap_or_default();
        // Words of a life whose head has not come yet wait for it.
        let now = if new.stamp.incarnation == life { read(new) } else { Links::default() };
        self.words_changed(at, &before, &now);
    }

    /// Somebody, perhaps this member itself, says something else than before.
    pub(crate) fn words_changed(&mut self, by: usize, before: &Links, now: &Links) {
        let concerned = self.table.say(by, &before.0, &now.0, self.now);
        let is_down =
            |links: &Links, subject| links.about(subject).is_some_and(|it| it.word == Word::Down);
        let mut relieved = false;
        for at in concerned {
            let hash = self.table.members[at].hash;
            relieved |= is_down(before, hash) && !is_down(now, hash);
            self.judge(at);
            if by != self.me && is_down(now, hash) && !is_down(before, hash) {
                self.hear_of(at);
            }
        }
        if relieved && by != self.me {
            self.look_at_the_lost();
        }
    }

    /// Somebody says that a member is down which we watch too: look, unless we said so.
    fn hear_of(&mut self, at: usize) {
        let found = self.subjects.iter().position(|it| it.at == at);
        if let Some(which) = found
            && self.word_on(at) != Some(Word::Down)
            && self.subjects[which].began + SIGN_AGAIN <= self.now
        {
            self.look_now(which);
        }
    }

    /// Somebody reaches one that was lost. Perhaps a cut has healed: look at one's own.
    fn look_at_the_lost(&mut self) {
        if !self.gate.opens(self.hash, Gate::LOST, self.now) {
            return;
        }
        for which in 0..self.subjects.len() {
            let at = self.subjects[which].at;
            if self.word_on(at) == Some(Word::Down) && self.subjects[which].stage == Stage::Idle {
                let soon = self.now + self.rng.below(SECOND / 10);
                let subject = &mut self.subjects[which];
                subject.due = subject.due.min(soon);
            }
        }
    }
}
