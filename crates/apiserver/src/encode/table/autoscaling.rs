//! Pod autoscalers and disruption budgets.

use serde_json::Value;

use super::{
    Printer,
    age::age,
    cells::{NONE, UNSET, list, name, number, plain, some, text},
};

const UNKNOWN: &str = "<unknown>";

pub fn printer(kind: &str) -> Option<&'static Printer> {
    match kind {
        "HorizontalPodAutoscaler" => Some(&AUTOSCALER),
        "PodDisruptionBudget" => Some(&BUDGET),
        _ => None,
    }
}

static AUTOSCALER: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Reference", "string", 0),
        ("Targets", "string", 0),
        ("MinPods", "string", 0),
        ("MaxPods", "string", 0),
        ("Replicas", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let target = &spec["scaleTargetRef"];
        vec![
            name(object),
            format!("{}/{}", text(target, "kind"), text(target, "name")).into(),
            targets(spec, status).into(),
            plain(&spec["minReplicas"], UNSET).into(),
            number(spec, "maxReplicas").into(),
            number(status, "currentReplicas").into(),
            age(object, now),
        ]
    },
};

fn targets(spec: &Value, status: &Value) -> String {
    let metrics = list(spec, "metrics");
    if metrics.is_empty() {
        return old_target(spec, status);
    }
    let current = list(status, "currentMetrics");
    let shown = metrics.iter().enumerate().map(|(at, it)| metric(it, current.get(at)));
    some(&shown.collect::<Vec<_>>(), 2, ", ")
}

/// autoscaling/v1 knows of CPU only.
fn old_target(spec: &Value, status: &Value) -> String {
    let Some(target) = spec["targetCPUUtilizationPercentage"].as_i64() else {
        return NONE.into();
    };
    let now = status["currentCPUUtilizationPercentage"].as_i64();
    let now = now.map_or_else(|| UNKNOWN.to_owned(), |it| format!("{it}%"));
    format!("cpu: {now}/{target}%")
}

fn metric(spec: &Value, status: Option<&Value>) -> String {
    let (source, of_resource) = match text(spec, "type") {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".into(),
    };
    let target = &spec[source]["target"];
    let now = status.map_or(&Value::Null, |it| &it[source]["current"]);
    let prefix =
        if of_resource { format!("{}: ", text(&spec[source], "name")) } else { String::new() };
    if let Some(wanted) = target["averageUtilization"].as_i64() {
        let now = now["averageUtilization"].as_i64();
        let now = now.map_or_else(|| UNKNOWN.to_owned(), |it| format!("{it}%"));
        return format!("{prefix}{now}/{wanted}%");
    }
    let average = target["averageValue"].is_string();
    let field = if average { "averageValue" } else { "value" };
    let suffix = if average && matches!(source, "external" | "object") { " (avg)" } else { "" };
    format!("{prefix}{}/{}{suffix}", plain(&now[field], UNKNOWN), plain(&target[field], ""))
}

static BUDGET: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Min Available", "string", 0),
        ("Max Unavailable", "string", 0),
        ("Allowed Disruptions", "integer", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        vec![
            name(object),
            plain(&spec["minAvailable"], "N/A").into(),
            plain(&spec["maxUnavailable"], "N/A").into(),
            number(status, "disruptionsAllowed").into(),
            age(object, now),
        ]
    },
};
