//! What is known of one object: what the hub wants, what the member has, what was done.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use crate::{FIELD_MANAGER, MANAGED_LABEL, link::Work, state::Counted};

/// First and longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

#[derive(Debug, Default)]
pub(crate) struct Tracked {
    pub desired: Option<Arc<Work>>,
    pub live: Live,
    /// The version of what was seen last, also of its end.
    pub newest: u64,
    pub applied: Option<Applied>,
    /// An effect on this object is under way.
    pub in_flight: bool,
    pub failures: u32,
    pub retry_at: Option<Instant>,
    /// The template was deleted, so this may go without a further word.
    pub removal_asked: bool,
    /// Hash of the status last reported.
    pub reported_status: u64,
    pub heals: Heals,
    /// What the guard has counted it as.
    pub counted: Counted,
}

/// How often an object was put back of late.
#[derive(Debug, Default)]
pub(crate) struct Heals {
    count: u32,
    last: Option<Instant>,
}

/// So many heals within [`CONTESTED`] of each other are drift; more is another controller that
/// wants something else, and the two must not spend a cluster on it.
const FREE_HEALS: u32 = 5;
const CONTESTED: Duration = Duration::from_mins(1);

impl Heals {
    /// How long the next one waits.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let over = self.count.checked_sub(FREE_HEALS)?;
        let wait = RETRY.0.saturating_mul(2 << over.min(10)).min(RETRY.1);
        let left = wait.checked_sub(now.duration_since(self.last?))?;
        (!left.is_zero()).then_some(left)
    }

    /// Counts one; true if it is the first that counts as contested.
    pub fn note(&mut self, now: Instant) -> bool {
        if self.last.is_some_and(|it| CONTESTED < now.duration_since(it)) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
        self.count == FREE_HEALS + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_contradicted_at_once_waits_longer_each_time() {
        let mut heals = Heals::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let wait = heals.wait(now).unwrap_or_default();
            waits.push(wait.as_millis());
            now += wait;
            heals.note(now);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 200, 400, 800, 1600]);
        now += CONTESTED * 2;
        assert_eq!(heals.wait(now), None);
        assert!(!heals.note(now));
        assert_eq!(heals.wait(now), None);
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Live {
    /// Its kind is not watched yet, or the first list is not in.
    #[default]
    Unknown,
    Absent,
    Present(Meta),
}

/// The part of a live object that decisions need.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meta {
    pub uid: String,
    /// The resourceVersion, to tell old news from new; 0 where it is no number.
    pub version: u64,
    pub generation: i64,
    pub owned: bool,
    pub deleting: bool,
    /// The fields that kogge owns on it, as `FieldsV1`; none if it owns nothing.
    pub fields: Option<Arc<str>>,
}

/// What the last successful apply left behind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Applied {
    pub hash: String,
    /// The fields that kogge owned right after; fewer later means that somebody
    /// took some. None: it was there already, and is only used.
    pub fields: Option<Arc<str>>,
}

impl Meta {
    pub fn of(object: &Value) -> Self {
        let fields = owned_fields(object);
        Self {
            uid: kogge_member::object::uid(object).to_owned(),
            version: version(object),
            generation: kogge_member::object::number(object, "/metadata/generation").unwrap_or(0),
            owned: fields.is_some()
                || kogge_member::object::label(object, MANAGED_LABEL) == Some("true"),
            deleting: kogge_member::object::is_deleting(object),
            fields,
        }
    }
}

pub(crate) fn version(object: &Value) -> u64 {
    kogge_member::object::resource_version(object).parse().unwrap_or(0)
}

/// The `fieldsV1` of what kogge applied, as text.
pub(crate) fn owned_fields(object: &Value) -> Option<Arc<str>> {
    let managers = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = managers.iter().find(|it| {
        it["manager"] == FIELD_MANAGER
            && it["operation"] == "Apply"
            && it.get("subresource").is_none_or(|it| it == "")
    })?;
    Some(ours.get("fieldsV1")?.to_string().into())
}

impl Tracked {
    pub fn failed(&mut self, now: Instant) {
        let wait = RETRY.0.saturating_mul(1 << self.failures.min(10)).min(RETRY.1);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + wait);
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// Takes news from a watch, unless an answer that came sooner is newer.
    pub fn see(&mut self, live: Live, version: u64) {
        if self.newest <= version || version == 0 {
            self.live = live;
            self.newest = self.newest.max(version);
        }
    }

    /// The member has agreed to delete it; that it is gone is the watch's to tell.
    pub fn let_go(&mut self, uid: &str) {
        if let Live::Present(meta) = &mut self.live
            && meta.uid == uid
        {
            meta.deleting = true;
        }
    }

    /// Nothing is wanted and nothing is there.
    pub fn is_done(&self) -> bool {
        self.desired.is_none() && !self.in_flight && self.live == Live::Absent
    }
}
