//! The propagation policies, read once and indexed; and the clusters they choose from.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use kogge_api::{ConditionStatus, find_condition, fleet};
use kogge_member::ObjectKey;
use kogge_placement::{Cluster, Policy, PolicyIndex, Template, cluster::Taint};
use serde_json::Value;

use crate::{bindings, cache::Cache, controllers::federation::LEAVING};

pub(crate) const GROUP: &str = "policy.karmada.io";

#[derive(Clone, Default)]
pub(crate) struct Policies {
    index: Arc<RwLock<Arc<PolicyIndex>>>,
    clusters: Arc<RwLock<Arc<Vec<Cluster>>>>,
}

impl Policies {
    /// Takes a change of a policy or a cluster. Says whether decisions may be others now.
    pub fn take(&self, cache: &Cache, changed: &ObjectKey) -> bool {
        if changed.group == GROUP && changed.kind.ends_with("PropagationPolicy") {
            self.read_policies(cache);
            return true;
        }
        if changed.group == "cluster.karmada.io" && changed.kind == "Cluster" {
            return self.read_clusters(cache);
        }
        false
    }

    /// Reads all of them from the cache.
    pub fn read(&self, cache: &Cache) {
        self.read_policies(cache);
        self.read_clusters(cache);
    }

    fn read_policies(&self, cache: &Cache) {
        let of_kind = |kind: &str| cache.values(GROUP, kind);
        let all =
            of_kind("PropagationPolicy").into_iter().chain(of_kind("ClusterPropagationPolicy"));
        // What cannot be read was refused when it was written, unless an older hub took it.
        let policies = all.filter_map(|it| policy(&it)).collect();
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        *index = Arc::new(PolicyIndex::new(policies));
    }

    fn read_clusters(&self, cache: &Cache) -> bool {
        let all = cache.values("cluster.karmada.io", "Cluster");
        let now: Vec<Cluster> = all.into_iter().filter_map(cluster).collect();
        let mut clusters = self.clusters.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **clusters != now;
        *clusters = Arc::new(now);
        changed
    }

    pub fn clusters(&self) -> Arc<Vec<Cluster>> {
        self.clusters.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The policy that selects an object, if any does.
    pub fn select(&self, object: &Value) -> Option<Policy> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        let labels = labels(object);
        index.select(&template(object, &labels)).cloned()
    }
}

pub(crate) fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels").cloned().unwrap_or_default();
    serde_json::from_value(labels).unwrap_or_default()
}

/// An object as the planner sees it.
pub(crate) fn template<'a>(
    object: &'a Value,
    labels: &'a BTreeMap<String, String>,
) -> Template<'a> {
    use kogge_member::object::{name, namespace, text, uid};
    Template {
        api_version: text(object, "/apiVersion"),
        kind: text(object, "/kind"),
        namespace: namespace(object),
        name: name(object),
        uid: uid(object),
        labels,
        replicas: bindings::replicas(object),
    }
}

fn policy(object: &Value) -> Option<Policy> {
    let spec = serde_json::from_value(object.get("spec")?.clone()).ok()?;
    let namespace = kogge_member::object::namespace(object);
    Some(Policy {
        namespace: Some(namespace.to_owned()).filter(|it| !it.is_empty()),
        name: kogge_member::object::name(object).to_owned(),
        spec,
    })
}

fn cluster(object: Value) -> Option<Cluster> {
    let it: fleet::Cluster = serde_json::from_value(object).ok()?;
    let ready = find_condition(&it.status.conditions, "Ready");
    let apis = it.status.api_enablements.iter().map(|group| {
        let kinds = group.resources.iter().map(|it| it.kind.clone());
        (group.group_version.clone(), kinds.collect())
    });
    let taint = |it: &fleet::Taint| Taint {
        key: it.key.clone(),
        value: it.value.clone(),
        effect: it.effect.clone(),
    };
    Some(Cluster {
        apis: Some(apis.collect()).filter(|_| !it.status.api_enablements.is_empty()),
        ready: ready.is_some_and(|it| it.status == ConditionStatus::True),
        deleting: it.metadata.deletion_timestamp.is_some()
            || it.spec.taints.iter().any(|it| it.key == LEAVING),
        zones: it.spec.all_zones(),
        taints: it.spec.taints.iter().map(taint).collect(),
        name: it.metadata.name,
        labels: it.metadata.labels,
        provider: it.spec.provider,
        region: it.spec.region,
    })
}
