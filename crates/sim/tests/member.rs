//! A simulated member as its users see it.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

use std::{sync::Arc, time::Duration};

use kogge_apiserver::Authorization;
use kogge_member::{Client, DeleteOptions, Resource, object};
use kogge_sim::{Faults, GroupSpec, SimMember, SimOptions, default_group};
use kogge_store::Embedded;
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};

#[expect(clippy::disallowed_methods, reason = "tests wire the clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

async fn start(group: GroupSpec) -> SimMember {
    let options = SimOptions {
        name: "member1".to_owned(),
        store: Arc::new(Embedded::in_memory()),
        groups: vec![group],
        faults: Faults::default(),
        start_delay: Duration::ZERO,
        now,
        authorization: Authorization::Rbac,
    };
    SimMember::start(options).await.unwrap()
}

fn pods() -> Resource {
    Resource::new("", "v1", "Pod", "pods", true)
}

fn nodes() -> Resource {
    Resource::new("", "v1", "Node", "nodes", false)
}

fn groups() -> Resource {
    Resource::new("kogge.dev", "v1alpha1", "NodeGroup", "nodegroups", false)
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]}})
}

/// Waits until what is listed is as wanted.
async fn until(
    client: &Client,
    resource: &Resource,
    wanted: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let (what, wanted) = (resource.plural.clone(), &wanted);
    wait_until_async(Duration::from_secs(20), &what, || async move {
        client.list(resource, "", "").await.ok().filter(|it| wanted(it))
    })
    .await
}

fn ready(node: &Value) -> bool {
    node["status"]["conditions"]
        .as_array()
        .is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}

#[tokio::test]
async fn a_pod_is_bound_runs_and_goes() {
    let member = start(default_group()).await;
    let client = member.client();
    client.create(&pods(), &pod("web", "100m")).await.unwrap();
    let running = until(&client, &pods(), |it| it.iter().all(ready) && !it.is_empty()).await;
    assert_eq!(running[0]["status"]["phase"], "Running");
    assert_eq!(running[0]["spec"]["nodeName"], "default-1");
    assert_eq!(object::text(&running[0], "/status/podIP"), "10.128.0.1");
    client.delete(&pods(), "default", "web", &DeleteOptions::default()).await.unwrap();
    until(&client, &pods(), <[Value]>::is_empty).await;
}

#[tokio::test]
async fn a_group_grows_and_shrinks_as_whoever_scales_it_says() {
    let member = start(default_group()).await;
    let client = member.client();
    until(&client, &nodes(), |it| it.len() == 1 && it.iter().all(ready)).await;
    let resize = |many: u32| json!({"spec": {"desiredSize": many}});
    client.merge(&groups(), "", "default", None, &resize(3)).await.unwrap();
    until(&client, &nodes(), |it| it.len() == 3 && it.iter().all(ready)).await;
    until(&client, &groups(), |it| it[0]["status"]["readyNodes"] == 3).await;
    // Without a word on which, none goes.
    client.merge(&groups(), "", "default", None, &resize(2)).await.unwrap();
    until(&client, &groups(), |it| it[0]["status"]["readyNodes"] == 3).await;
    let given_up = json!({"metadata": {"annotations": {"kogge.dev/delete": "true"}}});
    client.merge(&nodes(), "", "default-2", None, &given_up).await.unwrap();
    let left = until(&client, &nodes(), |it| it.len() == 2).await;
    let names: Vec<&str> = left.iter().map(object::name).collect();
    assert_eq!(names, ["default-1", "default-3"]);
}

#[tokio::test]
async fn a_group_out_of_stock_says_so_and_goes_on_later() {
    let member = start(default_group()).await;
    let client = member.client();
    until(&client, &nodes(), |it| it.len() == 1).await;
    member.faults().out_of_stock("default", true);
    let grow = json!({"spec": {"desiredSize": 2}});
    client.merge(&groups(), "", "default", None, &grow).await.unwrap();
    until(&client, &groups(), |it| {
        let condition = &it[0]["status"]["conditions"][0];
        condition["type"] == "OutOfStock" && condition["status"] == "True"
    })
    .await;
    member.faults().out_of_stock("default", false);
    until(&client, &nodes(), |it| it.len() == 2).await;
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_says_why() {
    let member = start(default_group()).await;
    let client = member.client();
    until(&client, &nodes(), |it| it.len() == 1 && it.iter().all(ready)).await;
    client.create(&pods(), &pod("huge", "64")).await.unwrap();
    let why = "0/1 nodes are available: 1 Insufficient cpu.";
    until(&client, &pods(), |it| it[0]["status"]["conditions"][0]["message"] == why).await;
    let events = Resource::new("", "v1", "Event", "events", true);
    until(&client, &events, |it| {
        it.iter().any(|it| it["reason"] == "FailedScheduling" && it["message"] == why)
    })
    .await;
}

#[tokio::test]
async fn an_eviction_respects_the_budget() {
    let member = start(default_group()).await;
    let client = member.client();
    let mut web = pod("web", "100m");
    web["metadata"]["labels"] = json!({"app": "web"});
    client.create(&pods(), &web).await.unwrap();
    until(&client, &pods(), |it| !it.is_empty() && it.iter().all(ready)).await;
    let budgets =
        Resource::new("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true);
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    client.create(&budgets, &budget).await.unwrap();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": "web", "namespace": "default"}});
    let refused = client.post(&pods(), "default", "web", "eviction", &eviction).await.unwrap_err();
    assert!(matches!(refused.fault, kogge_member::Fault::TooManyRequests(_)), "{refused:?}");
    client.delete(&budgets, "default", "web", &DeleteOptions::default()).await.unwrap();
    client.post(&pods(), "default", "web", "eviction", &eviction).await.unwrap();
    until(&client, &pods(), <[Value]>::is_empty).await;
}

#[tokio::test]
async fn a_pod_that_was_said_to_be_unready_is_ready_again() {
    let member = start(default_group()).await;
    let client = member.client();
    client.create(&pods(), &pod("web", "100m")).await.unwrap();
    let before = until(&client, &pods(), |it| it.iter().all(ready) && !it.is_empty()).await;
    let said = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    client.merge(&pods(), "default", "web", Some("status"), &said).await.unwrap();
    let after = until(&client, &pods(), |it| it.iter().all(ready)).await;
    for path in ["/status/podIP", "/status/startTime", "/metadata/uid"] {
        assert_eq!(before[0].pointer(path), after[0].pointer(path), "{path}");
    }
}

#[tokio::test]
async fn a_group_of_a_broken_template_waits_for_its_mending_and_holds_up_no_other() {
    let mut broken = default_group();
    "broken".clone_into(&mut broken.name);
    broken.capacity.insert("cpu".to_owned(), "lots".to_owned());
    let member = start(broken).await;
    let client = member.client();
    let made = |all: &[Value]| !all.is_empty();
    let mut other = until(&client, &groups(), made).await.remove(0);
    other["metadata"] = json!({"name": "other"});
    other["spec"]["template"]["capacity"]["cpu"] = "4".into();
    client.create(&groups(), &other).await.unwrap();
    let seen = until(&client, &nodes(), made).await;
    assert_eq!(seen.iter().map(object::name).collect::<Vec<_>>(), ["other-1"]);
    let mend = json!({"spec": {"template": {"capacity": {"cpu": "2"}}}});
    client.merge(&groups(), "", "broken", None, &mend).await.unwrap();
    until(&client, &nodes(), |all| {
        all.iter().any(|it| object::name(it) == "broken-1" && ready(it))
    })
    .await;
}
