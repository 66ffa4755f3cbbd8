//! What the kinds that make pods have in common.

use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    world::{Key, Kind},
};

pub(super) fn condition<'a>(it: &'a Value, kind: &str) -> Option<&'a Value> {
    it["status"]["conditions"].as_array()?.iter().find(|it| it["type"] == kind)
}

pub(super) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|it| it["status"] == "True")
}

/// Neither finished nor going.
pub(super) fn is_active(pod: &Value) -> bool {
    !object::is_deleting(pod) && !matches!(phase(pod), "Succeeded" | "Failed")
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

/// The status, if it says anything new.
pub(super) fn status(key: &Key, it: &Value, status: &Value) -> Option<Effect> {
    let fields = status.as_object()?;
    let same = fields.iter().all(|(key, value)| {
        it["status"].get(key).unwrap_or(&Value::Null) == value
            // Zeros are left out of what is stored.
            || (value == 0 && it["status"].get(key).is_none())
    });
    (!same).then(|| Effect::Patch {
        key: key.clone(),
        subresource: Some("status"),
        patch: json!({"status": status}),
    })
}

/// The first that may go: not ready before ready, the youngest first.
pub(super) fn to_delete(mut pods: Vec<&Value>, count: usize) -> Vec<Effect> {
    pods.sort_by_key(|it| {
        let bound = it["spec"]["nodeName"].is_string();
        let born = it["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
        (bound, is_ready(it), std::cmp::Reverse(born))
    });
    pods.into_iter().take(count).map(|it| Effect::Delete(Key::of(Kind::Pod, it))).collect()
}

pub(super) fn count<'a>(items: impl Iterator<Item = &'a Value>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}

/// A short text that differs where the template differs.
pub(super) fn template_hash(template: &Value) -> String {
    // FNV-1a over the text: the same on every machine and in every build.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in template.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{:010x}", hash >> 24)
}
