//! Joining: one exchange with anybody; and what keeps a whole fleet's start from one seed's door.
//!
//! Invariant: a member is in the tables of others only when it has been told all, or was told
//! nothing for so long that it stopped waiting: those who wait for each other do so no longer.

use std::sync::Arc;

use crate::event::{Action, Channel};
use crate::frame::{Batch, Frame};
use crate::gate::Gate;
use crate::id::{MS, Micros, Name, SECOND};
use crate::node::Node;
use crate::queue::MAX_QUEUE;
use crate::record::{Record, RecordRef, Slot};
use crate::ring::Part;
use crate::table::{MAX_MEMBERS, Refusal, State};

/// A newcomer that is not answered asks again; who is alone has the seeds dialled.
const AGAIN: Micros = 2 * SECOND;

/// Newcomers that are told all at once; the others wait until no more have come for [`SPAN`].
const AT_ONCE: usize = 8;
const SPAN: Micros = 60 * MS;
/// They wait no longer than this.
const SPANS: Micros = SECOND;

/// Whom nobody answered for this long takes in those who wait for it.
const ALONE: Micros = 8 * SECOND;

/// For what is missing of a table that is to be served: frames may be overtaken or sent again.
const PATIENCE: Micros = 800 * MS;

/// Heads that a newcomer is given which is sent on.
const SENT_ON: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Join {
    /// This member has asked and was not told all yet; and since when that is so.
    joining: bool,
    since: Micros,
    /// When to look for company.
    company: Option<Micros>,
    /// When the first of many newcomers came and when the last, and how many were answered.
    first: Micros,
    last: Micros,
    answered: usize,
    /// Those who wait: name and head.
    waiting: Vec<(Name, Vec<u8>)>,
    /// The table is being told.
    told: Option<Told>,
    /// News that came meanwhile, to be served by who knows whom.
    later: Vec<Later>,
}

/// What is still to come of a table, and what is to be done then.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The part to which the table is to be served.
    part: Part,
    from: u64,
    /// As many records are a whole table.
    count: usize,
    /// They are waited for until then.
    due: Micros,
}

#[derive(Debug)]
struct Later {
    owner: usize,
    record: Arc<Record>,
    part: Part,
    from: Option<usize>,
}

impl Join {
    pub fn due(&self) -> Option<Micros> {
        let over = if self.joining { self.alone() } else { Some(self.over()) };
        let waiting = over.filter(|_| !self.waiting.is_empty());
        let told = self.told.map(|it| it.due);
        self.company.into_iter().chain(waiting).chain(told).min()
    }

    /// The longer one of its queues.
    pub fn longest(&self) -> usize {
        self.waiting.len().max(self.later.len())
    }

    /// When a member that waits itself no longer does.
    fn alone(&self) -> Option<Micros> {
        (self.joining && self.told.is_none()).then_some(self.since + ALONE)
    }

    /// When those who wait are answered.
    fn over(&self) -> Micros {
        (self.last + SPAN).min(self.first + SPANS)
    }
}

impl Node {
    pub(crate) fn join_due(&mut self) {
        if self.join.company.is_none_or(|it| it <= self.now) {
            self.keep_company();
        }
        let alone = self.join.alone().is_some_and(|it| it <= self.now);
        if alone && !self.join.waiting.is_empty() {
            let part = Part::only(self.hash);
            self.knows_all(Told { part, from: self.hash, count: 0, due: self.now });
        }
        let over = self.join.over() <= self.now && !self.join.joining;
        if over && !self.join.waiting.is_empty() {
            self.answer_all();
        }
        if let Some(told) = self.join.told
            && (told.count <= self.table.records() || told.due <= self.now)
        {
            self.join.told = None;
            self.knows_all(told);
        }
    }

    /// The table is there: now it can be served, and news too.
    fn knows_all(&mut self, told: Told) {
        self.join.joining = false;
        if told.part != Part::only(self.hash) {
            self.serve_table(told.part, self.table.find(told.from));
        }
        for it in std::mem::take(&mut self.join.later) {
            let newest = self.table.members[it.owner].record(it.record.slot);
            if newest.is_some_and(|newest| newest.digest == it.record.digest) {
                self.serve(it.owner, &it.record, it.part, it.from);
            }
        }
    }

    /// Serves a part with news, or, who does not know yet who is in it, later.
    pub(crate) fn serve_or_wait(
        &mut self,
        owner: usize,
        record: &Arc<Record>,
        part: Part,
        from: Option<usize>,
    ) {
        if !self.join.joining {
            self.serve(owner, record, part, from);
        } else if self.join.later.len() < MAX_QUEUE {
            self.join.later.push(Later { owner, record: record.clone(), part, from });
        }
    }

    /// Who knows nobody that lives has the seeds dialled. So has, now and then, everyone else,
    /// about one in the fleet each second: fleets that began by different seeds find each other.
    fn keep_company(&mut self) {
        let others = self.table.living().filter(|it| *it != self.me).count();
        if others == 0 || self.join.joining || self.join.company.is_some() {
            self.out.push(Action::DialSeeds);
        }
        let pause = if self.join.joining { AGAIN } else { AGAIN + SECOND * others as u64 };
        let jitter = self.rng.below(pause / 4);
        self.join.company = Some(self.now + pause + jitter);
    }

    /// A peer to begin with.
    pub(crate) fn met(&mut self, peer: &Name) {
        let Some(head) = self.table.members[self.me].record(Slot::Head).cloned() else { return };
        if *peer == self.name {
            return;
        }
        let known = self.table.named(peer.as_str());
        if let Some(at) = known.filter(|it| self.table.members[*it].lives())
            && !self.join.joining
        {
            self.heard_from(at);
            return;
        }
        if !std::mem::replace(&mut self.join.joining, true) {
            self.join.since = self.now;
        }
        self.join.company = Some(self.now + AGAIN / 2);
        self.send(peer, Channel::Stream, &Frame::Join { record: head.bytes() });
    }

    /// A newcomer asks.
    pub(crate) fn joined_by(&mut self, from: &str, bytes: &[u8]) {
        let Ok(record) = RecordRef::read(bytes) else {
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
        if self.join.over() <= self.now && self.join.waiting.is_empty() {
            (self.join.first, self.join.answered) = (self.now, 0);
        }
        self.join.last = self.now;
        if self.join.answered < AT_ONCE && !self.join.joining {
            self.join.answered += 1;
            self.admit(&name, &record, true);
            return;
        }
        // Who asks again takes its place again.
        self.join.waiting.retain(|it| it.0 != name);
        if self.join.waiting.len() < MAX_MEMBERS {
            self.join.waiting.push((name, bytes.to_vec()));
        }
    }

    /// Takes a newcomer's head in, and tells it all.
    fn admit(&mut self, name: &Name, record: &RecordRef<'_>, answer: bool) {
        match self.learn(record, answer) {
            Err(Refusal::Forged) => {
                self.gate.opens(self.table.hash_of(name.as_str()), Gate::FORGED, self.now);
            }
            // One that forgot its last life has to be shown it.
            Ok(_) | Err(_) if answer => self.answer_join(name),
            Ok(_) | Err(_) => {}
        }
    }

    /// The span is over. Few newcomers to a large fleet are sent on to others that can tell them as
    /// much. Where most are new, a fleet is starting: all are taken in and the table goes down the
    /// tree, so that each is sent it once and nobody sends it to all.
    fn answer_all(&mut self) {
        let waiting = std::mem::take(&mut self.join.waiting);
        (self.join.first, self.join.answered) = (self.now, 0);
        let starting = self.table.living().count() <= 2 * waiting.len();
        if !starting {
            for (name, _) in &waiting {
                self.send_on(name);
            }
            return;
        }
        for (name, bytes) in &waiting {
            if let Ok(record) = RecordRef::read(bytes) {
                self.admit(name, &record, false);
            }
        }
        self.serve_table(Part::WHOLE, None);
    }

    fn serve_table(&mut self, part: Part, not: Option<usize>) {
        for (to, part) in self.hand_out(part, 0, [not, None]) {
            let to = self.table.members[to].name.clone();
            self.send_table(&to, part);
        }
    }

    fn send_table(&mut self, to: &Name, part: Part) {
        let records = self.all_records();
        let serve = Some((part, records.len() as u64));
        self.send_records(to, records.iter().map(|it| &**it), serve);
    }

    fn all_records(&self) -> Vec<Arc<Record>> {
        let of = |slot| self.table.members.iter().filter_map(move |it| it.record(slot).cloned());
        Slot::ALL.into_iter().flat_map(of).collect()
    }

    pub(crate) fn answer_join(&mut self, to: &Name) {
        self.send_table(to, Part::only(self.table.hash_of(to.as_str())));
    }

    fn send_on(&mut self, to: &Name) {
        let fit = |it: &usize| {
            let member = &self.table.members[*it];
            *it != self.me && member.dialable && member.state == State::Alive && member.name != *to
        };
        let all: Vec<usize> = self.table.living().filter(fit).collect();
        let mut chosen = Vec::new();
        for _ in 0..SENT_ON {
            chosen.extend(self.rng.choose(&all).copied());
        }
        let head = |it: &usize| self.table.members[*it].record(Slot::Head).cloned();
        let heads: Vec<_> = chosen.iter().filter_map(head).collect();
        let records = heads.iter().map(|it| it.bytes()).collect();
        let batch = Batch { more: false, ask: true, serve: None, records };
        self.send(to, Channel::Stream, &Frame::Records(batch));
    }

    /// A batch came, with `brought` new records.
    pub(crate) fn told(&mut self, from: u64, batch: &Batch<'_>, brought: usize) {
        if batch.ask {
            let owners: Vec<Name> = batch
                .records
                .iter()
                .filter_map(|it| Name::new(RecordRef::read(it).ok()?.name))
                .collect();
            if self.join.joining
                && let Some(next) = self.rng.choose(&owners).cloned()
            {
                self.met(&next);
            }
            return;
        }
        if self.join.joining && 0 < brought {
            // It is coming: no reason to ask again yet.
            self.join.company = Some(self.now + AGAIN / 2);
            self.join.since = self.now;
        }
        let Some((part, count)) = batch.serve else { return };
        let due = self.now + PATIENCE;
        let told = Told { part, from, count: usize::try_from(count).unwrap_or(0), due };
        // Only to whom most of it is new serves others: nobody can have a fleet that knows itself
        // send its table around.
        let news = self.join.joining || batch.records.len() <= 2 * brought;
        if part == Part::only(self.hash) {
            if self.join.joining && self.join.told.is_none() {
                self.join.told = Some(told);
            }
        } else if news && self.gate.opens(self.hash, Gate::TABLE, self.now) {
            self.join.told = Some(told);
        }
    }
}
