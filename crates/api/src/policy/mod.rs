//! Karmada's policies as they are on the wire: `policy.karmada.io/v1alpha1`.
//!
//! Everything Karmada documents is accepted and stored. What is not built yet is reported on the
//! objects it concerns (reason `Unsupported`), never refused and never ignored in silence.

mod overrides;
mod propagation;
mod taint;

pub use taint::{ClusterTaintPolicy, ClusterTaintPolicySpec, MatchCondition, TaintToAdd};

pub(crate) use propagation::placement;

use crate::Row;
use crate::row::Column;
use crate::schema::{Schema, label_selector, list, object, root, text};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("PropagationPolicy", "propagationpolicies", &["pp"], true, propagation::spec()),
        row(
            "ClusterPropagationPolicy",
            "clusterpropagationpolicies",
            &["cpp"],
            false,
            propagation::spec(),
        ),
        row("OverridePolicy", "overridepolicies", &["op"], true, overrides::spec()),
        row("ClusterOverridePolicy", "clusteroverridepolicies", &["cop"], false, overrides::spec()),
        row("ClusterTaintPolicy", "clustertaintpolicies", &[], false, taint::spec()),
    ]
}

fn row(
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    namespaced: bool,
    (about, spec): (&'static str, Schema),
) -> Row {
    Row {
        group: "policy.karmada.io",
        version: "v1alpha1",
        kind,
        plural,
        singular: singular(kind),
        short_names,
        categories: &["karmada-io", "fleet"],
        namespaced,
        has_status: false,
        read_only: false,
        schema: root(about, [("spec", spec)]).required(&["spec"]).build(),
        columns: columns(kind),
    }
}

fn singular(kind: &str) -> &'static str {
    match kind {
        "PropagationPolicy" => "propagationpolicy",
        "ClusterPropagationPolicy" => "clusterpropagationpolicy",
        "OverridePolicy" => "overridepolicy",
        "ClusterOverridePolicy" => "clusteroverridepolicy",
        _ => "clustertaintpolicy",
    }
}

fn columns(kind: &str) -> Vec<Column> {
    let mut columns = Vec::new();
    if kind.ends_with("PropagationPolicy") {
        columns.push(Column::text("Conflict-Resolution", ".spec.conflictResolution"));
        columns.push(Column::integer("Priority", ".spec.priority"));
    }
    columns.push(Column::age());
    columns
}

/// `resourceSelectors`: which templates a policy is about.
fn resource_selectors(about: &str) -> Schema {
    list(
        about,
        object(
            "Selects templates. A name makes the label selector void.",
            [
                ("apiVersion", text("Version of the templates, or * for every one.")),
                ("kind", text("Kind of the templates, or * for every one.")),
                ("namespace", text("Namespace of the templates. Of a namespaced policy: its own.")),
                ("name", text("Name of the one template.")),
                ("labelSelector", label_selector("Only templates with these labels.")),
            ],
        )
        .required(&["apiVersion", "kind"]),
    )
}
