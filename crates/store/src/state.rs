//! The store in memory: what is, and the recent past. No IO; every rule is here.

use std::collections::{BTreeMap, VecDeque};

use crate::types::{
    Change, Entry, Event, Expect, HistoryError, Key, Op, Page, RangeQuery, Revision, TxnError,
};

/// How much of the past is kept for watches and ranges at a revision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub events: usize,
    pub bytes: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    current: BTreeMap<Key, Entry>,
    /// The recent past in order; all events after `compacted` are here.
    events: VecDeque<Event>,
    /// The place of `events[0]` in the sequence of all events since the start.
    first_seq: u64,
    event_bytes: usize,
    revision: Revision,
    compacted: Revision,
    keep: Keep,
}

/// Entries as they will be once the transactions before this one are committed.
pub(crate) type Pending = BTreeMap<Key, Option<Entry>>;

impl State {
    /// A state without a past: what a log holds.
    pub fn new(entries: impl IntoIterator<Item = Entry>, revision: Revision, keep: Keep) -> Self {
        Self {
            current: entries.into_iter().map(|it| (it.key.clone(), it)).collect(),
            events: VecDeque::new(),
            first_seq: 0,
            event_bytes: 0,
            revision,
            compacted: revision,
            keep,
        }
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.current.get(key)
    }

    /// What a transaction would do at `revision`, after those in `pending`; nothing is changed.
    pub fn plan(
        &self,
        pending: &Pending,
        ops: &[Op],
        revision: Revision,
    ) -> Result<Vec<Event>, TxnError> {
        let mut own = Pending::new();
        let mut events = Vec::new();
        for op in ops {
            let found = own
                .get(&op.key)
                .or_else(|| pending.get(&op.key))
                .map_or_else(|| self.current.get(&op.key), Option::as_ref);
            if !holds(op.expect, found) {
                return Err(TxnError::Conflict { key: op.key.clone(), found: found.cloned() });
            }
            let previous = found.cloned();
            let next = match &op.change {
                Change::Put(value) => Some(Entry {
                    key: op.key.clone(),
                    value: value.clone(),
                    created: previous.as_ref().map_or(revision, |it| it.created),
                    modified: revision,
                }),
                Change::Delete if previous.is_some() => None,
                Change::Delete | Change::Nothing => continue,
            };
            let value = next.as_ref().map(|it| it.value.clone());
            events.push(Event { revision, key: op.key.clone(), value, previous });
            own.insert(op.key.clone(), next);
        }
        Ok(events)
    }

    /// Takes events that are durable. They must come from [`State::plan`], in order.
    pub fn publish(&mut self, events: Vec<Event>) {
        for event in events {
            self.revision = self.revision.max(event.revision);
            match &event.value {
                Some(value) => {
                    let created = event.previous.as_ref().map_or(event.revision, |it| it.created);
                    let entry = Entry {
                        key: event.key.clone(),
                        value: value.clone(),
                        created,
                        modified: event.revision,
                    };
                    self.current.insert(event.key.clone(), entry);
                }
                None => {
                    self.current.remove(&event.key);
                }
            }
            self.event_bytes += weight(&event);
            self.events.push_back(event);
        }
        while self.keep.events < self.events.len() || self.keep.bytes < self.event_bytes {
            self.forget_first();
        }
    }

    /// Forgets events up to `revision`, that one included.
    pub fn compact(&mut self, revision: Revision) {
        let revision = revision.min(self.revision);
        while self.events.front().is_some_and(|it| it.revision <= revision) {
            self.forget_first();
        }
        self.compacted = self.compacted.max(revision);
    }

    /// Forgets the oldest revision, with all of its events.
    fn forget_first(&mut self) {
        let Some(revision) = self.events.front().map(|it| it.revision) else { return };
        while self.events.front().is_some_and(|it| it.revision == revision) {
            if let Some(event) = self.events.pop_front() {
                self.event_bytes -= weight(&event);
                self.first_seq += 1;
            }
        }
        self.compacted = self.compacted.max(revision);
    }

    pub fn range(&self, query: &RangeQuery) -> Result<Page, HistoryError> {
        let revision = query.at.unwrap_or(self.revision);
        self.check(revision)?;
        if revision == self.revision {
            let all = from(&self.current, query);
            return Ok(page(all, query, revision));
        }
        let then = self.at(revision, &query.prefix);
        Ok(page(from(&then, query), query, revision))
    }

    /// What was under a prefix at a revision: the present with later events undone.
    fn at(&self, revision: Revision, prefix: &str) -> BTreeMap<Key, Entry> {
        let query = RangeQuery { prefix: prefix.to_owned(), ..RangeQuery::default() };
        let mut then: BTreeMap<Key, Entry> =
            from(&self.current, &query).map(|it| (it.key.clone(), it.clone())).collect();
        for event in self.events.iter().rev().take_while(|it| revision < it.revision) {
            if event.key.starts_with(prefix) {
                match &event.previous {
                    Some(entry) => then.insert(event.key.clone(), entry.clone()),
                    None => then.remove(&event.key),
                };
            }
        }
        then
    }

    fn check(&self, wanted: Revision) -> Result<(), HistoryError> {
        if wanted < self.compacted {
            return Err(HistoryError::Compacted { wanted, oldest: self.compacted });
        }
        if self.revision < wanted {
            return Err(HistoryError::Future { wanted, newest: self.revision });
        }
        Ok(())
    }

    /// Where in the sequence of events a watch of what comes after `revision` starts.
    pub fn seq_after(&self, revision: Revision) -> Result<u64, HistoryError> {
        self.check(revision)?;
        let later = self.events.partition_point(|it| it.revision <= revision);
        Ok(self.first_seq + later as u64)
    }

    /// Events from a place in the sequence on; `None` if that is forgotten already.
    pub fn events_from(&self, seq: u64) -> Option<impl Iterator<Item = &Event>> {
        let skip = seq.checked_sub(self.first_seq)?;
        Some(self.events.iter().skip(usize::try_from(skip).ok()?))
    }

    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.events.len() as u64
    }
}

fn holds(expect: Expect, found: Option<&Entry>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::At(revision) => found.is_some_and(|it| it.modified == revision),
    }
}

fn weight(event: &Event) -> usize {
    let value = event.value.as_ref().map_or(0, bytes::Bytes::len);
    event.key.len() + value + size_of::<Event>()
}

fn from<'a>(
    entries: &'a BTreeMap<Key, Entry>,
    query: &RangeQuery,
) -> impl Iterator<Item = &'a Entry> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match &query.after {
        Some(after) if query.prefix.as_str() <= after.as_ref() => Excluded(after.clone()),
        _ => Included(query.prefix.as_str().into()),
    };
    let prefix = query.prefix.clone();
    entries
        .range::<Key, _>((start, Unbounded))
        .map(|(_, entry)| entry)
        .take_while(move |it| it.key.starts_with(&prefix))
}

fn page<'a>(
    mut all: impl Iterator<Item = &'a Entry>,
    query: &RangeQuery,
    revision: Revision,
) -> Page {
    let limit = if query.limit == 0 { usize::MAX } else { query.limit };
    let entries: Vec<Entry> = all.by_ref().take(limit).cloned().collect();
    Page { entries, revision, remaining: all.count() }
}
