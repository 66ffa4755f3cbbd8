//! What was missed, found by comparing hashes, and joining.
//!
//! Invariant: while the roots of two living members that talk differ, one of them has a repair due.

use crate::event::{Action, Channel};
use crate::frame::{BUCKETS, CHUNK, Frame, Id};
use crate::gate::Gate;
use crate::id::{MS, Micros, Name, SECOND};
use crate::node::Node;
use crate::record::{Record, RecordRef, Slot};
use crate::table::{State, bucket, id};

/// Differing hashes are looked into after this long without news, and after this long at most.
const CALM: Micros = 300 * MS;
const IMPATIENT: Micros = 2 * SECOND;
/// The next peer is asked after this long, while it pays.
const PAYS: Micros = 250 * MS;
/// An exchange that is not answered in this time is given up.
const GIVEN_UP: Micros = SECOND;
/// A newcomer that is not answered asks again.
const JOIN_AGAIN: Micros = SECOND;
/// Alone, seeds are dialled this often.
const ALONE: Micros = 2 * SECOND;

/// Newcomers that are told all within [`JOIN_SPAN`]; others are sent on.
const JOINS: u32 = 8;
const JOIN_SPAN: Micros = 100 * MS;
/// Newcomers that may wait until this member has joined itself.
const NEWCOMERS: usize = 32;
/// Heads that one who is sent on is given.
const SENT_ON: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Repair {
    /// Whom to ask, since when hashes differ, and when it is due.
    wanted: Option<(usize, Micros, Micros)>,
    /// Whether the exchange that is going on has brought something.
    pays: bool,
    changed: Micros,
    /// When to look for company.
    company: Option<Micros>,
    joining: bool,
    joins: (Micros, u32),
    /// Newcomers that are told all as soon as this member knows it itself.
    newcomers: Vec<Name>,
}

impl Repair {
    pub fn due(&self) -> Option<Micros> {
        self.wanted.map(|it| it.2).into_iter().chain(self.company).min()
    }

    pub fn changed(&mut self, now: Micros) {
        self.changed = now;
    }
}

impl Node {
    /// A peer's root is known: does it differ?
    pub(crate) fn compare(&mut self, peer: usize, root: u128) {
        if root == self.table.root() {
            if self.repair.wanted.is_some_and(|it| it.0 == peer) && !self.repair.pays {
                self.repair.wanted = None;
            }
        } else if self.repair.wanted.is_none() {
            let due = self.now + CALM + self.rng.below(CALM / 2);
            self.repair.wanted = Some((peer, self.now, due));
        }
    }

    pub(crate) fn repair_due(&mut self) {
        if self.repair.company.is_none_or(|it| it <= self.now) {
            self.keep_company();
        }
        let Some((peer, since, due)) = self.repair.wanted else { return };
        if self.now < due {
            return;
        }
        let busy = self.now < self.repair.changed + CALM && self.now < since + IMPATIENT;
        if busy && !self.repair.pays {
            self.repair.wanted = Some((peer, since, self.now + CALM / 2));
            return;
        }
        let peer = if self.repair.pays || !self.table.members[peer].lives() {
            self.anybody()
        } else {
            Some(peer)
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

    /// Anybody that lives and can be reached from here.
    fn anybody(&mut self) -> Option<usize> {
        let mine = self.table.members[self.me].dialable;
        let fit = |it: &usize| *it != self.me && (self.table.members[*it].dialable || mine);
        let all: Vec<usize> = self.table.living().filter(fit).collect();
        let dialable: Vec<usize> =
            all.iter().copied().filter(|it| self.table.members[*it].dialable).collect();
        self.rng.choose(if dialable.is_empty() { &all } else { &dialable }).copied()
    }

    /// Who knows nobody that lives has the seeds dialled. So has, now and then, everyone else,
    /// about one in the fleet each second: fleets that began by different seeds find each other.
    fn keep_company(&mut self) {
        let others = self.table.living().filter(|it| *it != self.me).count();
        let begun = self.repair.company.is_some();
        if others == 0 || self.repair.joining || begun {
            self.out.push(Action::DialSeeds);
        }
        let pause = if self.repair.joining { ALONE } else { ALONE + SECOND * others as u64 };
        let jitter = self.rng.below(pause / 4);
        self.repair.company = Some(self.now + pause + jitter);
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
        for ids in want.chunks(CHUNK / 20) {
            self.send_at(asked, Channel::Stream, &Frame::Want { ids: ids.to_vec() });
        }
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
            self.send_records(&to, records.iter().map(|it| &**it));
        }
    }

    fn send_records<'a>(&mut self, to: &Name, records: impl Iterator<Item = &'a Record>) {
        let (mut chunk, mut size): (Vec<&[u8]>, usize) = (Vec::new(), 0);
        for record in records {
            if CHUNK < size + record.bytes().len() {
                let records = std::mem::take(&mut chunk);
                self.send(to, Channel::Stream, &Frame::Records { more: true, ask: false, records });
                size = 0;
            }
            size += record.bytes().len();
            chunk.push(record.bytes());
        }
        let frame = Frame::Records { more: false, ask: false, records: chunk };
        self.send(to, Channel::Stream, &frame);
    }

    pub(crate) fn records(
        &mut self,
        from: &str,
        peer: Option<usize>,
        more: bool,
        ask: bool,
        records: &[&[u8]],
    ) {
        if self.gate.closed(self.table.hash_of(from), Gate::FORGED, self.now) {
            return;
        }
        let (mut brought, mut owners) = (0, Vec::new());
        for bytes in records {
            let Ok(record) = RecordRef::read(bytes) else {
                self.counters.malformed += 1;
                return;
            };
            match self.learn(&record, false) {
                Ok(new) => brought += u64::from(new),
                Err(crate::table::Refusal::Forged) => {
                    self.gate.opens(self.table.hash_of(from), Gate::FORGED, self.now);
                    return;
                }
                Err(_) => {}
            }
            owners.extend(Name::new(record.name));
        }
        self.counters.repaired += brought;
        if ask && self.repair.joining {
            if let Some(next) = self.rng.choose(&owners).cloned() {
                self.met(&next);
            }
            return;
        }
        if !more && self.repair.joining {
            self.repair.joining = false;
            for name in std::mem::take(&mut self.repair.newcomers) {
                self.answer_join(&name);
            }
        }
        let asked = self.repair.wanted.filter(|it| Some(it.0) == peer);
        if let Some((peer, ..)) = asked
            && 0 < brought
        {
            self.repair.pays = true;
            let jitter = self.rng.below(PAYS / 4);
            self.repair.wanted = Some((peer, self.now, self.now + PAYS + jitter));
        }
    }

    /// A peer to begin with.
    pub(crate) fn met(&mut self, peer: &Name) {
        if let Some(head) = self.table.members[self.me].record(Slot::Head).cloned()
            && *peer != self.name
        {
            let known = self.table.named(peer.as_str());
            if let Some(at) = known.filter(|it| self.table.members[*it].lives())
                && !self.repair.joining
                && 2 < self.table.living().take(3).count()
            {
                self.heard_from(at);
                return;
            }
            self.repair.joining = true;
            self.repair.company = Some(self.now + JOIN_AGAIN);
            self.send(peer, Channel::Stream, &Frame::Join { record: head.bytes() });
        }
    }

    pub(crate) fn joined_by(&mut self, from: &str, record: &[u8]) {
        let Ok(record) = RecordRef::read(record) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(name) = Name::new(from) else { return };
        let hash = self.table.hash_of(from);
        if record.name != from
            || record.slot != Slot::Head
            || self.gate.closed(hash, Gate::FORGED, self.now)
            || !self.gate.opens(hash, Gate::JOIN, self.now)
        {
            return;
        }
        if self.now < self.repair.joins.0 + JOIN_SPAN {
            self.repair.joins.1 += 1;
        } else {
            self.repair.joins = (self.now, 1);
        }
        if JOINS < self.repair.joins.1 && self.send_on(&name) {
            return;
        }
        match self.learn(&record, true) {
            Err(crate::table::Refusal::Forged) => {
                self.gate.opens(hash, Gate::FORGED, self.now);
            }
            Ok(_) | Err(_) if self.repair.joining => {
                if self.repair.newcomers.len() < NEWCOMERS {
                    self.repair.newcomers.push(name);
                }
            }
            // One that forgot its last life has to be shown it.
            Ok(_) | Err(_) => self.answer_join(&name),
        }
    }

    /// All records but the newcomer's newest head.
    pub(crate) fn answer_join(&mut self, to: &Name) {
        let mut all: Vec<_> = Vec::new();
        for slot in Slot::ALL {
            all.extend(self.table.members.iter().filter_map(|it| it.record(slot).cloned()));
        }
        self.send_records(to, all.iter().map(|it| &**it));
    }

    /// Sends a newcomer on to some that can tell it as much; whether there are any.
    fn send_on(&mut self, to: &Name) -> bool {
        let fit = |it: &usize| {
            let member = &self.table.members[*it];
            *it != self.me && member.dialable && member.state == State::Alive && member.name != *to
        };
        let all: Vec<usize> = self.table.living().filter(fit).collect();
        let chosen: Vec<usize> =
            (0..SENT_ON).filter_map(|_| self.rng.choose(&all).copied()).collect();
        let heads: Vec<_> = chosen
            .iter()
            .filter_map(|it| self.table.members[*it].record(Slot::Head).cloned())
            .collect();
        if heads.is_empty() {
            return false;
        }
        let records = heads.iter().map(|it| it.bytes()).collect();
        self.send(to, Channel::Stream, &Frame::Records { more: false, ask: true, records });
        true
    }
}
