//! Pod autoscalers and disruption budgets.

use serde_json::{Map, Value};

use super::{
    causes::{Causes, has, list, text},
    labels,
};
use crate::schema::path::Path;

pub fn validate(kind: &str, object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    let path = Path::Root.field("spec");
    match kind {
        "HorizontalPodAutoscaler" => autoscaler(spec, &path, causes),
        "PodDisruptionBudget" => budget(spec, &path, causes),
        _ => {}
    }
}

fn autoscaler(spec: &Value, path: &Path, causes: &mut Causes) {
    let (least, most) = (spec["minReplicas"].as_i64().unwrap_or(1), &spec["maxReplicas"]);
    let at = path.field("maxReplicas");
    if most.as_i64().unwrap_or(0) < least {
        causes.invalid(&at, most, "must be greater than or equal to `minReplicas`");
    }
    if most.as_i64().unwrap_or(0) < 1 {
        causes.required(&at, "");
    }
    causes.not_negative(spec, path, "minReplicas");
    let scales_to_zero = |it: &Value| matches!(text(it, "type"), "Object" | "External");
    if least == 0 && !list(spec, "metrics").iter().any(scales_to_zero) {
        let why = "must specify at least one Object or External metric to support scaling to zero \
                   replicas";
        causes.forbidden(&path.field("metrics"), why);
    }
    let (target, at) = (&spec["scaleTargetRef"], path.field("scaleTargetRef"));
    for field in ["kind", "name"] {
        if text(target, field).is_empty() {
            causes.required(&at.field(field), "");
        }
    }
    let version = text(target, "apiVersion");
    if version.is_empty() {
        let why = "apiVersion must specify API group";
        causes.invalid(&at.field("apiVersion"), &version.into(), why);
    }
}

fn budget(spec: &Value, path: &Path, causes: &mut Causes) {
    if has(spec, "minAvailable") && has(spec, "maxUnavailable") {
        let shown = Value::Object(Map::from_iter(
            ["maxUnavailable", "minAvailable"].map(|it| (it.to_owned(), spec[it].clone())),
        ));
        causes.invalid(path, &shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        let at = path.field(field);
        match &spec[field] {
            value @ Value::String(text) => {
                let digits = text.strip_suffix('%');
                if !digits
                    .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
                {
                    let why = "a valid percent string must be a numeric string followed by an \
                               ending '%' (e.g. '1%',  or '93%', regex used for validation is \
                               '[0-9]+%')";
                    causes.invalid(&at, value, why);
                } else if digits.and_then(|it| it.parse::<u32>().ok()).is_none_or(|it| it > 100) {
                    causes.invalid(&at, value, "must not be greater than 100%");
                }
            }
            _ => causes.not_negative(spec, path, field),
        }
    }
    labels::selector(&spec["selector"], &path.field("selector"), causes);
}
