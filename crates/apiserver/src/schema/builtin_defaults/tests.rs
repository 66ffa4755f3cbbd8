//! Against what a real server made of the same objects.

use serde_json::{Value, json};

use crate::schema::{
    builtin,
    golden::{created, without_identity},
    intake::{Kind, complete, intake},
};

/// What admission, allocators, strategies and controllers of a cluster add.
const NOT_DEFAULTS: [&str; 24] = [
    "/metadata/generation",
    "/status",
    "/spec/clusterIP",
    "/spec/clusterIPs",
    "/spec/tolerations",
    "/spec/taints",
    "/spec/serviceAccount",
    "/spec/serviceAccountName",
    "/spec/priority",
    "/spec/preemptionPolicy",
    "/metadata/finalizers",
    "/metadata/labels/kubernetes.io~1metadata.name",
    "/metadata/annotations/deprecated.daemonset.template.generation",
    "/metadata/labels/batch.kubernetes.io~1controller-uid",
    "/metadata/labels/batch.kubernetes.io~1job-name",
    "/metadata/labels/controller-uid",
    "/metadata/labels/job-name",
    "/spec/template/metadata/labels/batch.kubernetes.io~1controller-uid",
    "/spec/template/metadata/labels/batch.kubernetes.io~1job-name",
    "/spec/template/metadata/labels/controller-uid",
    "/spec/template/metadata/labels/job-name",
    "/spec/finalizers",
    "/metadata/namespace",
    "/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid",
];

fn remove(object: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let name = name.replace("~1", "/");
    let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    map.remove(&name);
    if map.is_empty() && matches!(name.as_str(), it if it != "status") {
        // Labels that were only added by the server leave nothing behind.
        prune_empty(object, parent);
    }
}

fn prune_empty(object: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let optional = ["labels", "annotations", "matchLabels", "metadata"];
    if optional.contains(&name)
        && let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut)
    {
        map.remove(name);
    }
}

fn comparable(mut object: Value) -> Value {
    for pointer in NOT_DEFAULTS {
        remove(&mut object, pointer);
    }
    for ports in ["/spec/ports"] {
        for port in object.pointer_mut(ports).and_then(Value::as_array_mut).into_iter().flatten() {
            port.as_object_mut().expect("a port").remove("nodePort");
        }
    }
    // Set by an admission plugin for jobs; empty there otherwise.
    if object["kind"] == "Job" {
        for pointer in ["/spec/selector", "/spec/template/metadata", "/metadata/labels"] {
            remove(&mut object, pointer);
        }
    }
    object
}

/// Where two values differ, by path.
fn differences(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or_default(), b.get(key).unwrap_or_default());
                differences(&format!("{path}.{key}"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{at}]"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: ours {a}, Kubernetes' {b}")),
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

#[test]
fn built_in_kinds_get_kubernetes_defaults() {
    let mut wrong = Vec::new();
    for object in created() {
        let (version, name) = (text(&object.sent, "apiVersion"), text(&object.sent, "kind"));
        let kind = Kind { api_version: version, kind: name, custom: false };
        let ty = builtin().kind(version, name).unwrap();
        let mut ours = object.sent.clone();
        assert_eq!(intake(kind, ty, &mut ours), Ok(Vec::new()));
        let once = ours.clone();
        complete(kind, ty, &mut ours);
        assert_eq!(ours, once, "defaults settle at once");
        assert_eq!(intake(kind, ty, &mut ours), Ok(Vec::new()));
        assert_eq!(ours, once, "reading again changes nothing");
        let (ours, theirs) = (comparable(without_identity(ours)), comparable(object.made));
        differences(
            &format!("{name} {}", text(&theirs["metadata"], "name")),
            &ours,
            &theirs,
            &mut wrong,
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn defaults_of_something_else_are_not_touched() {
    let mut object = json!({"kind": "Deployment", "spec": "not an object"});
    super::apply("apps/v1", "Deployment", &mut object);
    assert_eq!(object, json!({"kind": "Deployment", "spec": "not an object"}));
}
