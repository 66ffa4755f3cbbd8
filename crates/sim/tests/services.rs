//! Services and pod autoscalers on a simulated member.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use common::{condition, is_done, spec, start};
use kogge_member::{Resource, object};
use serde_json::{Value, json};

#[tokio::test]
async fn a_service_has_slices_and_endpoints_that_follow_its_pods() {
    let member = start(1).await;
    let mut web = spec("a", &json!({"replicas": 2}));
    web["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "http", "containerPort": 8080}]);
    member.create("Deployment", "web", web).await;
    let service = json!({"selector": {"app": "web"}, "type": "NodePort",
        "ports": [{"name": "web", "port": 80, "targetPort": "http"}]});
    member.create("Service", "web", service).await;
    let full = |it: &[Value]| {
        let endpoints = it.first().and_then(|it| it["endpoints"].as_array());
        endpoints.is_some_and(|it| {
            it.len() == 2 && it.iter().all(|it| it["conditions"]["ready"] == true)
        })
    };
    let slices = member.until("EndpointSlice", full).await;
    assert_eq!(slices.len(), 1);
    assert!(object::name(&slices[0]).starts_with("web-"));
    assert_eq!(slices[0]["ports"], json!([{"name": "web", "port": 8080, "protocol": "TCP"}]));
    let count = |it: &Value| it["subsets"][0]["addresses"].as_array().map_or(0, Vec::len);
    member.until_one("Endpoints", "web", |it| count(it) == 2).await;
    let given = member.get("Service", "web").await;
    assert!(object::text(&given, "/spec/clusterIP").starts_with("10."));
    assert!(given["spec"]["ports"][0]["nodePort"].as_i64().is_some_and(|it| 30_000 <= it));

    member.patch("Deployment", "web", json!({"spec": {"replicas": 1}})).await;
    member.until_one("Endpoints", "web", |it| count(it) == 1).await;
    member.delete("Service", "web").await;
    member.until("Endpoints", <[Value]>::is_empty).await;
    member.until("EndpointSlice", <[Value]>::is_empty).await;
}

#[tokio::test]
async fn an_autoscaler_keeps_its_bounds_and_makes_no_metrics_up() {
    let member = start(1).await;
    member.create("Deployment", "web", spec("a", &json!({"replicas": 1}))).await;
    let bounds = json!({"minReplicas": 2, "maxReplicas": 3, "scaleTargetRef":
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
    member.create("HorizontalPodAutoscaler", "web", bounds).await;
    member.until_one("Deployment", "web", |it| is_done(it, 2)).await;
    member.patch("Deployment", "web", json!({"spec": {"replicas": 9}})).await;
    member.until_one("Deployment", "web", |it| is_done(it, 3)).await;
    let told =
        |it: &Value| it["status"]["currentReplicas"] == 3 && it["status"]["desiredReplicas"] == 3;
    let it = member.until_one("HorizontalPodAutoscaler", "web", told).await;
    let active = condition(&it, "ScalingActive");
    assert_eq!(
        (&active["status"], &active["reason"]),
        (&json!("False"), &json!("FailedGetResourceMetric"))
    );
}

#[tokio::test]
async fn every_namespace_has_its_default_account() {
    let member = start(1).await;
    let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    member.client.create(&namespaces, &shop).await.unwrap();
    let named = |it: &[Value]| {
        let has = |namespace: &str| {
            let default = |it: &&Value| object::name(it) == "default";
            it.iter().filter(default).any(|it| object::namespace(it) == namespace)
        };
        has("default") && has("shop")
    };
    member.until("ServiceAccount", named).await;
}
