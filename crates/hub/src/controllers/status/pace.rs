//! How often statuses are written: at once where little happens, late and rarely where much does. Pure.
//!
//! While hundreds of templates are brought to members, writing the first word of each takes the
//! time in which the next could be sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kogge_member::ObjectKey;
use tokio::time::Instant;

/// Least time between two writes of one template.
const PACE: Duration = Duration::from_secs(1);

/// Templates with news in a second that slow nobody down; twice as many double the time between
/// two writes, and so on up to [`SLOWEST`].
const EASY: usize = 25;
const SLOWEST: u32 = 6;

#[derive(Default)]
pub(super) struct Pace {
    written: BTreeMap<ObjectKey, Instant>,
    /// Templates with news since `since`, and how many there were in the second before.
    with_news: BTreeSet<ObjectKey>,
    before: usize,
    since: Option<Instant>,
}

impl Pace {
    /// How long until a template that has news may be written.
    ///
    /// The first word of a template waits as if the one before it had been one [`PACE`] ago.
    pub fn wait(&mut self, template: &ObjectKey, now: Instant) -> Option<Duration> {
        self.count(template, now);
        let between = PACE * self.slowness();
        let first = now.checked_sub(PACE)?;
        let last = *self.written.entry(template.clone()).or_insert(first);
        between.checked_sub(now - last).filter(|it| !it.is_zero())
    }

    pub fn note(&mut self, template: &ObjectKey, now: Instant) {
        self.written.insert(template.clone(), now);
    }

    pub fn forget(&mut self, template: &ObjectKey) {
        self.written.remove(template);
        self.with_news.remove(template);
    }

    fn count(&mut self, template: &ObjectKey, now: Instant) {
        let passed = self.since.map(|it| now - it);
        if passed.is_none_or(|it| PACE <= it) {
            let ended = std::mem::take(&mut self.with_news).len();
            // After a second without any, the last one is no measure.
            self.before = if passed.is_some_and(|it| it < PACE * 2) { ended } else { 0 };
            self.since = Some(now);
        }
        self.with_news.insert(template.clone());
    }

    fn slowness(&self) -> u32 {
        let busy = self.before.max(self.with_news.len()) / EASY;
        u32::try_from(busy).unwrap_or(SLOWEST).clamp(1, SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> ObjectKey {
        ObjectKey::new("apps", "Deployment", "shop", &format!("web-{number}"))
    }

    /// The waits of the first and of the last template after so many had news within a second,
    /// the first of which is written.
    #[track_caller]
    fn check(templates: u32, first: Option<u64>, last: Option<u64>) {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for number in 0..templates {
            pace.wait(&key(number), now);
        }
        pace.note(&key(0), now);
        let mut wait = |number| pace.wait(&key(number), now).map(|it| it.as_secs());
        assert_eq!((wait(0), wait(templates + 1)), (first, last));
    }

    #[test]
    fn the_more_has_news_the_longer_each_waits() {
        check(0, Some(1), None);
        check(48, Some(1), None);
        check(100, Some(4), Some(3));
        check(10_000, Some(6), Some(5));
    }

    #[test]
    fn when_it_is_quiet_again_nobody_waits_long() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for number in 0..100 {
            pace.wait(&key(number), now);
            pace.note(&key(number), now);
        }
        let later = now + PACE * 3;
        assert_eq!(pace.wait(&key(0), later), None);
        pace.note(&key(1), later);
        assert_eq!(pace.wait(&key(1), later), Some(PACE));
        pace.forget(&key(1));
        assert_eq!(pace.wait(&key(1), later), None);
    }

    #[test]
    fn a_first_word_that_waits_gets_its_turn_however_much_goes_on() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut round = |at: Instant| (0..1_000).map(|it| pace.wait(&key(it), at)).last().flatten();
        let waits: Vec<Option<Duration>> =
            (0..SLOWEST).map(|it| round(start + PACE * it)).collect();
        let longest = PACE * (SLOWEST - 1);
        assert_eq!((waits[0], waits[SLOWEST as usize - 1]), (Some(longest), None), "{waits:?}");
    }
}
