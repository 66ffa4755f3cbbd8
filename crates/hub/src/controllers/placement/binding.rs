//! A binding as it is written, and what is read of the one that is there.

use std::collections::BTreeMap;

use kogge_api::work::{
    BindingSpec, EvictionTask, ObjectReference, ReplicaRequirements, TargetCluster,
};
use kogge_member::object::{self, text};
use kogge_model::Resources;
use kogge_placement::{Policy, Target, policy::ConflictResolution};
use serde_json::{Value, json};

use crate::{bindings, room};

/// Where Karmada says which policy decided.
const POLICY_NAME: &str = "propagationpolicy.karmada.io/name";
const POLICY_NAMESPACE: &str = "propagationpolicy.karmada.io/namespace";
pub(super) const CLUSTER_POLICY_NAME: &str = "clusterpropagationpolicy.karmada.io/name";

/// What the binding has kept of the policy that decided last.
pub(super) fn last_policy(binding: &Value) -> Option<Policy> {
    let said = |name: &str| object::annotation(binding, name).map(str::to_owned);
    let (namespace, name) = match said(POLICY_NAME) {
        Some(name) => (said(POLICY_NAMESPACE), name),
        None => (None, said(CLUSTER_POLICY_NAME)?),
    };
    let spec = &binding["spec"];
    let kept = json!({"placement": spec.get("placement")?,
        "propagateDeps": spec["propagateDeps"] == true,
        "failover": spec.get("failover"),
        "conflictResolution": spec.get("conflictResolution").cloned().unwrap_or("Abort".into())});
    Some(Policy { namespace, name, spec: serde_json::from_value(kept).ok()? })
}

pub(super) fn previous(binding: Option<&Value>) -> BTreeMap<String, u32> {
    let clusters = binding.and_then(|it| it.pointer("/spec/clusters")?.as_array());
    let target = |it: &Value| {
        let replicas = it["replicas"].as_u64().and_then(|it| u32::try_from(it).ok());
        Some((it["name"].as_str()?.to_owned(), replicas.unwrap_or(0)))
    };
    clusters.into_iter().flatten().filter_map(target).collect()
}

/// The clusters that failed and are left, or were: a decision leaves them as they are.
pub(super) fn tasks(binding: Option<&Value>) -> Vec<EvictionTask> {
    let tasks = binding.and_then(|it| it.pointer("/spec/gracefulEvictionTasks")).cloned();
    tasks.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
}

pub(super) fn spec(
    template: &Value,
    policy: &Policy,
    targets: &[Target],
    binding: Option<&Value>,
) -> BindingSpec {
    let requirements = room::requirements(template);
    BindingSpec {
        resource: ObjectReference {
            api_version: text(template, "/apiVersion").to_owned(),
            kind: text(template, "/kind").to_owned(),
            namespace: object::namespace(template).to_owned(),
            name: object::name(template).to_owned(),
            uid: object::uid(template).to_owned(),
            resource_version: String::new(),
        },
        replicas: bindings::replicas(template),
        replica_requirements: (requirements != Resources::default()).then(|| ReplicaRequirements {
            resource_request: room::as_quantities(&requirements),
            node_claim: None,
        }),
        clusters: targets
            .iter()
            .map(|it| TargetCluster { name: it.name.clone(), replicas: it.replicas })
            .collect(),
        placement: Some(given(json!(policy.spec.placement))),
        propagate_deps: policy.spec.propagate_deps,
        conflict_resolution: match policy.spec.conflict_resolution {
            ConflictResolution::Abort => "Abort".to_owned(),
            ConflictResolution::Overwrite => "Overwrite".to_owned(),
        },
        failover: policy.spec.failover.as_ref().map(|it| given(json!(it))),
        graceful_eviction_tasks: tasks(binding),
        ..BindingSpec::default()
    }
}

/// What was given of it: the API server stores no nulls, so a binding that has them never looks
/// like what is stored.
fn given(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        let before = std::mem::take(fields);
        let kept = before.into_iter().map(|(key, it)| (key, given(it)));
        fields.extend(kept.filter(|(_, it)| !it.is_null() && *it != json!([])));
    } else if let Some(items) = value.as_array_mut() {
        let before = std::mem::take(items);
        items.extend(before.into_iter().map(given));
    }
    value
}

pub(super) fn annotations(policy: &Policy) -> BTreeMap<&'static str, String> {
    match &policy.namespace {
        Some(namespace) => BTreeMap::from([
            (POLICY_NAME, policy.name.clone()),
            (POLICY_NAMESPACE, namespace.clone()),
        ]),
        None => BTreeMap::from([(CLUSTER_POLICY_NAME, policy.name.clone())]),
    }
}

pub(super) fn has(binding: &Value, annotations: &BTreeMap<&'static str, String>) -> bool {
    annotations.iter().all(|(key, value)| object::annotation(binding, key) == Some(value))
}
