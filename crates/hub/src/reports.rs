//! What agents last said, and who has to hear of it. The newest word of each key wins.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::{SignedDuration, Timestamp};
use kogge_agent::link::{ClusterState, Drift, Note, Outcome, Report, Room, Unready};
use kogge_member::ObjectKey;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::lock::lock;

/// What one cluster said of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ObjectReport {
    /// The hash of what was applied, or tried.
    pub hash: String,
    pub outcome: Option<Outcome>,
    /// The member object's generation right after it was applied.
    pub applied_generation: i64,
    /// The member object's generation when `status` was read.
    pub generation: i64,
    pub status: Option<Value>,
}

/// How long an agent that dials the hub may be silent.
pub(crate) const SILENCE: SignedDuration = SignedDuration::from_secs(10);

/// Whether an agent that was last heard at `last` has been silent for too long.
pub(crate) fn is_silent(last: Timestamp, now: Timestamp) -> bool {
    SILENCE < now.duration_since(last)
}

/// Whom a report concerns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    Object {
        cluster: String,
        key: ObjectKey,
    },
    Drift {
        cluster: String,
        drift: Drift,
    },
    Cluster(String),
    /// The fleet says something else of its clusters than before.
    Verdict,
    /// It was decided anew about a template; its binding may be as before.
    Decided(ObjectKey),
    Autoscaler {
        cluster: String,
        name: String,
        notes: Vec<Note>,
    },
}

#[derive(Clone)]
pub(crate) struct Reports {
    inner: Arc<Mutex<Inner>>,
    send: mpsc::UnboundedSender<News>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<ObjectKey, BTreeMap<String, ObjectReport>>,
    clusters: BTreeMap<String, ClusterState>,
    held: BTreeMap<String, (usize, usize)>,
    autoscalers: BTreeMap<String, BTreeMap<String, Value>>,
    /// When agents that dial the hub were last heard.
    heard: BTreeMap<String, Timestamp>,
    /// The member that carries what an agent says, where one does.
    carriers: BTreeMap<String, String>,
}

impl Reports {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<News>) {
        let (send, receive) = mpsc::unbounded_channel();
        (Self { inner: Arc::default(), send }, receive)
    }

    pub fn take(&self, cluster: &str, report: Report) {
        let news = self.lock().take(cluster, report);
        // Nobody listens only while the hub stops.
        let _ = self.send.send(news);
    }

    /// Something else than a report is news of a cluster.
    pub fn look_at(&self, cluster: &str) {
        let _ = self.send.send(News::Cluster(cluster.to_owned()));
    }

    pub fn decided(&self, template: &ObjectKey) {
        let _ = self.send.send(News::Decided(template.clone()));
    }

    pub fn fleet_judged(&self) {
        let _ = self.send.send(News::Verdict);
    }

    /// The cluster cannot even be dialled.
    pub fn unusable(&self, cluster: &str, reason: &'static str, message: String) {
        let ready = Some(Err(Unready { reason: reason.into(), message }));
        let state = ClusterState { ready, ..ClusterState::default() };
        // Whoever hears of it tries again, and would say the same again.
        if self.cluster(cluster).as_ref() == Some(&state) {
            return;
        }
        self.take(cluster, Report::Cluster(Box::new(state)));
    }

    /// What each cluster said of an object.
    pub fn object(&self, key: &ObjectKey) -> BTreeMap<String, ObjectReport> {
        self.lock().objects.get(key).cloned().unwrap_or_default()
    }

    pub fn cluster(&self, name: &str) -> Option<ClusterState> {
        self.lock().clusters.get(name).cloned()
    }

    /// What its agent last said of how well it is.
    pub fn ready(&self, cluster: &str) -> Option<Result<(), Unready>> {
        self.lock().clusters.get(cluster).and_then(|it| it.ready.clone())
    }

    /// What is free on its nodes, if that is known.
    pub fn rooms(&self, cluster: &str) -> Option<Vec<Room>> {
        self.lock().clusters.get(cluster).and_then(|it| it.rooms.clone())
    }

    /// An agent that dials the hub is there, or is carried by a member. News only if it was silent
    /// for long or never heard, or comes another way.
    pub fn heard(&self, cluster: &str, carrier: Option<&str>, now: Timestamp) {
        let mut inner = self.lock();
        let before = inner.heard.insert(cluster.to_owned(), now);
        let known = match carrier {
            Some(it) => inner.carriers.insert(cluster.to_owned(), it.to_owned()),
            None => inner.carriers.remove(cluster),
        };
        drop(inner);
        if before.is_none_or(|it| is_silent(it, now)) || known.as_deref() != carrier {
            let _ = self.send.send(News::Cluster(cluster.to_owned()));
        }
    }

    pub fn last_heard(&self, cluster: &str) -> Option<Timestamp> {
        self.lock().heard.get(cluster).copied()
    }

    /// The member that carries what its agent says, where one does.
    pub fn carrier(&self, cluster: &str) -> Option<String> {
        self.lock().carriers.get(cluster).cloned()
    }

    pub fn held(&self, cluster: &str) -> Option<(usize, usize)> {
        self.lock().held.get(cluster).copied()
    }

    pub fn release(&self, cluster: &str) {
        self.lock().held.remove(cluster);
    }

    /// An autoscaler's status by cluster.
    pub fn autoscaler(&self, name: &str) -> BTreeMap<String, Value> {
        self.lock().autoscalers.get(name).cloned().unwrap_or_default()
    }

    /// Its agent is gone, so nothing that it said holds any longer.
    pub fn forget_cluster(&self, cluster: &str) {
        let mut inner = self.lock();
        inner.clusters.remove(cluster);
        inner.heard.remove(cluster);
        inner.carriers.remove(cluster);
        inner.held.remove(cluster);
        for reports in inner.objects.values_mut() {
            reports.remove(cluster);
        }
        for statuses in inner.autoscalers.values_mut() {
            statuses.remove(cluster);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Inner {
    /// Returns who has to hear of it.
    fn take(&mut self, cluster: &str, report: Report) -> News {
        let cluster = cluster.to_owned();
        match report {
            Report::Applied { key, hash, generation, outcome } => {
                let report = self.report(&key, &cluster);
                report.hash = hash;
                report.applied_generation = generation;
                report.outcome = Some(outcome);
                News::Object { cluster, key }
            }
            Report::Status { key, generation, status } => {
                let report = self.report(&key, &cluster);
                report.generation = generation;
                report.status = Some(status);
                News::Object { cluster, key }
            }
            Report::Removed { key } => {
                if let Some(reports) = self.objects.get_mut(&key) {
                    reports.remove(&cluster);
                    if reports.is_empty() {
                        self.objects.remove(&key);
                    }
                }
                News::Object { cluster, key }
            }
            Report::Drift(drift) => News::Drift { cluster, drift },
            Report::DeletionsHeld { count, of } => {
                if count == 0 {
                    self.held.remove(&cluster);
                } else {
                    self.held.insert(cluster.clone(), (count, of));
                }
                News::Cluster(cluster)
            }
            Report::Cluster(state) => {
                self.clusters.insert(cluster.clone(), *state);
                News::Cluster(cluster)
            }
            Report::Autoscaler { name, status, events } => {
                let statuses = self.autoscalers.entry(name.clone()).or_default();
                statuses.insert(cluster.clone(), status);
                News::Autoscaler { cluster, name, notes: events }
            }
        }
    }

    fn report(&mut self, key: &ObjectKey, cluster: &str) -> &mut ObjectReport {
        self.objects.entry(key.clone()).or_default().entry(cluster.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_held_once_the_agent_says_so() {
        let (reports, _news) = Reports::new();
        reports.take("eu", Report::DeletionsHeld { count: 12, of: 20 });
        assert_eq!(reports.held("eu"), Some((12, 20)));
        reports.take("eu", Report::DeletionsHeld { count: 0, of: 20 });
        assert_eq!(reports.held("eu"), None);
    }
}
