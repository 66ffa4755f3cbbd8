//! Pod autoscalers.

use serde_json::{Value, json};

use super::{empty, has, inner, set};

pub fn apply(api_version: &str, kind: &str, object: &mut Value) {
    if kind != "HorizontalPodAutoscaler" {
        return;
    }
    let Some(spec) = inner(object, &["spec"]) else { return };
    set(spec, "minReplicas", 1);
    if api_version != "autoscaling/v2" {
        return;
    }
    let metrics = spec.get("metrics").and_then(Value::as_array);
    if metrics.is_none_or(Vec::is_empty) {
        spec["metrics"] = json!([{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
        }}]);
    }
    if let Some(behavior) = inner(spec, &["behavior"]) {
        self::behavior(behavior);
    }
}

fn behavior(behavior: &mut Value) {
    let up = json!([
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ]);
    let down = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
    for (direction, policies, window) in [("scaleUp", up, Some(0)), ("scaleDown", down, None)] {
        set(behavior, direction, empty());
        let rules = &mut behavior[direction];
        set(rules, "selectPolicy", "Max");
        if let Some(window) = window {
            set(rules, "stabilizationWindowSeconds", window);
        }
        if !has(rules, "policies") {
            set(rules, "policies", policies);
        }
    }
}
