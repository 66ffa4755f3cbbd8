//! Conditions of a template: what its clusters say together, with the counts of each in words.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Report, Template};
use crate::json::{condition, text};

/// Adds a condition; its time is set by [`keep_times`].
pub(super) fn push(
    status: &mut Map<String, Value>,
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
) {
    let it = json!({"type": kind, "status": if holds { "True" } else { "False" },
        "reason": reason, "message": message});
    if let Value::Array(all) = status.entry("conditions").or_insert_with(|| json!([])) {
        all.push(it);
    }
}

/// Gives each condition the time of its last transition: the old one where its status stayed.
pub(super) fn keep_times(old: &Value, status: &mut Map<String, Value>, now: Timestamp) {
    let Some(Value::Array(all)) = status.get_mut("conditions") else { return };
    for it in all {
        let before = condition(old, text(it, "/type"));
        let kept = before.filter(|before| before["status"] == it["status"]);
        let at = kept.and_then(|before| before.get("lastTransitionTime").cloned());
        it["lastTransitionTime"] = at.unwrap_or_else(|| json!(format!("{now:.0}")));
        // Deployments have the time of the last change of any kind as well.
        let same = before.filter(|before| {
            ["status", "reason", "message"].iter().all(|field| before[*field] == it[*field])
        });
        let updated = same.and_then(|before| before.get("lastUpdateTime").cloned());
        it["lastUpdateTime"] = updated.unwrap_or_else(|| json!(format!("{now:.0}")));
    }
}

/// `member1 2/2, member2 0/2`: of each cluster a count, of how many.
pub(super) fn by_cluster(template: &Template<'_>, reports: &[Report<'_>], field: &str) -> String {
    let said = reports.iter().map(|it| {
        let have = it.status.and_then(|status| status[field].as_u64()).unwrap_or(0);
        let want = wanted(template, it);
        format!("{} {have}/{want}", it.cluster)
    });
    said.collect::<Vec<_>>().join(", ")
}

/// Replicas a cluster should have: asked of it, else what it has itself (its own autoscaler's
/// word), else the template's.
pub(super) fn wanted(template: &Template<'_>, report: &Report<'_>) -> u64 {
    let own = || report.status.and_then(|it| it["replicas"].as_u64());
    let asked = report.replicas.map(u64::from);
    asked.or_else(own).or(template.replicas.map(u64::from)).unwrap_or(1)
}

/// Adds `Available` and `Progressing`, as a Deployment has them.
pub(super) fn of_deployment(
    template: &Template<'_>,
    reports: &[Report<'_>],
    status: &mut Map<String, Value>,
) {
    let has = |it: &&Report<'_>, kind: &str| {
        it.status
            .and_then(|status| condition(status, kind))
            .is_some_and(|it| it["status"] == "True")
    };
    let there = reports.iter().filter(|it| has(it, "Available")).count();
    let counts = by_cluster(template, reports, "availableReplicas");
    let message = format!("available on {there} of {} clusters: {counts}", reports.len());
    let (holds, reason) = if there == reports.len() {
        (true, "MinimumReplicasAvailable")
    } else {
        (false, "MinimumReplicasUnavailable")
    };
    push(status, "Available", holds, reason, &message);

    let late = |it: &&Report<'_>| {
        let found = it.status.and_then(|status| condition(status, "Progressing"));
        found.is_some_and(|it| it["reason"] == "ProgressDeadlineExceeded")
    };
    let stuck: Vec<&str> = reports.iter().filter(late).map(|it| it.cluster).collect();
    let done = reports.iter().filter(|it| is_rolled_out(template, it)).count();
    let counts = by_cluster(template, reports, "updatedReplicas");
    let message = format!("rolled out on {done} of {} clusters: {counts}", reports.len());
    if !stuck.is_empty() {
        let message = format!("no progress on {}; {message}", stuck.join(", "));
        push(status, "Progressing", false, "ProgressDeadlineExceeded", &message);
    } else if done == reports.len() {
        push(status, "Progressing", true, "NewReplicaSetAvailable", &message);
    } else {
        push(status, "Progressing", true, "ReplicaSetUpdated", &message);
    }
}

fn is_rolled_out(template: &Template<'_>, report: &Report<'_>) -> bool {
    let Some(status) = report.status.filter(|_| report.observed) else { return false };
    let count = |field: &str| status[field].as_u64().unwrap_or(0);
    let want = wanted(template, report);
    want <= count("updatedReplicas")
        && want <= count("availableReplicas")
        && count("replicas") <= count("updatedReplicas")
}
