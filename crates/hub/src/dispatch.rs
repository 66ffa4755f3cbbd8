//! Who hears of what: changes of objects and news from agents, to the controllers they concern.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt as _;
use kogge_agent::link::{Drift, Note};
use kogge_apiserver::{ApiServer, Change, ObjectChange};
use kogge_member::ObjectKey;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    cache::{Changed, Object},
    context::Shared,
    controllers::{autoscaler, cluster, failover, placement},
    decisions::Decisions,
    events::Event,
    policies::Policies,
    recovery::Recovery,
    reports::News,
    runner::{self, Controller, Handle},
};

/// The keys that a change concerns.
type Concerns = dyn Fn(&Changed) -> Vec<ObjectKey> + Send + Sync;

/// A controller that runs: what concerns it, and where it is told.
#[derive(Clone)]
pub(crate) struct Wired {
    name: &'static str,
    concerns: Arc<Concerns>,
    pub handle: Handle,
}

pub(crate) fn wire<C: Controller>(
    controller: C,
    recovery: &Recovery,
    tasks: &mut JoinSet<()>,
) -> Wired {
    let controller = Arc::new(controller);
    let handle = runner::start(controller.clone(), recovery.subscribe(), tasks);
    let concerns = Arc::new(move |change: &Changed| controller.concerns(change));
    Wired { name: C::NAME, concerns, handle }
}

/// Kinds that no controller reads, and that come and go too often to be kept.
const NOT_CACHED: [&str; 2] = ["Event", "Lease"];

pub(crate) struct Dispatch {
    pub hub: Shared,
    pub policies: Policies,
    pub decisions: Decisions,
    pub controllers: Vec<Wired>,
}

impl Dispatch {
    /// The handle of a controller by name.
    pub fn handle(&self, name: &str) -> Option<&Handle> {
        self.controllers.iter().find(|it| it.name == name).map(|it| &it.handle)
    }

    /// Feeds the cache and the controllers from the API server, for ever.
    pub async fn changes(self: Arc<Self>, server: ApiServer) {
        loop {
            match server.changes(None) {
                Ok(mut changes) => {
                    let mut first = Some(BTreeSet::new());
                    while let Some(change) = changes.next().await {
                        match change {
                            Change::Object(change) => self.take(change, &mut first),
                            Change::Synced(_) => self.synced(first.take().unwrap_or_default()),
                        }
                    }
                    tracing::warn!("fell behind the API server's changes; reading all again");
                }
                Err(error) => tracing::error!(%error, "could not read the API server's changes"),
            }
        }
    }

    fn take(self: &Arc<Self>, change: ObjectChange, first: &mut Option<BTreeSet<ObjectKey>>) {
        let resource = &change.resource;
        if NOT_CACHED.contains(&resource.kind.as_str()) {
            return;
        }
        let namespace = change.namespace.as_deref().unwrap_or("");
        let key = ObjectKey::new(&resource.group, &resource.kind, namespace, &change.name);
        let revision = change.revision;
        let object = change.object.map(|bytes| Object { bytes, revision });
        let previous = self.hub.roll.take(&self.hub.cache, &key, object.clone());
        match first {
            Some(seen) => {
                seen.insert(key);
            }
            None => self.tell(&Changed::new(key, object, previous)),
        }
    }

    /// All is cached: what is gone meanwhile is told, then everything that is there.
    fn synced(self: &Arc<Self>, seen: BTreeSet<ObjectKey>) {
        for key in self.hub.cache.keys(|_| true) {
            if !seen.contains(&key) {
                let previous = self.hub.roll.take(&self.hub.cache, &key, None);
                self.tell(&Changed::new(key, None, previous));
            }
        }
        self.policies.read(&self.hub.cache);
        for key in seen {
            let object = self.hub.cache.get(&key);
            self.tell_controllers(&Changed::new(key, object, None));
        }
        for wired in &self.controllers {
            wired.handle.primed();
        }
        tokio::spawn(self.clone().complete());
    }

    /// Sets are complete when every template has been decided and rendered once.
    async fn complete(self: Arc<Self>) {
        for name in ["placement", "works"] {
            if let Some(handle) = self.handle(name) {
                handle.settled().await;
            }
        }
        self.hub.works.complete();
        for key in self.hub.cache.keys(|it| it.0 == cluster::GROUP && it.1 == "Cluster") {
            if let Some(handle) = self.handle("cluster") {
                handle.look_at(key);
            }
        }
    }

    fn tell(&self, change: &Changed) {
        if self.policies.take(&self.hub.cache, &change.key)
            && let Some(placement) = self.handle("placement")
        {
            for key in placement::all_templates(&self.hub) {
                placement.look_at(key);
            }
        }
        self.tell_controllers(change);
    }

    fn tell_controllers(&self, change: &Changed) {
        for wired in &self.controllers {
            for key in (wired.concerns)(change) {
                wired.handle.look_at(key);
            }
        }
    }

    /// Tells the controllers what agents report, for ever.
    pub async fn news(self: Arc<Self>, mut news: mpsc::UnboundedReceiver<News>) {
        let look_at = |name: &str, key: ObjectKey| {
            if let Some(handle) = self.handle(name) {
                handle.look_at(key);
            }
        };
        while let Some(news) = news.recv().await {
            match news {
                News::Object { cluster, key } => {
                    for template in self.hub.works.templates(&cluster, &key) {
                        look_at("status", template);
                    }
                }
                News::Decided(template) => look_at("status", template),
                News::Verdict => look_at("failover", failover::key()),
                News::Drift { cluster, drift } => self.drift(&cluster, &drift),
                News::Cluster(name) => {
                    look_at("cluster", ObjectKey::new(cluster::GROUP, "Cluster", "", &name));
                    // There may be room now for what did not fit.
                    for template in self.decisions.unscheduled() {
                        look_at("placement", template);
                    }
                }
                News::Autoscaler { cluster, name, notes } => {
                    let key = ObjectKey::new(autoscaler::GROUP, autoscaler::KIND, "", &name);
                    self.note(&cluster, &key, notes);
                    look_at("autoscaler", key);
                }
            }
        }
    }

    fn note(&self, cluster: &str, about: &ObjectKey, notes: Vec<Note>) {
        let Some(object) = self.hub.cache.value(about) else { return };
        for note in notes {
            let message = format!("{cluster}: {}", note.message);
            self.hub.events.say(Event::about(&object, note.warning, note.reason, message));
        }
    }

    fn drift(&self, cluster: &str, drift: &Drift) {
        let templates = self.hub.works.templates(cluster, &drift.key);
        for template in to_tell(&drift.key, templates) {
            if let Some(object) = self.hub.cache.value(&template) {
                let what = &drift.what;
                let about = if template == drift.key {
                    format!("on {cluster}: {what}; put back")
                } else {
                    format!("on {cluster}: {}: {what}; put back", drift.key)
                };
                self.hub.events.say(Event::about(&object, true, "DriftHealed", about));
            }
        }
    }
}

/// Whom drift is said about. Everything in a namespace wants the namespace too: it alone is told,
/// where it is a template itself.
fn to_tell(drifted: &ObjectKey, templates: Vec<ObjectKey>) -> Vec<ObjectKey> {
    let is_namespace = drifted.group.is_empty() && drifted.kind == "Namespace";
    if is_namespace && templates.contains(drifted) { vec![drifted.clone()] } else { templates }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_namespace_and_all_in_it_the_namespace_is_told() {
        let namespace = ObjectKey::new("", "Namespace", "", "shop");
        let web = ObjectKey::new("apps", "Deployment", "shop", "web");
        let both = vec![web.clone(), namespace.clone()];
        assert_eq!(to_tell(&namespace, both.clone()), std::slice::from_ref(&namespace));
        assert_eq!(to_tell(&namespace, vec![web.clone()]), std::slice::from_ref(&web));
        assert_eq!(to_tell(&web, both.clone()), both);
    }
}
