//! What a Deployment says of itself: counts, and whether it gets on.

use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::{Value, json};

use super::rollout::bounds;
use crate::{
    controllers::pods::{condition, number, replicas, stamped},
    time::seconds,
};

const DONE: &str = "NewReplicaSetAvailable";
const PAUSED: &str = "DeploymentPaused";

pub(super) struct Summary {
    pub status: Value,
    /// Every pod is of the template, available, and no other is left.
    pub complete: bool,
    /// Until a rollout that stands still is late.
    pub recheck_after: Option<SignedDuration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    wanted: i64,
    all: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

/// `sets` are all of them, `new` the one of the template, `named` its name even before it is made.
pub(super) fn summary(
    deployment: &Value,
    new: Option<&Value>,
    sets: &[&Value],
    named: &str,
    now: Timestamp,
) -> Summary {
    let sum = |path: &str| -> i64 { sets.iter().map(|it| number(it, path)).sum() };
    let counts = Counts {
        wanted: replicas(deployment),
        all: sum("/status/replicas"),
        updated: new.map_or(0, |it| number(it, "/status/replicas")),
        ready: sum("/status/readyReplicas"),
        available: sum("/status/availableReplicas"),
    };
    let Counts { wanted, all, updated, available, .. } = counts;
    let complete = updated == wanted && all == wanted && available == wanted;
    let (progressing, recheck_after) = progress(deployment, counts, named, now);
    let mut conditions = vec![availability(deployment, counts, now)];
    conditions.extend(progressing);
    let status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": all, "updatedReplicas": updated, "readyReplicas": counts.ready,
        "availableReplicas": available, "unavailableReplicas": (wanted.max(all) - available).max(0),
        "conditions": conditions,
    });
    Summary { status, complete, recheck_after }
}

fn availability(deployment: &Value, counts: Counts, now: Timestamp) -> Value {
    let (_, unavailable) = bounds(deployment, counts.wanted);
    let said = if counts.wanted - unavailable <= counts.available {
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        (
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    updated(deployment, said, false, now)
}

/// The condition `Progressing`, and when it may turn. Absent where no deadline is set.
fn progress(
    deployment: &Value,
    counts: Counts,
    named: &str,
    now: Timestamp,
) -> (Option<Value>, Option<SignedDuration>) {
    let known = condition(deployment, "Progressing");
    let reason = known.and_then(|it| it["reason"].as_str()).unwrap_or_default();
    let deadline = deployment["spec"]["progressDeadlineSeconds"].as_i64();
    // Kubernetes keeps this number for "never".
    let Some(deadline) = deadline.filter(|it| *it < i64::from(i32::MAX)) else {
        return (None, None);
    };
    let say = |value, reason, message: &str, anew| {
        Some(updated(deployment, ("Progressing", value, reason, message), anew, now))
    };
    if deployment["spec"]["paused"] == true {
        return (say("Unknown", PAUSED, "Deployment is paused", false), None);
    }
    if reason == PAUSED {
        return (say("Unknown", "DeploymentResumed", "Deployment is resumed", true), None);
    }
    let Counts { wanted, all, updated, available, .. } = counts;
    let is_of = known.is_some_and(|it| it["message"].as_str().is_some_and(|it| it.contains(named)));
    // Once there, growing and shrinking is no rollout.
    let rested = reason == DONE && is_of && all == updated;
    if rested || (updated == wanted && all == wanted && available == wanted) {
        let message = format!("ReplicaSet {named:?} has successfully progressed.");
        return (say("True", DONE, &message, false), None);
    }
    if known.is_none() || !is_of {
        let message = format!("Created new replica set {named:?}");
        let after = Some(SignedDuration::from_secs(deadline));
        return (say("True", "NewReplicaSetCreated", &message, true), after);
    }
    if moved(deployment, counts) {
        let message = format!("ReplicaSet {named:?} is progressing.");
        let after = Some(SignedDuration::from_secs(deadline));
        return (say("True", "ReplicaSetUpdated", &message, true), after);
    }
    let since: Option<Timestamp> =
        known.and_then(|it| it["lastUpdateTime"].as_str()).and_then(|it| it.parse().ok());
    let left = SignedDuration::from_secs(deadline) - now.duration_since(since.unwrap_or(now));
    if left.is_positive() && reason != "ProgressDeadlineExceeded" {
        return (known.cloned(), Some(left));
    }
    let message = format!("ReplicaSet {named:?} has timed out progressing.");
    (say("False", "ProgressDeadlineExceeded", &message, false), None)
}

/// Whether the rollout has come further than the status says.
fn moved(deployment: &Value, counts: Counts) -> bool {
    let was = |field: &str| number(deployment, &format!("/status/{field}"));
    let old = was("replicas") - was("updatedReplicas");
    was("updatedReplicas") < counts.updated
        || counts.all - counts.updated < old
        || was("readyReplicas") < counts.ready
        || was("availableReplicas") < counts.available
}

/// A condition with the times of the one before it, where it says the same and is not `anew`.
fn updated(
    deployment: &Value,
    said: (&str, &str, &str, &str),
    anew: bool,
    now: Timestamp,
) -> Value {
    let mut it = stamped(deployment, said, now);
    let known = condition(deployment, said.0);
    let same = known.filter(|it| it["status"] == said.1 && it["reason"] == said.2 && !anew);
    it["lastUpdateTime"] =
        same.map_or_else(|| seconds(now).into(), |known| known["lastUpdateTime"].clone());
    it
}

/// The name a template's set has or will have.
pub(super) fn name_of(deployment: &Value, new: Option<&Value>) -> String {
    new.map_or_else(
        || {
            let hash = crate::controllers::pods::hash(&deployment["spec"]["template"]);
            format!("{}-{hash}", object::name(deployment))
        },
        |it| object::name(it).to_owned(),
    )
}
