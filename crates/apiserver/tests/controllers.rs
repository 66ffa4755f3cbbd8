//! What the server does by itself, as a client sees it.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use std::time::Duration;

use common::TestServer;
use kogge_apiserver::Config;
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, owners: &[(&str, &str)]) -> Value {
    let owners: Vec<Value> = owners
        .iter()
        .map(|(name, uid)| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid,
                "blockOwnerDeletion": true,
            })
        })
        .collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": owners},
    })
}

async fn make(server: &TestServer, name: &str, owners: &[(&str, &str)]) -> String {
    let made = server.post(MAPS, &map(name, owners)).await;
    assert_eq!(made.code, 201, "{}", made.body);
    made.body["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Waits until the object at `path` satisfies `done`; of one that is gone, `Null` is asked.
async fn wait(server: &TestServer, path: &str, done: impl Fn(&Value) -> bool) {
    let done = &done;
    wait_until_async(Duration::from_secs(20), path, || async move {
        let answer = server.get(path).await;
        done(if answer.code == 404 { &Value::Null } else { &answer.body }).then_some(())
    })
    .await;
}

async fn delete_with(server: &TestServer, path: &str, policy: &str) {
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
    let answer = server.ask("DELETE", path, "application/json", options.to_string()).await;
    assert_eq!(answer.code, 200, "{}", answer.body);
}

#[tokio::test]
async fn dependents_go_with_their_last_owner() {
    let server = TestServer::start().await;
    let one = make(&server, "one", &[]).await;
    let two = make(&server, "two", &[]).await;
    let child = make(&server, "child", &[("one", &one)]).await;
    make(&server, "grandchild", &[("child", &child)]).await;
    make(&server, "shared", &[("one", &one), ("two", &two)]).await;
    make(&server, "lost", &[("nobody", "1234")]).await;
    wait(&server, &format!("{MAPS}/lost"), Value::is_null).await;
    delete_with(&server, &format!("{MAPS}/one"), "Background").await;
    wait(&server, &format!("{MAPS}/grandchild"), Value::is_null).await;
    wait(&server, &format!("{MAPS}/shared"), |it| {
        it["metadata"]["ownerReferences"].as_array().is_some_and(|it| it.len() == 1)
    })
    .await;
    assert_eq!(server.get(&format!("{MAPS}/child")).await.code, 404);
    assert_eq!(server.get(&format!("{MAPS}/two")).await.code, 200);
}

#[tokio::test]
async fn foreground_deletion_ends_with_the_owner() {
    let server = TestServer::start().await;
    let owner = make(&server, "owner", &[]).await;
    let mut held = map("held", &[("owner", &owner)]);
    held["metadata"]["finalizers"] = json!(["kogge.dev/hold"]);
    assert_eq!(server.post(MAPS, &held).await.code, 201);
    delete_with(&server, &format!("{MAPS}/owner"), "Foreground").await;
    wait(&server, &format!("{MAPS}/held"), |it| it["metadata"]["deletionTimestamp"].is_string())
        .await;
    assert_eq!(server.get(&format!("{MAPS}/owner")).await.code, 200);
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(server.merge(&format!("{MAPS}/held"), &free).await.code, 200);
    wait(&server, &format!("{MAPS}/owner"), Value::is_null).await;
}

#[tokio::test]
async fn orphans_stay_and_forget_their_owner() {
    let server = TestServer::start().await;
    let owner = make(&server, "owner", &[]).await;
    make(&server, "child", &[("owner", &owner)]).await;
    delete_with(&server, &format!("{MAPS}/owner"), "Orphan").await;
    wait(&server, &format!("{MAPS}/owner"), Value::is_null).await;
    let child = server.get(&format!("{MAPS}/child")).await;
    assert_eq!(child.code, 200);
    assert_eq!(child.body["metadata"].get("ownerReferences"), None);
}

#[tokio::test]
async fn a_namespace_goes_with_its_content_and_says_what_holds_it() {
    let server = TestServer::start().await;
    let shop = "/api/v1/namespaces/shop";
    server.post("/api/v1/namespaces", &json!({"metadata": {"name": "shop"}})).await;
    let maps = format!("{shop}/configmaps");
    for name in ["a", "b", "held"] {
        let mut object = map(name, &[]);
        if name == "held" {
            object["metadata"]["finalizers"] = json!(["kogge.dev/hold"]);
        }
        assert_eq!(server.post(&maps, &object).await.code, 201);
    }
    assert_eq!(server.delete(shop).await.code, 200);
    let holds = "Some content in the namespace has finalizers remaining: \
                 kogge.dev/hold in 1 resource instances";
    wait(&server, shop, |it| {
        let conditions = it["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|it| it["message"] == holds && it["status"] == "True")
    })
    .await;
    wait(&server, &format!("{maps}/a"), Value::is_null).await;
    let refused = server.post(&maps, &map("new", &[])).await;
    assert_eq!(refused.code, 403, "{}", refused.body);
    let free = json!({"metadata": {"finalizers": null}});
    assert_eq!(server.merge(&format!("{maps}/held"), &free).await.code, 200);
    wait(&server, shop, Value::is_null).await;
}

#[tokio::test]
async fn events_expire() {
    let config = Config { event_ttl: Duration::ZERO, ..common::config() };
    let server = TestServer::with(config).await;
    let events = "/api/v1/namespaces/default/events";
    let event = json!({
        "metadata": {"name": "e"}, "reason": "Tested", "message": "x",
        "involvedObject": {"kind": "ConfigMap", "name": "x", "namespace": "default"},
    });
    let made = server.post(events, &event).await;
    assert_eq!(made.code, 201, "{}", made.body);
    wait(&server, &format!("{events}/e"), Value::is_null).await;
}
