//! The table: all members and their records, in the order of the ring, with the hashes of it all.
//!
//! Invariants: a stored record was signed by its owner (a floor: by the hub) and its stamp never
//! goes back; a member at or below its floor has no other record; `root` is the sum of `buckets`,
//! each the sum of its records' digests. Whether members live is decided in `words`.

use std::sync::Arc;

use crate::frame::{BUCKETS, Id};
use crate::head::{Head, Health, brief, identity};
use crate::id::{Micros, Name, hash, low};
use crate::keys::{Claim, Keys};
use crate::links::{Links, Word};
use crate::record::{Floor, Record, RecordRef, Slot, Stamp};

/// The most members, those included of whom only a floor is left.
pub const MAX_MEMBERS: usize = 4_096;

/// How far an incarnation may be past the known one.
pub const MAX_JUMP: u64 = 1 << 16;

/// The largest incarnation.
pub const MAX_INCARNATION: u64 = 1 << 48;

/// How a member is seen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody says otherwise.
    #[default]
    Alive,
    /// At least one of its observers says that it is down.
    Suspect,
    /// Enough of them do.
    Dead,
    /// It said goodbye.
    Left,
    /// The hub removed it, or admitted it again and it has not come yet.
    Removed,
}

/// What an observer says about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub by: usize,
    pub incarnation: u64,
    pub word: Word,
    /// When it was heard here.
    pub at: Micros,
}

/// A member as it is known here.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub name: Name,
    pub hash: u64,
    pub state: State,
    pub dialable: bool,
    pub hub: bool,
    records: [Option<Arc<Record>>; Slot::ALL.len()],
    /// Incarnations up to this one are void.
    pub floor: Option<Floor>,
    pub said: Vec<Said>,
    /// Since when there are enough words to bury it.
    pub enough_since: Option<Micros>,
    /// Since when enough of its observers say that it is down, whatever others say.
    pub down_since: Option<Micros>,
    /// That it has not refuted it: what it said of others counts no longer. See [`Table::doubt`].
    pub doubted: bool,
    /// When it was last called dead here.
    pub died: Micros,
    /// When a frame last came from it.
    pub heard: Option<Micros>,
    /// When one of its records last changed.
    pub learned: Micros,
    /// News of it that was passed on in the second that began then.
    pub passed: (Micros, u8),
    /// News for it was not acknowledged however often it was sent.
    pub silent: bool,
    /// Round trip, if it is probed from here.
    pub rtt: Option<Micros>,
}

impl Member {
    pub fn record(&self, slot: Slot) -> Option<&Arc<Record>> {
        self.records[slot.at()].as_ref()
    }

    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().flatten()
    }

    /// Its life; 0 before its head is known.
    pub fn incarnation(&self) -> u64 {
        self.record(Slot::Head).map_or(0, |it| it.stamp.incarnation)
    }

    /// Takes part: is probed, is told, and its words count.
    pub fn lives(&self) -> bool {
        matches!(self.state, State::Alive | State::Suspect)
    }

    /// The words of this member's present life.
    pub fn links(&self) -> Links {
        let record = self.record(Slot::Links);
        let current = record.filter(|it| it.stamp.incarnation == self.incarnation());
        current.and_then(|it| Links::read(it.body()).ok()).unwrap_or_default()
    }

    fn void(&self, slot: Slot, stamp: Stamp) -> bool {
        slot != Slot::Floor && self.floor.is_some_and(|it| stamp.incarnation <= it.incarnation)
    }
}

/// Why a record is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It does not say what it has to.
    Malformed,
    /// It is not signed by whom it has to be.
    Forged,
    /// Its owner is removed.
    Removed,
    /// Its incarnation is further than a member gets.
    Jump,
    /// Its owner's head is not known yet.
    NoHead,
    /// There are too many members.
    Full,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is new: at which member, how that was seen, and what was there.
    Stored {
        at: usize,
        was: State,
        old: Option<Arc<Record>>,
        new: Arc<Record>,
    },
    /// It is there.
    Known,
    /// There is a newer one.
    Older,
    Refused(Refusal),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    seed: u64,
    pub members: Vec<Member>,
    /// Hash and place in `members`, sorted.
    pub ring: Vec<(u64, usize)>,
    buckets: [u128; BUCKETS],
    root: u128,
    records: usize,
    /// Test hook: floors are not asked.
    pub ignores_floors: bool,
}

impl Table {
    pub fn new(fleet: &str) -> Self {
        Self {
            seed: hash(0, fleet.as_bytes()),
            members: Vec::new(),
            ring: Vec::new(),
            buckets: [0; BUCKETS],
            root: 0,
            records: 0,
            ignores_floors: false,
        }
    }

    pub fn hash_of(&self, name: &str) -> u64 {
        hash(self.seed, name.as_bytes())
    }

    pub fn root(&self) -> u128 {
        self.root
    }

    /// Half of the root, as long as a bucket's hash: enough to see that tables differ.
    #[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
    pub fn short_root(&self) -> u64 {
        self.root as u64
    }

    /// How many records there are.
    pub fn records(&self) -> usize {
        self.records
    }

    /// The buckets' hashes as they are sent.
    pub fn buckets(&self) -> [u64; BUCKETS] {
        self.buckets.map(low)
    }

    pub fn find(&self, hash: u64) -> Option<usize> {
        let at = self.ring.binary_search_by_key(&hash, |it| it.0).ok()?;
        Some(self.ring[at].1)
    }

    pub fn named(&self, name: &str) -> Option<usize> {
        self.find(self.hash_of(name)).filter(|at| self.members[*at].name.as_str() == name)
    }

    /// Members that take part.
    pub fn living(&self) -> impl Iterator<Item = usize> {
        (0..self.members.len()).filter(|it| self.members[*it].lives())
    }

    /// Stores a record if it is new and right.
    pub fn offer(&mut self, it: &RecordRef<'_>, keys: &dyn Keys, now: Micros) -> Offer {
        let key = self.hash_of(it.name);
        let found = self.find(key);
        if let Some(at) = found {
            let member = &self.members[at];
            if member.name.as_str() != it.name {
                return Offer::Refused(Refusal::Full);
            }
            if member.void(it.slot, it.stamp) && !self.ignores_floors {
                return Offer::Refused(Refusal::Removed);
            }
            if let Some(known) = member.record(it.slot) {
                let order = (it.stamp, it.digest()).cmp(&(known.stamp, known.digest));
                match order {
                    std::cmp::Ordering::Less => return Offer::Older,
                    std::cmp::Ordering::Equal => return Offer::Known,
                    std::cmp::Ordering::Greater => {}
                }
            }
        }
        if let Err(why) = self.check(it, found, keys) {
            return Offer::Refused(why);
        }
        let Some(at) = found.or_else(|| self.add(&Name::new(it.name)?, key)) else {
            return Offer::Refused(Refusal::Full);
        };
        let new = Record::keep(it);
        let was = self.members[at].state;
        let old = self.put(at, it.slot, Some(new.clone()));
        self.members[at].learned = now;
        Offer::Stored { at, was, old, new }
    }

    /// The costly questions, asked last.
    fn check(
        &self,
        it: &RecordRef<'_>,
        found: Option<usize>,
        keys: &dyn Keys,
    ) -> Result<(), Refusal> {
        let known = found.map(|at| &self.members[at]);
        if it.slot == Slot::Floor {
            Floor::read(it.stamp, it.body).map_err(|_| Refusal::Malformed)?;
            let signed = keys.hub_signed(it.signed(), it.signature());
            return if signed { Ok(()) } else { Err(Refusal::Forged) };
        }
        let reached = known.map_or(0, Member::incarnation);
        let limit = if reached == 0 { MAX_INCARNATION } else { reached.saturating_add(MAX_JUMP) };
        if it.stamp.incarnation == 0 || limit.min(MAX_INCARNATION) < it.stamp.incarnation {
            return Err(Refusal::Jump);
        }
        let head = known.and_then(|it| it.record(Slot::Head)).map(|it| it.body());
        let vouching = match it.slot {
            Slot::Head => it.body,
            _ => head.ok_or(Refusal::NoHead)?,
        };
        let readable = match it.slot {
            Slot::Head => Head::read(it.body).is_ok() && Name::new(it.name).is_some(),
            Slot::Links => Links::read(it.body).is_ok(),
            _ => true,
        };
        let (uid, credential) = identity(vouching).map_err(|_| Refusal::Malformed)?;
        if !readable {
            return Err(Refusal::Malformed);
        }
        let (name, signed, signature) = (it.name, it.signed(), it.signature());
        let claim = Claim { name, uid: &uid, credential, signed, signature };
        if keys.member_signed(&claim) { Ok(()) } else { Err(Refusal::Forged) }
    }

    /// A place for a member of whom nothing is known yet.
    pub fn add(&mut self, name: &Name, hash: u64) -> Option<usize> {
        if MAX_MEMBERS <= self.members.len() {
            return None;
        }
        let at = self.members.len();
        let place = self.ring.partition_point(|it| it.0 < hash);
        self.ring.insert(place, (hash, at));
        self.members.push(Member {
            name: name.clone(),
            hash,
            state: State::Removed,
            dialable: false,
            hub: false,
            records: Default::default(),
            floor: None,
            said: Vec::new(),
            enough_since: None,
            down_since: None,
            doubted: false,
            died: 0,
            heard: None,
            learned: 0,
            passed: (0, 0),
            silent: false,
            rtt: None,
        });
        Some(at)
    }

    /// Puts or takes a record and keeps hashes, and what is read from records, in step.
    fn put(&mut self, at: usize, slot: Slot, new: Option<Arc<Record>>) -> Option<Arc<Record>> {
        let member = &mut self.members[at];
        match (slot, &new) {
            (Slot::Head, Some(record)) => {
                let (health, dialable, hub) = brief(record.body());
                (member.dialable, member.hub) = (dialable, hub);
                member.state = match member.state {
                    _ if health == Health::Left => State::Left,
                    State::Left | State::Removed => State::Alive,
                    state => state,
                };
            }
            (Slot::Floor, Some(record)) => {
                member.floor = Floor::read(record.stamp, record.body()).ok();
            }
            _ => {}
        }
        let added = new.as_ref().map_or(0, |it| it.digest);
        self.records += usize::from(new.is_some());
        let old = std::mem::replace(&mut member.records[slot.at()], new);
        self.records -= usize::from(old.is_some());
        let change = added.wrapping_sub(old.as_ref().map_or(0, |it| it.digest));
        let bucket = &mut self.buckets[bucket(member.hash)];
        *bucket = bucket.wrapping_add(change);
        self.root = self.root.wrapping_add(change);
        if slot == Slot::Floor && !self.ignores_floors {
            self.void(at);
        }
        old
    }

    /// Forgets what the floor voids, and without a head all else: nothing could check it.
    fn void(&mut self, at: usize) {
        let head = self.members[at].record(Slot::Head);
        let headless = head.is_none_or(|it| self.members[at].void(Slot::Head, it.stamp));
        for slot in Slot::ALL.into_iter().filter(|it| *it != Slot::Floor) {
            let record = self.members[at].record(slot);
            if record.is_some_and(|it| headless || self.members[at].void(slot, it.stamp)) {
                self.put(at, slot, None);
            }
        }
        if headless {
            self.members[at].state = State::Removed;
        }
    }

    /// Ids of all in the buckets whose bits are set.
    pub fn ids(&self, buckets: u64) -> Vec<Id> {
        let mut ids = Vec::new();
        for (hash, at) in &self.ring {
            if buckets >> bucket(*hash) & 1 == 1 {
                ids.extend(self.members[*at].records().map(|it| id(*hash, it)));
            }
        }
        ids
    }

    /// What is kept in the place of that id.
    pub fn place(&self, id: &Id) -> Option<&Arc<Record>> {
        self.members[self.find(id.owner)?].record(id.slot)
    }
}

/// The id of a record.
pub(crate) fn id(owner: u64, it: &Record) -> Id {
    // The top, so that whoever compares ids finds the same one larger as who compares digests.
    let check = u32::try_from(it.digest >> 96).expect("a quarter of 128 bits");
    Id { owner, slot: it.slot, stamp: it.stamp, check }
}

/// The bucket of a hash: its top bits, so that a bucket is an arc of the ring.
pub(crate) fn bucket(hash: u64) -> usize {
    usize::try_from(hash >> 58).expect("six bits")
}
