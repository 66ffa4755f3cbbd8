//! Jobs and CronJobs on a simulated member.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use common::{Member, condition, start};
use kogge_member::object;
use serde_json::{Value, json};

/// A Job whose pods end as the annotations say.
async fn job(member: &Member, annotations: Value, more: &Value) {
    let mut spec = json!({"template": {"metadata": {"annotations": annotations}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    member.create("Job", "j", spec).await;
}

fn says<'a>(kind: &'a str, reason: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |it| condition(it, kind)["status"] == "True" && condition(it, kind)["reason"] == reason
}

#[tokio::test]
async fn a_job_completes_and_leaves_its_pods() {
    let member = start(1).await;
    job(&member, json!({}), &json!({"parallelism": 2, "completions": 4})).await;
    let it = member.until_one("Job", "j", says("Complete", "CompletionsReached")).await;
    assert_eq!(it["status"]["succeeded"], 4);
    let pods = member.list("Pod").await;
    assert_eq!(pods.len(), 4);
    assert!(pods.iter().all(|it| it["status"]["phase"] == "Succeeded"));
    assert!(pods.iter().all(|it| object::label(it, "job-name") == Some("j")));
    member.delete("Job", "j").await;
    member.until("Pod", <[Value]>::is_empty).await;
}

#[tokio::test]
async fn a_job_whose_pods_fail_fails() {
    let member = start(1).await;
    let fails = json!({"kogge.dev/sim-exit-code": "1"});
    job(&member, fails, &json!({"backoffLimit": 0})).await;
    let it = member.until_one("Job", "j", says("Failed", "BackoffLimitExceeded")).await;
    assert_eq!(it["status"]["failed"], 1);
    let state = "/status/containerStatuses/0/state/terminated/exitCode";
    assert_eq!(object::number(&member.list("Pod").await[0], state), Some(1));
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_stopped() {
    let member = start(1).await;
    let slow = json!({"kogge.dev/sim-duration": "1h"});
    job(&member, slow, &json!({"activeDeadlineSeconds": 1})).await;
    member.until_one("Job", "j", says("Failed", "DeadlineExceeded")).await;
    member.until("Pod", |it| it.iter().all(|it| it["status"]["phase"] != "Running")).await;
}

#[tokio::test]
async fn a_running_job_is_suspended_resumed_and_deleted() {
    let member = start(1).await;
    job(&member, json!({"kogge.dev/sim-duration": "1h"}), &json!({})).await;
    let running = |it: &[Value]| it.len() == 1 && it[0]["status"]["phase"] == "Running";
    member.until("Pod", running).await;
    member.patch("Job", "j", json!({"spec": {"suspend": true}})).await;
    member.until_one("Job", "j", says("Suspended", "JobSuspended")).await;
    member.until("Pod", <[Value]>::is_empty).await;
    member.patch("Job", "j", json!({"spec": {"suspend": false}})).await;
    member.until("Pod", running).await;
    member.delete("Job", "j").await;
    member.until("Pod", <[Value]>::is_empty).await;
    member.until("Job", <[Value]>::is_empty).await;
}

#[tokio::test]
async fn a_finished_job_expires() {
    let member = start(1).await;
    job(&member, json!({}), &json!({"ttlSecondsAfterFinished": 1})).await;
    member.until_one("Job", "j", says("Complete", "CompletionsReached")).await;
    member.until("Job", <[Value]>::is_empty).await;
    member.until("Pod", <[Value]>::is_empty).await;
}

#[tokio::test]
async fn a_cron_job_makes_a_job_when_its_time_comes() {
    let member = start(1).await;
    let template = json!({"spec": {"template": {"spec": {
        "restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}}});
    let spec = json!({"schedule": "@every 1s", "jobTemplate": template});
    member.create("CronJob", "c", spec).await;
    let jobs = member.until("Job", |it| !it.is_empty()).await;
    assert_eq!(jobs[0]["metadata"]["ownerReferences"][0]["name"], "c");
    let told = |it: &Value| {
        it["status"]["lastScheduleTime"].is_string()
            && it["status"]["lastSuccessfulTime"].is_string()
    };
    member.until_one("CronJob", "c", told).await;
}
