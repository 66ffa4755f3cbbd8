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
/// (ComponentStatus, TokenReview).
fn is_served(row: &ResourceRow) -> bool {
    row.verbs.contains(&"update") || is_answered(row)
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
        ..VersionRow::default()
    }
}
