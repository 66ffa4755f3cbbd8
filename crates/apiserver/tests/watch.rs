//! Watches: what they begin with, what they tell, how they end.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use common::TestServer;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, label: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"l": label}}, "data": {"a": "b"}})
}

#[tokio::test]
async fn a_watch_tells_of_what_exists_and_of_every_change() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x", "1")).await;
    let mut watch = server.watch(&format!("{MAPS}?watch=1")).await;
    assert_eq!(watch.brief().await, "ADDED x");
    server.post(MAPS, &map("y", "1")).await;
    assert_eq!(watch.brief().await, "ADDED y");
    let patched = server.merge(&format!("{MAPS}/y"), &json!({"data": {"a": "c"}})).await.body;
    let event = watch.next().await.unwrap();
    assert_eq!(event, json!({"type": "MODIFIED", "object": patched}));
    server.delete(&format!("{MAPS}/y")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    let revision = |it: &Value| -> u64 {
        it["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    assert!(revision(&event["object"]) > revision(&patched));
}

#[tokio::test]
async fn a_watch_from_a_revision_tells_what_came_after() {
    let server = TestServer::start().await;
    let made = server.post(MAPS, &map("x", "1")).await.body;
    server.post(MAPS, &map("y", "1")).await;
    let revision = made["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = server.watch(&format!("{MAPS}?watch=1&resourceVersion={revision}")).await;
    assert_eq!(watch.brief().await, "ADDED y");
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x", "1")).await;
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&\
        allowWatchBookmarks=true&fieldSelector=metadata.name%3Dx";
    let mut watch = server.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.brief().await, "ADDED x");
    let mark = watch.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    let annotations = &mark["object"]["metadata"]["annotations"];
    assert_eq!(annotations, &json!({"k8s.io/initial-events-end": "true"}));
}

#[tokio::test]
async fn an_object_that_ceases_to_match_is_deleted_for_the_watcher() {
    let server = TestServer::start().await;
    let mut watch = server.watch(&format!("{MAPS}?watch=1&labelSelector=l%3D1")).await;
    server.post(MAPS, &map("x", "2")).await;
    for (label, expected) in [("1", "ADDED x"), ("2", "DELETED x"), ("1", "ADDED x")] {
        let patch = json!({"metadata": {"labels": {"l": label}}});
        server.merge(&format!("{MAPS}/x"), &patch).await;
        assert_eq!(watch.brief().await, expected);
    }
}

#[tokio::test]
async fn a_watch_from_compacted_history_is_told_so() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x", "1")).await;
    let store = server.server.store();
    store.compact(store.revision()).await.unwrap();
    let mut watch = server.watch(&format!("{MAPS}?watch=1&resourceVersion=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(
        (&event["object"]["code"], &event["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_at_its_timeout_with_a_bookmark() {
    let server = TestServer::start().await;
    let path =
        format!("{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=3&allowWatchBookmarks=true");
    let mut watch = server.watch(&path).await;
    let mark = watch.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    let newest = server.server.store().revision().to_string();
    assert_eq!(mark["object"]["metadata"]["resourceVersion"], newest);
    assert_eq!(watch.next().await, None);
}
