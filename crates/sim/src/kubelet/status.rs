//! What a kubelet writes of a pod. Pure.

use jiff::Timestamp;
use kogge_member::object;
use serde_json::{Value, json};

use crate::time::seconds;

/// Of a pod that runs at `address` on the node at `host`. One that ran before keeps its start.
pub(super) fn running(pod: &Value, now: Timestamp, host: &str, address: &str) -> Value {
    let since: Value =
        pod["status"]["startTime"].as_str().map_or_else(|| seconds(now).into(), Into::into);
    let state = json!({"running": {"startedAt": since}});
    let mut status = json!({
        "phase": "Running", "hostIP": host, "hostIPs": [{"ip": host}],
        "podIP": address, "podIPs": [{"ip": address}], "startTime": since,
        "qosClass": pod["status"]["qosClass"],
        "conditions": conditions(pod, now, "True", ""),
        "containerStatuses": containers(pod, "containers", &state, true),
    });
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed",
        "startedAt": since, "finishedAt": since}});
    let inits = containers(pod, "initContainers", &done, true);
    if inits.as_array().is_some_and(|it| !it.is_empty()) {
        status["initContainerStatuses"] = inits;
    }
    status
}

/// Of a pod whose containers ended with this exit code.
pub(super) fn finished(pod: &Value, now: Timestamp, code: i64) -> Value {
    let (phase, reason, why) = match code {
        0 => ("Succeeded", "Completed", "PodCompleted"),
        _ => ("Failed", "Error", "PodFailed"),
    };
    let state = json!({"terminated": {"exitCode": code, "reason": reason,
        "startedAt": pod["status"]["startTime"], "finishedAt": seconds(now)}});
    json!({
        "phase": phase,
        "conditions": conditions(pod, now, "False", why),
        "containerStatuses": containers(pod, "containers", &state, false),
    })
}

/// `ready` is the status of the conditions that say so, with a reason where there is one. What
/// others say of the pod stays.
fn conditions(pod: &Value, now: Timestamp, ready: &str, reason: &str) -> Value {
    let known = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let of = |kind: &str, status: &str, reason: &str| {
        let same = known.iter().find(|it| it["type"] == kind && it["status"] == status);
        let since = same.map(|it| it["lastTransitionTime"].clone()).filter(Value::is_string);
        let since = since.unwrap_or_else(|| seconds(now).into());
        let mut it = json!({"type": kind, "status": status, "lastTransitionTime": since});
        if !reason.is_empty() {
            it["reason"] = reason.into();
        }
        it
    };
    let ours = [
        of("PodReadyToStartContainers", ready, ""),
        of("Initialized", "True", if reason == "PodCompleted" { reason } else { "" }),
        of("Ready", ready, reason),
        of("ContainersReady", ready, reason),
        of("PodScheduled", "True", ""),
    ];
    let foreign = known.iter().filter(|it| ours.iter().all(|own| own["type"] != it["type"]));
    ours.iter().chain(foreign).cloned().collect()
}

fn containers(pod: &Value, which: &str, state: &Value, ready: bool) -> Value {
    let id = object::uid(pod);
    let listed = pod["spec"][which].as_array().into_iter().flatten();
    listed
        .map(|it| {
            let name = object::text(it, "/name");
            let image = object::text(it, "/image");
            let is_sidecar = which == "initContainers" && it["restartPolicy"] == "Always";
            let state = if is_sidecar {
                json!({"running": {"startedAt": state["terminated"]["startedAt"]}})
            } else {
                state.clone()
            };
            let started = state["running"].is_object();
            json!({
                "name": name, "image": image, "imageID": format!("sim://{image}"),
                "containerID": format!("sim://{id}/{name}"),
                "ready": ready, "started": started, "restartCount": 0, "state": state,
                "lastState": {},
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_stays_and_what_changes_gets_the_time() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let pod = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {
            "startTime": "2026-01-01T00:00:00Z", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "example.com/gate", "status": "True"}]}});
        let status = running(&pod, now, "172.16.0.1", "10.128.0.1");
        let condition = |kind: &str| {
            let all = status["conditions"].as_array().unwrap();
            all.iter().find(|it| it["type"] == kind).unwrap().clone()
        };
        assert_eq!(condition("PodScheduled")["lastTransitionTime"], "2026-01-01T00:00:00Z");
        assert_eq!(condition("Ready")["lastTransitionTime"], "2026-01-02T00:00:00Z");
        assert_eq!(condition("example.com/gate")["status"], "True");
        assert_eq!(status["startTime"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn the_exit_code_makes_the_phase() {
        let pod = json!({"spec": {"containers": [{"name": "c"}]}});
        for (code, phase, reason) in [(0, "Succeeded", "Completed"), (137, "Failed", "Error")] {
            let status = finished(&pod, Timestamp::UNIX_EPOCH, code);
            assert_eq!(status["phase"], phase);
            let ended = &status["containerStatuses"][0]["state"]["terminated"];
            assert_eq!((&ended["exitCode"], &ended["reason"]), (&json!(code), &json!(reason)));
        }
    }
}
