//! What is written: definitions, groups, nodes, leases.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kogge_api::Row;
use serde_json::{Value, json};

use super::GroupSpec;
use crate::{
    kinds::{GROUP_LABEL, LEASE_NAMESPACE},
    time::{micros, seconds},
};

/// What the pretended kubelets say they are.
const KUBELET_VERSION: &str = "v1.37.0+kogge-sim";

/// The definition of a kind that a cluster may lack.
pub(super) fn definition(row: &Row) -> Value {
    let columns: Vec<Value> = row
        .columns
        .iter()
        .map(|it| {
            json!({"name": it.name, "type": it.kind.as_str(), "jsonPath": it.path,
                "priority": it.priority})
        })
        .collect();
    let mut version = json!({
        "name": row.version, "served": true, "storage": true,
        "schema": {"openAPIV3Schema": row.schema}, "additionalPrinterColumns": columns,
    });
    if row.has_status {
        version["subresources"] = json!({"status": {}});
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", row.plural, row.group)},
        "spec": {
            "group": row.group, "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
            "names": {"kind": row.kind, "listKind": format!("{}List", row.kind),
                "plural": row.plural, "singular": row.singular,
                "shortNames": row.short_names, "categories": row.categories},
            "versions": [version],
        },
    })
}

pub(super) fn group(spec: &GroupSpec) -> Value {
    let mut group = json!({
        "apiVersion": "kogge.dev/v1alpha1", "kind": "NodeGroup", "metadata": {"name": spec.name},
        "spec": {
            "provider": super::PROVIDER, "minSize": spec.min, "maxSize": spec.max,
            "desiredSize": spec.initial,
            "template": {"labels": spec.labels, "capacity": spec.capacity},
        },
    });
    if let Some(price) = &spec.price {
        group["spec"]["price"] = price.clone().into();
    }
    group
}

/// A node of `group` (a NodeGroup), without its status.
pub(super) fn node(name: &str, group: &Value) -> Value {
    let group_name = kogge_member::object::name(group);
    let template = &group["spec"]["template"];
    let mut labels: BTreeMap<String, String> = [
        (GROUP_LABEL, group_name),
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("node.kubernetes.io/instance-type", group_name),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    labels.extend(kogge_model::labels_of(&template["labels"]));
    kogge_model::add_aliases(&mut labels);
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": format!("simulator://{group_name}/{name}")},
    });
    if template["taints"].is_array() {
        node["spec"]["taints"] = template["taints"].clone();
    }
    node
}

/// All that a kubelet says of its node.
pub(super) fn node_status(name: &str, address: &str, group: &Value, now: Timestamp) -> Value {
    let mut capacity = group["spec"]["template"]["capacity"].clone();
    if capacity["pods"].is_null() {
        capacity["pods"] = "110".into();
    }
    json!({
        "capacity": capacity, "allocatable": capacity, "conditions": conditions(now, now),
        "addresses": [{"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64", "operatingSystem": "linux", "osImage": "kogge simulator",
            "kernelVersion": "0", "containerRuntimeVersion": "kogge-sim://0",
            "kubeletVersion": KUBELET_VERSION, "kubeProxyVersion": "",
            "machineID": name, "systemUUID": name, "bootID": name,
        },
    })
}

/// A healthy node's conditions, heard `now`, true since `since`.
pub(super) fn conditions(now: Timestamp, since: Timestamp) -> Value {
    let of = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": seconds(now), "lastTransitionTime": seconds(since)})
    };
    json!([
        of(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available"
        ),
        of("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        of(
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available"
        ),
        of("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ])
}

/// The node owns its lease, so that it goes with it.
pub(super) fn lease(name: &str, node_uid: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid}]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micros(now)},
    })
}
