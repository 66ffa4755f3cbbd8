//! Jobs and CronJobs.

use serde_json::Value;

use super::{has, inner, items, pod, set, set_text};

pub fn apply(kind: &str, object: &mut Value) {
    match kind {
        "Job" => {
            if let Some(spec) = inner(object, &["spec"]) {
                job(spec);
            }
        }
        "CronJob" => {
            if let Some(spec) = inner(object, &["spec"]) {
                cron_job(spec);
            }
        }
        _ => {}
    }
}

fn job(spec: &mut Value) {
    if let Some(spec) = inner(spec, &["template", "spec"]) {
        pod::template(spec);
    }
    // One run is meant only where neither is said.
    if !has(spec, "completions") && !has(spec, "parallelism") {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let limit = if has(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    set(spec, "backoffLimit", limit);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let replacement = if has(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    set(spec, "podReplacementPolicy", replacement);
    failure_policy(spec);
}

fn failure_policy(spec: &mut Value) {
    let Some(policy) = inner(spec, &["podFailurePolicy"]) else { return };
    for rule in items(policy, "rules") {
        for condition in items(rule, "onPodConditions") {
            set_text(condition, "status", "True");
        }
    }
}

fn cron_job(spec: &mut Value) {
    if let Some(spec) = inner(spec, &["jobTemplate", "spec", "template", "spec"]) {
        pod::template(spec);
    }
    if let Some(spec) = inner(spec, &["jobTemplate", "spec"]) {
        failure_policy(spec);
    }
    set_text(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
}
