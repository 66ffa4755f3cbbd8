//! Reports that wait to be sent. The newest of one key wins; what is told to a hub that forgot it
//! all is the last word on everything.

use std::collections::{BTreeMap, BTreeSet};

use kogge_member::ObjectKey;

use crate::link::{Note, Report};

/// Reports in one post, at most.
const BATCH: usize = 500;

/// Bytes of one post, unless one report has more. The hub refuses 32 MiB.
const LARGEST: usize = 8 << 20;

/// Drifts that wait, at most: each is only an event. All else is bounded by what there is.
const DRIFTS: usize = 1000;

/// Events of one autoscaler that wait, at most.
const NOTES: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Cluster,
    Held,
    Autoscaler(String),
    Applied(ObjectKey),
    Status(ObjectKey),
    Removed(ObjectKey),
    Drift(ObjectKey),
}

#[derive(Default)]
pub(super) struct Outbox {
    /// The last word on each.
    latest: BTreeMap<Key, Report>,
    /// What the hub has not heard.
    due: BTreeSet<Key>,
    drifts: usize,
}

impl Outbox {
    pub fn put(&mut self, mut report: Report) {
        let key = key(&report);
        match &key {
            Key::Removed(object) => {
                for other in [Key::Applied(object.clone()), Key::Status(object.clone())] {
                    self.latest.remove(&other);
                    self.due.remove(&other);
                }
            }
            Key::Applied(object) | Key::Status(object) => {
                let removed = Key::Removed(object.clone());
                self.latest.remove(&removed);
                self.due.remove(&removed);
            }
            Key::Drift(_) if !self.latest.contains_key(&key) => {
                if self.drifts == DRIFTS {
                    return;
                }
                self.drifts += 1;
            }
            _ => {}
        }
        if let Some(before) = self.latest.get_mut(&key) {
            add_notes(take_notes(before), &mut report);
        }
        self.latest.insert(key.clone(), report);
        self.due.insert(key);
    }

    /// The hub may know nothing any more.
    pub fn all_again(&mut self) {
        self.due = self.latest.keys().cloned().collect();
    }

    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// What goes with the next post, and as JSON.
    ///
    /// # Errors
    /// If a report cannot be written as JSON, which none has been seen to do.
    pub fn post(&mut self) -> serde_json::Result<(Vec<Report>, Vec<u8>)> {
        let mut batch = self.take();
        let mut body = serde_json::to_vec(&batch)?;
        while LARGEST < body.len() && 1 < batch.len() {
            self.put_back(batch.split_off(batch.len() / 2));
            body = serde_json::to_vec(&batch)?;
        }
        Ok((batch, body))
    }

    fn take(&mut self) -> Vec<Report> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(key) = self.due.pop_first()
        {
            let passing = matches!(key, Key::Removed(_) | Key::Drift(_));
            if matches!(key, Key::Drift(_)) {
                self.drifts -= 1;
            }
            if passing {
                batch.extend(self.latest.remove(&key));
            } else if let Some(report) = self.latest.get_mut(&key) {
                batch.push(report.clone());
                take_notes(report);
            }
        }
        batch
    }

    /// It did not arrive; what was said since is newer.
    pub fn put_back(&mut self, batch: Vec<Report>) {
        for mut report in batch {
            let key = key(&report);
            let is_outdated = match &key {
                Key::Removed(object) => {
                    self.latest.contains_key(&Key::Applied(object.clone()))
                        || self.latest.contains_key(&Key::Status(object.clone()))
                }
                Key::Applied(_) | Key::Status(_) => !self.latest.contains_key(&key),
                _ => false,
            };
            if is_outdated {
                continue;
            }
            match self.latest.get_mut(&key) {
                Some(newer) => {
                    add_notes(take_notes(&mut report), newer);
                    self.due.insert(key);
                }
                None => self.put(report),
            }
        }
    }
}

fn key(report: &Report) -> Key {
    match report {
        Report::Applied { key, .. } => Key::Applied(key.clone()),
        Report::Status { key, .. } => Key::Status(key.clone()),
        Report::Removed { key } => Key::Removed(key.clone()),
        Report::Drift(drift) => Key::Drift(drift.key.clone()),
        Report::DeletionsHeld { .. } => Key::Held,
        Report::Cluster(_) => Key::Cluster,
        Report::Autoscaler { name, .. } => Key::Autoscaler(name.clone()),
    }
}

/// Takes the events out of a report: they are told once.
fn take_notes(report: &mut Report) -> Vec<Note> {
    match report {
        Report::Autoscaler { events, .. } => std::mem::take(events),
        _ => Vec::new(),
    }
}

/// Puts earlier events before those of a report; the oldest go when there are too many.
fn add_notes(early: Vec<Note>, report: &mut Report) {
    if let Report::Autoscaler { events, .. } = report {
        events.splice(0..0, early);
        let too_many = events.len().saturating_sub(NOTES);
        events.drain(..too_many);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> ObjectKey {
        ObjectKey::new("apps", "Deployment", "shop", "web")
    }

    fn status(generation: i64) -> Report {
        Report::Status { key: web(), generation, status: serde_json::json!({}) }
    }

    fn autoscaler(reason: &str) -> Report {
        let note = Note { warning: false, reason: reason.into(), message: String::new() };
        let status = serde_json::json!({});
        Report::Autoscaler { name: "a".into(), status, events: vec![note] }
    }

    #[test]
    fn the_newest_word_on_each_is_sent_once() {
        let mut outbox = Outbox::default();
        outbox.put(status(1));
        outbox.put(status(2));
        assert_eq!(outbox.take(), [status(2)]);
        assert!(outbox.take().is_empty() && outbox.is_empty());
    }

    #[test]
    fn what_did_not_arrive_is_sent_again_unless_it_is_outdated() {
        let mut outbox = Outbox::default();
        outbox.put(status(1));
        let batch = outbox.take();
        outbox.put_back(batch.clone());
        assert_eq!(outbox.take(), batch);
        outbox.put(Report::Removed { key: web() });
        outbox.put_back(batch);
        assert_eq!(outbox.take(), [Report::Removed { key: web() }]);
        outbox.put(status(3));
        outbox.put_back(vec![Report::Removed { key: web() }]);
        assert_eq!(outbox.take(), [status(3)]);
    }

    #[test]
    fn events_are_told_once_and_in_order() {
        let mut outbox = Outbox::default();
        outbox.put(autoscaler("first"));
        let batch = outbox.take();
        outbox.put(autoscaler("second"));
        outbox.put_back(batch);
        let sent = outbox.take();
        let Some(Report::Autoscaler { events, .. }) = sent.first() else { panic!("{sent:?}") };
        let reasons: Vec<&str> = events.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons, ["first", "second"]);
        outbox.all_again();
        let sent = outbox.take();
        assert!(matches!(&sent[..], [Report::Autoscaler { events, .. }] if events.is_empty()));
    }

    #[test]
    fn a_hub_that_forgot_hears_the_last_word_on_all_that_is_there() {
        let mut outbox = Outbox::default();
        outbox.put(status(1));
        outbox.put(Report::Removed { key: ObjectKey::new("", "Service", "shop", "web") });
        assert_eq!(outbox.take().len(), 2);
        outbox.all_again();
        assert_eq!(outbox.take(), [status(1)]);
    }

    #[test]
    fn large_reports_go_in_posts_that_the_hub_takes() {
        let mut outbox = Outbox::default();
        for number in 0..40 {
            let key = ObjectKey::new("", "ConfigMap", "shop", &format!("large-{number}"));
            let status = "x".repeat(1 << 20).into();
            outbox.put(Report::Status { key, generation: 1, status });
        }
        let (mut posts, mut sent) = (0, 0);
        while !outbox.is_empty() {
            let (batch, body) = outbox.post().unwrap();
            assert!(!batch.is_empty() && body.len() <= LARGEST, "{} bytes", body.len());
            posts += 1;
            sent += batch.len();
        }
        assert_eq!(sent, 40);
        assert!(posts < 12, "{posts} posts");
    }
}
