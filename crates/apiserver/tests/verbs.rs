//! Each verb, asked as a client asks.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use common::TestServer;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test]
async fn an_object_is_created_read_and_listed() {
    let server = TestServer::start().await;
    let made = server.post(MAPS, &map("x")).await;
    assert_eq!(made.code, 201, "{}", made.body);
    let meta = &made.body["metadata"];
    assert_eq!((&meta["name"], &meta["namespace"]), (&json!("x"), &json!("default")));
    assert_eq!(meta["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert!(meta["uid"].is_string() && meta["resourceVersion"].is_string());
    assert_eq!(server.get(&format!("{MAPS}/x")).await.body, made.body);
    let list = server.get(MAPS).await.body;
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"], json!([made.body]));
    assert_eq!(list["metadata"]["resourceVersion"], made.body["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x")).await;
    let cases = [
        (MAPS, map("x"), 409, "AlreadyExists", "configmaps \"x\" already exists"),
        (MAPS, map("X y"), 422, "Invalid", "metadata.name: Invalid value: \"X y\""),
        (MAPS, json!({"kind": "ConfigMap"}), 422, "Invalid", "metadata.name: Required value"),
        (
            MAPS,
            json!({"metadata": {"name": "y", "ownerReferences": [{"kind": "x"}]}}),
            422,
            "Invalid",
            "metadata.ownerReferences[0].uid: Required value: must not be empty",
        ),
        (MAPS, json!({"kind": "Secret"}), 400, "BadRequest", "does not match the expected kind"),
        (
            "/api/v1/namespaces/none/configmaps",
            map("x"),
            404,
            "NotFound",
            "namespaces \"none\" not found",
        ),
        ("/api/v1/namespaces/default/nothings", map("x"), 404, "NotFound", "could not find"),
        ("/api/v1/configmaps", map("x"), 405, "MethodNotAllowed", "does not allow"),
        (MAPS, json!([1]), 400, "BadRequest", "not an object"),
    ];
    for (path, body, code, reason, word) in cases {
        let answer = server.post(path, &body).await;
        assert_eq!(answer.code, code, "{path} {body}: {}", answer.body);
        assert_eq!(answer.body["reason"], reason);
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn a_generated_name_begins_as_asked() {
    let server = TestServer::start().await;
    let body = json!({"metadata": {"generateName": "job-"}});
    let (one, two) = (server.post(MAPS, &body).await.body, server.post(MAPS, &body).await.body);
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
}

#[tokio::test]
async fn an_update_needs_the_newest_revision() {
    let server = TestServer::start().await;
    let mut object = server.post(MAPS, &map("x")).await.body;
    let path = format!("{MAPS}/x");
    object["data"]["a"] = "c".into();
    let stale = object.clone();
    let updated = server.put(&path, &object).await;
    assert_eq!((updated.code, &updated.body["data"]["a"]), (200, &json!("c")));
    let refused = server.put(&path, &stale).await;
    assert_eq!((refused.code, &refused.body["reason"]), (409, &json!("Conflict")));
    // The same again changes nothing, and takes no revision.
    let again = server.put(&path, &updated.body).await;
    assert_eq!(again.body, updated.body);
    let missing = server.put(&format!("{MAPS}/y"), &map("y")).await;
    assert_eq!(missing.code, 404);
}

#[tokio::test]
async fn a_merge_patch_changes_what_it_names() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x")).await;
    let patch = json!({"data": {"a": null, "c": "d"}, "metadata": {"labels": {"l": "1"}}});
    let patched = server.merge(&format!("{MAPS}/x"), &patch).await;
    assert_eq!(patched.code, 200, "{}", patched.body);
    assert_eq!(patched.body["data"], json!({"c": "d"}));
    assert_eq!(patched.body["metadata"]["labels"], json!({"l": "1"}));
    let stale = json!({"metadata": {"resourceVersion": "1"}});
    assert_eq!(server.merge(&format!("{MAPS}/x"), &stale).await.code, 409);
    let moved = json!({"metadata": {"name": "y"}});
    assert_eq!(server.merge(&format!("{MAPS}/x"), &moved).await.code, 400);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_gone() {
    let server = TestServer::start().await;
    let mut object = map("x");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(MAPS, &object).await;
    let path = format!("{MAPS}/x");
    let marked = server.delete(&path).await;
    assert_eq!(marked.code, 200);
    assert!(marked.body["metadata"]["deletionTimestamp"].is_string(), "{}", marked.body);
    assert_eq!(server.get(&path).await.code, 200);
    let added = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    assert_eq!(server.merge(&path, &added).await.code, 422);
    let released = server.merge(&path, &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(released.code, 200, "{}", released.body);
    assert_eq!(server.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_deletion_minds_its_preconditions() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x")).await;
    let path = format!("{MAPS}/x");
    let wrong = json!({"preconditions": {"uid": "other"}}).to_string();
    assert_eq!(server.ask("DELETE", &path, "application/json", wrong).await.code, 409);
    let dry = server.delete(&format!("{path}?dryRun=All")).await;
    assert_eq!((dry.code, server.get(&path).await.code), (200, 200));
    let gone = server.delete(&path).await;
    assert_eq!((gone.code, &gone.body["status"]), (200, &json!("Success")));
    assert_eq!(gone.body["details"]["kind"], "configmaps");
    assert_eq!(server.delete(&path).await.code, 404);
}

#[tokio::test]
async fn many_are_deleted_by_label() {
    let server = TestServer::start().await;
    for (name, tier) in [("a", "1"), ("b", "2"), ("c", "1")] {
        let mut object = map(name);
        object["metadata"]["labels"] = json!({"tier": tier});
        server.post(MAPS, &object).await;
    }
    let gone = server.delete(&format!("{MAPS}?labelSelector=tier%3D1")).await;
    assert_eq!(gone.code, 200);
    let left = server.get(MAPS).await.body;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let server = TestServer::start().await;
    let before = server.server.store().revision();
    let made = server.post(&format!("{MAPS}?dryRun=All"), &map("x")).await;
    assert_eq!(made.code, 201, "{}", made.body);
    assert_eq!(server.get(&format!("{MAPS}/x")).await.code, 404);
    assert_eq!(server.server.store().revision(), before);
}

#[tokio::test]
async fn pages_show_one_revision_and_all_objects() {
    let server = TestServer::start().await;
    for index in 0..7 {
        server.post(MAPS, &map(&format!("m{index}"))).await;
    }
    let first = server.get(&format!("{MAPS}?limit=3")).await.body;
    assert_eq!(first["metadata"]["remainingItemCount"], 4);
    // What comes later is on no later page.
    server.post(MAPS, &map("m9")).await;
    let mut names: Vec<String> = Vec::new();
    let mut page = first.clone();
    loop {
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()));
        let Some(token) = page["metadata"]["continue"].as_str() else { break };
        page = server.get(&format!("{MAPS}?limit=3&continue={token}")).await.body;
    }
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);
    assert_eq!(server.get(&format!("{MAPS}?continue=nonsense")).await.code, 400);
}

#[tokio::test]
async fn a_list_minds_the_revision_asked_for() {
    let server = TestServer::start().await;
    let made = server.post(MAPS, &map("x")).await.body;
    let revision = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    server.post(MAPS, &map("y")).await;
    let count = async |query: &str| {
        let answer = server.get(&format!("{MAPS}?{query}")).await;
        (answer.code, answer.body["items"].as_array().map(Vec::len))
    };
    let exact = format!("resourceVersion={revision}&resourceVersionMatch=Exact");
    assert_eq!(count(&exact).await, (200, Some(1)));
    assert_eq!(count(&format!("resourceVersion={revision}")).await, (200, Some(2)));
    assert_eq!(count("resourceVersion=0").await, (200, Some(2)));
    assert_eq!(count("resourceVersion=999999").await, (504, None));
    assert_eq!(count("resourceVersion=x").await, (400, None));
    assert_eq!(count("resourceVersionMatch=Exact").await, (400, None));
}

#[tokio::test]
async fn metadata_alone_is_served_on_request() {
    let server = TestServer::start().await;
    server.post(MAPS, &map("x")).await;
    let request = http::Request::get(MAPS)
        .header("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
        .body(http_body_util::Full::default())
        .unwrap();
    let response = server.send(request).await;
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let list: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "x");
    assert!(list["items"][0].get("data").is_none());
}

#[tokio::test]
async fn who_asks_for_a_certificate_is_said_by_the_server_and_stays_said() {
    let server = TestServer::start().await;
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let asked = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": "x"},
        "spec": {"request": "eA==", "signerName": "example.com/x", "usages": ["client auth"],
            "username": "somebody else", "groups": ["system:masters", "others"]},
    });
    let mut made = server.post(requests, &asked).await.body;
    let spec = made["spec"].clone();
    assert_ne!(spec["username"], "somebody else", "{spec}");
    assert_ne!(spec["groups"], asked["spec"]["groups"], "{spec}");
    made["spec"]["username"] = "somebody else".into();
    let put = server.put(&format!("{requests}/x"), &made).await;
    assert_eq!((put.code, &put.body["spec"]), (200, &spec), "{}", put.body);
}
