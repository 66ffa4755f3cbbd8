//! Which keys are to be looked at again, and when: one moment for each key, the earliest asked for.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::kind::Key;

#[derive(Debug, Default)]
pub(super) struct Timers {
    at: BTreeMap<Key, Instant>,
    order: BTreeSet<(Instant, Key)>,
}

impl Timers {
    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    pub fn set(&mut self, key: Key, at: Instant) {
        if let Some(before) = self.at.get(&key) {
            if *before <= at {
                return;
            }
            self.order.remove(&(*before, key.clone()));
        }
        self.at.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    /// The keys whose moment has come; they are forgotten.
    pub fn due(&mut self, now: Instant) -> Vec<Key> {
        let mut due = Vec::new();
        while self.order.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, key)) = self.order.pop_first()
        {
            self.at.remove(&key);
            due.push(key);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::controllers::kind::Kind;

    #[tokio::test]
    async fn the_earliest_moment_of_a_key_counts() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let key = |name: &str| Key::new(Kind::Job, "shop", name);
        let second = Duration::from_secs(1);
        timers.set(key("a"), start + second * 3);
        timers.set(key("a"), start + second);
        timers.set(key("a"), start + second * 2);
        timers.set(key("b"), start + second * 2);
        assert_eq!(timers.next(), Some(start + second));
        assert_eq!(timers.due(start + second), [key("a")]);
        assert_eq!(timers.due(start + second * 5), [key("b")]);
        assert_eq!(timers.next(), None);
    }
}
