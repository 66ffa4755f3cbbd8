//! One member: its state, and the order in which an event is worked off.
//!
//! Reading order: here; `learn` (what follows from a record), `own` (what this member says), `probe` and `answer` (who lives), `push`
//! (news), `repair` (what was missed, and joining). Each is a file of methods on [`Node`].

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Action, Channel, Event, Setup};
use crate::frame::{Frame, MAX_DATAGRAM};
use crate::gate::Gate;
use crate::health::{Local, RoundTrip};
use crate::id::{Micros, Name, Rng, SECOND};
use crate::join::Join;
use crate::keys::Keys;
use crate::own::Own;
use crate::probe::Subject;
use crate::queue::{Outbox, Served, Unacknowledged};
use crate::record::{Record, RecordRef, Slot};
use crate::repair::Repair;
use crate::table::{State, Table};
use crate::turns::Turns;

/// A timer that is this late means that this member stood still.
const ASLEEP: Micros = 3 * SECOND;

/// How often things happened. For people and tests; nothing here decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Probes begun.
    pub probes: u64,
    /// Probes that others were asked about.
    pub asked: u64,
    /// Records sent as news, every try.
    pub pushed: u64,
    /// Records that came as news.
    pub received: u64,
    /// Of these, those that were known.
    pub duplicates: u64,
    /// Exchanges begun because hashes differed.
    pub repairs: u64,
    /// Records that repair brought.
    pub repaired: u64,
    /// Members seen to die.
    pub deaths: u64,
    /// Frames that are none, or bear another name than their peer.
    pub malformed: u64,
    /// Records that were refused.
    pub refused: u64,
    /// Times that this member stood still.
    pub slept: u64,
    /// The longest that any queue was.
    pub longest_queue: usize,
}

/// One member of the fleet. Feed it events, carry out its actions, wake it when it asks.
pub struct Node {
    pub(crate) table: Table,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) me: usize,
    pub(crate) name: Name,
    pub(crate) hash: u64,
    pub(crate) rng: Rng,
    pub(crate) now: Micros,
    pub(crate) own: Own,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) ring_moved: bool,
    pub(crate) turns: Turns,
    pub(crate) local: Local,
    pub(crate) trip: RoundTrip,
    pub(crate) seq: u64,
    /// The last two that were heard, and when.
    pub(crate) heard: [(usize, Micros); 2],
    pub(crate) burying: BTreeSet<(Micros, usize)>,
    pub(crate) outbox: Outbox,
    pub(crate) sent: Unacknowledged,
    pub(crate) served: Served,
    pub(crate) repair: Repair,
    pub(crate) join: Join,
    pub(crate) gate: Gate,
    pub(crate) removed: bool,
    pub(crate) out: Vec<Action>,
    pub(crate) counters: Counters,
}

impl Node {
    /// A member that starts, with what it had on disk: see [`Node::snapshot`]; empty is nothing,
    /// and of bytes that are damaged what can be read is used.
    pub fn new(setup: Setup, snapshot: &[u8], now: Micros, actions: &mut Vec<Action>) -> Self {
        let table = Table::new(&setup.fleet);
        let hash = table.hash_of(setup.name.as_str());
        let mut node = Self {
            table,
            keys: setup.keys,
            me: usize::MAX,
            name: setup.name,
            hash,
            rng: Rng::new(setup.seed),
            now,
            own: Own::new(setup.head, setup.incarnation),
            subjects: Vec::new(),
            ring_moved: true,
            turns: Turns::default(),
            local: Local::default(),
            trip: RoundTrip::default(),
            seq: 0,
            heard: [(usize::MAX, 0); 2],
            burying: BTreeSet::new(),
            outbox: Outbox::default(),
            sent: Unacknowledged::default(),
            served: Served::default(),
            repair: Repair::default(),
            join: Join::default(),
            gate: Gate::default(),
            removed: false,
            out: std::mem::take(actions),
            counters: Counters::default(),
        };
        let added = node.table.add(&node.name, hash);
        node.me = added.expect("the table is empty and the name is one");
        node.restore(snapshot);
        if !node.removed {
            node.live_again();
            node.settle();
        }
        *actions = std::mem::take(&mut node.out);
        node
    }

    /// Takes an event in and appends what is to be done. Moments before the last one given count
    /// as that.
    pub fn handle(&mut self, event: Event<'_>, now: Micros, actions: &mut Vec<Action>) {
        std::mem::swap(&mut self.out, actions);
        let late = now.saturating_sub(self.wakes_at().max(self.now));
        self.now = self.now.max(now);
        if self.removed {
            self.listen_only(&event);
        } else {
            if ASLEEP < late {
                self.slept();
            }
            self.take(event);
            self.settle();
        }
        std::mem::swap(&mut self.out, actions);
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Frame { from, bytes } => self.frame(from, bytes),
            Event::Timer => {}
            Event::Publish(head) => self.publish_head(*head),
            Event::Put { slot, body } => self.publish_other(slot, body),
            Event::Floor(bytes) => {
                if let Ok(record) = RecordRef::read(bytes)
                    && record.slot == Slot::Floor
                {
                    // What is refused is counted.
                    let _ = self.learn(&record, true);
                }
            }
            Event::Met(name) => self.met(&name),
            Event::Undialable(name) => self.undialable(&name),
            Event::Leave => self.leave(),
        }
    }

    /// Of one that is removed only a newer floor is of interest.
    fn listen_only(&mut self, event: &Event<'_>) {
        let record = match event {
            Event::Floor(bytes) => RecordRef::read(bytes).ok(),
            Event::Frame { bytes, .. } => match Frame::read(bytes) {
                Ok((_, Frame::Push { record, .. })) => RecordRef::read(record).ok(),
                _ => None,
            },
            _ => None,
        };
        if let Some(record) = record.filter(|it| it.slot == Slot::Floor) {
            let _ = self.learn(&record, false);
        }
    }

    /// When it wants an [`Event::Timer`]; asked anew after each event.
    pub fn wakes_at(&self) -> Micros {
        if self.removed {
            return Micros::MAX;
        }
        let subjects = self.subjects.iter().map(|it| it.due);
        let burying = self.burying.first().map(|it| it.0);
        let queues =
            [self.outbox.due(), self.sent.due(), burying, self.repair.due(), self.join.due()];
        subjects.chain(queues.into_iter().flatten()).chain(self.own.due()).min().unwrap_or(u64::MAX)
    }

    /// Does what is due.
    fn settle(&mut self) {
        self.probe_due();
        while let Some((due, at)) = self.burying.first().copied()
            && due <= self.now
        {
            self.burying.pop_first();
            self.judge(at);
        }
        self.own_due();
        self.join_due();
        self.repair_due();
        self.push_due();
        if self.ring_moved {
            self.ring_moved = false;
            self.choose_subjects();
        }
        let queues = [self.outbox.len(), self.sent.len(), self.burying.len(), self.join.longest()];
        let longest = &mut self.counters.longest_queue;
        *longest = queues.into_iter().fold(*longest, usize::max);
    }

    fn frame(&mut self, from: &str, bytes: &[u8]) {
        let Ok((named, frame)) = Frame::read(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        if named != from || from == self.name.as_str() {
            self.counters.malformed += 1;
            return;
        }
        let peer = self.table.named(from);
        if let Some(at) = peer {
            if self.table.members[at].state == State::Removed
                && self.table.members[at].floor.is_some()
            {
                self.turn_away(at, &frame);
                return;
            }
            self.heard_from(at);
        }
        match frame {
            Frame::Ping { seq, root, suspected } => {
                // Who is suspected answers the way that it was asked.
                let how = if suspected { Channel::Stream } else { Channel::Datagram };
                self.pinged(from, peer, seq, root, how);
            }
            Frame::Ack { seq, root, next_ms } => self.answered(peer, seq, root, next_ms),
            Frame::Check { seq, subject } => self.check_for(peer, seq, subject),
            Frame::Checked { seq, subject, reached } => self.checked(peer, seq, subject, reached),
            Frame::Push { part, record } => self.pushed(from, peer, part, record),
            Frame::PushAck { record } => self.push_acknowledged(peer, record),
            Frame::Join { record } => self.joined_by(from, record),
            Frame::Records(batch) => self.records(from, peer, &batch),
            Frame::Sync { root, buckets } => self.sync_asked(from, root, &buckets),
            Frame::Ids { buckets, ids } => self.ids(from, buckets, &ids),
            Frame::Want { ids } => self.wanted(from, &ids),
        }
    }

    pub(crate) fn heard_from(&mut self, at: usize) {
        self.table.members[at].heard = Some(self.now);
        self.table.members[at].silent = false;
        if self.heard[0].0 != at {
            self.heard[1] = self.heard[0];
        }
        self.heard[0] = (at, self.now);
        self.sign_of_life(at);
    }

    /// Who is removed is told so, by the hub's own words, and of nothing else.
    fn turn_away(&mut self, at: usize, frame: &Frame<'_>) {
        // A member that was admitted again comes with a head above its floor.
        if let Frame::Join { record } | Frame::Push { record, .. } = frame
            && let Ok(record) = RecordRef::read(record)
            && record.name == self.table.members[at].name.as_str()
            && self.learn(&record, true) == Ok(true)
        {
            let from = self.table.members[at].name.clone();
            if matches!(frame, Frame::Join { .. }) {
                self.answer_join(&from);
            }
            return;
        }
        if self.gate.opens(self.table.members[at].hash, Gate::FLOOR, self.now)
            && let Some(floor) = self.table.members[at].record(Slot::Floor).cloned()
        {
            let part = crate::ring::Part::only(self.table.members[at].hash);
            let frame = Frame::Push { part, record: floor.bytes() };
            let to = self.table.members[at].name.clone();
            self.send(&to, Channel::Stream, &frame);
        }
    }

    pub(crate) fn send(&mut self, to: &Name, how: Channel, frame: &Frame<'_>) {
        let bytes = frame.bytes(self.name.as_str());
        let how = if MAX_DATAGRAM < bytes.len() { Channel::Stream } else { how };
        self.out.push(Action::Send { to: to.clone(), how, bytes });
    }

    pub(crate) fn send_at(&mut self, at: usize, how: Channel, frame: &Frame<'_>) {
        let to = self.table.members[at].name.clone();
        self.send(&to, how, frame);
    }

    /// This member's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The hash of all records: equal tables have equal ones.
    pub fn root(&self) -> u128 {
        self.table.root()
    }

    /// The incarnation in use.
    pub fn incarnation(&self) -> u64 {
        self.own.incarnation
    }

    /// What `name` says of itself, if it is known.
    pub fn head_of(&self, name: &str) -> Option<crate::head::Head> {
        let record = self.table.members[self.table.named(name)?].record(Slot::Head)?;
        crate::head::Head::read(record.body()).ok()
    }

    /// Any record of a member.
    pub fn record_of(&self, name: &str, slot: Slot) -> Option<&Arc<Record>> {
        self.table.members[self.table.named(name)?].record(slot)
    }

    /// The records of all floors.
    pub fn floors(&self) -> Vec<Vec<u8>> {
        let floors = self.table.members.iter().filter_map(|it| it.record(Slot::Floor));
        floors.map(|it| it.bytes().to_vec()).collect()
    }

    /// How `name` is seen here.
    pub fn state_of(&self, name: &str) -> Option<State> {
        Some(self.table.members[self.table.named(name)?].state)
    }
}
