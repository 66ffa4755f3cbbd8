//! What every cluster should hold, and a stream of it for each agent.
//!
//! Works are a function of templates and bindings and are never stored. Each
//! template claims objects on clusters; where several claim the same object
//! (a namespace, a ConfigMap that two workloads name) the strongest claim wins.
//! Reading order: this file keeps the claims, [`render`] makes one work,
//! `controller` makes a template's claims.

mod controller;
pub(crate) mod render;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use futures::{StreamExt as _, stream::BoxStream};
use kogge_agent::link::{Desired, Mode, Work};
use kogge_member::ObjectKey;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::lock::lock;

pub(crate) use controller::WorksController;

/// Works by cluster name.
pub(crate) type Claims = BTreeMap<String, Vec<Arc<Work>>>;

#[derive(Clone)]
pub(crate) struct Works {
    /// Identity of the hub's store.
    hub: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    clusters: BTreeMap<String, ClusterWorks>,
    /// The clusters that each template was moved off after they failed.
    left: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// Where each template has claims.
    places: BTreeMap<ObjectKey, BTreeSet<(String, ObjectKey)>>,
    /// Every binding has been rendered once: sets are complete from now on.
    complete: bool,
    /// Nobody is told anything yet; who listens hears the stream end when that is over.
    waits: bool,
    waiting: Vec<mpsc::UnboundedSender<Desired>>,
}

#[derive(Default)]
struct ClusterWorks {
    /// Object -> template -> the work it wants.
    objects: BTreeMap<ObjectKey, BTreeMap<ObjectKey, Arc<Work>>>,
    autoscalers: BTreeMap<String, Value>,
    listeners: Vec<mpsc::UnboundedSender<Desired>>,
}

impl Works {
    /// `waits`: the hub's state is in doubt, and nobody is told anything until it is complete.
    pub fn new(hub: String, waits: bool) -> Self {
        let inner = Inner { waits, ..Inner::default() };
        Self { hub, inner: Arc::new(Mutex::new(inner)) }
    }

    /// Replaces what a template wants everywhere. `deleted`: the template is gone.
    pub fn set(&self, template: &ObjectKey, claims: &Claims, deleted: bool) {
        let mut inner = self.lock();
        let mut now = BTreeSet::new();
        for (cluster, works) in claims {
            for work in works {
                now.insert((cluster.clone(), work.key.clone()));
                inner.clusters.entry(cluster.clone()).or_default().claim(template, work);
            }
        }
        let before = if now.is_empty() {
            inner.places.remove(template)
        } else {
            inner.places.insert(template.clone(), now.clone())
        };
        let left = inner.left.get(template).cloned().unwrap_or_default();
        for (cluster, key) in before.unwrap_or_default().difference(&now) {
            if let Some(works) = inner.clusters.get_mut(cluster) {
                works.release(template, key, deleted || left.contains(cluster));
            }
        }
    }

    /// These clusters a template was moved off after they failed: each such move was decided with
    /// its own guard, so that its copy goes there without another word.
    pub fn set_left(&self, template: &ObjectKey, clusters: BTreeSet<String>) {
        let mut inner = self.lock();
        if clusters.is_empty() {
            inner.left.remove(template);
        } else {
            inner.left.insert(template.clone(), clusters);
        }
    }

    /// Says once more what a cluster lost by failover: its agent may have begun anew since.
    pub fn repeat_left(&self, cluster: &str) {
        let mut inner = self.lock();
        let left = inner.left.iter().filter(|it| it.1.contains(cluster)).map(|it| it.0.clone());
        let left: Vec<ObjectKey> = left.collect();
        if let Some(works) = inner.clusters.get_mut(cluster) {
            for key in left {
                if !works.objects.contains_key(&key) {
                    works.tell(&Desired::Remove { key, asked: true });
                }
            }
        }
    }

    /// The autoscalers that cover a cluster.
    pub fn set_autoscalers(&self, cluster: &str, autoscalers: BTreeMap<String, Value>) {
        let mut inner = self.lock();
        let works = inner.clusters.entry(cluster.to_owned()).or_default();
        if works.autoscalers != autoscalers {
            works.autoscalers.clone_from(&autoscalers);
            works.tell(&Desired::Autoscalers(autoscalers));
        }
    }

    pub fn approve_deletions(&self, cluster: &str) {
        if let Some(works) = self.lock().clusters.get_mut(cluster) {
            works.tell(&Desired::DeletionsApproved);
        }
    }

    /// The identity of the hub's store.
    pub fn hub(&self) -> &str {
        &self.hub
    }

    /// Whether every binding has been rendered once.
    pub fn is_complete(&self) -> bool {
        self.lock().complete
    }

    /// From now on what a set lacks may be deleted.
    pub fn complete(&self) {
        let mut inner = self.lock();
        if !inner.complete {
            inner.complete = true;
            inner.waits = false;
            inner.waiting.clear();
            for works in inner.clusters.values_mut() {
                works.tell(&Desired::Autoscalers(works.autoscalers.clone()));
                works.tell(&Desired::Complete);
            }
        }
    }

    /// The stream for one cluster's agent: the whole set, then its changes.
    pub fn listen(&self, cluster: &str) -> BoxStream<'static, Desired> {
        let (send, receive) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        let changes = futures::stream::unfold(receive, |mut receive| async move {
            receive.recv().await.map(|it| (it, receive))
        });
        if inner.waits {
            inner.waiting.retain(|it| !it.is_closed());
            inner.waiting.push(send);
            return changes.boxed();
        }
        let complete = inner.complete;
        let works = inner.clusters.entry(cluster.to_owned()).or_default();
        let mut first = vec![Desired::Begin { hub: self.hub.clone() }];
        first.extend(works.objects.values().filter_map(winner).cloned().map(Desired::Put));
        // Before that, none known does not mean that there is none.
        if complete {
            first.push(Desired::Autoscalers(works.autoscalers.clone()));
            first.push(Desired::Complete);
        }
        works.listeners.push(send);
        futures::stream::iter(first).chain(changes).boxed()
    }

    /// The hash of what a cluster should hold of an object.
    pub fn hash(&self, cluster: &str, key: &ObjectKey) -> Option<String> {
        let inner = self.lock();
        let claims = inner.clusters.get(cluster)?.objects.get(key)?;
        winner(claims).map(|work| work.hash.clone())
    }

    /// The templates that want an object on a cluster.
    pub fn templates(&self, cluster: &str, key: &ObjectKey) -> Vec<ObjectKey> {
        let inner = self.lock();
        let claims = inner.clusters.get(cluster).and_then(|it| it.objects.get(key));
        claims.map(|it| it.keys().cloned().collect()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl ClusterWorks {
    fn claim(&mut self, template: &ObjectKey, work: &Arc<Work>) {
        let claims = self.objects.entry(work.key.clone()).or_default();
        let before = winner(claims).cloned();
        claims.insert(template.clone(), work.clone());
        let now = winner(claims).cloned();
        self.tell_if_changed(before.as_ref(), now);
    }

    fn release(&mut self, template: &ObjectKey, key: &ObjectKey, deleted: bool) {
        let Some(claims) = self.objects.get_mut(key) else { return };
        let before = winner(claims).cloned();
        claims.remove(template);
        let now = winner(claims).cloned();
        if now.is_some() {
            self.tell_if_changed(before.as_ref(), now);
        } else {
            self.objects.remove(key);
            self.tell(&Desired::Remove { key: key.clone(), asked: deleted });
        }
    }

    fn tell_if_changed(&mut self, before: Option<&Arc<Work>>, now: Option<Arc<Work>>) {
        if let Some(now) = now
            && before.is_none_or(|it| it.hash != now.hash || it.mode != now.mode)
        {
            self.tell(&Desired::Put(now));
        }
    }

    fn tell(&mut self, desired: &Desired) {
        self.listeners.retain(|it| it.send(desired.clone()).is_ok());
    }
}

/// The strongest claim: a template of its own before one that only needs it to exist.
fn winner(claims: &BTreeMap<ObjectKey, Arc<Work>>) -> Option<&Arc<Work>> {
    let ensures_only = |work: &Work| work.mode == Mode::Ensure;
    claims.values().min_by_key(|it| ensures_only(it))
}

#[cfg(test)]
mod tests;
