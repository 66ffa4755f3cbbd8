//! Deployments and their kin, jobs.

use serde_json::{Value, json};

use super::{
    causes::{Causes, has, text},
    labels, pods,
};
use crate::schema::path::Path;

pub fn validate(kind: &str, object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    let path = Path::Root.field("spec");
    match kind {
        "Deployment" => {
            selected(kind, spec, &path, causes);
            deployment(spec, &path, causes);
        }
        "ReplicaSet" | "DaemonSet" => selected(kind, spec, &path, causes),
        "StatefulSet" => {
            selected(kind, spec, &path, causes);
            causes.one_of(spec, &path, "podManagementPolicy", &["OrderedReady", "Parallel"]);
        }
        "Job" => job(spec, &path, causes),
        "CronJob" => cron_job(spec, &path, causes),
        _ => {}
    }
}

/// Counts, selector and template, of everything that keeps pods running.
fn selected(kind: &str, spec: &Value, path: &Path, causes: &mut Causes) {
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        causes.not_negative(spec, path, field);
    }
    let at = path.field("selector");
    let selector = &spec["selector"];
    if !has(spec, "selector") {
        causes.required(&at, "");
    } else if labels::is_empty(selector) {
        let why = format!("empty selector is invalid for {}", kind.to_lowercase());
        causes.invalid(&at, selector, why);
    }
    labels::selector(selector, &at, causes);
    let template = path.field("template");
    let picked = &spec["template"]["metadata"]["labels"];
    // A selector without any term says nothing more than was said above.
    let says = !has(spec, "selector") || !labels::is_empty(selector);
    if says && (!has(spec, "selector") || !labels::matches(selector, picked)) {
        let none = json!({});
        let shown = if picked.is_null() { &none } else { picked };
        let why = "`selector` does not match template `labels`";
        causes.invalid(&template.field("metadata").field("labels"), shown, why);
    }
    pods::template(&spec["template"], &template, causes);
    let pod = template.field("spec");
    causes.one_of(&spec["template"]["spec"], &pod, "restartPolicy", &["Always"]);
}

fn deployment(spec: &Value, path: &Path, causes: &mut Causes) {
    let strategy = &spec["strategy"];
    let at = path.field("strategy");
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "Recreate" if has(strategy, "rollingUpdate") => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            causes.forbidden(&at.field("rollingUpdate"), why);
        }
        "RollingUpdate" => {
            let zero = |field: &str| matches!(&rolling[field], it if *it == 0 || *it == "0%");
            if zero("maxSurge") && zero("maxUnavailable") {
                let at = at.field("rollingUpdate");
                let value = &rolling["maxUnavailable"];
                causes.invalid(
                    &at.field("maxUnavailable"),
                    value,
                    "may not be 0 when `maxSurge` is 0",
                );
            }
        }
        "Recreate" => {}
        other => {
            let shown = json!({"Type": other, "RollingUpdate": rolling});
            causes.unsupported(&at, &shown, &["Recreate", "RollingUpdate"]);
        }
    }
    let (deadline, ready) =
        (&spec["progressDeadlineSeconds"], spec["minReadySeconds"].as_i64().unwrap_or(0));
    if deadline.as_i64().is_some_and(|it| it >= 0 && it <= ready) {
        let at = path.field("progressDeadlineSeconds");
        causes.invalid(&at, deadline, "must be greater than minReadySeconds");
    }
}

fn job(spec: &Value, path: &Path, causes: &mut Causes) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        causes.not_negative(spec, path, field);
    }
    causes.one_of(spec, path, "completionMode", &["NonIndexed", "Indexed"]);
    if spec["completionMode"] == "Indexed" && !has(spec, "completions") {
        let why = "when completion mode is Indexed";
        causes.required(&path.field("completions"), why);
    }
    let template = path.field("template");
    pods::template(&spec["template"], &template, causes);
    let (pod, at) = (&spec["template"]["spec"], template.field("spec"));
    match text(pod, "restartPolicy") {
        "OnFailure" | "Never" => {}
        "Always" | "" => {
            let why = "valid values: \"OnFailure\", \"Never\"";
            causes.required(&at.field("restartPolicy"), why);
        }
        _ => causes.one_of(pod, &at, "restartPolicy", &["OnFailure", "Never"]),
    }
}

fn cron_job(spec: &Value, path: &Path, causes: &mut Causes) {
    let schedule = text(spec, "schedule");
    let at = path.field("schedule");
    let words: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        causes.required(&at, "");
    } else if !schedule.starts_with('@') && words.len() != 5 {
        let why =
            format!("expected exactly 5 fields, found {}: [{}]", words.len(), words.join(" "));
        causes.invalid(&at, &schedule.into(), why);
    }
    causes.one_of(spec, path, "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]
    {
        causes.not_negative(spec, path, field);
    }
    let template = path.field("jobTemplate");
    job(&spec["jobTemplate"]["spec"], &template.field("spec"), causes);
}
