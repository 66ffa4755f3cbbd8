//! What the kinds that make pods have in common.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    kind::{Key, Kind},
};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

pub(super) fn condition<'a>(it: &'a Value, kind: &str) -> Option<&'a Value> {
    it["status"]["conditions"].as_array()?.iter().find(|it| it["type"] == kind)
}

pub(super) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|it| it["status"] == "True")
}

/// Ready for `minReadySeconds` of its owner.
pub(super) fn is_available(pod: &Value, owner: &Value, now: Timestamp) -> bool {
    is_ready(pod) && until_available(pod, owner, now).is_none()
}

/// How long a ready pod is still short of being available.
pub(super) fn until_available(
    pod: &Value,
    owner: &Value,
    now: Timestamp,
) -> Option<SignedDuration> {
    let least = SignedDuration::from_secs(number(owner, "/spec/minReadySeconds"));
    let ready = condition(pod, "Ready").filter(|it| it["status"] == "True")?;
    let since: Timestamp = ready["lastTransitionTime"].as_str()?.parse().ok()?;
    let left = least - now.duration_since(since);
    (least.is_positive() && left.is_positive()).then_some(left)
}

/// The soonest that one of these pods becomes available by waiting.
pub(super) fn next_available<'a>(
    pods: impl IntoIterator<Item = &'a Value>,
    owner: &Value,
    now: Timestamp,
) -> Option<SignedDuration> {
    pods.into_iter().filter_map(|it| until_available(it, owner, now)).min()
}

/// Neither finished nor going.
pub(super) fn is_active(pod: &Value) -> bool {
    !object::is_deleting(pod) && !is_finished(pod)
}

pub(super) fn is_finished(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(super) fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or_default()
}

pub(super) fn number(it: &Value, path: &str) -> i64 {
    it.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

/// Replicas asked for; 1 unless said.
pub(super) fn replicas(it: &Value) -> i64 {
    it.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

/// An object of a template, controlled by `owner`. Without a name it gets a generated one.
pub(super) fn from_template(owner: &Value, template: &Value, name: Option<&str>) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": template["metadata"], "spec": template["spec"]});
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    pod["metadata"]["namespace"] = object::namespace(owner).into();
    match name {
        Some(name) => pod["metadata"]["name"] = name.into(),
        None => pod["metadata"]["generateName"] = format!("{}-", object::name(owner)).into(),
    }
    pod["metadata"]["ownerReferences"] = json!([owned_by(owner)]);
    pod
}

pub(super) fn owned_by(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The status, if it says anything new. `Null` takes a field away.
pub(super) fn status(key: &Key, it: &Value, status: &Value) -> Option<Effect> {
    let fields = status.as_object()?;
    let same = fields.iter().all(|(key, value)| {
        it["status"].get(key).unwrap_or(&Value::Null) == value
            // Zeros are left out of what is stored.
            || (*value == 0 && it["status"].get(key).is_none())
    });
    (!same).then(|| Effect::Patch {
        key: key.clone(),
        subresource: Some("status"),
        patch: json!({"status": status}),
    })
}

/// The condition with the transition time of the one before it where the status is the same.
pub(super) fn stamped(
    it: &Value,
    (kind, value, reason, message): (&str, &str, &str, &str),
    now: Timestamp,
) -> Value {
    let before = condition(it, kind).filter(|it| it["status"] == value);
    let since = before.map(|it| it["lastTransitionTime"].clone());
    let since = since.unwrap_or_else(|| crate::time::seconds(now).into());
    json!({"type": kind, "status": value, "reason": reason, "message": message,
        "lastTransitionTime": since})
}

/// The first that may go, in the order of Kubernetes: without a node, not running, not ready, the
/// cheapest, where many of them are on one node, the youngest.
pub(super) fn to_delete(mut pods: Vec<&Value>, count: usize) -> Vec<Effect> {
    let node = |it: &Value| object::text(it, "/spec/nodeName").to_owned();
    let mut on: BTreeMap<String, usize> = BTreeMap::new();
    for pod in &pods {
        *on.entry(node(pod)).or_default() += 1;
    }
    pods.sort_by_cached_key(|it| {
        let cost = object::annotation(it, DELETION_COST).and_then(|it| it.parse::<i64>().ok());
        let crowd = on.get(&node(it)).copied().unwrap_or(0);
        let born = object::text(it, "/metadata/creationTimestamp").to_owned();
        (
            !node(it).is_empty(),
            phase(it) == "Running",
            is_ready(it),
            cost.unwrap_or(0),
            Reverse(crowd),
            Reverse(born),
        )
    });
    pods.into_iter().take(count).map(|it| Effect::Delete(Key::of(Kind::Pod, it))).collect()
}

pub(super) fn count<'a>(items: impl IntoIterator<Item = &'a Value>) -> i64 {
    i64::try_from(items.into_iter().count()).unwrap_or(i64::MAX)
}

/// A short text that differs where the value differs.
pub(super) fn hash(value: &Value) -> String {
    // FNV-1a over the text: the same on every machine and in every build.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in value.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{:010x}", hash >> 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_useful_pod_goes_first() {
        let pod = |name: &str, node: &str, ready: &str, cost: &str, born: &str| {
            json!({"metadata": {"name": name, "namespace": "shop", "creationTimestamp": born,
                    "annotations": {DELETION_COST: cost}},
                "spec": {"nodeName": node}, "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": ready}]}})
        };
        let pods = [
            pod("old", "a", "True", "0", "2026-01-01T00:00:00Z"),
            pod("young", "a", "True", "0", "2026-01-02T00:00:00Z"),
            pod("alone", "b", "True", "0", "2026-01-03T00:00:00Z"),
            pod("dear", "a", "True", "5", "2026-01-04T00:00:00Z"),
            pod("unready", "a", "False", "9", "2026-01-01T00:00:00Z"),
            pod("unbound", "", "False", "9", "2026-01-01T00:00:00Z"),
        ];
        let gone = to_delete(pods.iter().collect(), 6);
        let names = gone.iter().map(|it| match it {
            Effect::Delete(key) => key.name.as_str(),
            _ => "?",
        });
        let names: Vec<&str> = names.collect();
        assert_eq!(names, ["unbound", "unready", "young", "old", "alone", "dear"]);
    }

    #[test]
    fn a_pod_is_available_when_it_was_ready_long_enough() {
        let ready: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pod = json!({"status": {"conditions": [{"type": "Ready", "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let owner = json!({"spec": {"minReadySeconds": 10}});
        let at = |seconds: i64| ready + SignedDuration::from_secs(seconds);
        assert_eq!(until_available(&pod, &owner, at(4)), Some(SignedDuration::from_secs(6)));
        assert!(!is_available(&pod, &owner, at(9)));
        assert!(is_available(&pod, &owner, at(10)));
        assert!(is_available(&pod, &json!({}), ready));
    }
}
