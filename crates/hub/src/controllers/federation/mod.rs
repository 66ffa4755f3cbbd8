//! Makes a Cluster of every member of a Federation, and lets those go that are taken off its list.
//!
//! Reading order: [`decide`] holds the rules of membership, [`status`] what is said of it,
//! `member` asks a cluster that leaves; this file reads and writes around them. A Cluster gets a
//! label, and neither an owner nor a finalizer: what is deleted loses its agent at once.

mod decide;
mod member;
mod status;
#[cfg(test)]
mod tests;

pub use self::member::{ACCOUNT, clean as clean_member};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use jiff::Timestamp;
use kogge_agent::SYSTEM_NAMESPACE;
use kogge_api::{
    Condition, find_condition,
    fleet::{Cluster, Federation, SyncMode},
};
use kogge_member::{Client, DeleteOptions, Error, Fault, ObjectKey, Resource, object};
use serde_json::{Value, json};

pub(crate) use self::decide::LEAVING;
use self::{
    decide::{APPROVE_REMOVAL, About, Effect, LABEL, Left, Observed, Sighting, decide},
    status::{QUANTUM, Refused, conclude},
};
use super::cluster;
use crate::{
    bindings,
    cache::{Changed, Object},
    context::Shared,
    events::Event,
    lock::lock,
    reports::{Reports, is_silent},
    runner::{Again, Controller},
    verdicts::Verdicts,
};

const GROUP: &str = "federation.k8s.io";
const KIND: &str = "Federation";
const API_VERSION: &str = "federation.k8s.io/v1beta1";

/// So many members are named beside the hub.
const WITNESSES: usize = 5;

/// How often a cluster that leaves is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// An agent that was heard so long after nothing was placed there any more has heard of that.
const TAKEN_OFF: Duration = Duration::from_secs(5);

pub(crate) struct FederationController {
    hub: Shared,
    reports: Reports,
    verdicts: Verdicts,
    /// Since when nothing is placed on a cluster that leaves.
    emptied: Mutex<BTreeMap<String, Timestamp>>,
}

impl FederationController {
    pub fn new(hub: Shared, verdicts: Verdicts) -> Self {
        let reports = verdicts.reports().clone();
        Self { hub, reports, verdicts, emptied: Mutex::default() }
    }

    /// Who sees a cluster now. That its agent was heard is a sighting as of then.
    fn sighting(&self, cluster: &Cluster, now: Timestamp) -> Option<Sighting> {
        let name = &cluster.metadata.name;
        let mut by = self.verdicts.seen_by(name);
        by.truncate(WITNESSES);
        let ready = find_condition(&cluster.status.conditions, "Ready");
        let heard = self.reports.last_heard(name);
        if ready.is_some_and(Condition::is_true) {
            by.insert(0, "hub".to_owned());
        }
        if !by.is_empty() {
            return Some(Sighting { at: now, by });
        }
        heard.map(|at| Sighting { at, by: vec!["hub".to_owned()] })
    }

    async fn observe(&self, key: &ObjectKey) -> Observed {
        let all = self.hub.cache.values(GROUP, KIND).into_iter();
        let all = all.filter_map(|it| serde_json::from_value::<Federation>(it).ok());
        let stays = all.filter(|it| it.metadata.deletion_timestamp.is_none());
        let (mut own, others): (Vec<_>, Vec<_>) =
            stays.partition(|it| it.metadata.name == key.name);
        let clusters = self.hub.cache.values(cluster::GROUP, "Cluster").into_iter();
        let clusters = clusters.filter_map(|it| serde_json::from_value::<Cluster>(it).ok());
        let mut seen = Observed {
            now: (self.hub.now)(),
            name: key.name.clone(),
            federation: own.pop(),
            others,
            clusters: clusters.map(|it| (it.metadata.name.clone(), it)).collect(),
            left: BTreeMap::new(),
            held: BTreeSet::new(),
            sightings: BTreeMap::new(),
        };
        let sightings = seen
            .clusters
            .values()
            .filter_map(|it| Some((it.metadata.name.clone(), self.sighting(it, seen.now)?)));
        seen.sightings = sightings.collect();
        for name in seen.draining() {
            if self.reports.held(&name).is_some() {
                seen.held.insert(name.clone());
            }
            let left = self.left(&seen.clusters[&name]).await;
            seen.left.insert(name, left);
        }
        seen
    }

    async fn left(&self, cluster: &Cluster) -> Left {
        let name = &cluster.metadata.name;
        let placed = self.placed_on(name);
        if !placed.is_empty() {
            lock(&self.emptied).remove(name);
            return Left::Placed(placed);
        }
        let now = (self.hub.now)();
        let emptied = *lock(&self.emptied).entry(name.clone()).or_insert(now);
        if has_nothing_of_ours(cluster) {
            return Left::Nothing;
        }
        if cluster.spec.sync_mode == SyncMode::Pull {
            let heard = self.reports.last_heard(name);
            let silent = heard.is_none_or(|it| is_silent(it, now));
            // What it said before may be of a time when its work was still on the way.
            let said = self.reports.cluster(name);
            let said = said.filter(|_| heard.is_some_and(|it| emptied + TAKEN_OFF <= it));
            return member::by_its_agent(said.as_ref(), silent);
        }
        let asked = match self.client(cluster).await {
            Ok(client) => member::objects(&client).await.map_err(|it| it.chain()),
            Err(why) => Err(why),
        };
        match asked {
            Ok(0) => Left::Nothing,
            Ok(count) => Left::Objects(count),
            Err(why) => Left::Unknown(why),
        }
    }

    /// The templates whose binding names the cluster.
    fn placed_on(&self, cluster: &str) -> Vec<String> {
        let kinds = ["ResourceBinding", "ClusterResourceBinding"];
        let all = kinds.into_iter().flat_map(|it| self.hub.cache.values(bindings::GROUP, it));
        let names = |it: &Value| {
            let targets = it.pointer("/spec/clusters").and_then(Value::as_array);
            targets.into_iter().flatten().any(|it| it["name"] == cluster)
        };
        let template = |it: Value| bindings::template_of(&it).map(|it| it.to_string());
        all.filter(names).filter_map(template).collect()
    }

    async fn client(&self, cluster: &Cluster) -> Result<Client, String> {
        let access = cluster::access(cluster, |it| self.hub.cache.value(it));
        let access = access.map_err(|it| it.message)?;
        access.connect().await.map_err(|it| it.to_string())
    }

    async fn apply(&self, key: &ObjectKey, seen: &Observed, effect: Effect) -> Result<(), Error> {
        let clusters = self.hub.resource(cluster::API_VERSION, "Cluster").await?;
        match effect {
            Effect::Create(object) => {
                self.hub.client.create(&clusters, &object).await?;
            }
            Effect::Patch { cluster, patch } => {
                self.hub.client.merge(&clusters, "", &cluster, None, &patch).await?;
            }
            Effect::ApproveDeletions(cluster) => {
                self.hub.works.approve_deletions(&cluster);
                self.reports.release(&cluster);
            }
            Effect::Unjoin(name) => self.unjoin(&clusters, &seen.clusters[&name]).await?,
            Effect::UseUpApproval => {
                let resource = self.hub.resource(API_VERSION, KIND).await?;
                let gone = json!({"metadata": {"annotations": {APPROVE_REMOVAL: null}}});
                self.hub.client.merge(&resource, "", &key.name, None, &gone).await?;
            }
            Effect::Say { about, warning, reason, message } => {
                let about = match about {
                    About::Federation => key.clone(),
                    About::Cluster(name) => ObjectKey::new(cluster::GROUP, "Cluster", "", &name),
                };
                if let Some(object) = self.hub.cache.value(&about) {
                    self.hub.events.say(Event::about(&object, warning, reason, message));
                }
            }
        }
        Ok(())
    }

    /// Deletes the Cluster, then what `kogge join` made for it on the hub and on the cluster.
    async fn unjoin(&self, clusters: &Resource, cluster: &Cluster) -> Result<(), Error> {
        let name = &cluster.metadata.name;
        let client = self.client(cluster).await;
        let options =
            DeleteOptions { uid: Some(cluster.metadata.uid.clone()), ..DeleteOptions::default() };
        gone(self.hub.client.delete(clusters, "", name, &options).await)?;
        // An agent that dials hears that its cluster has left, and cleans up by itself.
        if has_nothing_of_ours(cluster) || cluster.spec.sync_mode == SyncMode::Pull {
            return Ok(());
        }
        let secrets = Resource::new("", "v1", "Secret", "secrets", true);
        let secret = cluster.spec.secret_ref.as_ref().map(cluster::secret_key);
        let secret = secret.filter(|it| it.name == format!("cluster-{name}"));
        if let Some(it) = secret.filter(|it| it.namespace == SYSTEM_NAMESPACE) {
            let options = DeleteOptions::default();
            gone(self.hub.client.delete(&secrets, &it.namespace, &it.name, &options).await)?;
        }
        let cleaned = match client {
            Ok(client) => member::clean(&client).await.map_err(|it| it.chain()),
            Err(why) => Err(why),
        };
        if let Err(error) = cleaned {
            tracing::warn!(cluster = name, error, "left the fleet without being cleaned");
        }
        Ok(())
    }

    fn listing(&self, member: &str) -> Vec<ObjectKey> {
        let lists = |it: &Object| {
            let federation = it.value();
            let members = federation["members"].as_array();
            members.into_iter().flatten().any(|it| it["name"] == member)
        };
        let all = self.hub.cache.all(GROUP, KIND).into_iter();
        all.filter(|(_, it)| lists(it)).map(|(key, _)| key).collect()
    }
}

/// It never answered; or it is there under another name too, and all that is on it is that one's.
fn has_nothing_of_ours(cluster: &Cluster) -> bool {
    let ready = find_condition(&cluster.status.conditions, "Ready");
    cluster.status.kubernetes_version.is_empty()
        || ready.is_some_and(|it| it.reason == cluster::DUPLICATE)
}

fn gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// What of a Cluster counts here: room and nodes change every second.
fn face(cluster: &Object) -> Option<(Cluster, bool)> {
    let mut it: Cluster = serde_json::from_slice(&cluster.bytes).ok()?;
    let answered = !it.status.kubernetes_version.is_empty();
    let ready = find_condition(&it.status.conditions, "Ready").cloned();
    it.status = kogge_api::fleet::ClusterStatus {
        conditions: ready.into_iter().collect(),
        ..Default::default()
    };
    it.metadata.resource_version.clear();
    Some((it, answered))
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(GROUP, KIND, "", name)
}

impl Controller for FederationController {
    const NAME: &'static str = "federation";
    const DECIDES: bool = true;
    /// Two Federations may list one member.
    const AT_ONCE: usize = 1;

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let id = &change.key;
        if id.group == GROUP && id.kind == KIND {
            if !change.is_of_more_than_status() {
                return Vec::new();
            }
            // What one lists, another may not have.
            let mut all = self.hub.cache.keys(|it| it.0 == GROUP && it.1 == KIND);
            all.push(id.clone());
            return all;
        }
        if id.group != cluster::GROUP || id.kind != "Cluster" {
            return Vec::new();
        }
        let (now, before) = (&change.object, &change.previous);
        if now.is_some() && before.is_some() && now.as_ref().map(face) == before.as_ref().map(face)
        {
            return Vec::new();
        }
        let label = |it: &Object| object::label(&it.value(), LABEL).map(key);
        let named = [now, before].into_iter().flatten().filter_map(label);
        named.chain(self.listing(&id.name)).collect()
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        let seen = self.observe(key).await;
        let mut refused = Refused::new();
        for effect in decide(&seen) {
            let member = match &effect {
                Effect::Create(object) => Some(object::name(object).to_owned()),
                Effect::Patch { cluster, .. } => Some(cluster.clone()),
                _ => None,
            };
            match (member, self.apply(key, &seen, effect).await) {
                (Some(member), Err(Error { fault: Fault::Invalid(why), .. })) => {
                    refused.insert(member, why);
                }
                (_, done) => done?,
            }
        }
        let (status, said) = conclude(&seen, &refused);
        if let Some(status) = status {
            self.hub.replace_status(API_VERSION, key, &json!(status)).await?;
        }
        for effect in said {
            self.apply(key, &seen, effect).await?;
        }
        let wait = if seen.draining().is_empty() { QUANTUM.unsigned_abs() } else { LOOK };
        Ok(Some(wait))
    }
}

#[cfg(test)]
mod duplicates {
    use super::*;

    #[test]
    fn what_is_on_a_cluster_that_joined_twice_belongs_to_the_first() {
        let mut cluster = Cluster::default();
        assert!(has_nothing_of_ours(&cluster));
        cluster.status.kubernetes_version = "v1.37.0".into();
        assert!(!has_nothing_of_ours(&cluster));
        let ready = Condition::new("Ready", false, cluster::DUPLICATE, "");
        cluster.status.conditions.push(ready);
        assert!(has_nothing_of_ours(&cluster));
    }
}
