//! What a pod needs next from the kubelet of its node. Pure.

use std::time::Duration;

use kogge_member::object;
use serde_json::Value;

/// On pods that end: how long they run (`1.5s`), and with which exit code.
const DURATION: &str = "kogge.dev/sim-duration";
const EXIT_CODE: &str = "kogge.dev/sim-exit-code";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Starts after a while.
    Start(Duration),
    /// Ends after a while.
    Finish {
        after: Duration,
        code: i64,
    },
    /// Runs, but somebody who missed its node's lease said that it is not ready.
    Revive,
    /// Ends on its way out: whoever counts it waits for that.
    Stop,
    Delete,
}

/// Of a pod bound to a node that is played here. Pods of a Job end as soon as they run, unless an
/// annotation says otherwise; nothing is restarted in place.
pub(super) fn decide(pod: &Value, start_delay: Duration) -> Option<Step> {
    let phase = object::text(pod, "/status/phase");
    let finished = matches!(phase, "Succeeded" | "Failed");
    if object::is_deleting(pod) {
        let held = pod["metadata"]["finalizers"].as_array().is_some_and(|it| !it.is_empty());
        return Some(if held && !finished { Step::Stop } else { Step::Delete });
    }
    if finished {
        return None;
    }
    if phase != "Running" {
        return Some(Step::Start(start_delay));
    }
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let is_job = owners.into_iter().flatten().any(|it| it["kind"] == "Job");
    let asked = object::annotation(pod, DURATION).and_then(kogge_api::parse_duration);
    let code = object::annotation(pod, EXIT_CODE).and_then(|it| it.parse().ok());
    let ends =
        pod["spec"]["restartPolicy"] == "Never" || pod["spec"]["restartPolicy"] == "OnFailure";
    if ends && (is_job || asked.is_some() || code.is_some()) {
        let (after, code) = (asked.unwrap_or_default(), code.unwrap_or(0));
        return Some(Step::Finish { after, code });
    }
    (!is_ready(pod)).then_some(Step::Revive)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pod: &Value, want: Option<&Step>) {
        assert_eq!(decide(pod, Duration::ZERO).as_ref(), want, "{pod}");
    }

    #[test]
    fn a_pod_starts_and_runs_on() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        check(&json!({"status": {"phase": "Pending"}}), Some(&Step::Start(Duration::ZERO)));
        check(&json!({"status": {"phase": "Running", "conditions": ready}}), None);
        check(&json!({"status": {"phase": "Running"}}), Some(&Step::Revive));
        check(&json!({"status": {"phase": "Succeeded"}}), None);
    }

    #[test]
    fn only_pods_that_may_end_do_and_as_they_are_told() {
        let pod = |policy: &str, annotations: Value, owner: &str| {
            json!({"metadata": {"annotations": annotations,
                    "ownerReferences": [{"kind": owner, "name": "o"}]},
                "spec": {"restartPolicy": policy},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        let end =
            |millis: u64, code: i64| Step::Finish { after: Duration::from_millis(millis), code };
        check(&pod("Never", json!({}), "Job"), Some(&end(0, 0)));
        check(&pod("OnFailure", json!({DURATION: "1.5s"}), "Job"), Some(&end(1500, 0)));
        check(&pod("Never", json!({EXIT_CODE: "3"}), "Other"), Some(&end(0, 3)));
        check(&pod("Never", json!({}), "Other"), None);
        check(&pod("Always", json!({DURATION: "1s"}), "Job"), None);
    }

    #[test]
    fn a_pod_on_its_way_out_is_stopped_first_where_somebody_counts_it() {
        let going = |finalizers: Value, phase: &str| {
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z",
                "finalizers": finalizers}, "status": {"phase": phase}})
        };
        check(&going(json!([]), "Running"), Some(&Step::Delete));
        check(&going(json!(["x"]), "Running"), Some(&Step::Stop));
        check(&going(json!(["x"]), "Failed"), Some(&Step::Delete));
    }
}
