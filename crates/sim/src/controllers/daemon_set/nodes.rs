//! Which nodes a DaemonSet is meant for. Pure.

use kogge_model::{Effect, Node, PodSpec, first_untolerated};
use serde_json::{Value, json};

/// What a node means to a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Runs,
    /// One that is there may stay, a new one may not come.
    Stays,
    No,
}

/// What Kubernetes lets every daemon bear; the last only on the network of its node.
const BORNE: [(&str, &str); 7] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ("node.kubernetes.io/network-unavailable", "NoSchedule"),
];

/// The template's pod spec with the tolerations of a daemon.
pub(super) fn tolerant(template: &Value) -> Value {
    let mut spec = template["spec"].clone();
    let on_host = spec["hostNetwork"] == true;
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    for (key, effect) in BORNE {
        let same = |it: &Value| it["key"] == key && it["effect"] == effect;
        if (on_host || !key.ends_with("network-unavailable")) && !tolerations.iter().any(same) {
            tolerations.push(json!({"key": key, "operator": "Exists", "effect": effect}));
        }
    }
    spec["tolerations"] = tolerations.into();
    spec
}

/// By name, node selector, affinity and taints; resources are the scheduler's business.
pub(super) fn fit(spec: &PodSpec, node: &Node) -> Fit {
    let affine = spec
        .node_affinity
        .as_ref()
        .is_none_or(|terms| terms.iter().any(|it| it.matches(&node.name, &node.labels)));
    if !affine || spec.node_selector.iter().any(|(k, v)| node.labels.get(k) != Some(v)) {
        return Fit::No;
    }
    let borne =
        |effects: &[Effect]| first_untolerated(&node.taints, &spec.tolerations, effects).is_none();
    match (borne(&[Effect::NoSchedule]), borne(&[Effect::NoExecute])) {
        (_, false) => Fit::No,
        (true, true) => Fit::Runs,
        (false, true) => Fit::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &Value, node: &Value, want: Fit) {
        let spec = PodSpec::from_value(&tolerant(template)).unwrap();
        assert_eq!(fit(&spec, &Node::from_value(node).unwrap()), want, "{template} on {node}");
    }

    #[test]
    fn selectors_affinity_and_taints_decide() {
        let node = |taints: Value| json!({"metadata": {"name": "n", "labels": {"disk": "ssd"}}, "spec": {"taints": taints}});
        let plain = json!({"spec": {}});
        check(&plain, &node(json!([])), Fit::Runs);
        check(&json!({"spec": {"nodeSelector": {"disk": "hdd"}}}), &node(json!([])), Fit::No);
        let affinity = |value: &str| {
            json!({"spec": {"affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "In", "values": [value]}]}
            ]}}}}})
        };
        check(&affinity("ssd"), &node(json!([])), Fit::Runs);
        check(&affinity("hdd"), &node(json!([])), Fit::No);
        let taint = |key: &str, effect: &str| json!([{"key": key, "effect": effect}]);
        check(&plain, &node(taint("own", "NoSchedule")), Fit::Stays);
        check(&plain, &node(taint("own", "NoExecute")), Fit::No);
        check(&plain, &node(taint("node.kubernetes.io/unreachable", "NoExecute")), Fit::Runs);
        check(&plain, &node(taint("node.kubernetes.io/unschedulable", "NoSchedule")), Fit::Runs);
    }
}
