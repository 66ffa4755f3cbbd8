//! What of a template goes to a member: content that somebody wrote, and nothing of the hub's own.

use serde_json::{Map, Value};

use crate::fields::{entries, select, union};
use crate::json::text;

/// The hub's controllers update objects under this name where no user's intent is meant. What is
/// applied under it, as from Git, is intent.
pub const INTERNAL_MANAGER: &str = "kogge-hub";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const CLIENT_SIDE_APPLY: &str = "kubectl-client-side-apply";

/// Of metadata, only these are content.
const KEPT_METADATA: [&str; 4] = ["name", "namespace", "labels", "annotations"];

/// [`owned_only`], then [`strip`].
pub fn for_member(template: &Value) -> Value {
    strip(owned_only(template))
}

/// Drops what belongs to one cluster: uid, resourceVersion, generation, times, owners, finalizers,
/// managedFields, status, last-applied.
pub fn strip(mut object: Value) -> Value {
    let Some(fields) = object.as_object_mut() else { return object };
    fields.remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| KEPT_METADATA.contains(&name.as_str()));
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            annotations.remove(LAST_APPLIED);
        }
        metadata.retain(|_, it| !it.as_object().is_some_and(Map::is_empty));
    }
    if text(&object, "/kind") == "Namespace" {
        // spec.finalizers is the API server's own; there is nothing else in it.
        object.as_object_mut().expect("checked above").remove("spec");
    }
    object
}

/// Keeps what some field manager set: defaults of the hub's API server go.
///
/// Updates are recorded with defaults filled in, client-side apply too; but that says in its
/// annotation what the user wrote, so of its fields only those are kept. An object
/// without managedFields is kept whole.
pub fn owned_only(object: &Value) -> Value {
    let wrote = last_applied(object);
    let mut owned: Option<Value> = None;
    let mut applied: Option<Value> = None;
    for entry in entries(object) {
        if !entry.subresource.is_empty() && entry.subresource != "scale" {
            continue;
        }
        match &wrote {
            _ if entry.manager == INTERNAL_MANAGER && entry.operation != "Apply" => {}
            Some(_) if entry.manager == CLIENT_SIDE_APPLY => applied = Some(entry.fields.clone()),
            _ => owned = Some(owned.map_or(entry.fields.clone(), |it| union(&it, entry.fields))),
        }
    }
    if owned.is_none() && applied.is_none() {
        return object.clone();
    }
    if let (Some(applied), Some(wrote)) = (&applied, &wrote) {
        let written = written(applied, wrote).unwrap_or_default();
        owned = Some(
            owned.map_or(Value::Object(written.clone()), |it| union(&it, &Value::Object(written))),
        );
    }
    let mut kept = owned.and_then(|it| select(&it, object)).unwrap_or_default();
    if kept.is_null() {
        kept = Value::Object(Map::new());
    }
    keep_identity(object, &mut kept);
    kept
}

fn keep_identity(object: &Value, kept: &mut Value) {
    for name in ["apiVersion", "kind"] {
        kept[name] = object[name].clone();
    }
    if !kept["metadata"].is_object() {
        kept["metadata"] = Value::Object(Map::new());
    }
    for name in ["name", "namespace"] {
        if let Some(it) = object["metadata"].get(name) {
            kept["metadata"][name] = it.clone();
        }
    }
}

fn last_applied(object: &Value) -> Option<Value> {
    let text = object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
    serde_json::from_str(text).ok()
}

/// The part of a field set whose fields are in what the user wrote.
fn written(fields: &Value, wrote: &Value) -> Option<Map<String, Value>> {
    let children = fields.as_object()?;
    let mut kept = Map::new();
    for (key, child) in children {
        let found = match key.split_once(':') {
            Some(("f", name)) => wrote.get(name),
            Some(("k", keys)) => element(wrote, keys),
            // `.`, and elements told apart by value or place: they come with the list.
            _ => {
                kept.insert(key.clone(), child.clone());
                continue;
            }
        };
        let Some(found) = found else { continue };
        let is_leaf = child.as_object().is_none_or(Map::is_empty);
        if is_leaf {
            kept.insert(key.clone(), child.clone());
        } else if let Some(below) = written(child, found).filter(|it| !it.is_empty()) {
            kept.insert(key.clone(), Value::Object(below));
        }
    }
    Some(kept)
}

fn element<'a>(list: &'a Value, keys: &str) -> Option<&'a Value> {
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    let fits = |item: &&Value| {
        keys.iter().all(|(name, want)| item.get(name).is_none_or(|it| it == want))
            && keys.keys().any(|name| item.get(name).is_some())
    };
    list.as_array()?.iter().find(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_belongs_to_the_hub_stays_there() {
        let template = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "5",
                "generation": 3, "creationTimestamp": "t", "selfLink": "x", "finalizers": ["f"],
                "ownerReferences": [{}], "labels": {"a": "b"}, "deletionTimestamp": "t",
                "annotations": {(LAST_APPLIED): "{}"}},
            "spec": {"replicas": 2}, "status": {"replicas": 2}});
        assert_eq!(
            for_member(&template),
            json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
            "spec": {"replicas": 2}})
        );
    }

    fn deployment(managed: &Value, annotations: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": annotations, "managedFields": managed},
            "spec": {"replicas": 1, "progressDeadlineSeconds": 600, "template": {"spec": {
                "dnsPolicy": "ClusterFirst",
                "containers": [{"name": "web", "image": "w:1", "imagePullPolicy": "Always",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}}})
    }

    #[test]
    fn defaults_of_the_hub_do_not_reach_a_member() {
        let fields = json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {
            "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}});
        let managed = json!([
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": fields},
            {"manager": "kogge-hub", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "x", "operation": "Update", "subresource": "status",
                "fieldsV1": {"f:spec": {"f:progressDeadlineSeconds": {}}}}]);
        let got = for_member(&deployment(&managed, &json!({})));
        assert_eq!(
            got["spec"],
            json!({"template": {"spec": {"containers": [{"name": "web", "image": "w:1"}]}}})
        );
        assert_eq!(got["metadata"], json!({"name": "web"}));
    }

    #[test]
    fn replicas_set_through_scale_are_set_by_somebody() {
        let managed = json!([
            {"manager": "kubectl", "operation": "Update", "subresource": "scale",
                "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        assert_eq!(for_member(&deployment(&managed, &json!({})))["spec"], json!({"replicas": 1}));
    }

    #[test]
    fn client_side_apply_counts_for_what_the_user_wrote() {
        let wrote = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": "w:1", "ports": [{"containerPort": 80}]}]}}}});
        let fields = json!({"f:spec": {
            "f:replicas": {}, "f:progressDeadlineSeconds": {},
            "f:template": {"f:spec": {"f:dnsPolicy": {}, "f:containers": {
                "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}, "f:imagePullPolicy": {},
                    "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":
                        {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}});
        let managed = json!([
            {"manager": CLIENT_SIDE_APPLY, "operation": "Update", "fieldsV1": fields},
            {"manager": "kubectl-edit", "operation": "Update",
                "fieldsV1": {"f:spec": {"f:progressDeadlineSeconds": {}}}}]);
        let got = for_member(&deployment(&managed, &json!({(LAST_APPLIED): wrote.to_string()})));
        assert_eq!(
            got["spec"],
            json!({
            "progressDeadlineSeconds": 600,
            "template": {"spec": {"containers": [{"name": "web", "image": "w:1",
                "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}})
        );
    }

    #[test]
    fn what_the_hub_applies_is_meant_and_what_it_updates_is_not() {
        let managed = |operation| {
            json!([
                {"manager": INTERNAL_MANAGER, "operation": operation,
                    "fieldsV1": {"f:spec": {"f:progressDeadlineSeconds": {}}}},
                {"manager": "kubectl", "operation": "Update",
                    "fieldsV1": {"f:spec": {"f:replicas": {}}}}])
        };
        let spec =
            |operation| for_member(&deployment(&managed(operation), &json!({})))["spec"].clone();
        assert_eq!(spec("Apply"), json!({"replicas": 1, "progressDeadlineSeconds": 600}));
        assert_eq!(spec("Update"), json!({"replicas": 1}));
    }

    #[test]
    fn without_managed_fields_all_content_goes() {
        let got = for_member(&deployment(&json!([]), &json!({})));
        assert_eq!(got["spec"]["replicas"], 1);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..9).prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|it| it.into_iter().collect())
        })
    }

    proptest! {
        #[test]
        fn stripping_twice_is_stripping_once(spec in json_value()) {
            let object = json!({"kind": "X", "metadata": {"name": "a", "uid": "u"}, "spec": spec});
            let once = for_member(&object);
            prop_assert_eq!(for_member(&once), once.clone());
        }
    }
}
