//! The core group, but for pods and services.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{empty, has, inner, items, pod, service, set, set_text, text, volumes};

pub fn apply(kind: &str, object: &mut Value) {
    match kind {
        "Pod" => {
            if let Some(spec) = inner(object, &["spec"]) {
                pod::pod(spec);
            }
        }
        "PodTemplate" => {
            if let Some(spec) = inner(object, &["template", "spec"]) {
                pod::template(spec);
            }
        }
        "ReplicationController" => replication_controller(object),
        "Service" => service::service(object),
        "Secret" => secret(object),
        "PersistentVolumeClaim" => volumes::claim(object),
        "PersistentVolume" => persistent_volume(object),
        "Namespace" => {
            if let Some(status) = inner(object, &["status"]) {
                set_text(status, "phase", "Active");
            }
        }
        "Endpoints" => endpoints(object),
        "LimitRange" => limit_range(object),
        "Node" => node(object),
        _ => {}
    }
}

fn replication_controller(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        if let Some(spec) = inner(object, &["spec"]) {
            set(spec, "selector", labels.clone());
        }
        if let Some(meta) = inner(object, &["metadata"]) {
            set(meta, "labels", labels);
        }
    }
    if let Some(spec) = inner(object, &["spec"]) {
        set(spec, "replicas", 1);
    }
    if let Some(spec) = inner(object, &["spec", "template", "spec"]) {
        pod::template(spec);
    }
}

/// `stringData` is written into `data`, where it wins.
fn secret(object: &mut Value) {
    set_text(object, "type", "Opaque");
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = map.remove("stringData") else { return };
    let data = map.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, value) in plain {
        data.insert(key, STANDARD.encode(value.as_str().unwrap_or_default()).into());
    }
}

fn persistent_volume(object: &mut Value) {
    if let Some(status) = inner(object, &["status"]) {
        set_text(status, "phase", "Pending");
    }
    let Some(spec) = inner(object, &["spec"]) else { return };
    set_text(spec, "persistentVolumeReclaimPolicy", "Retain");
    set(spec, "volumeMode", "Filesystem");
    volumes::persistent(spec);
}

fn endpoints(object: &mut Value) {
    for subset in items(object, "subsets") {
        for port in items(subset, "ports") {
            set_text(port, "protocol", "TCP");
        }
    }
}

/// Of containers, what is missing follows from what is there: max, default, defaultRequest, min.
fn limit_range(object: &mut Value) {
    let Some(spec) = inner(object, &["spec"]) else { return };
    for limit in items(spec, "limits") {
        if text(limit, "type") != "Container" {
            continue;
        }
        for (from, to) in
            [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
        {
            let Some(known) = limit.get(from).cloned() else { continue };
            set(limit, to, empty());
            for (name, value) in known.as_object().into_iter().flatten() {
                set(&mut limit[to], name, value.clone());
            }
        }
    }
}

/// The one pod range and the list of them say the same.
fn node(object: &mut Value) {
    let Some(spec) = inner(object, &["spec"]) else { return };
    if has(spec, "podCIDR") {
        let first = spec["podCIDR"].clone();
        set(spec, "podCIDRs", vec![first]);
    }
}
