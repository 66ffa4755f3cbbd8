//! Fields that may not change.

use serde_json::Value;

use super::causes::{Causes, has};
use crate::schema::path::Path;

const IMMUTABLE: &str = "field is immutable";

pub fn validate(group: &str, kind: &str, object: &Value, old: &Value, causes: &mut Causes) {
    let spec = Path::Root.field("spec");
    match (group, kind) {
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => {
            fixed(object, old, &spec, &["selector"], causes);
        }
        ("apps", "StatefulSet") => stateful_set(object, old, &spec, causes),
        ("batch", "Job") => {
            fixed(object, old, &spec, &["completionMode", "selector"], causes);
            let suspended = old["spec"]["suspend"] == true;
            if !suspended {
                fixed(object, old, &spec, &["template"], causes);
            }
        }
        ("", "ConfigMap" | "Secret") => data(kind, object, old, causes),
        ("", "PersistentVolumeClaim") => claim(object, old, &spec, causes),
        ("", "Pod") => pod(object, old, &spec, causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if object["roleRef"] != old["roleRef"] =>
        {
            let path = Path::Root.field("roleRef");
            causes.invalid(&path, &object["roleRef"], "cannot change roleRef");
        }
        ("storage.k8s.io", "StorageClass") => {
            for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
                if object[field] != old[field] {
                    let why = format!("updates to {field} are forbidden.");
                    causes.forbidden(&Path::Root.field(field), &why);
                }
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            fixed(object, old, &spec, &["group", "scope"], causes);
            let path = spec.field("names");
            for field in ["kind", "plural"] {
                let (new, was) = (&object["spec"]["names"][field], &old["spec"]["names"][field]);
                if new != was {
                    causes.invalid(&path.field(field), new, IMMUTABLE);
                }
            }
        }
        _ => {}
    }
}

fn fixed(object: &Value, old: &Value, spec: &Path, fields: &[&str], causes: &mut Causes) {
    for field in fields {
        let new = &object["spec"][field];
        if *new != old["spec"][field] {
            causes.invalid(&spec.field(field), new, IMMUTABLE);
        }
    }
}

/// `spec` without some of its fields.
fn without(object: &Value, fields: &[&str]) -> Value {
    let mut spec = object["spec"].clone();
    if let Some(map) = spec.as_object_mut() {
        map.retain(|key, _| !fields.contains(&key.as_str()));
    }
    spec
}

fn stateful_set(object: &Value, old: &Value, spec: &Path, causes: &mut Causes) {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    if without(object, &FREE) != without(old, &FREE) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                   'template', 'updateStrategy', 'revisionHistoryLimit', \
                   'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        causes.forbidden(spec, why);
    }
}

fn data(kind: &str, object: &Value, old: &Value, causes: &mut Causes) {
    if old["immutable"] == true {
        let why = "field is immutable when `immutable` is set";
        for field in ["data", "binaryData"] {
            if object[field] != old[field] {
                causes.forbidden(&Path::Root.field(field), why);
            }
        }
        if object["immutable"] != true {
            causes.forbidden(&Path::Root.field("immutable"), why);
        }
    }
    if kind == "Secret" && object["type"] != old["type"] {
        causes.invalid(&Path::Root.field("type"), &object["type"], IMMUTABLE);
    }
}

fn claim(object: &Value, old: &Value, spec: &Path, causes: &mut Causes) {
    // The volume's name and class are filled in while the claim is not bound.
    const FREE: [&str; 4] =
        ["resources", "volumeAttributesClassName", "volumeName", "storageClassName"];
    let renamed = has(&old["spec"], "volumeName")
        && object["spec"]["volumeName"] != old["spec"]["volumeName"];
    if renamed || without(object, &FREE) != without(old, &FREE) {
        let why = "spec is immutable after creation except resources.requests and \
                   volumeAttributesClassName for bound claims";
        causes.forbidden(spec, why);
    }
}

fn pod(object: &Value, old: &Value, spec: &Path, causes: &mut Causes) {
    const FREE: [&str; 8] = [
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "nodeName",
        "schedulingGates",
        "nodeSelector",
        "affinity",
        "ephemeralContainers",
    ];
    let shape = |object: &Value| {
        let mut spec = without(object, &FREE);
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.retain(|key, _| key != "image" && key != "resources");
                }
            }
        }
        spec
    };
    // Indexing for writing makes nulls of what is missing; both sides get the same.
    if shape(object) != shape(old) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,\
                   `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                   `spec.tolerations` (only additions to existing tolerations),\
                   `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                   previously negative)";
        causes.forbidden(spec, why);
    }
}
