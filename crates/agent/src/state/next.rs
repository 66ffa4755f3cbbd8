//! What to do next, by urgency.

use std::time::Duration;

use kogge_member::ObjectKey;
use tokio::time::Instant;

use super::{State, Step};
use crate::{
    decide::{Verdict, Why, decide},
    guard::Ruling,
    link::{Drift, Report},
    track::{Live, Tracked},
};

/// Longest sleep with nothing to retry.
const IDLE: Duration = Duration::from_mins(1);

/// Objects that are only verified at a time: what users wait for goes past them.
const VERIFYING: usize = 4;

impl State {
    /// The most urgent step, marked as under way; none if all is as it should be.
    pub fn next_step(&mut self, now: Instant) -> Option<Step> {
        while let Some(entry) = self.queue.pop_first() {
            let key = entry.2.clone();
            let Some(tracked) = self.objects.get(&key) else { continue };
            match decide(tracked, self.may_delete(), now) {
                Verdict::Settled | Verdict::Wait => {
                    if tracked.is_done() {
                        self.objects.remove(&key);
                    }
                }
                Verdict::Apply(_) if self.namespace_comes_first(&key) => {
                    self.retry_in(&key, Duration::from_millis(10));
                }
                Verdict::Apply(Why::Gone | Why::Drifted)
                    if let Some(wait) = tracked.heals.wait(now) =>
                {
                    self.retry_in(&key, wait);
                }
                Verdict::Apply(Why::Unverified) if VERIFYING <= self.verifying.len() => {
                    // All that is left in the queue is no more urgent.
                    self.queue.insert(entry);
                    return None;
                }
                Verdict::Apply(why) => {
                    match why {
                        Why::Unverified => drop(self.verifying.insert(key.clone())),
                        Why::Gone | Why::Drifted => self.note_heal(&key, now),
                        Why::Missing | Why::Changed => {}
                    }
                    return self.start_apply(&key);
                }
                Verdict::Delete if tracked.removal_asked || !self.holds_deletions() => {
                    return self.start_delete(&key);
                }
                Verdict::Delete => {}
            }
        }
        None
    }

    /// All that kogge owns here is known, and all that is wanted.
    fn may_delete(&self) -> bool {
        self.complete && self.awaited.is_empty()
    }

    /// How many objects kogge owns here; not known before every kind it has used is listed.
    pub fn owned(&self) -> Option<usize> {
        self.awaited.is_empty().then(|| self.tally.unasked_of_owned().1)
    }

    /// Counts it, and says so once when somebody keeps changing the object back.
    fn note_heal(&mut self, key: &ObjectKey, now: Instant) {
        let Some(tracked) = self.objects.get_mut(key) else { return };
        if tracked.heals.note(now) {
            let what = "changed again and again by somebody else, so from now on healed less often"
                .to_owned();
            let at = (self.now)();
            self.link.report(Report::Drift(Drift { key: key.clone(), at, what }));
        }
    }

    fn start_apply(&mut self, key: &ObjectKey) -> Option<Step> {
        let tracked = self.objects.get_mut(key)?;
        tracked.in_flight = true;
        Some(Step::Apply { work: tracked.desired.clone()?, live: tracked.live.clone() })
    }

    fn start_delete(&mut self, key: &ObjectKey) -> Option<Step> {
        let tracked = self.objects.get_mut(key)?;
        let Live::Present(meta) = tracked.live.clone() else { return None };
        tracked.in_flight = true;
        Some(Step::Delete { key: key.clone(), meta })
    }

    /// Its namespace is wanted here too and is not made yet.
    fn namespace_comes_first(&self, key: &ObjectKey) -> bool {
        let namespace = ObjectKey::new("", "Namespace", "", &key.namespace);
        !key.namespace.is_empty() && self.objects.get(&namespace).is_some_and(is_on_its_way)
    }

    /// Whether deletions that nobody asked for wait for a person's word.
    fn holds_deletions(&mut self) -> bool {
        let (count, of) = self.tally.unasked_of_owned();
        let ruling = self.guard.rule(count, of);
        if ruling == Ruling::HeldNow {
            self.link.report(Report::DeletionsHeld { count, of });
        }
        ruling != Ruling::Free
    }

    /// A batch of deletions ends when none is left to do; fewer may not need a word any more.
    pub(super) fn note_deletion(&mut self) {
        if !self.guard.is_engaged() {
            return;
        }
        let (count, of) = self.tally.unasked_of_owned();
        if count == 0 {
            self.forget_deletions();
        } else if self.guard.is_holding() && !kogge_sync::prune::too_many(count, of) {
            self.forget_deletions();
            self.look_at_all();
        }
    }

    pub(super) fn forget_deletions(&mut self) {
        if self.guard.is_holding() {
            let of = self.tally.unasked_of_owned().1;
            self.link.report(Report::DeletionsHeld { count: 0, of });
        }
        self.guard.forget();
    }

    /// When to call [`State::retry`].
    pub fn next_retry(&self) -> Instant {
        self.retries.first().map_or_else(|| Instant::now() + IDLE, |(at, _)| *at)
    }

    pub fn retry(&mut self, now: Instant) {
        while let Some((at, key)) = self.retries.first().cloned() {
            if now < at {
                break;
            }
            self.retries.pop_first();
            self.look_at(&key);
        }
    }

    pub(super) fn retry_in(&mut self, key: &ObjectKey, wait: Duration) {
        let at = Instant::now() + wait;
        if let Some(tracked) = self.objects.get_mut(key) {
            tracked.retry_at = Some(at);
        }
        self.retries.insert((at, key.clone()));
    }

    pub(super) fn is_listed(&self, key: &ObjectKey) -> bool {
        self.listed.contains(&(key.group.clone(), key.kind.clone()))
    }

    pub(super) fn look_at_all(&mut self) {
        let all: Vec<ObjectKey> = self.objects.keys().cloned().collect();
        for key in all {
            self.look_at(&key);
        }
    }

    /// Counts an object, and queues it by urgency: what users wait for, then repairs, then what
    /// only verifies.
    pub(super) fn look_at(&mut self, key: &ObjectKey) {
        let may_delete = self.may_delete();
        let Some(tracked) = self.objects.get_mut(key) else { return };
        self.tally.note(tracked);
        let stage = kogge_sync::order::stage(&key.group, &key.kind);
        let (urgency, stage) = match decide(tracked, may_delete, Instant::now()) {
            Verdict::Apply(Why::Missing | Why::Gone) => (0, stage),
            Verdict::Apply(Why::Changed | Why::Drifted) => (1, stage),
            // What was made last goes first.
            Verdict::Delete => (2, u8::MAX - stage),
            Verdict::Apply(Why::Unverified) => (3, stage),
            Verdict::Settled if tracked.is_done() => (4, 0),
            Verdict::Settled | Verdict::Wait => return,
        };
        self.queue.insert((urgency, stage, key.clone()));
    }
}

/// Wanted, not there, and not made yet.
fn is_on_its_way(namespace: &Tracked) -> bool {
    namespace.desired.is_some()
        && namespace.applied.is_none()
        && namespace.failures == 0
        && !matches!(namespace.live, Live::Present(_))
}
