//! The kinds that every Kubernetes API has.

use std::sync::Arc;

use super::{KindRow, Resource, ScalePaths, Scope, VersionRow};

/// Group, version, kind, plural, short name, namespaced, status, scale.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, bool, bool, bool);

const ROWS: [Row; 14] = [
    ("", "v1", "Namespace", "namespaces", "ns", false, true, false),
    ("", "v1", "Node", "nodes", "no", false, true, false),
    ("", "v1", "ConfigMap", "configmaps", "cm", true, false, false),
    ("", "v1", "Secret", "secrets", "", true, false, false),
    ("", "v1", "Event", "events", "ev", true, false, false),
    ("", "v1", "Pod", "pods", "po", true, true, false),
    ("", "v1", "Service", "services", "svc", true, true, false),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", true, false, false),
    ("apps", "v1", "Deployment", "deployments", "deploy", true, true, true),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", "", true, false, false),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "", true, false, false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "", false, false, false),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        "",
        false,
        false,
        false,
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd",
        false,
        true,
        false,
    ),
];

pub(super) fn resources() -> impl Iterator<Item = Arc<Resource>> {
    ROWS.iter().flat_map(|(group, version, kind, plural, short, namespaced, status, scale)| {
        let version = VersionRow {
            name: (*version).into(),
            status: *status,
            scale: scale.then(|| ScalePaths {
                spec_replicas: ".spec.replicas".into(),
                status_replicas: ".status.replicas".into(),
                label_selector: ".spec.selector".into(),
            }),
            ..VersionRow::default()
        };
        let row = KindRow {
            group: (*group).into(),
            kind: (*kind).into(),
            plural: (*plural).into(),
            short_names: Some(*short).filter(|it| !it.is_empty()).map(Into::into).into_iter().collect(),
            scope: if *namespaced { Scope::Namespaced } else { Scope::Cluster },
            versions: vec![version],
            ..KindRow::default()
        };
        Resource::of(&row, false)
    })
}
