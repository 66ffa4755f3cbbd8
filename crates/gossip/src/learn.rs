//! What follows from a record that is new: who is judged anew, and what is told.

use std::sync::Arc;

use crate::event::Action;
use crate::node::Node;
use crate::record::{Floor, Record, RecordRef, Slot};
use crate::table::{Offer, Refusal, State};
use crate::words::judge;

impl Node {
    /// Offers a record to the table and draws the conclusions. `Ok(true)` if it was new.
    pub(crate) fn learn(&mut self, record: &RecordRef<'_>, spread: bool) -> Result<bool, Refusal> {
        // What an earlier life said besides its head is as good as anybody's.
        let earlier = record.slot != Slot::Head && record.stamp.incarnation < self.own.incarnation;
        if record.name == self.name.as_str() && record.slot != Slot::Floor && !earlier {
            self.met_oneself(record);
            return Ok(false);
        }
        let keys = self.keys.clone();
        match self.table.offer(record, &*keys, self.now) {
            Offer::Stored { at, was, old, new } => {
                self.stored(at, was, old.as_deref(), &new);
                if spread {
                    self.spread_whole(at, &new);
                }
                Ok(true)
            }
            Offer::Known | Offer::Older => Ok(false),
            Offer::Refused(why) => {
                self.counters.refused += 1;
                Err(why)
            }
        }
    }

    /// What follows from a record that is new in the table.
    fn stored(&mut self, at: usize, was: State, old: Option<&Record>, new: &Arc<Record>) {
        self.repair.changed(self.now);
        let name = self.table.members[at].name.clone();
        self.out.push(Action::Record { name, slot: new.slot, stamp: new.stamp });
        match new.slot {
            Slot::Floor => self.floor_stored(at, new),
            Slot::Head => {
                self.ring_moved = true;
                let before = old.map_or(0, |it| it.stamp.incarnation);
                let new_life = before < new.stamp.incarnation;
                if new_life {
                    self.new_life(at, before);
                }
                if new_life || was != self.table.members[at].state {
                    self.tell(at);
                    self.judge_around(at);
                }
                self.judge(at);
            }
            Slot::Links => self.links_stored(at, old, new),
            Slot::Services | Slot::Intent => {}
        }
    }

    fn floor_stored(&mut self, at: usize, new: &Record) {
        let Ok(floor) = Floor::read(new.stamp, new.body()) else { return };
        let member = &self.table.members[at];
        let (name, state) = (member.name.clone(), member.state);
        if at == self.me {
            self.own_floor(floor);
            return;
        }
        let (it, revoked) = (name.clone(), floor.revoked);
        let trust =
            if revoked { Action::Revoke { name: it } } else { Action::Restore { name: it } };
        self.out.push(trust);
        if state == State::Removed {
            self.table.members[at].said.clear();
            let incarnation = floor.incarnation;
            self.out.push(Action::Member { name, state, incarnation });
            self.ring_moved = true;
            self.judge_around(at);
        }
    }

    /// Decides anew on a member, and on those whose observer it is where that changes something.
    pub(crate) fn judge(&mut self, at: usize) {
        for it in self.table.doubt(at, self.now) {
            self.judge(it);
        }
        self.burying.extend(self.table.doubtful(at).map(|it| (it, at)));
        if at == self.me {
            self.judged_by_others();
            return;
        }
        let verdict = judge(&self.table, at, self.now);
        let member = &mut self.table.members[at];
        let (before, lived) = (member.state, member.lives());
        member.enough_since = verdict.enough_since;
        member.state = verdict.state;
        if let Some(again) = verdict.again {
            self.burying.retain(|it| it.1 != at);
            self.burying.insert((again, at));
        }
        if verdict.state == State::Dead && before != State::Dead {
            member.died = self.now;
            self.counters.deaths += 1;
        }
        if before != verdict.state {
            self.tell(at);
            self.ring_moved = true;
            if lived != self.table.members[at].lives() {
                self.judge_around(at);
            }
        }
    }

    /// Whose observers have changed because `at` came or went: its successors, and whom it judged.
    fn judge_around(&mut self, at: usize) {
        let near = self.table.judged_by(at);
        for it in near {
            self.judge(it);
        }
    }

    pub(crate) fn tell(&mut self, at: usize) {
        let member = &self.table.members[at];
        let (name, state, incarnation) = (member.name.clone(), member.state, member.incarnation());
        self.out.push(Action::Member { name, state, incarnation });
    }
}
