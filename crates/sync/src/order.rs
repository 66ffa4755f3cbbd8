//! In which order objects are applied: first what others need, last what could refuse others.
//! Deleting goes the other way round.

use std::cmp::Ordering;

use serde_json::Value;

use crate::json::{group, text};

/// Kinds of one line are one stage. Group `""` is the core group.
const STAGES: &[&[(&str, &str)]] = &[
    &[("apiextensions.k8s.io", "CustomResourceDefinition")],
    &[("", "Namespace")],
    &[
        ("scheduling.k8s.io", "PriorityClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("storage.k8s.io", "StorageClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
        ("networking.k8s.io", "IngressClass"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    ],
    &[
        ("", "ResourceQuota"),
        ("", "LimitRange"),
        ("networking.k8s.io", "NetworkPolicy"),
        ("policy", "PodDisruptionBudget"),
    ],
    &[("", "ServiceAccount")],
    &[("rbac.authorization.k8s.io", "ClusterRole"), ("rbac.authorization.k8s.io", "Role")],
    &[
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
    ],
    &[("", "ConfigMap"), ("", "Secret")],
    &[("", "PersistentVolume"), ("", "PersistentVolumeClaim")],
    &[("", "Service"), ("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")],
    &[
        ("", "Pod"),
        ("", "ReplicationController"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("batch", "CronJob"),
        ("batch", "Job"),
    ],
];

/// What only makes sense when workloads are there.
const LATE: &[(&str, &str)] =
    &[("networking.k8s.io", "Ingress"), ("apiregistration.k8s.io", "APIService")];

/// What could refuse the others.
const LAST: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
];

/// Smaller is applied earlier and deleted later. Kinds not known here, which are mostly custom
/// ones, go after workloads.
pub fn stage(group: &str, kind: &str) -> u8 {
    let known = STAGES.iter().position(|stage| stage.contains(&(group, kind)));
    let custom = STAGES.len();
    let stage = match known {
        Some(stage) => stage,
        // Kinds that configure others (SecretClass, ClusterClass) come before what uses them.
        None if kind.ends_with("Class") => 2,
        None if LATE.contains(&(group, kind)) => custom + 1,
        None if LAST.contains(&(group, kind)) => custom + 2,
        None => custom,
    };
    u8::try_from(stage).expect("there are a dozen stages")
}

/// By stage, then group, kind, namespace and name: a total order, so that equal sets are applied
/// in equal order.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    fn key(it: &Value) -> (u8, &str, &str, &str, &str) {
        let (group, kind) = (group(it), text(it, "/kind"));
        let (namespace, name) = (text(it, "/metadata/namespace"), text(it, "/metadata/name"));
        (stage(group, kind), group, kind, namespace, name)
    }
    key(a).cmp(&key(b))
}

pub fn sort(objects: &mut [Value]) {
    objects.sort_by(compare);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_need_comes_first_and_what_refuses_others_last() {
        let mut all: Vec<Value> = [
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
            ("networking.k8s.io/v1", "Ingress"),
            ("example.com/v1", "Widget"),
            ("apps/v1", "Deployment"),
            ("v1", "Service"),
            ("v1", "Secret"),
            ("v1", "ConfigMap"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding"),
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("v1", "ServiceAccount"),
            ("v1", "ResourceQuota"),
            ("example.com/v1", "WidgetClass"),
            ("v1", "Namespace"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ]
        .map(|(version, kind)| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}}))
        .to_vec();
        sort(&mut all);
        let kinds: Vec<&str> = all.iter().map(|it| text(it, "/kind")).collect();
        insta::assert_snapshot!(kinds.join(" "), @"CustomResourceDefinition Namespace WidgetClass ResourceQuota ServiceAccount Role RoleBinding ConfigMap Secret Service Deployment Widget Ingress ValidatingWebhookConfiguration");
    }

    #[test]
    fn a_kind_of_another_group_is_not_mistaken_for_a_native_one() {
        assert_eq!(stage("serving.knative.dev", "Service"), stage("example.com", "Widget"));
        assert!(stage("", "Service") < stage("serving.knative.dev", "Service"));
    }
}
