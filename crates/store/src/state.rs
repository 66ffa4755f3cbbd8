//! The store in memory: what is, and the recent past. No IO; every rule is here.

use std::{collections::BTreeMap, iter};

use tokio::time::Instant;

use crate::{
    history::{History, Keep},
    types::{
        Change, Entry, Event, Expect, HistoryError, Key, Op, Page, RangeQuery, Revision, TxnError,
    },
};

#[derive(Debug)]
pub(crate) struct State {
    current: BTreeMap<Key, Entry>,
    pub history: History,
}

/// Entries as they will be once the transactions before this one are committed.
pub(crate) type Pending = BTreeMap<Key, Option<Entry>>;

impl State {
    /// A state without a past: what a log holds.
    pub fn new(entries: impl IntoIterator<Item = Entry>, revision: Revision, keep: Keep) -> Self {
        Self {
            current: entries.into_iter().map(|it| (it.key.clone(), it)).collect(),
            history: History::new(revision, keep),
        }
    }

    pub fn revision(&self) -> Revision {
        self.history.newest()
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
            let value = match &op.change {
                Change::Put(value) => Some(value.clone()),
                Change::Delete if found.is_some() => None,
                Change::Delete | Change::Nothing => continue,
            };
            let event = Event { revision, key: op.key.clone(), value, previous: found.cloned() };
            own.insert(op.key.clone(), event.entry());
            events.push(event);
        }
        Ok(events)
    }

    /// Takes events that are durable. They must come from [`State::plan`], in order.
    pub fn publish(&mut self, events: Vec<Event>, now: Instant) {
        for event in events {
            match event.entry() {
                Some(entry) => self.current.insert(event.key.clone(), entry),
                None => self.current.remove(&event.key),
            };
            self.history.push(event);
        }
        self.history.trim(now);
    }

    pub fn range(&self, query: &RangeQuery) -> Result<Page, HistoryError> {
        let revision = query.at.unwrap_or(self.revision());
        self.history.check(revision)?;
        let present = self.present(query).map(|(_, entry)| entry);
        if revision == self.revision() {
            return Ok(page(present, query.limit, revision));
        }
        let then = self.touched_since(revision, query);
        let untouched = present.filter(|it| !then.contains_key(&*it.key));
        let touched = then.values().copied().flatten();
        Ok(page(merged(untouched, touched), query.limit, revision))
    }

    fn present(&self, query: &RangeQuery) -> impl Iterator<Item = (&Key, &Entry)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match query.after.as_deref() {
            Some(after) if query.prefix.as_str() <= after => Excluded(after),
            _ => Included(query.prefix.as_str()),
        };
        let all = self.current.range::<str, _>((start, Unbounded));
        all.take_while(|(key, _)| key.starts_with(&query.prefix))
    }

    /// The keys that were written after a revision, as they were at it.
    fn touched_since(
        &self,
        revision: Revision,
        query: &RangeQuery,
    ) -> BTreeMap<&str, Option<&Entry>> {
        let mut then = BTreeMap::new();
        for event in self.history.after(revision) {
            let wanted = event.key.starts_with(&query.prefix)
                && query.after.as_deref().is_none_or(|after| after < &*event.key);
            if wanted {
                // The first event after the revision knows what was there before it.
                then.entry(&*event.key).or_insert(event.previous.as_ref());
            }
        }
        then
    }
}

fn holds(expect: Expect, found: Option<&Entry>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::At(revision) => found.is_some_and(|it| it.modified == revision),
    }
}

/// Two sequences in key order as one.
fn merged<'a>(
    left: impl Iterator<Item = &'a Entry>,
    right: impl Iterator<Item = &'a Entry>,
) -> impl Iterator<Item = &'a Entry> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if b.key < a.key => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

fn page<'a>(mut all: impl Iterator<Item = &'a Entry>, limit: usize, revision: Revision) -> Page {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let entries: Vec<Entry> = all.by_ref().take(limit).cloned().collect();
    Page { entries, revision, remaining: all.count() }
}
