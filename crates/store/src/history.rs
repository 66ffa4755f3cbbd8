//! The recent past: one bounded sequence of events that all watches and ranges at a revision share.
//!
//! A revision is kept or forgotten whole. What history costs beyond the present
//! are the values that were superseded, and each of them is some event's `previous`.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::types::{Event, HistoryError, Revision};

/// How much of the past is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub events: usize,
    pub bytes: usize,
    pub age: Duration,
}

#[derive(Debug)]
pub(crate) struct History {
    /// In order; all events after `compacted` are here.
    events: VecDeque<Event>,
    /// The place of `events[0]` in the sequence of all events since the start.
    first_seq: u64,
    bytes: usize,
    compacted: Revision,
    newest: Revision,
    /// When the revisions up to each of these became visible.
    arrivals: VecDeque<(Instant, Revision)>,
    keep: Keep,
}

impl History {
    /// No past before `revision`.
    pub fn new(revision: Revision, keep: Keep) -> Self {
        Self {
            events: VecDeque::new(),
            first_seq: 0,
            bytes: 0,
            compacted: revision,
            newest: revision,
            arrivals: VecDeque::new(),
            keep,
        }
    }

    pub fn newest(&self) -> Revision {
        self.newest
    }

    pub fn push(&mut self, event: Event) {
        self.newest = self.newest.max(event.revision);
        self.bytes += weight(&event);
        self.events.push_back(event);
    }

    /// Forgets what is too much or too old, after the pushes of `now`.
    pub fn trim(&mut self, now: Instant) {
        self.arrivals.push_back((now, self.newest));
        while self.keep.events < self.events.len() || self.keep.bytes < self.bytes {
            self.forget_first();
        }
        while let Some(&(came, revision)) = self.arrivals.front() {
            if now.saturating_duration_since(came) <= self.keep.age && self.compacted < revision {
                break;
            }
            self.compact(revision);
            self.arrivals.pop_front();
        }
    }

    /// Forgets events up to `revision`, that one included.
    pub fn compact(&mut self, revision: Revision) {
        let revision = revision.min(self.newest);
        while self.events.front().is_some_and(|it| it.revision <= revision) {
            self.forget_first();
        }
        self.compacted = self.compacted.max(revision);
    }

    /// Forgets the oldest revision, with all of its events.
    fn forget_first(&mut self) {
        let Some(revision) = self.events.front().map(|it| it.revision) else { return };
        while let Some(event) = self.events.pop_front_if(|it| it.revision == revision) {
            self.bytes -= weight(&event);
            self.first_seq += 1;
        }
        self.compacted = self.compacted.max(revision);
    }

    /// Whether all that came after `wanted` is still known.
    pub fn check(&self, wanted: Revision) -> Result<(), HistoryError> {
        if wanted < self.compacted {
            return Err(HistoryError::Compacted { wanted, oldest: self.compacted });
        }
        if self.newest < wanted {
            return Err(HistoryError::Future { wanted, newest: self.newest });
        }
        Ok(())
    }

    /// Events after a revision that passes [`History::check`].
    pub fn after(&self, revision: Revision) -> impl Iterator<Item = &Event> {
        self.events.range(self.first_after(revision)..)
    }

    fn first_after(&self, revision: Revision) -> usize {
        self.events.partition_point(|it| it.revision <= revision)
    }

    /// Where in the sequence of events a watch of what comes after `revision` starts.
    pub fn seq_after(&self, revision: Revision) -> Result<u64, HistoryError> {
        self.check(revision)?;
        Ok(self.first_seq + self.first_after(revision) as u64)
    }

    /// Events from a place in the sequence on; `None` if that is forgotten already.
    pub fn starting_at(&self, seq: u64) -> Option<impl Iterator<Item = &Event>> {
        let skip = usize::try_from(seq.checked_sub(self.first_seq)?).ok()?;
        Some(self.events.iter().skip(skip))
    }

    /// The place of the next event to come.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.events.len() as u64
    }
}

fn weight(event: &Event) -> usize {
    let superseded = event.previous.as_ref().map_or(0, |it| it.value.len());
    size_of::<Event>() + event.key.len() + superseded
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::Entry;

    const KEEP: Keep = Keep { events: 4, bytes: 10_000, age: Duration::from_mins(1) };

    fn event(revision: Revision, superseded: usize) -> Event {
        let previous = Entry {
            key: "/a".into(),
            value: Bytes::from(vec![0; superseded]),
            created: 1,
            modified: revision - 1,
        };
        Event { revision, key: "/a".into(), value: None, previous: Some(previous) }
    }

    #[track_caller]
    fn check(keep: Keep, pushes: &[(u64, Revision, usize)], oldest: Revision) {
        let mut history = History::new(0, keep);
        let start = Instant::now();
        for &(second, revision, superseded) in pushes {
            history.push(event(revision, superseded));
            history.trim(start + Duration::from_secs(second));
        }
        assert_eq!(history.compacted, oldest);
        assert!(history.events.iter().all(|it| oldest < it.revision));
        assert_eq!(history.bytes, history.events.iter().map(weight).sum::<usize>());
        assert!(history.arrivals.len() <= history.events.len() + 1, "arrivals are bounded too");
    }

    #[test]
    fn the_oldest_revisions_go_when_there_are_too_many() {
        check(KEEP, &[(0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 4, 0)], 0);
        check(KEEP, &[(0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 4, 0), (0, 5, 0)], 1);
    }

    #[test]
    fn a_revision_goes_whole() {
        check(KEEP, &[(0, 1, 0), (0, 1, 0), (0, 2, 0), (0, 2, 0), (0, 3, 0)], 1);
    }

    #[test]
    fn deleted_values_count() {
        check(KEEP, &[(0, 1, 6_000), (0, 2, 6_000)], 1);
        check(KEEP, &[(0, 1, 600), (0, 2, 600)], 0);
    }

    #[test]
    fn what_is_too_old_goes_with_the_next_write() {
        check(KEEP, &[(0, 1, 0), (60, 2, 0)], 0);
        check(KEEP, &[(0, 1, 0), (61, 2, 0)], 1);
        check(KEEP, &[(0, 1, 0), (30, 2, 0), (500, 3, 0)], 2);
    }
}
