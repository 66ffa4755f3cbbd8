//! What was missed, found by comparing hashes.
//!
//! Invariant: while the roots of two living members that talk differ, one of them has a repair due.

use crate::event::Channel;
use crate::frame::{BUCKETS, Batch, CHUNK, Frame, Id};
use crate::gate::Gate;
use crate::id::{MS, Micros, Name, SECOND};
use crate::node::Node;
use crate::record::{Record, RecordRef, Slot};
use crate::ring::Part;
use crate::table::{State, bucket, id};

/// Differing hashes are looked into after this long without news, and after this long at most.
const CALM: Micros = 300 * MS;
const IMPATIENT: Micros = 2 * SECOND;
/// The next peer is asked after this long, while it pays.
const PAYS: Micros = 250 * MS;
/// An exchange that is not answered in this time is given up.
const GIVEN_UP: Micros = SECOND;
/// Of a million exchanges, those that are tried with one that is called dead: one in 16.
const WITH_THE_DEAD: u64 = 62_500;

#[derive(Debug, Default)]
pub(crate) struct Repair {
    /// Whom to ask, since when hashes differ, and when it is due.
    wanted: Option<(usize, Micros, Micros)>,
    /// Whether the exchange that is going on has brought something.
    pays: bool,
    changed: Micros,
}

impl Repair {
    pub fn due(&self) -> Option<Micros> {
        self.wanted.map(|it| it.2)
    }

    pub fn changed(&mut self, now: Micros) {
        self.changed = now;
    }
}

impl Node {
    /// A peer's root is known: does it differ?
    pub(crate) fn compare(&mut self, peer: usize, root: u64) {
        if root == self.table.short_root() {
            if self.repair.wanted.is_some_and(|it| it.0 == peer) && !self.repair.pays {
                self.repair.wanted = None;
            }
        } else if self.repair.wanted.is_none() {
            let due = self.now + CALM + self.rng.below(CALM / 2);
            self.repair.wanted = Some((peer, self.now, due));
        }
    }

    pub(crate) fn repair_due(&mut self) {
        let Some((peer, since, due)) = self.repair.wanted else { return };
        if self.now < due {
            return;
        }
        let busy = self.now < self.repair.changed + CALM && self.now < since + IMPATIENT;
        if busy && !self.repair.pays {
            self.repair.wanted = Some((peer, since, self.now + CALM / 2));
            return;
        }
        let peer = match self.one_of_the_dead() {
            Some(dead) => Some(dead),
            None if self.repair.pays || !self.table.members[peer].lives() => self.anybody(),
            None => Some(peer),
        };
        self.repair.pays = false;
        self.repair.wanted = None;
        if let Some(peer) = peer {
            self.counters.repairs += 1;
            // Held open until it is answered, so that no second exchange begins meanwhile.
            self.repair.wanted = Some((peer, self.now, self.now + GIVEN_UP));
            let frame =
                Frame::Sync { root: self.table.root(), buckets: Box::new(self.table.buckets()) };
            self.send_at(peer, Channel::Stream, &frame);
        }
    }

    /// Now and then one that is called dead: it may live, and know what nobody here does.
    fn one_of_the_dead(&mut self) -> Option<usize> {
        let members = self.table.members.iter().enumerate();
        let dead = members.filter(|(_, it)| it.state == State::Dead && it.dialable);
        let dead: Vec<usize> = dead.map(|it| it.0).collect();
        let now = !dead.is_empty() && self.rng.chance(WITH_THE_DEAD);
        if now { self.rng.choose(&dead).copied() } else { None }
    }

    /// Anybody that lives and can be reached from here.
    fn anybody(&mut self) -> Option<usize> {
        let mine = self.table.members[self.me].dialable;
        let fit = |it: &usize| *it != self.me && (self.table.members[*it].dialable || mine);
        let all: Vec<usize> = self.table.living().filter(fit).collect();
        let dialable: Vec<usize> =
            all.iter().copied().filter(|it| self.table.members[*it].dialable).collect();
        self.rng.choose(if dialable.is_empty() { &all } else { &dialable }).copied()
    }

    /// An exchange with anybody is due right away: there may be much that one does not know.
    pub(crate) fn repair_soon(&mut self) {
        if let Some(peer) = self.anybody() {
            self.repair.wanted = Some((peer, 0, self.now + 10 * MS));
        }
    }

    pub(crate) fn sync_asked(&mut self, from: &str, root: u128, theirs: &[u64; BUCKETS]) {
        let Some(to) = Name::new(from) else { return };
        if !self.gate.opens(self.table.hash_of(from), Gate::SYNC, self.now) {
            return;
        }
        let mine = self.table.buckets();
        let differing = (0..BUCKETS).filter(|it| mine[*it] != theirs[*it]);
        let mask = differing.fold(0, |mask: u64, it| mask | 1 << it);
        if mask == 0 || root == self.table.root() {
            self.send(&to, Channel::Stream, &Frame::Ids { buckets: 0, ids: Vec::new() });
            return;
        }
        let ids = self.table.ids(mask);
        let (mut chunk, mut covered): (Vec<Id>, u64) = (Vec::new(), 0);
        let mut rest = ids.into_iter().peekable();
        for at in (0..BUCKETS).filter(|it| mask >> it & 1 == 1) {
            while let Some(id) = rest.next_if(|it| bucket(it.owner) == at) {
                chunk.push(id);
            }
            covered |= 1 << at;
            if CHUNK / 20 < chunk.len() {
                let ids = std::mem::take(&mut chunk);
                self.send(&to, Channel::Stream, &Frame::Ids { buckets: covered, ids });
                covered = 0;
            }
        }
        if covered != 0 {
            self.send(&to, Channel::Stream, &Frame::Ids { buckets: covered, ids: chunk });
        }
    }

    /// What a peer has in buckets that differ: send what is newer here, ask for what is newer there.
    pub(crate) fn ids(&mut self, from: &str, buckets: u64, theirs: &[Id]) {
        let peer = self.table.named(from);
        // Only of one that was asked.
        let Some((asked, ..)) = self.repair.wanted.filter(|it| Some(it.0) == peer) else {
            return;
        };
        let (mut want, mut have) = (Vec::new(), Vec::new());
        for it in theirs {
            match self.table.place(it) {
                Some(mine) => {
                    let mine = id(it.owner, mine);
                    let order = (mine.stamp, mine.check).cmp(&(it.stamp, it.check));
                    match order {
                        std::cmp::Ordering::Less => want.push(*it),
                        std::cmp::Ordering::Greater => have.push(mine),
                        std::cmp::Ordering::Equal => {}
                    }
                }
                None => want.push(*it),
            }
        }
        let mut known: Vec<(u64, Slot)> = theirs.iter().map(|it| (it.owner, it.slot)).collect();
        known.sort_unstable();
        let missing = self.table.ids(buckets);
        let unknown =
            missing.into_iter().filter(|it| known.binary_search(&(it.owner, it.slot)).is_err());
        have.extend(unknown);
        self.send_records_of(from, &have);
        // Voided by a floor that the peer has not heard of, if that is new to it too.
        want.retain(|it| !self.voided(it));
        if want.is_empty() {
            self.repair.wanted = None;
            return;
        }
        self.repair.wanted = Some((asked, self.now, self.now + GIVEN_UP));
        // What is more is left for the next exchange: there is one while it pays.
        want.truncate(CHUNK / 20);
        self.send_at(asked, Channel::Stream, &Frame::Want { ids: want });
    }

    fn voided(&self, id: &Id) -> bool {
        let floor = self.table.find(id.owner).and_then(|at| self.table.members[at].floor);
        id.slot != Slot::Floor && floor.is_some_and(|it| id.stamp.incarnation <= it.incarnation)
    }

    pub(crate) fn wanted(&mut self, from: &str, ids: &[Id]) {
        if self.gate.opens(self.table.hash_of(from), Gate::WANT, self.now) {
            self.send_records_of(from, ids);
        }
    }

    fn send_records_of(&mut self, to: &str, ids: &[Id]) {
        let Some(to) = Name::new(to) else { return };
        let mut records: Vec<_> =
            ids.iter().filter_map(|it| self.table.place(it).cloned()).collect();
        records.sort_by_key(|it| it.slot);
        if !records.is_empty() {
            self.send_records(&to, records.iter().map(|it| &**it), None);
        }
    }

    pub(crate) fn send_records<'a>(
        &mut self,
        to: &Name,
        records: impl Iterator<Item = &'a Record>,
        serve: Option<(Part, u64)>,
    ) {
        let (mut chunk, mut size): (Vec<&[u8]>, usize) = (Vec::new(), 0);
        for record in records {
            if CHUNK < size + record.bytes().len() {
                let records = std::mem::take(&mut chunk);
                let frame = Frame::Records(Batch { more: true, ask: false, serve: None, records });
                self.send(to, Channel::Stream, &frame);
                size = 0;
            }
            size += record.bytes().len();
            chunk.push(record.bytes());
        }
        let frame = Frame::Records(Batch { more: false, ask: false, serve, records: chunk });
        self.send(to, Channel::Stream, &frame);
    }

    pub(crate) fn records(&mut self, from: &str, peer: Option<usize>, batch: &Batch<'_>) {
        if self.gate.closed(self.table.hash_of(from), Gate::FORGED, self.now) {
            return;
        }
        let mut brought = 0;
        for bytes in &batch.records {
            let Ok(record) = RecordRef::read(bytes) else {
                self.counters.malformed += 1;
                return;
            };
            match self.learn(&record, false) {
                Ok(new) => brought += usize::from(new),
                Err(crate::table::Refusal::Forged) => {
                    self.gate.opens(self.table.hash_of(from), Gate::FORGED, self.now);
                    return;
                }
                Err(_) => {}
            }
        }
        self.counters.repaired += brought as u64;
        self.told(self.table.hash_of(from), batch, brought);
        let asked = self.repair.wanted.filter(|it| Some(it.0) == peer);
        if let Some((peer, ..)) = asked
            && 0 < brought
        {
            self.repair.pays = true;
            let jitter = self.rng.below(PAYS / 4);
            self.repair.wanted = Some((peer, self.now, self.now + PAYS + jitter));
        }
    }
}
