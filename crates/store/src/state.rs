//! The store in memory: what is, and the recent past. No IO; every rule is here.

use std::{
    collections::BTreeMap,
    iter,
    ops::Bound::{Excluded, Included, Unbounded},
};

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
        let limit = if query.limit == 0 { usize::MAX } else { query.limit };
        let after = query.after.as_deref();
        let touched = self.touched_since(revision, &query.prefix, after);
        let untouched = self.present(&query.prefix, after);
        let untouched = untouched.filter(|it| !touched.contains_key(&*it.key));
        let then = touched.values().filter_map(|it| it.then);
        let entries: Vec<Entry> = merged(untouched, then).take(limit).cloned().collect();
        let remaining = match entries.last() {
            Some(last) if entries.len() == limit => {
                let later = || touched.range::<str, _>((Excluded(&*last.key), Unbounded));
                let there = self.present(&query.prefix, Some(&last.key)).count();
                let gone = later().filter(|(_, it)| it.then.is_some()).count();
                there + gone - later().filter(|(_, it)| it.is_present).count()
            }
            _ => 0,
        };
        Ok(Page { entries, revision, remaining })
    }

    /// What is under a prefix, after a key. Counting it touches no key.
    fn present(&self, prefix: &str, after: Option<&str>) -> impl Iterator<Item = &Entry> {
        let start = match after {
            Some(after) if prefix <= after => Excluded(after),
            _ => Included(prefix),
        };
        let end = past(prefix);
        let is_empty = end.as_deref().is_some_and(|end| after.is_some_and(|it| end <= it));
        let end = end.as_deref().map_or(Unbounded, Excluded);
        let range = (!is_empty).then(|| self.current.range::<str, _>((start, end)));
        range.into_iter().flatten().map(|(_, entry)| entry)
    }

    /// The keys under a prefix, after a key, that were written after a revision.
    fn touched_since<'a>(
        &'a self,
        revision: Revision,
        prefix: &str,
        after: Option<&str>,
    ) -> BTreeMap<&'a str, Touched<'a>> {
        let mut touched = BTreeMap::new();
        for event in self.history.after(revision) {
            if !event.key.starts_with(prefix) || after.is_some_and(|it| &*event.key <= it) {
                continue;
            }
            // The first event after the revision knows what was there at it.
            let then = event.previous.as_ref();
            let first = || Touched { then, is_present: false };
            touched.entry(&*event.key).or_insert_with(first).is_present = event.value.is_some();
        }
        touched
    }
}

/// A key that was written after some revision.
struct Touched<'a> {
    /// What was there at that revision.
    then: Option<&'a Entry>,
    is_present: bool,
}

/// The first string past all that begin with a prefix; `None` if there is none.
fn past(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_past(prefix: &str, want: Option<&str>) {
        assert_eq!(past(prefix).as_deref(), want);
    }

    #[test]
    fn what_is_past_a_prefix() {
        check_past("/a/", Some("/a0"));
        check_past("", None);
        check_past("a\u{10FFFF}", Some("b"));
        check_past("\u{D7FF}", Some("\u{E000}"));
        check_past("\u{10FFFF}", None);
    }

    proptest! {
        #[test]
        fn a_range_is_what_begins_with_the_prefix_and_comes_after_the_key(
            keys in prop::collection::btree_set("[ab/\u{10FFFF}]{0,3}", 0..12),
            prefix in "[ab/\u{10FFFF}]{0,2}",
            after in prop::option::of("[ab/\u{10FFFF}]{0,3}"),
        ) {
            let entry = |key: &String| Entry {
                key: key.as_str().into(), value: Bytes::new(), created: 1, modified: 1,
            };
            let keep = Keep { events: 1, bytes: 1, age: std::time::Duration::ZERO };
            let state = State::new(keys.iter().map(entry), 1, keep);
            let query = RangeQuery {
                prefix: prefix.clone(), after: after.as_deref().map(Key::from), ..RangeQuery::default()
            };
            let found: Vec<String> =
                state.range(&query).unwrap().entries.iter().map(|it| it.key.to_string()).collect();
            let wanted = |it: &String| it.starts_with(&prefix) && after.as_ref().is_none_or(|a| a < it);
            let want: Vec<String> = keys.into_iter().filter(wanted).collect();
            prop_assert_eq!(found, want);
        }
    }
}
