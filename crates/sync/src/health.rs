//! Is an object as it should be? The rules of kstatus, with two differences: a failed Pod is
//! failed; a claim without a volume and a load balancer without an address are `Pending`, which
//! is said and not waited for (a cluster without a provisioner for them never gives one).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::json::{condition, group, list, number, text};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub state: State,
    /// For people; empty when there is nothing to say.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Current,
    /// Not done, by something that may never come: said, not waited for.
    Pending,
    InProgress,
    Terminating,
    Failed,
    Unknown,
}

impl State {
    /// Whether waiting for it makes sense.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Current | Self::Pending | Self::Failed)
    }
}

fn current() -> Health {
    Health { state: State::Current, message: String::new() }
}

fn is(state: State, message: impl Into<String>) -> Health {
    Health { state, message: message.into() }
}

/// How long a pod may be unschedulable before that is a failure.
const UNSCHEDULABLE_FOR: SignedDuration = SignedDuration::from_secs(15);

/// Health of a live object, status included.
pub fn health(object: &Value, now: Timestamp) -> Health {
    if text(object, "/kind").is_empty() {
        return is(State::Unknown, "not an object");
    }
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return is(State::Terminating, "being deleted");
    }
    let generation = number(object, "/metadata/generation").unwrap_or(0);
    if number(object, "/status/observedGeneration").is_some_and(|it| it != generation) {
        return is(State::InProgress, "the last change is not observed yet");
    }
    let status = &object["status"];
    if let Some(found) = holds(status, "Reconciling") {
        return is(State::InProgress, text(found, "/message"));
    }
    if let Some(found) = holds(status, "Stalled") {
        return is(State::Failed, text(found, "/message"));
    }
    match (group(object), text(object, "/kind")) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("", "Pod") => pod(object, now),
        ("batch", "Job") => job(status),
        ("", "PersistentVolumeClaim") => claim(status),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(status),
        ("", "ConfigMap" | "Secret") | ("batch", "CronJob") | ("policy", "PodDisruptionBudget") => {
            current()
        }
        _ => by_ready(status),
    }
}

/// The condition of a type, if it is true.
fn holds<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    condition(status, kind).filter(|it| it["status"] == "True")
}

fn by_ready(status: &Value) -> Health {
    match condition(status, "Ready") {
        Some(ready) if ready["status"] != "True" => is(State::InProgress, text(ready, "/message")),
        _ => current(),
    }
}

/// The first count that falls short, as "ready: 1/3".
fn short(status: &Value, want: i64, counts: &[(&str, &str)]) -> Option<Health> {
    counts.iter().find_map(|(name, field)| {
        let have = status[*field].as_i64().unwrap_or(0);
        (have < want).then(|| is(State::InProgress, format!("{name}: {have}/{want}")))
    })
}

fn wanted(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

/// Pods of an older revision are still there.
fn surplus(status: &Value, want: i64) -> Option<Health> {
    let extra = status["replicas"].as_i64().unwrap_or(0) - want;
    (0 < extra).then(|| is(State::InProgress, format!("{extra} old pods are left")))
}

fn deployment(object: &Value) -> Health {
    let (status, want) = (&object["status"], wanted(object));
    let progressing = condition(status, "Progressing");
    if let Some(stuck) = progressing.filter(|it| it["reason"] == "ProgressDeadlineExceeded") {
        return is(State::Failed, text(stuck, "/message"));
    }
    // Without an observedGeneration no controller has looked yet.
    if number(status, "/observedGeneration").is_none() {
        return is(State::InProgress, "not observed yet");
    }
    let counts = [
        ("created", "replicas"),
        ("updated", "updatedReplicas"),
        ("available", "availableReplicas"),
        ("ready", "readyReplicas"),
    ];
    let unavailable = || {
        let found = condition(status, "Available").filter(|it| it["status"] != "True")?;
        Some(is(State::InProgress, text(found, "/message")))
    };
    short(status, want, &counts)
        .or_else(|| surplus(status, want))
        .or_else(unavailable)
        .unwrap_or_else(current)
}

fn stateful_set(object: &Value) -> Health {
    let (status, want) = (&object["status"], wanted(object));
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return current();
    }
    if number(status, "/observedGeneration").is_none() {
        return is(State::InProgress, "not observed yet");
    }
    let counts = [("created", "replicas"), ("ready", "readyReplicas")];
    let found = short(status, want, &counts).or_else(|| surplus(status, want));
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let rollout = || {
        if 0 < partition {
            return short(status, want - partition, &[("updated", "updatedReplicas")]);
        }
        let done = status["currentRevision"] == status["updateRevision"];
        (!done).then(|| is(State::InProgress, "pods are being updated"))
    };
    found.or_else(rollout).unwrap_or_else(current)
}

fn daemon_set(object: &Value) -> Health {
    let status = &object["status"];
    if number(status, "/observedGeneration").is_none() {
        return is(State::InProgress, "not observed yet");
    }
    let Some(want) = number(status, "/desiredNumberScheduled") else {
        return is(State::InProgress, "not counted yet");
    };
    let counts = [
        ("created", "currentNumberScheduled"),
        ("updated", "updatedNumberScheduled"),
        ("available", "numberAvailable"),
        ("ready", "numberReady"),
    ];
    short(status, want, &counts).unwrap_or_else(current)
}

fn replica_set(object: &Value) -> Health {
    let (status, want) = (&object["status"], wanted(object));
    if let Some(failure) = holds(status, "ReplicaFailure") {
        return is(State::InProgress, text(failure, "/message"));
    }
    let counts = [
        ("labeled", "fullyLabeledReplicas"),
        ("available", "availableReplicas"),
        ("ready", "readyReplicas"),
    ];
    short(status, want, &counts).or_else(|| surplus(status, want)).unwrap_or_else(current)
}

fn pod(object: &Value, now: Timestamp) -> Health {
    let status = &object["status"];
    match text(status, "/phase") {
        "Succeeded" => current(),
        "Failed" => is(State::Failed, text(status, "/message")),
        "Running" if holds(status, "Ready").is_some() => current(),
        "Running" => {
            let looping = list(status, "/containerStatuses")
                .iter()
                .find(|it| text(it, "/state/waiting/reason") == "CrashLoopBackOff");
            match looping {
                Some(it) => {
                    is(State::Failed, format!("container {} keeps crashing", text(it, "/name")))
                }
                None => is(State::InProgress, "not ready yet"),
            }
        }
        _ => pending_pod(status, now),
    }
}

fn pending_pod(status: &Value, now: Timestamp) -> Health {
    let unschedulable = condition(status, "PodScheduled")
        .filter(|it| it["status"] == "False" && it["reason"] == "Unschedulable");
    let Some(found) = unschedulable else { return is(State::InProgress, "pending") };
    let since: Option<Timestamp> = text(found, "/lastTransitionTime").parse().ok();
    let long = since.is_some_and(|it| UNSCHEDULABLE_FOR < now.duration_since(it));
    let state = if long { State::Failed } else { State::InProgress };
    is(state, format!("unschedulable: {}", text(found, "/message")))
}

fn job(status: &Value) -> Health {
    if let Some(failed) = holds(status, "Failed") {
        return is(State::Failed, text(failed, "/message"));
    }
    let started = status.get("startTime").is_some_and(|it| !it.is_null());
    if holds(status, "Complete").is_some() || started {
        return current();
    }
    is(State::InProgress, "not started yet")
}

fn claim(status: &Value) -> Health {
    match text(status, "/phase") {
        "Bound" => current(),
        "Lost" => is(State::Failed, "the volume is lost"),
        _ => is(State::Pending, "no volume is bound yet"),
    }
}

fn service(object: &Value) -> Health {
    let balanced = text(object, "/spec/type") == "LoadBalancer";
    if balanced && list(object, "/status/loadBalancer/ingress").is_empty() {
        return is(State::Pending, "no load balancer has given it an address yet");
    }
    current()
}

fn definition(status: &Value) -> Health {
    let refused = condition(status, "NamesAccepted").filter(|it| it["status"] == "False");
    if let Some(refused) = refused {
        return is(State::Failed, text(refused, "/message"));
    }
    match condition(status, "Established") {
        Some(it) if it["status"] == "True" => current(),
        Some(it) if it["status"] == "False" && it["reason"] != "Installing" => {
            is(State::Failed, text(it, "/message"))
        }
        _ => is(State::InProgress, "not established yet"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(version: &str, kind: &str, spec: &Value, status: &Value, want: &str) {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"generation": 2},
            "spec": spec, "status": status});
        let now = "2024-01-01T00:01:00Z".parse().unwrap();
        let got = health(&object, now);
        assert_eq!(format!("{:?} {}", got.state, got.message).trim(), want);
    }

    #[test]
    fn deployments() {
        let spec = json!({"replicas": 2});
        let check = |status: Value, want| check("apps/v1", "Deployment", &spec, &status, want);
        check(json!({}), "InProgress not observed yet");
        check(json!({"observedGeneration": 1}), "InProgress the last change is not observed yet");
        check(
            json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}),
            "InProgress updated: 1/2",
        );
        let done = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
            "availableReplicas": 2, "readyReplicas": 2});
        check(done.clone(), "Current");
        let mut surging = done;
        surging["replicas"] = 3.into();
        check(surging, "InProgress 1 old pods are left");
        check(
            json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False",
            "reason": "ProgressDeadlineExceeded", "message": "too slow"}]}),
            "Failed too slow",
        );
    }

    #[test]
    fn other_workloads() {
        check(
            "apps/v1",
            "StatefulSet",
            &json!({"replicas": 1}),
            &json!({"observedGeneration": 2,
            "replicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
            "InProgress pods are being updated",
        );
        check(
            "apps/v1",
            "StatefulSet",
            &json!({"updateStrategy": {"type": "OnDelete"}}),
            &json!({}),
            "Current",
        );
        check(
            "apps/v1",
            "DaemonSet",
            &json!({}),
            &json!({"observedGeneration": 2}),
            "InProgress not counted yet",
        );
        check(
            "apps/v1",
            "DaemonSet",
            &json!({}),
            &json!({"observedGeneration": 2, "desiredNumberScheduled": 0}),
            "Current",
        );
        check(
            "apps/v1",
            "ReplicaSet",
            &json!({"replicas": 1}),
            &json!({}),
            "InProgress labeled: 0/1",
        );
        check("batch/v1", "Job", &json!({}), &json!({}), "InProgress not started yet");
        check("batch/v1", "Job", &json!({}), &json!({"startTime": "t"}), "Current");
        check(
            "batch/v1",
            "Job",
            &json!({}),
            &json!({"conditions": [{"type": "Failed", "status": "True", "message": "m"}]}),
            "Failed m",
        );
    }

    #[test]
    fn pods() {
        let check = |status: Value, want| check("v1", "Pod", &json!({}), &status, want);
        check(
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            "Current",
        );
        check(json!({"phase": "Running"}), "InProgress not ready yet");
        check(
            json!({"phase": "Running", "containerStatuses": [
            {"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
            "Failed container web keeps crashing",
        );
        check(json!({"phase": "Failed", "message": "evicted"}), "Failed evicted");
        let unschedulable = |at: &str| {
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled",
            "status": "False", "reason": "Unschedulable", "message": "full", "lastTransitionTime": at}]})
        };
        check(unschedulable("2024-01-01T00:00:45Z"), "InProgress unschedulable: full");
        check(unschedulable("2024-01-01T00:00:44Z"), "Failed unschedulable: full");
    }

    #[test]
    fn the_rest() {
        let none = json!({});
        check(
            "v1",
            "PersistentVolumeClaim",
            &none,
            &json!({"phase": "Pending"}),
            "Pending no volume is bound yet",
        );
        check("v1", "PersistentVolumeClaim", &none, &json!({"phase": "Bound"}), "Current");
        check("v1", "ConfigMap", &none, &none, "Current");
        check(
            "v1",
            "Service",
            &json!({"type": "LoadBalancer"}),
            &json!({"loadBalancer": {}}),
            "Pending no load balancer has given it an address yet",
        );
        check(
            "v1",
            "Service",
            &json!({"type": "LoadBalancer"}),
            &json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
            "Current",
        );
        check("v1", "Service", &json!({"type": "ClusterIP"}), &none, "Current");
        check("example.com/v1", "Widget", &none, &none, "Current");
        check(
            "example.com/v1",
            "Widget",
            &none,
            &json!({"conditions": [{"type": "Ready", "status": "Unknown", "message": "m"}]}),
            "InProgress m",
        );
        check(
            "example.com/v1",
            "Widget",
            &none,
            &json!({"conditions": [{"type": "Stalled", "status": "True", "message": "m"}]}),
            "Failed m",
        );
        let crd = "CustomResourceDefinition";
        check("apiextensions.k8s.io/v1", crd, &none, &none, "InProgress not established yet");
        check(
            "apiextensions.k8s.io/v1",
            crd,
            &none,
            &json!({"conditions": [{"type": "Established", "status": "True"}]}),
            "Current",
        );
        check("", "", &none, &none, "Unknown not an object");
    }

    #[test]
    fn what_is_going_away_is_terminating() {
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"deletionTimestamp": "t"}});
        assert_eq!(health(&object, Timestamp::UNIX_EPOCH).state, State::Terminating);
    }
}
