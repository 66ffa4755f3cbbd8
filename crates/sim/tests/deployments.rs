//! Deployments on a simulated member: rollouts within their bounds, revisions, pauses.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use std::time::Duration;

use common::{SOON, all_run, condition, is_done, is_ready, spec, start, start_slow, template};
use kogge_member::object;
use serde_json::{Value, json};

const REVISION: &str = "deployment.kubernetes.io/revision";

fn rolling(surge: i64, unavailable: i64) -> Value {
    json!({"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

#[tokio::test]
async fn a_rollout_stays_within_its_bounds_at_every_moment() {
    let member = start_slow(1, Duration::from_millis(30)).await;
    let strategy = rolling(1, 0);
    let four = spec("a", &json!({"replicas": 4, "strategy": strategy}));
    member.create("Deployment", "web", four).await;
    member.until_one("Deployment", "web", |it| is_done(it, 4)).await;
    member.patch("Deployment", "web", json!({"spec": {"template": template("b")}})).await;
    let (mut most, mut least) = (0, usize::MAX);
    let watched = async {
        loop {
            let pods = member.list("Pod").await;
            let alive = || pods.iter().filter(|it| !object::is_deleting(it));
            most = most.max(alive().count());
            least = least.min(alive().filter(|it| is_ready(it)).count());
            if is_done(&member.get("Deployment", "web").await, 4) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, watched).await.unwrap();
    assert!(most <= 5 && 4 <= least, "at most {most}, at least {least}");
    member.until("Pod", |it| all_run(it, 4, "b")).await;
}

#[tokio::test]
async fn a_template_that_fits_nowhere_leaves_the_old_pods() {
    let member = start(1).await;
    let strategy = rolling(1, 0);
    let three =
        spec("a", &json!({"replicas": 3, "strategy": strategy, "progressDeadlineSeconds": 1}));
    member.create("Deployment", "web", three).await;
    member.until_one("Deployment", "web", |it| is_done(it, 3)).await;
    let mut huge = template("b");
    huge["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "900"}});
    member.patch("Deployment", "web", json!({"spec": {"template": huge}})).await;
    let late = |it: &Value| condition(it, "Progressing")["reason"] == "ProgressDeadlineExceeded";
    let it = member.until_one("Deployment", "web", late).await;
    assert_eq!(condition(&it, "Progressing")["status"], "False");
    assert_eq!(condition(&it, "Available")["status"], "True");
    let pods = member.list("Pod").await;
    let ready = pods.iter().filter(|it| is_ready(it)).count();
    assert_eq!((pods.len(), ready), (4, 3));
}

#[tokio::test]
async fn recreate_has_no_two_templates_at_a_time() {
    let member = start(1).await;
    let two = spec("a", &json!({"replicas": 2, "strategy": {"type": "Recreate"}}));
    member.create("Deployment", "web", two).await;
    member.until_one("Deployment", "web", |it| is_done(it, 2)).await;
    member.patch("Deployment", "web", json!({"spec": {"template": template("b")}})).await;
    let watched = async {
        loop {
            let pods = member.list("Pod").await;
            let images: std::collections::BTreeSet<&str> = pods.iter().map(common::image).collect();
            assert!(images.len() < 2, "{images:?}");
            if all_run(&pods, 2, "b") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, watched).await.unwrap();
    member.until_one("Deployment", "web", |it| is_done(it, 2)).await;
}

#[tokio::test]
async fn revisions_count_up_and_going_back_uses_the_old_set() {
    let member = start(1).await;
    member.create("Deployment", "web", spec("a", &json!({"replicas": 2}))).await;
    for (revision, image) in [("1", "a"), ("2", "b"), ("3", "a")] {
        let cause = json!({"kubernetes.io/change-cause": format!("to {image}")});
        let patch =
            json!({"metadata": {"annotations": cause}, "spec": {"template": template(image)}});
        member.patch("Deployment", "web", patch).await;
        let at = |it: &Value| object::annotation(it, REVISION) == Some(revision) && is_done(it, 2);
        member.until_one("Deployment", "web", at).await;
        member.until("Pod", |it| all_run(it, 2, image)).await;
    }
    let sets = member.list("ReplicaSet").await;
    let mut said: Vec<(Option<&str>, Option<&str>, i64)> = sets
        .iter()
        .map(|it| {
            let cause = object::annotation(it, "kubernetes.io/change-cause");
            (object::annotation(it, REVISION), cause, object::number(it, "/spec/replicas").unwrap())
        })
        .collect();
    said.sort_unstable();
    assert_eq!(said, [(Some("2"), Some("to b"), 0), (Some("3"), Some("to a"), 2)]);
}

#[tokio::test]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let member = start(1).await;
    member.create("Deployment", "web", spec("a", &json!({"replicas": 1}))).await;
    member.until_one("Deployment", "web", |it| is_done(it, 1)).await;
    let patch = json!({"spec": {"paused": true, "replicas": 2, "template": template("b")}});
    member.patch("Deployment", "web", patch).await;
    let paused = |it: &Value| {
        condition(it, "Progressing")["reason"] == "DeploymentPaused"
            && it["status"]["availableReplicas"] == 2
    };
    member.until_one("Deployment", "web", paused).await;
    assert!(all_run(&member.list("Pod").await, 2, "a"));
    member.patch("Deployment", "web", json!({"spec": {"paused": null}})).await;
    member.until_one("Deployment", "web", |it| is_done(it, 2)).await;
    member.until("Pod", |it| all_run(it, 2, "b")).await;
}

#[tokio::test]
async fn pods_are_available_only_after_min_ready_seconds() {
    let member = start(1).await;
    let patient = spec("a", &json!({"replicas": 1, "minReadySeconds": 2}));
    member.create("Deployment", "web", patient).await;
    let ready = |it: &Value| it["status"]["readyReplicas"] == 1;
    let it = member.until_one("Deployment", "web", ready).await;
    assert!(it["status"]["availableReplicas"].as_i64().unwrap_or(0) == 0, "{}", it["status"]);
    member.until_one("Deployment", "web", |it| is_done(it, 1)).await;
}

#[tokio::test]
async fn a_pod_that_is_relabelled_is_let_go_and_replaced() {
    let member = start(1).await;
    member.create("Deployment", "web", spec("a", &json!({"replicas": 1}))).await;
    let pods = member.until("Pod", |it| all_run(it, 1, "a")).await;
    let debug = json!({"metadata": {"labels": {"app": "debug"}}});
    member.patch("Pod", object::name(&pods[0]), debug).await;
    let pods = member.until("Pod", |it| all_run(it, 2, "a")).await;
    let free = pods.iter().filter(|it| it["metadata"]["ownerReferences"].is_null()).count();
    assert_eq!(free, 1);
}
