//! Everything the agent knows, and what to do next. No IO: news in, steps out.

mod next;
#[cfg(test)]
mod properties;
mod tally;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kogge_member::{ObjectKey, object};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

pub(crate) use self::tally::Counted;
use self::tally::Tally;
use crate::{
    effects::{Done, Trouble},
    guard::DeletionGuard,
    link::{Desired, Drift, HubLink, Mode, Outcome, Report, Work},
    scale::Autoscalers,
    track::{Applied, Live, Meta, Tracked, version},
    watches::{GroupKind, Watches},
};

/// Deletions that nobody asked for are gathered this long, so that the guard
/// against deleting too much sees them together.
const GATHER: Duration = Duration::from_secs(1);

pub(crate) enum Step {
    Apply { work: Arc<Work>, live: Live },
    Delete { key: ObjectKey, meta: Meta },
}

pub(crate) struct State {
    link: Arc<dyn HubLink>,
    now: fn() -> Timestamp,
    watches: Watches,
    objects: BTreeMap<ObjectKey, Tracked>,
    /// Kinds whose first list is in: what is not known of them is not there.
    listed: BTreeSet<GroupKind>,
    /// Kinds that kogge has used here and whose first list is not in: nothing is deleted before,
    /// or the guard would count only what it knows.
    awaited: BTreeSet<GroupKind>,
    /// The newest version that the watch of a kind has told of.
    newest: BTreeMap<GroupKind, u64>,
    rewound: bool,
    /// Objects to look at, most urgent first.
    queue: BTreeSet<(u8, u8, ObjectKey)>,
    retries: BTreeSet<(Instant, ObjectKey)>,
    /// The keys of a pass that is not complete yet.
    pass: Option<BTreeSet<ObjectKey>>,
    complete: bool,
    guard: DeletionGuard,
    tally: Tally,
    /// Under way only to verify what is there from before.
    verifying: BTreeSet<ObjectKey>,
    autoscalers: watch::Sender<Option<Autoscalers>>,
}

impl State {
    /// `awaited`: the kinds that the member's inventory names.
    pub fn new(
        link: Arc<dyn HubLink>,
        now: fn() -> Timestamp,
        watches: Watches,
        awaited: BTreeSet<GroupKind>,
        autoscalers: watch::Sender<Option<Autoscalers>>,
    ) -> Self {
        Self {
            link,
            now,
            watches,
            objects: BTreeMap::new(),
            listed: BTreeSet::new(),
            awaited,
            newest: BTreeMap::new(),
            rewound: false,
            queue: BTreeSet::new(),
            retries: BTreeSet::new(),
            pass: None,
            complete: false,
            guard: DeletionGuard::default(),
            tally: Tally::default(),
            verifying: BTreeSet::new(),
            autoscalers,
        }
    }

    // What the hub says.

    pub fn want(&mut self, desired: Desired) {
        match desired {
            Desired::Begin { .. } => {
                self.pass = Some(BTreeSet::new());
                self.forget_deletions();
            }
            Desired::Put(work) => self.put(work),
            Desired::Remove { key, asked } => self.remove(&key, asked),
            Desired::Complete => self.complete_pass(),
            Desired::Autoscalers(autoscalers) => {
                self.autoscalers.send_replace(Some(autoscalers));
            }
            Desired::DeletionsApproved => {
                self.guard.approve();
                self.look_at_all();
            }
        }
    }

    fn put(&mut self, work: Arc<Work>) {
        self.watches.ensure(&work.api_version, &work.key.kind);
        if let Some(pass) = &mut self.pass {
            pass.insert(work.key.clone());
        }
        let key = work.key.clone();
        let listed = self.is_listed(&key);
        let tracked = self.objects.entry(key.clone()).or_default();
        if listed && tracked.live == Live::Unknown {
            tracked.live = Live::Absent;
        }
        if tracked.desired.as_ref().is_none_or(|it| it.hash != work.hash) {
            tracked.succeeded();
        }
        tracked.removal_asked = false;
        tracked.desired = Some(work);
        self.look_at(&key);
        self.note_deletion();
    }

    fn remove(&mut self, key: &ObjectKey, asked: bool) {
        if let Some(pass) = &mut self.pass {
            pass.remove(key);
        }
        let Some(tracked) = self.objects.get_mut(key) else { return };
        tracked.desired = None;
        tracked.applied = None;
        tracked.removal_asked = asked;
        tracked.succeeded();
        if !asked {
            self.retry_in(key, GATHER);
        }
        self.look_at(key);
    }

    /// The set is whole: what it lacks is wanted no more.
    fn complete_pass(&mut self) {
        if let Some(pass) = self.pass.take() {
            let lacking: Vec<ObjectKey> = self
                .objects
                .iter()
                .filter(|(key, it)| it.desired.is_some() && !pass.contains(*key))
                .map(|(key, _)| key.clone())
                .collect();
            for key in lacking {
                self.remove(&key, false);
            }
        }
        self.complete = true;
        self.look_at_all();
    }

    // What the member says.

    /// The member's history is another one: it was restored, or made anew. What is known of it is
    /// worth nothing.
    pub fn is_rewound(&self) -> bool {
        self.rewound
    }

    fn note_version(&mut self, kind: (&str, &str), version: u64) {
        let newest = self.newest.entry((kind.0.to_owned(), kind.1.to_owned())).or_default();
        *newest = (*newest).max(version);
    }

    pub fn reset(&mut self, kind: &GroupKind, items: &[Value], listed_at: u64) {
        let newest = self.newest.get(kind).copied().unwrap_or(0);
        self.rewound |= listed_at != 0 && listed_at < newest;
        self.note_version((&kind.0, &kind.1), listed_at);
        self.listed.insert(kind.clone());
        let mut there = BTreeSet::new();
        for item in items {
            there.insert(ObjectKey::of(item));
            self.applied(item);
        }
        let gone: Vec<ObjectKey> = self
            .objects
            .keys()
            .filter(|key| key.group == kind.0 && key.kind == kind.1 && !there.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(tracked) = self.objects.get_mut(&key) {
                tracked.see(Live::Absent, listed_at);
            }
            self.look_at(&key);
        }
        self.no_longer_awaited(kind);
    }

    fn no_longer_awaited(&mut self, kind: &GroupKind) {
        if self.awaited.remove(kind) && self.awaited.is_empty() {
            self.look_at_all();
        }
    }

    pub fn applied(&mut self, object: &Value) {
        let key = ObjectKey::of(object);
        let meta = Meta::of(object);
        let tracked = self.objects.entry(key.clone()).or_default();
        let version = meta.version;
        tracked.see(Live::Present(meta), version);
        self.note_version((&key.group, &key.kind), version);
        let Some(tracked) = self.objects.get_mut(&key) else { return };
        if tracked.desired.is_some() {
            report_status(&*self.link, &key, tracked, object);
            if let Some(what) = drift(tracked, object) {
                let at = (self.now)();
                self.link.report(Report::Drift(Drift { key: key.clone(), at, what }));
            }
        }
        self.look_at(&key);
    }

    pub fn deleted(&mut self, last: &Value) {
        let key = ObjectKey::of(last);
        self.note_version((&key.group, &key.kind), version(last));
        let (with_namespace, held) = (self.goes_with_its_namespace(&key), self.wanted_in(&key));
        let Some(tracked) = self.objects.get_mut(&key) else { return };
        tracked.see(Live::Absent, version(last));
        if tracked.live != Live::Absent {
            return;
        }
        tracked.reported_status = 0;
        let is_lost = tracked.desired.is_some() && tracked.applied.is_some() && !tracked.in_flight;
        // Of a namespace and all that was in it, the namespace is news enough.
        if is_lost && !with_namespace {
            let with = match held {
                0 => String::new(),
                1 => ", with 1 object in it".to_owned(),
                more => format!(", with {more} objects in it"),
            };
            let what = format!("deleted at {:.0}{with}", (self.now)());
            let at = (self.now)();
            self.link.report(Report::Drift(Drift { key: key.clone(), at, what }));
        }
        if tracked.desired.is_none() {
            self.link.report(Report::Removed { key: key.clone() });
        }
        self.look_at(&key);
        self.note_deletion();
    }

    /// The kind cannot be watched, so nothing of it can be applied: say so once. A kind that is
    /// not served any more has no objects either.
    pub fn no_watch(&mut self, kind: &GroupKind, message: &str, is_unknown: bool) {
        if is_unknown {
            self.no_longer_awaited(kind);
        }
        for (key, tracked) in &mut self.objects {
            let Some(work) = &tracked.desired else { continue };
            if key.group == kind.0 && key.kind == kind.1 && tracked.failures == 0 {
                tracked.failures = 1;
                let outcome = Outcome::Failed(message.to_owned());
                let (key, hash) = (key.clone(), work.hash.clone());
                self.link.report(Report::Applied { key, hash, generation: 0, outcome });
            }
        }
    }

    // What became of a step.

    pub fn finish(&mut self, key: &ObjectKey, done: Done) {
        self.verifying.remove(key);
        let Some(tracked) = self.objects.get_mut(key) else { return };
        tracked.in_flight = false;
        let mut generation = 0;
        let told = match done {
            Done::Applied { hash, meta } => {
                let changed = tracked.applied.as_ref().is_none_or(|it| it.hash != hash);
                tracked.applied = Some(Applied { hash: hash.clone(), fields: meta.fields.clone() });
                let (version, now_at) = (meta.version, meta.generation);
                generation = now_at;
                tracked.see(Live::Present(meta), version);
                let told = changed || 0 < tracked.failures;
                tracked.succeeded();
                told.then_some((hash, Outcome::Applied))
            }
            Done::Used { hash } => {
                tracked.applied = Some(Applied { hash: hash.clone(), fields: None });
                tracked.succeeded();
                Some((hash, Outcome::Applied))
            }
            Done::Conflict { hash, message } => {
                tracked.failed(Instant::now());
                Some((hash, Outcome::Conflict(message)))
            }
            Done::Failed { hash, message, fault } => {
                tracked.failed(Instant::now());
                let failures = tracked.failures;
                // What is not there yet mostly is a moment later; only the second time is news.
                let news = fault != Trouble::NotThere || 3 < failures;
                if fault == Trouble::NotThere {
                    self.ensure_namespace(key);
                }
                news.then_some((hash, Outcome::Failed(message)))
            }
            Done::Deleted { uid } => {
                tracked.let_go(&uid);
                tracked.succeeded();
                None
            }
            Done::Kept { message } => {
                tracked.failures = 10;
                tracked.failed(Instant::now());
                Some((String::new(), Outcome::Conflict(message)))
            }
        };
        if let Some((hash, outcome)) = told {
            self.link.report(Report::Applied { key: key.clone(), hash, generation, outcome });
        }
        if let Some(at) = self.objects.get(key).and_then(|it| it.retry_at) {
            self.retries.insert((at, key.clone()));
        }
        self.look_at(key);
    }
}

impl State {
    /// Its namespace is kogge's, and on its way out or gone.
    fn goes_with_its_namespace(&self, key: &ObjectKey) -> bool {
        let namespace = ObjectKey::new("", "Namespace", "", &key.namespace);
        let Some(tracked) = self.objects.get(&namespace) else { return false };
        let is_ours = tracked.applied.as_ref().is_some_and(|it| it.fields.is_some());
        let goes = match &tracked.live {
            Live::Present(meta) => meta.deleting,
            Live::Absent => true,
            Live::Unknown => false,
        };
        tracked.desired.is_some() && is_ours && goes
    }

    /// How many objects are wanted in a namespace; none where it is another kind.
    fn wanted_in(&self, key: &ObjectKey) -> usize {
        if !key.group.is_empty() || key.kind != "Namespace" {
            return 0;
        }
        let inside =
            |it: &(&ObjectKey, &Tracked)| it.0.namespace == key.name && it.1.desired.is_some();
        self.objects.iter().filter(inside).count()
    }

    /// A namespace that is only used is not watched: that it is gone shows in what it was to hold.
    fn ensure_namespace(&mut self, of: &ObjectKey) {
        let key = ObjectKey::new("", "Namespace", "", &of.namespace);
        let Some(namespace) = self.objects.get_mut(&key) else { return };
        if namespace.live == Live::Absent && !namespace.in_flight {
            namespace.applied = None;
            self.look_at(&key);
        }
    }
}

/// Tells the hub of a status it has not heard.
fn report_status(link: &dyn HubLink, key: &ObjectKey, tracked: &mut Tracked, object: &Value) {
    let Some(status) = object.get("status") else { return };
    let generation = object::number(object, "/metadata/generation").unwrap_or(0);
    let mut hasher = DefaultHasher::new();
    (status.to_string(), generation).hash(&mut hasher);
    let hash = hasher.finish();
    if tracked.reported_status != hash {
        tracked.reported_status = hash;
        link.report(Report::Status { key: key.clone(), generation, status: status.clone() });
    }
}

/// Says what somebody took from kogge, if that is what this change is.
fn drift(tracked: &Tracked, object: &Value) -> Option<String> {
    let work = tracked.desired.as_ref()?;
    let applied = tracked.applied.as_ref()?;
    let Live::Present(meta) = &tracked.live else { return None };
    let is_ours = work.mode != Mode::Ensure || applied.fields.is_some();
    let taken = !tracked.in_flight && !meta.deleting && applied.fields != meta.fields;
    if !is_ours || !taken {
        return None;
    }
    let before: Value = serde_json::from_str(applied.fields.as_deref()?).ok()?;
    Some(kogge_sync::drift::describe(&before, object, crate::FIELD_MANAGER))
}
