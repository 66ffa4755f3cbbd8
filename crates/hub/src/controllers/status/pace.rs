//! How often statuses are written: quickly where little happens, rarely where much does. Pure.

use std::{collections::BTreeMap, time::Duration};

use kogge_member::ObjectKey;
use tokio::time::Instant;

/// Least time between two writes of one template.
const PACE: Duration = Duration::from_secs(1);

/// Templates written in a second that slow nobody down; twice as many double the wait, and so on
/// up to [`SLOWEST`].
const EASY: u32 = 25;
const SLOWEST: u32 = 8;

#[derive(Default)]
pub(super) struct Pace {
    written: BTreeMap<ObjectKey, Instant>,
    /// Writes since `since`, and those of the second before.
    count: u32,
    before: u32,
    since: Option<Instant>,
}

impl Pace {
    /// How long until a template may be written again.
    pub fn wait(&self, template: &ObjectKey, now: Instant) -> Option<Duration> {
        let wait = (PACE * self.slowness()).checked_sub(now - *self.written.get(template)?)?;
        Some(wait).filter(|it| !it.is_zero())
    }

    pub fn note(&mut self, template: &ObjectKey, now: Instant) {
        self.written.insert(template.clone(), now);
        let passed = self.since.map(|it| now - it);
        if passed.is_none_or(|it| PACE <= it) {
            // After a second without any, the last one is no measure.
            self.before = if passed.is_some_and(|it| it < PACE * 2) { self.count } else { 0 };
            self.count = 0;
            self.since = Some(now);
        }
        self.count += 1;
    }

    pub fn forget(&mut self, template: &ObjectKey) {
        self.written.remove(template);
    }

    fn slowness(&self) -> u32 {
        (self.before.max(self.count) / EASY).clamp(1, SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> ObjectKey {
        ObjectKey::new("apps", "Deployment", "shop", &format!("web-{number}"))
    }

    /// The wait of the first template after so many were written within a second.
    fn wait_after(writes: u32) -> Option<u64> {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for number in 0..writes {
            pace.note(&key(number), now);
        }
        pace.wait(&key(0), now).map(|it| it.as_secs())
    }

    #[test]
    fn the_more_is_written_the_longer_each_waits() {
        assert_eq!(wait_after(0), None);
        assert_eq!(wait_after(1), Some(1));
        assert_eq!(wait_after(49), Some(1));
        assert_eq!(wait_after(100), Some(4));
        assert_eq!(wait_after(10_000), Some(8));
    }

    #[test]
    fn when_it_is_quiet_again_nobody_waits_long() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for number in 0..100 {
            pace.note(&key(number), now);
        }
        let later = now + PACE * 3;
        pace.note(&key(1), later);
        assert_eq!(pace.wait(&key(1), later), Some(PACE));
        assert_eq!(pace.wait(&key(0), later), None);
        pace.forget(&key(1));
        assert_eq!(pace.wait(&key(1), later), None);
    }
}
