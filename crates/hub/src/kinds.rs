//! The hub's own kinds as rows of the API server's table.

use kogge_apiserver::{Column, KindRow, Scope, VersionRow};

pub(crate) fn rows() -> Vec<KindRow> {
    kogge_api::rows().into_iter().map(row).collect()
}

fn row(it: kogge_api::Row) -> KindRow {
    let columns = it.columns.iter().map(|column| Column {
        name: column.name.to_owned(),
        column_type: column.kind.as_str().to_owned(),
        priority: column.priority,
        json_path: column.path.to_owned(),
        ..Column::default()
    });
    let version = VersionRow {
        name: it.version.to_owned(),
        storage: true,
        columns: columns.collect(),
        status: it.has_status,
        schema: it.schema,
        ..VersionRow::default()
    };
    let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
    KindRow {
        group: it.group.to_owned(),
        kind: it.kind.to_owned(),
        plural: it.plural.to_owned(),
        singular: it.singular.to_owned(),
        short_names: owned(it.short_names),
        categories: owned(it.categories),
        scope: if it.namespaced { Scope::Namespaced } else { Scope::Cluster },
        versions: vec![version],
    }
}
