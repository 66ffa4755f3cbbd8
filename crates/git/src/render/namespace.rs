//! `targetNamespace`, as kustomize's namespace transformer applies it: every namespaced object goes there, a Namespace
//! takes its name, and what refers to a namespace by way of an object of the same rendering follows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{RenderedObject, identity};

/// Kinds that have no namespace, by group. kustomize takes any other kind for namespaced, custom ones included.
const CLUSTER_SCOPED: [(&str, &[&str]); 16] = [
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("authentication.k8s.io", &["SelfSubjectReview", "TokenReview"]),
    (
        "authorization.k8s.io",
        &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("internal.apiserver.k8s.io", &["StorageVersion"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "DeviceTaintRule", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    (
        "storage.k8s.io",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
];

pub(super) fn set(objects: &mut [RenderedObject], namespace: &str) {
    let names = |kind: &str| -> BTreeSet<String> {
        let mine = objects
            .iter()
            .map(|it| identity(&it.value))
            .filter(|[group, it, ..]| group.is_empty() && it == kind);
        mine.map(|[.., name]| name).collect()
    };
    let (accounts, services) = (names("ServiceAccount"), names("Service"));
    for RenderedObject { value, .. } in objects {
        let [group, kind, ..] = identity(value);
        match (group.as_str(), kind.as_str()) {
            ("", "Namespace") => value["metadata"]["name"] = namespace.into(),
            ("apiregistration.k8s.io", "APIService") => {
                follow(value, "/spec/service", namespace, None);
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                follow(value, "/spec/conversion/webhook/clientConfig/service", namespace, None);
            }
            ("admissionregistration.k8s.io", _) => {
                for webhook in list(value, "webhooks") {
                    follow(webhook, "/clientConfig/service", namespace, Some(&services));
                }
            }
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
                bind(value, namespace, &accounts);
            }
            _ => {}
        }
        if !is_cluster_scoped(&group, &kind) {
            value["metadata"]["namespace"] = namespace.into();
        }
    }
}

fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    CLUSTER_SCOPED.iter().any(|(it, kinds)| *it == group && kinds.contains(&kind))
}

/// A reference to a Service: to any, or only to one of these.
fn follow(value: &mut Value, pointer: &str, namespace: &str, only: Option<&BTreeSet<String>>) {
    let Some(service) = value.pointer_mut(pointer).filter(|it| it.is_object()) else { return };
    let named =
        |only: &BTreeSet<String>| service["name"].as_str().is_some_and(|it| only.contains(it));
    if only.is_none_or(named) {
        service["namespace"] = namespace.into();
    }
}

/// A subject that is the default account, or one of the same rendering.
fn bind(binding: &mut Value, namespace: &str, accounts: &BTreeSet<String>) {
    for subject in list(binding, "subjects") {
        let name = subject["name"].as_str().unwrap_or_default();
        if subject["kind"] == "ServiceAccount" && (name == "default" || accounts.contains(name)) {
            subject["namespace"] = namespace.into();
        }
    }
}

fn list<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}
