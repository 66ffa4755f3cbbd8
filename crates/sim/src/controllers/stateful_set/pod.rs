//! The pods of a StatefulSet and the claims they keep.

use std::collections::BTreeSet;

use kogge_member::object;
use serde_json::{Value, json};

use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    pods::{from_template, number, owned_by, replicas},
    revision,
    world::World,
};

/// The number in a pod's name, if it is a name of this set.
pub(super) fn number_of(set: &Value, pod: &str) -> Option<i64> {
    let number = pod.strip_prefix(object::name(set))?.strip_prefix('-')?;
    let plain = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    plain.then(|| number.parse().ok()).flatten()
}

fn name_of(set: &Value, number: i64) -> String {
    format!("{}-{number}", object::name(set))
}

fn templates(set: &Value) -> impl Iterator<Item = &Value> {
    set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten()
}

/// `TEMPLATE-POD`.
fn claim_name(template: &Value, pod: &str) -> String {
    format!("{}-{pod}", object::name(template))
}

/// The pod; a claim takes the place of a volume of the same name.
pub(super) fn pod(set: &Value, template: &Value, number: i64, revision: &str) -> Value {
    let name = name_of(set, number);
    let mut pod = from_template(set, template, Some(&name));
    let labels = &mut pod["metadata"]["labels"];
    labels[revision::LABEL] = revision.into();
    labels["statefulset.kubernetes.io/pod-name"] = name.clone().into();
    labels["apps.kubernetes.io/pod-index"] = number.to_string().into();
    pod["spec"]["hostname"] = name.clone().into();
    if let Some(service) = set["spec"]["serviceName"].as_str().filter(|it| !it.is_empty()) {
        pod["spec"]["subdomain"] = service.into();
    }
    let claimed: BTreeSet<&str> = templates(set).map(object::name).collect();
    let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    volumes.retain(|it| !claimed.contains(object::text(it, "/name")));
    volumes.extend(templates(set).map(|it| {
        json!({"name": object::name(it),
            "persistentVolumeClaim": {"claimName": claim_name(it, &name)}})
    }));
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = volumes.into();
    }
    pod
}

/// The claims of a pod that are not there yet. They outlive it unless the set says otherwise.
pub(super) fn missing_claims(world: &World, set: &Value, number: i64) -> Vec<Effect> {
    let (pod, namespace) = (name_of(set, number), object::namespace(set));
    let made = templates(set).filter_map(|template| {
        let name = claim_name(template, &pod);
        let key = Key::new(Kind::PersistentVolumeClaim, namespace, &name);
        if world.get(&key).is_some() {
            return None;
        }
        let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let selected = set["spec"]["selector"]["matchLabels"].as_object().cloned();
        labels.extend(selected.unwrap_or_default());
        let mut claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace, "labels": labels,
                "annotations": template["metadata"]["annotations"]},
            "spec": template["spec"],
        });
        if retention(set, "whenDeleted") == "Delete" {
            claim["metadata"]["ownerReferences"] = json!([owned_by(set)]);
        }
        Some(Effect::Create { kind: Kind::PersistentVolumeClaim, object: claim })
    });
    made.collect()
}

fn retention<'a>(set: &'a Value, when: &str) -> &'a str {
    set["spec"]["persistentVolumeClaimRetentionPolicy"][when].as_str().unwrap_or("Retain")
}

/// Claims of pods that the set has shrunk by, where it says that they go with them.
pub(super) fn spare_claims(world: &World, set: &Value, pods: &[&Value]) -> Vec<Effect> {
    if retention(set, "whenScaled") != "Delete" {
        return Vec::new();
    }
    let start = number(set, "/spec/ordinals/start");
    let wanted = start..start + replicas(set);
    let names: BTreeSet<&str> = pods.iter().map(|it| object::name(it)).collect();
    let is_spare = |claim: &&Value| {
        let pod = templates(set)
            .find_map(|it| object::name(claim).strip_prefix(object::name(it))?.strip_prefix('-'));
        pod.is_some_and(|pod| {
            let beyond = number_of(set, pod).is_some_and(|it| !wanted.contains(&it));
            beyond && !names.contains(pod) && !object::is_deleting(claim)
        })
    };
    let claims = world.in_namespace(Kind::PersistentVolumeClaim, object::namespace(set));
    claims
        .filter(is_spare)
        .map(|it| Effect::Delete(Key::of(Kind::PersistentVolumeClaim, it)))
        .collect()
}
