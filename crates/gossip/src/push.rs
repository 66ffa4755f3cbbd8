//! News: records on their way down the tree, acknowledged hop by hop.
//!
//! Invariant: whoever is sent a part serves exactly that part, once; the parts that one member
//! hands out for a record are disjoint and hold neither itself nor the owner.

use std::sync::Arc;

use crate::event::Channel;
use crate::frame::Frame;
use crate::gate::Gate;
use crate::health::PUSH_WAIT;
use crate::id::{MS, Micros, Name, SECOND};
use crate::node::Node;
use crate::queue::{News, Sent};
use crate::record::{Record, RecordRef};
use crate::ring::Part;
use crate::table::Refusal;

/// A part with no more members than this is served directly.
const DIRECT: usize = 24;

/// Trees: which links are used depends on this, not on the number of owners.
const TREES: u64 = 8;

/// Tries in all.
const TRIES: u8 = 8;

/// Each try is one copy more than the one before, up to so many: at 30 % loss one of a million
/// pushes needs 12 copies, so five tries.
const COPIES: u8 = 4;

/// A member that did not acknowledge that many tries is silent until it is heard: in a cut half of
/// all is on the other side, and not called dead yet. At 30 % loss, of news and
/// answers, one push of 180,000 ends so.
const SILENT: u8 = 6;

/// Tries of what comes after for one that is silent.
const SILENT_TRIES: u8 = 2;

/// News of one owner that is passed on in a second.
const PASSED: u8 = 40;
/// And for how long after it came first.
const STALE: Micros = 5 * SECOND;

/// Sent that often without an answer, the part of the child is served by its parent.
const TAKEN_OVER: u8 = 2;

impl Node {
    /// Serves a part: everyone in it but this member, the owner and `not` gets the record from
    /// here or from those that are sent it together with a part.
    pub(crate) fn serve(
        &mut self,
        owner: usize,
        record: &Arc<Record>,
        part: Part,
        not: Option<usize>,
    ) {
        let tree = self.table.members[owner].hash % TREES;
        for (to, part) in self.hand_out(part, tree, [Some(owner), not]) {
            let news = News { to, owner, record: record.clone(), part };
            if self.outbox.passes(self.now) {
                self.transmit(news, 1, 1);
            } else {
                self.outbox.push(news);
            }
        }
    }

    /// To whom a part is handed out, and what of it each is to serve.
    pub(crate) fn hand_out(
        &self,
        part: Part,
        tree: u64,
        not: [Option<usize>; 2],
    ) -> Vec<(usize, Part)> {
        let only = |at: usize| (self.hop(at), Part::only(self.table.members[at].hash));
        let mut out = Vec::new();
        let mut part = part;
        loop {
            let few: Vec<usize> = self.wanting(part, not).take(DIRECT + 1).collect();
            if few.len() <= DIRECT || part.children() < 8 {
                out.extend(few.into_iter().map(only));
                return out;
            }
            let mut mine = None;
            for child in (0..8).map(|it| part.child(it)) {
                if child.holds(self.hash) {
                    mine = Some(child);
                } else if let Some(to) = self.table.delegate(child, tree, not) {
                    out.push((to, child));
                } else {
                    out.extend(self.wanting(child, not).map(only));
                }
            }
            match mine {
                Some(child) => part = child,
                None => return out,
            }
        }
    }

    /// Who in a part is to be told.
    fn wanting(&self, part: Part, not: [Option<usize>; 2]) -> impl Iterator<Item = usize> {
        let fit = move |it: &usize| {
            *it != self.me && !not.contains(&Some(*it)) && self.table.members[*it].lives()
        };
        self.table.within(part).filter(fit)
    }

    /// The next hop to a member: itself, or, of one that cannot be dialled, who it has dialled.
    fn hop(&self, to: usize) -> usize {
        let table = &self.table;
        if table.members[to].dialable || table.observers(to).any(|it| it == self.me) {
            return to;
        }
        table.observers(to).next().unwrap_or(to)
    }

    fn transmit(&mut self, news: News, tries: u8, copies: u8) {
        let frame = Frame::Push { part: news.part, record: news.record.bytes() };
        let bytes = frame.bytes(self.name.as_str());
        let to = self.table.members[news.to].name.clone();
        let how = if crate::frame::MAX_DATAGRAM < bytes.len() {
            Channel::Stream
        } else {
            Channel::Datagram
        };
        let copies = if how == Channel::Stream { 1 } else { copies };
        for _ in 1..copies {
            self.out.push(crate::Action::Send { to: to.clone(), how, bytes: bytes.clone() });
        }
        self.out.push(crate::Action::Send { to, how, bytes });
        self.counters.pushed += u64::from(copies);
        let due = self.now + self.trip.wait(PUSH_WAIT);
        self.sent.put(Sent { news, tries, at: self.now, due });
    }

    /// What waits and may go, and what was not acknowledged in time.
    pub(crate) fn push_due(&mut self) {
        if self.sent.due().is_some_and(|it| it <= self.now) {
            for sent in self.sent.take_due(self.now) {
                self.again(sent);
            }
        }
        while let Some(news) = self.outbox.pop(self.now) {
            self.transmit(news, 1, 1);
        }
    }

    fn again(&mut self, sent: Sent) {
        let Sent { mut news, tries, .. } = sent;
        let newest = self.table.members[news.owner].record(news.record.slot);
        if newest.is_none_or(|it| it.stamp != news.record.stamp) {
            return;
        }
        let only = Part::only(self.table.members[news.to].hash);
        let lives = self.table.members[news.to].lives();
        if (TAKEN_OVER <= tries || !lives) && news.part != only {
            let (owner, record, part) = (news.owner, news.record.clone(), news.part);
            self.serve(owner, &record, part, Some(news.to));
            // If it went to a relay, whom it was for has just been served by another way.
            if !part.holds(self.table.members[news.to].hash) {
                return;
            }
            news.part = only;
        }
        // What made it silent goes through all of its tries.
        let silent = self.table.members[news.to].silent && tries <= SILENT_TRIES;
        self.table.members[news.to].silent |= SILENT <= tries;
        let most = if silent { SILENT_TRIES } else { TRIES };
        if lives && tries < most {
            self.transmit(news, tries + 1, (tries + 1).min(COPIES));
        }
    }

    pub(crate) fn push_acknowledged(&mut self, peer: Option<usize>, record: u64) {
        let Some(peer) = peer else { return };
        if let Some(sent) = self.sent.take(peer, record)
            && sent.tries == 1
        {
            self.trip.measured(self.now - sent.at);
        }
    }

    /// A record came as news.
    pub(crate) fn pushed(&mut self, from: &str, peer: Option<usize>, part: Part, bytes: &[u8]) {
        let peer_hash = self.table.hash_of(from);
        if self.gate.closed(peer_hash, Gate::FORGED, self.now) {
            return;
        }
        let Ok(record) = RecordRef::read(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        self.counters.received += 1;
        let learned = self.learn(&record, false);
        match learned {
            Ok(new) => self.counters.duplicates += u64::from(!new),
            Err(Refusal::Forged) => {
                self.gate.opens(peer_hash, Gate::FORGED, self.now);
                return;
            }
            Err(_) => return,
        }
        let digest = record.digest();
        let frame = Frame::PushAck { record: crate::id::low(digest) };
        match peer {
            Some(at) => self.send_at(at, Channel::Datagram, &frame),
            None => {
                if let Some(to) = Name::new(from) {
                    self.send(&to, Channel::Datagram, &frame);
                }
            }
        }
        if !self.worth_passing(record.name) {
            return;
        }
        let kept = self.table.named(record.name).and_then(|at| {
            let kept = self.table.members[at].record(record.slot)?;
            (kept.digest == digest).then(|| (at, kept.clone()))
        });
        if let Some((owner, kept)) = kept
            && part != Part::only(self.hash)
            && self.served.first(kept.short(), part)
        {
            self.serve_or_wait(owner, &kept, part, peer);
        }
    }

    /// News is passed on while it is new, and of one owner so often: else whoever is hostile could
    /// keep a fleet busy with what is old, or with its own.
    fn worth_passing(&mut self, owner: &str) -> bool {
        let Some(at) = self.table.named(owner) else { return false };
        let member = &mut self.table.members[at];
        if member.passed.0 + SECOND <= self.now {
            member.passed = (self.now, 0);
        }
        member.passed.1 = member.passed.1.saturating_add(1);
        member.passed.1 <= PASSED && self.now < member.learned + STALE
    }

    /// A frame could not be sent: news for that member is tried again soon, another way.
    pub(crate) fn undialable(&mut self, name: &Name) {
        if let Some(at) = self.table.named(name.as_str()) {
            self.sent.hasten(at, TAKEN_OVER, self.now + MS);
        }
    }
}
