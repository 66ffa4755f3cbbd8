//! Jobs and CronJobs.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Printer,
    age::{age, human_duration, since},
    cells::{NONE, boolean, condition, containers, list, name, number, or, selector, text},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    match kind {
        "Job" => Some(&JOB),
        "CronJob" => Some(&CRON_JOB),
        _ => None,
    }
}

static JOB: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Completions", "string", 0),
        ("Duration", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let [names, images] = containers(&spec["template"]["spec"]);
        vec![
            name(object),
            job_status(object).into(),
            completions(object).into(),
            duration(&object["status"], now).into(),
            age(object, now),
            names,
            images,
            selector(&spec["selector"]).into(),
        ]
    },
};

fn job_status(job: &Value) -> &'static str {
    let is = |kind: &str| condition(job, kind) == "True";
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !text(&job["metadata"], "deletionTimestamp").is_empty() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions(job: &Value) -> String {
    let done = number(&job["status"], "succeeded");
    match (job["spec"]["completions"].as_i64(), number(&job["spec"], "parallelism")) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn duration(status: &Value, now: Timestamp) -> String {
    let at = |field: &str| text(status, field).parse::<Timestamp>().ok();
    match (at("startTime"), at("completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => human_duration(end.unwrap_or(now).duration_since(start)),
    }
}

static CRON_JOB: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Schedule", "string", 0),
        ("Timezone", "string", 0),
        ("Suspend", "boolean", 0),
        ("Active", "integer", 0),
        ("Last Schedule", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let job = &spec["jobTemplate"]["spec"];
        let last = since(&status["lastScheduleTime"], now);
        let [names, images] = containers(&job["template"]["spec"]);
        vec![
            name(object),
            text(spec, "schedule").into(),
            or(text(spec, "timeZone"), NONE).into(),
            boolean(&spec["suspend"], "<unset>").into(),
            list(status, "active").len().into(),
            last.unwrap_or_else(|| NONE.into()).into(),
            age(object, now),
            names,
            images,
            selector(&job["selector"]).into(),
        ]
    },
};
