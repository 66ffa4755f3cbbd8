//! Workloads: counts of pods.

use serde_json::{Map, Value, json};

use super::{Report, Template, conditions};

fn count(report: &Report<'_>, field: &str) -> u64 {
    report.status.and_then(|it| it[field].as_u64()).unwrap_or(0)
}

pub(super) fn sum(reports: &[Report<'_>], field: &str) -> u64 {
    reports.iter().map(|it| count(it, field)).sum()
}

pub(super) fn lowest(reports: &[Report<'_>], field: &str) -> u64 {
    reports.iter().map(|it| count(it, field)).min().unwrap_or(0)
}

/// `replicas`, and each of `fields`, by the rule for divided or duplicated templates.
fn pods(
    template: &Template<'_>,
    reports: &[Report<'_>],
    fields: &[&str],
    status: &mut Map<String, Value>,
) {
    let replicas = match template.replicas {
        Some(replicas) if !template.divided => u64::from(replicas),
        _ if template.divided => sum(reports, "replicas"),
        _ => lowest(reports, "replicas"),
    };
    status.insert("replicas".to_owned(), json!(replicas));
    for field in fields {
        let of = if template.divided { sum } else { lowest };
        status.insert((*field).to_owned(), json!(of(reports, field)));
    }
}

pub(super) fn deployment(
    template: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    pods(template, reports, &["readyReplicas", "availableReplicas", "updatedReplicas"], status);
    let missing = if template.divided {
        sum(reports, "unavailableReplicas")
    } else {
        reports.iter().map(|it| count(it, "unavailableReplicas")).max().unwrap_or(0)
    };
    // As upstream: not there when it is zero.
    if 0 < missing {
        status.insert("unavailableReplicas".to_owned(), json!(missing));
    }
    conditions::of_deployment(template, reports, status);
}

pub(super) fn replica_set(
    template: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    pods(
        template,
        reports,
        &["readyReplicas", "availableReplicas", "fullyLabeledReplicas"],
        status,
    );
}

pub(super) fn stateful_set(
    template: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    let fields = ["readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"];
    pods(template, reports, &fields, status);
    // Revisions are names that each cluster gives. What clients compare is whether they are equal,
    // so they are equal here when they are on every cluster.
    let text = |it: &Report<'_>, field: &str| {
        it.status.and_then(|status| status[field].as_str()).map(str::to_owned)
    };
    let updating =
        reports.iter().find(|it| text(it, "currentRevision") != text(it, "updateRevision"));
    let Some(shown) = updating.or(reports.first()) else { return };
    for field in ["currentRevision", "updateRevision"] {
        if let Some(revision) = text(shown, field) {
            status.insert(field.to_owned(), json!(revision));
        }
    }
}

/// A DaemonSet has as many pods as there are nodes: always summed.
pub(super) fn daemon_set(
    _: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    for field in [
        "currentNumberScheduled",
        "desiredNumberScheduled",
        "numberMisscheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ] {
        status.insert(field.to_owned(), json!(sum(reports, field)));
    }
}
