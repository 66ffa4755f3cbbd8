//! The apps group.

use serde_json::{Value, json};

use super::{empty, inner, items, pod, set, set_text, text, volumes};

pub fn apply(kind: &str, object: &mut Value) {
    if let Some(spec) = inner(object, &["spec", "template", "spec"]) {
        pod::template(spec);
    }
    let Some(spec) = inner(object, &["spec"]) else { return };
    match kind {
        "Deployment" => deployment(spec),
        "ReplicaSet" => set(spec, "replicas", 1),
        "StatefulSet" => stateful_set(spec),
        "DaemonSet" => daemon_set(spec),
        _ => {}
    }
}

fn deployment(spec: &mut Value) {
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    set(spec, "strategy", empty());
    let strategy = &mut spec["strategy"];
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(strategy, "rollingUpdate", empty());
        set(&mut strategy["rollingUpdate"], "maxUnavailable", "25%");
        set(&mut strategy["rollingUpdate"], "maxSurge", "25%");
    }
}

fn stateful_set(spec: &mut Value) {
    set_text(spec, "podManagementPolicy", "OrderedReady");
    set(spec, "updateStrategy", empty());
    let strategy = &mut spec["updateStrategy"];
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(strategy, "rollingUpdate", empty());
        set(&mut strategy["rollingUpdate"], "partition", 0);
        set(&mut strategy["rollingUpdate"], "maxUnavailable", 1);
    }
    set(spec, "persistentVolumeClaimRetentionPolicy", empty());
    let policy = &mut spec["persistentVolumeClaimRetentionPolicy"];
    set_text(policy, "whenDeleted", "Retain");
    set_text(policy, "whenScaled", "Retain");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    for claim in items(spec, "volumeClaimTemplates") {
        set_text(claim, "apiVersion", "v1");
        set_text(claim, "kind", "PersistentVolumeClaim");
        volumes::claim(claim);
    }
}

fn daemon_set(spec: &mut Value) {
    set(spec, "updateStrategy", empty());
    let strategy = &mut spec["updateStrategy"];
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(strategy, "rollingUpdate", json!({}));
        set(&mut strategy["rollingUpdate"], "maxUnavailable", 1);
        set(&mut strategy["rollingUpdate"], "maxSurge", 0);
    }
    set(spec, "revisionHistoryLimit", 10);
}
