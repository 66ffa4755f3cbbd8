//! What this member says: its head, its words, its incarnation.
//!
//! Invariants: an incarnation is persisted before anything is signed with it; versions only grow;
//! the words of a life are signed with that life's incarnation.

use std::sync::Arc;

use crate::event::{Action, Channel};
use crate::frame::Frame;
use crate::head::{Head, Health};
use crate::id::{MS, Micros, SECOND};
use crate::keys::Claim;
use crate::links::{Links, Word};
use crate::node::Node;
use crate::record::{Floor, MAX_RECORD, Record, RecordRef, Slot, Stamp};
use crate::table::{MAX_INCARNATION, Offer, State};

/// Heads that say nothing urgent go out this long after the last.
const QUIET: Micros = 10 * SECOND;

/// Between two proofs of life by a new incarnation.
pub(crate) const REFUTE: Micros = 3 * SECOND;

#[derive(Debug)]
pub(crate) struct Own {
    pub incarnation: u64,
    pub head: Head,
    pub links: Links,
    versions: [u64; Slot::ALL.len()],
    wanted: Option<Head>,
    head_due: Option<Micros>,
    head_sent: Micros,
    links_due: Option<Micros>,
    refuted: Option<Micros>,
}

impl Own {
    pub fn new(head: Head, used: u64) -> Self {
        Self {
            incarnation: used,
            head,
            links: Links::default(),
            versions: [0; Slot::ALL.len()],
            wanted: None,
            head_due: None,
            head_sent: 0,
            links_due: None,
            refuted: None,
        }
    }

    pub fn due(&self) -> Option<Micros> {
        self.head_due.into_iter().chain(self.links_due).min()
    }
}

impl Node {
    /// Begins a new life: the next incarnation, and all that is said is said again, but not whom
    /// this member reached: if it was dead meanwhile, so may they be, and a new word raises them.
    pub(crate) fn live_again(&mut self) {
        self.own.incarnation = (self.own.incarnation + 1).min(MAX_INCARNATION);
        self.out.push(Action::Persist { incarnation: self.own.incarnation });
        let words = self.table.members[self.me].links();
        let body = self.own.head.body();
        self.publish(Slot::Head, &body);
        self.own.head_sent = self.now;
        for slot in [Slot::Services, Slot::Intent] {
            let said = self.table.members[self.me].record(slot).cloned();
            if let Some(said) = said.filter(|_| 0 < self.own.versions[slot.at()]) {
                self.publish(slot, said.body());
            }
        }
        self.own.links.0.retain(|it| it.word != Word::Reached);
        self.publish_links(&words);
        self.judge(self.me);
    }

    fn publish(&mut self, slot: Slot, body: &[u8]) {
        let version = self.own.versions[slot.at()] + 1;
        let stamp = Stamp { incarnation: self.own.incarnation, version };
        let keys = self.keys.clone();
        let bytes = Record::seal(self.name.as_str(), slot, stamp, body, |signed| keys.sign(signed));
        let Ok(record) = RecordRef::read(&bytes) else { return };
        self.own.versions[slot.at()] = version;
        if let Offer::Stored { at, new, .. } = self.table.offer(&record, &*keys, self.now) {
            self.repair.changed(self.now);
            self.out.push(Action::Record { name: self.name.clone(), slot, stamp });
            self.spread_whole(at, &new);
        }
    }

    /// A head that is wanted: at once if it is urgent, else when the last is old enough.
    pub(crate) fn publish_head(&mut self, mut head: Head) {
        head.capacity = head.capacity.settled(&self.own.head.capacity);
        if head == self.own.head {
            (self.own.wanted, self.own.head_due) = (None, None);
            return;
        }
        let due = if head.urgent(&self.own.head) { 0 } else { self.own.head_sent + QUIET };
        self.own.wanted = Some(head);
        self.own.head_due = Some(due.max(self.now));
    }

    pub(crate) fn publish_other(&mut self, slot: Slot, body: &[u8]) {
        let longest = MAX_RECORD - 192;
        let unchanged =
            self.table.members[self.me].record(slot).is_some_and(|it| it.body() == body);
        if matches!(slot, Slot::Services | Slot::Intent) && body.len() <= longest && !unchanged {
            self.publish(slot, body);
        }
    }

    pub(crate) fn leave(&mut self) {
        self.own.head.health = Health::Left;
        let body = self.own.head.body();
        self.publish(Slot::Head, &body);
    }

    /// Says `word` about a member from now on, or nothing.
    pub(crate) fn say(&mut self, at: usize, word: Option<Word>) {
        let member = &self.table.members[at];
        let (subject, life) = (member.hash, member.incarnation());
        let before = self.own.links.about(subject).map(|it| (it.incarnation, it.word));
        let now = word.map(|it| (life, it));
        if before == now {
            return;
        }
        self.own.links.set(subject, now);
        // What decides on life goes at once; what is for people to see may gather.
        let delay = match (before.map(|it| it.1), word) {
            (_, Some(Word::Down | Word::Reached)) => 20 * MS,
            (Some(Word::Down), _) => 50 * MS,
            _ => SECOND,
        };
        let due = self.now + delay;
        self.own.links_due = Some(self.own.links_due.map_or(due, |it| it.min(due)));
    }

    /// Says what is to be said, where until now it was `before`. A new life begins without words,
    /// so that those that it does not repeat are void without being withdrawn.
    fn publish_links(&mut self, before: &Links) {
        self.own.links_due = None;
        if self.table.members[self.me].links() != self.own.links {
            let body = self.own.links.body();
            self.publish(Slot::Links, &body);
        }
        self.words_changed(self.me, before, &self.own.links.clone());
    }

    pub(crate) fn own_due(&mut self) {
        if self.own.links_due.is_some_and(|it| it <= self.now) {
            self.publish_links(&self.table.members[self.me].links());
        }
        if self.own.head_due.is_some_and(|it| it <= self.now) {
            self.own.head_due = None;
            if let Some(head) = self.own.wanted.take() {
                self.own.head = head;
                let body = self.own.head.body();
                self.publish(Slot::Head, &body);
                self.own.head_sent = self.now;
            }
        }
    }

    /// A record of one's own that came from elsewhere: from a life that the disk has forgotten?
    pub(crate) fn met_oneself(&mut self, record: &RecordRef<'_>) {
        let known = self.table.members.get(self.me).and_then(|it| it.record(record.slot));
        let known = known.map_or((Stamp::default(), 0), |it| (it.stamp, it.digest));
        if (record.stamp, record.digest()) <= known || MAX_INCARNATION <= record.stamp.incarnation {
            return;
        }
        let claim = Claim {
            name: record.name,
            uid: &self.own.head.uid,
            credential: &self.own.head.credential,
            signed: record.signed(),
            signature: record.signature(),
        };
        if self.keys.member_signed(&claim) {
            self.own.incarnation = self.own.incarnation.max(record.stamp.incarnation);
            self.live_again();
        }
    }

    /// The hub has set a floor for this member itself.
    pub(crate) fn own_floor(&mut self, floor: Floor) {
        let name = self.name.clone();
        if floor.incarnation == Floor::REMOVED {
            self.removed = true;
            let (state, incarnation) = (State::Removed, self.own.incarnation);
            self.out.push(Action::Member { name, state, incarnation });
        } else if self.removed || self.own.incarnation <= floor.incarnation {
            self.removed = false;
            self.own.incarnation = self.own.incarnation.max(floor.incarnation);
            self.live_again();
            self.ring_moved = true;
        }
    }

    /// There may be words against this member itself: it shows its authors that it lives, and if
    /// they are enough to bury it, all others too; even where others reach it, since elsewhere it
    /// may have been buried before they did.
    pub(crate) fn judged_by_others(&mut self) {
        let life = self.own.incarnation;
        let authors: Vec<usize> = self.table.members[self.me]
            .said
            .iter()
            .filter(|it| it.word == Word::Down && it.incarnation == life)
            .map(|it| it.by)
            .collect();
        self.prove(&authors);
        if self.table.members[self.me].down_since.is_none() {
            return;
        }
        let rested = self.own.refuted.map_or(0, |it| it + REFUTE);
        if rested <= self.now {
            self.own.refuted = Some(self.now);
            self.live_again();
        } else {
            // They may have said all that they have to say: looked at again then.
            self.burying.insert((rested, self.me));
        }
    }

    /// Probes of which no answer is expected: being heard is what they are for.
    pub(crate) fn prove(&mut self, to: &[usize]) {
        let frame = Frame::Ping { seq: 0, root: self.table.short_root(), suspected: false };
        for at in to {
            self.send_at(*at, Channel::Datagram, &frame);
            self.send_at(*at, Channel::Stream, &frame);
        }
    }

    /// Sends a record to all.
    pub(crate) fn spread_whole(&mut self, at: usize, record: &Arc<Record>) {
        self.serve(at, record, crate::ring::Part::WHOLE, None);
    }
}
