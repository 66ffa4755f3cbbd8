//! The kinds that every Kubernetes API has, from the generated table.

use std::{collections::BTreeMap, sync::Arc};

use super::{KindRow, Resource, ScalePaths, Scope, VersionRow};
use crate::schema::{ResourceRow, builtin};

pub(super) fn resources() -> impl Iterator<Item = Arc<Resource>> {
    let mut kinds: BTreeMap<(&str, &str), KindRow> = BTreeMap::new();
    for row in builtin().resources().iter().filter(|it| is_served(it)) {
        let kind = kinds.entry((row.group, row.plural)).or_insert_with(|| kind(row));
        kind.versions.push(version(row));
    }
    kinds.into_values().flat_map(|it| Resource::of(&it, false))
}

/// Stored kinds, and the reviews of rights; not what only a whole cluster can answer
/// (ComponentStatus, TokenReview). A version of another shape than the stored one would need
/// conversion, which is not there: such a version (autoscaling/v1) is not served.
fn is_served(row: &ResourceRow) -> bool {
    let stored = row.verbs.contains(&"update") && row.version == row.storage_version;
    stored || is_answered(row)
}

/// Questions about rights, which are not stored.
fn is_answered(row: &ResourceRow) -> bool {
    row.group == "authorization.k8s.io" || row.kind == "SelfSubjectReview"
}

fn kind(row: &ResourceRow) -> KindRow {
    let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
    KindRow {
        group: row.group.into(),
        kind: row.kind.into(),
        plural: row.plural.into(),
        singular: row.singular.into(),
        short_names: owned(&row.short_names),
        categories: owned(&row.categories),
        scope: if row.namespaced { Scope::Namespaced } else { Scope::Cluster },
        versions: Vec::new(),
    }
}

fn version(row: &ResourceRow) -> VersionRow {
    let has = |name: &str| row.subresources.iter().any(|it| it.name == name);
    VersionRow {
        name: row.version.into(),
        storage: row.version == row.storage_version,
        create_only: is_answered(row),
        status: has("status"),
        scale: has("scale").then(|| ScalePaths {
            spec_replicas: ".spec.replicas".into(),
            status_replicas: ".status.replicas".into(),
            label_selector: ".spec.selector".into(),
        }),
        selectable: selectable(row).iter().map(|it| (*it).to_owned()).collect(),
        no_collection: !row.verbs.contains(&"deletecollection"),
        ..VersionRow::default()
    }
}

/// Which fields Kubernetes selects by, beside name and namespace.
fn selectable(row: &ResourceRow) -> &'static [&'static str] {
    match (row.group, row.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        _ => &[],
    }
}
