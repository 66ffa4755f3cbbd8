//! The ReplicaSets of a Deployment: which is of its template, and what their annotations say.

use kogge_member::object;
use serde_json::{Map, Value, json};

use super::rollout::bounds;
use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    pods::{hash, owned_by, replicas},
};

pub(super) const HASH: &str = "pod-template-hash";
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether the set is of the Deployment's template, whatever hash it was given.
pub(super) fn is_of_template(set: &Value, deployment: &Value) -> bool {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template == deployment["spec"]["template"]
}

pub(super) fn revision(it: &Value) -> u64 {
    object::annotation(it, REVISION).and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// The number of the template's set: one more than of all others, unless it has that already.
pub(super) fn next_revision(new: Option<&Value>, old: &[&Value]) -> u64 {
    let least = old.iter().map(|it| revision(it)).max().unwrap_or(0) + 1;
    new.map_or(least, |it| revision(it).max(least))
}

pub(super) fn new_set(deployment: &Value, count: i64, number: u64) -> Value {
    let template = &deployment["spec"]["template"];
    let (hash, mut template) = (hash(template), template.clone());
    template["metadata"]["labels"][HASH] = hash.clone().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.clone().into();
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", object::name(deployment)),
            "namespace": object::namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": annotations(deployment, None, number),
            "ownerReferences": [owned_by(deployment)],
        },
        "spec": {"replicas": count, "minReadySeconds": deployment["spec"]["minReadySeconds"],
            "selector": selector, "template": template},
    })
}

/// What the set of the template should say beside its pods: the Deployment's annotations, its
/// number, the numbers it had before, and the size that the Deployment wants.
fn annotations(deployment: &Value, set: Option<&Value>, number: u64) -> Map<String, Value> {
    let of = |it: &Value| it["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let mut said = set.map(of).unwrap_or_default();
    let copied = of(deployment).into_iter().filter(|(key, _)| key != LAST_APPLIED);
    said.extend(copied.filter(|(key, _)| !key.starts_with("deployment.kubernetes.io/")));
    if let Some(before) = set.map(revision).filter(|it| 0 < *it && *it != number) {
        let mut history: Vec<String> = said
            .get(HISTORY)
            .and_then(Value::as_str)
            .map(|it| it.split(',').map(str::to_owned).collect())
            .unwrap_or_default();
        history.push(before.to_string());
        said.insert(HISTORY.to_owned(), history.join(",").into());
    }
    said.insert(REVISION.to_owned(), number.to_string().into());
    said.extend(sizes(deployment));
    said
}

fn sizes(deployment: &Value) -> [(String, Value); 2] {
    let wanted = replicas(deployment);
    let most = wanted + bounds(deployment, wanted).0;
    [(DESIRED.to_owned(), wanted.to_string().into()), (MOST.to_owned(), most.to_string().into())]
}

/// Brings a set's size and words up to date; `number` is that of the template's own set.
pub(super) fn update(
    deployment: &Value,
    set: &Value,
    count: i64,
    number: Option<u64>,
) -> Option<Effect> {
    let known = set["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let wanted = match number {
        Some(number) => annotations(deployment, Some(set), number),
        None => known.clone().into_iter().chain(sizes(deployment)).collect(),
    };
    let mut patch = json!({});
    if wanted != known {
        patch["metadata"] = json!({"annotations": wanted});
    }
    if replicas(set) != count {
        patch["spec"]["replicas"] = count.into();
    }
    let patience = &deployment["spec"]["minReadySeconds"];
    if number.is_some() && patience.as_i64() != set["spec"]["minReadySeconds"].as_i64() {
        patch["spec"]["minReadySeconds"] = patience.clone();
    }
    let changed = patch.as_object().is_some_and(|it| !it.is_empty());
    let key = Key::of(Kind::ReplicaSet, set);
    changed.then_some(Effect::Patch { key, subresource: None, patch })
}

/// The Deployment says which revision it is at.
pub(super) fn mark(deployment: &Value, number: u64) -> Option<Effect> {
    let number = number.to_string();
    let same = object::annotation(deployment, REVISION) == Some(number.as_str());
    (!same).then(|| Effect::Patch {
        key: Key::of(Kind::Deployment, deployment),
        subresource: None,
        patch: json!({"metadata": {"annotations": {REVISION: number}}}),
    })
}

/// Takes the oldest empty sets away beyond `revisionHistoryLimit`.
pub(super) fn trim(deployment: &Value, old: &[&Value]) -> Vec<Effect> {
    let limit = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let is_empty = |it: &&&Value| {
        replicas(it) == 0
            && it["status"]["replicas"].as_i64().unwrap_or(0) == 0
            && it["status"]["observedGeneration"] == it["metadata"]["generation"]
    };
    let mut empty: Vec<&&Value> = old.iter().filter(is_empty).collect();
    empty.sort_by_key(|it| revision(it));
    let spare = empty.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    empty.into_iter().take(spare).map(|it| Effect::Delete(Key::of(Kind::ReplicaSet, it))).collect()
}
