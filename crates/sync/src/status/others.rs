//! Jobs, addresses, claims, pods, budgets.

use serde_json::{Map, Value, json};

use super::counts::{lowest, sum};
use super::{Report, Template, conditions};
use crate::json::{condition, list, text};

fn texts<'a>(reports: &'a [Report<'_>], pointer: &'a str) -> impl Iterator<Item = &'a str> {
    reports.iter().map(|it| it.status.map_or("", |status| text(status, pointer)))
}

/// RFC 3339 times of one zone compare as text.
fn insert_time<'a>(status: &mut Map<String, Value>, field: &str, time: Option<&'a str>) {
    if let Some(time) = time.filter(|it: &&'a str| !it.is_empty()) {
        status.insert(field.to_owned(), json!(time));
    }
}

/// Complete when it is on every cluster, failed when it is on one.
pub(super) fn job(
    template: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    let succeeded = if template.divided { sum } else { lowest };
    status.insert("succeeded".to_owned(), json!(succeeded(reports, "succeeded")));
    for field in ["active", "failed", "ready"] {
        status.insert(field.to_owned(), json!(sum(reports, field)));
    }
    let started = texts(reports, "/startTime").filter(|it| !it.is_empty()).min();
    insert_time(status, "startTime", started);
    let with = |kind: &str| -> Vec<&str> {
        let holds = |it: &&Report<'_>| {
            let found = it.status.and_then(|status| condition(status, kind));
            found.is_some_and(|it| it["status"] == "True")
        };
        reports.iter().filter(holds).map(|it| it.cluster).collect()
    };
    let (failed, complete) = (with("Failed"), with("Complete"));
    if !failed.is_empty() {
        let message = format!("failed on {}", failed.join(", "));
        conditions::push(status, "Failed", true, "JobFailed", &message);
    } else if complete.len() == reports.len() {
        insert_time(status, "completionTime", texts(reports, "/completionTime").max());
        let message = format!("complete on {}", complete.join(", "));
        conditions::push(status, "Complete", true, "Completed", &message);
    }
}

/// Addresses of all clusters.
pub(super) fn load_balancer(
    _: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    let mut all: Vec<Value> = Vec::new();
    for address in
        reports.iter().filter_map(|it| it.status).flat_map(|it| list(it, "/loadBalancer/ingress"))
    {
        if !all.contains(address) {
            all.push(address.clone());
        }
    }
    let balancer = if all.is_empty() { json!({}) } else { json!({"ingress": all}) };
    status.insert("loadBalancer".to_owned(), balancer);
}

/// The phase of the cluster that is furthest behind, worst first.
fn worst_phase(reports: &[Report<'_>], worst_first: &[&'static str]) -> &'static str {
    let found = |phase: &&&'static str| texts(reports, "/phase").any(|it| it == **phase);
    let silent = texts(reports, "/phase").any(str::is_empty);
    let worst = worst_first.iter().find(found).copied();
    match worst {
        Some(phase) if !silent || phase == worst_first[0] => phase,
        _ => "Pending",
    }
}

pub(super) fn claim(_: &Template<'_>, reports: &[Report<'_>], status: &mut Map<String, Value>) {
    let phase = worst_phase(reports, &["Lost", "Pending", "Bound"]);
    status.insert("phase".to_owned(), json!(phase));
    let capacity = reports.iter().find_map(|it| it.status?.get("capacity").cloned());
    if let Some(capacity) = capacity.filter(|_| phase == "Bound") {
        status.insert("capacity".to_owned(), capacity);
    }
}

pub(super) fn pod(_: &Template<'_>, reports: &[Report<'_>], status: &mut Map<String, Value>) {
    let phase = worst_phase(reports, &["Failed", "Unknown", "Pending", "Running", "Succeeded"]);
    status.insert("phase".to_owned(), json!(phase));
}

pub(super) fn pod_autoscaler(
    _: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    for field in ["currentReplicas", "desiredReplicas"] {
        status.insert(field.to_owned(), json!(sum(reports, field)));
    }
    insert_time(status, "lastScaleTime", texts(reports, "/lastScaleTime").max());
}

pub(super) fn disruption_budget(
    _: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    for field in ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"] {
        status.insert(field.to_owned(), json!(sum(reports, field)));
    }
}
