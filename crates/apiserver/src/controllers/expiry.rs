//! When Events are to go: some time after they last happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::graph::Place;

/// Places by the time they are due.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    due: BTreeSet<(Timestamp, Place)>,
    of: BTreeMap<Place, Timestamp>,
}

impl Expiry {
    pub fn put(&mut self, place: Place, due: Timestamp) {
        self.remove(&place);
        self.due.insert((due, place.clone()));
        self.of.insert(place, due);
    }

    pub fn remove(&mut self, place: &Place) {
        if let Some(due) = self.of.remove(place) {
            self.due.remove(&(due, place.clone()));
        }
    }

    pub fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// At most `max` places that are due by now; they are forgotten.
    pub fn take(&mut self, now: Timestamp, max: usize) -> Vec<Place> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some((due, place)) = self.due.pop_first() else { break };
            if due > now {
                self.due.insert((due, place));
                break;
            }
            self.of.remove(&place);
            taken.push(place);
        }
        taken
    }
}

/// Only Events expire, in either of their groups.
pub(super) fn expires(kind: &str) -> bool {
    matches!(kind, "/core/events/" | "/events.k8s.io/events/")
}

/// `ttl` after the newest time that an Event names; after `now` when it names none.
pub(super) fn due(event: &Value, now: Timestamp, ttl: Duration) -> Timestamp {
    let times = [
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["series"]["lastObservedTime"],
        &event["deprecatedLastTimestamp"],
        &event["metadata"]["creationTimestamp"],
    ];
    let named = times.into_iter().filter_map(|it| it.as_str()?.parse().ok()).max();
    let ttl = jiff::SignedDuration::try_from(ttl).unwrap_or(jiff::SignedDuration::MAX);
    // A clock far ahead must not keep an Event for ever.
    named.unwrap_or(now).min(now).saturating_add(ttl).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);
    const HOUR: Duration = Duration::from_hours(1);

    #[track_caller]
    fn check(event: &Value, seconds_after_noon: i64) {
        let want = NOON + jiff::SignedDuration::from_secs(seconds_after_noon);
        assert_eq!(due(event, NOON, HOUR), want, "{event}");
    }

    #[test]
    fn an_event_goes_an_hour_after_it_last_happened() {
        check(&json!({}), 3600);
        check(&json!({"metadata": {"creationTimestamp": "2025-06-15T14:06:40Z"}}), 0);
        check(
            &json!({
                "metadata": {"creationTimestamp": "2025-06-15T14:06:40Z"},
                "lastTimestamp": "2025-06-15T15:06:30Z", "eventTime": null,
            }),
            3590,
        );
        check(&json!({"eventTime": "2999-01-01T00:00:00.000000Z"}), 3600);
    }

    #[test]
    fn places_are_due_in_order_and_once() {
        let place = |name: &str| Place {
            kind: "/core/events/".into(),
            namespace: "ns".into(),
            name: name.into(),
        };
        let at = |seconds| NOON + jiff::SignedDuration::from_secs(seconds);
        let mut expiry = Expiry::default();
        expiry.put(place("a"), at(2));
        expiry.put(place("b"), at(1));
        expiry.put(place("a"), at(3));
        assert_eq!(expiry.next(), Some(at(1)));
        assert_eq!(expiry.take(at(2), 9), [place("b")]);
        assert_eq!(expiry.take(at(2), 9), []);
        assert_eq!(expiry.take(at(3), 9), [place("a")]);
        assert_eq!(expiry.next(), None);
    }
}
