//! The agent's autoscaling on a member in this process: budgets that refuse, and autoscalers that go.
#![expect(clippy::unwrap_used, reason = "test helpers")]

mod common;

use std::collections::BTreeMap;

use common::{Agent, SOON};
use kogge_agent::link::{Desired, Report};
use kogge_member::{Client, Resource};
use kogge_sim::GroupSpec;
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};

fn nodes() -> Resource {
    Resource::new("", "v1", "Node", "nodes", false)
}

fn deployment(name: &str, replicas: u32, cpu: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "i",
                "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]}}}})
}

async fn create(client: &Client, object: &Value) {
    let text = |path: &str| kogge_member::object::text(object, path).to_owned();
    let resource = client.resource(&text("/apiVersion"), &text("/kind")).await.unwrap();
    client.create(&resource, object).await.unwrap();
}

async fn scale(client: &Client, name: &str, replicas: u32) {
    let deployments = Resource::new("apps", "v1", "Deployment", "deployments", true);
    let patch = json!({"spec": {"replicas": replicas}});
    client.merge(&deployments, "default", name, None, &patch).await.unwrap();
}

/// Waits until the member's nodes are as `wanted` says.
async fn wait_nodes(client: &Client, what: &str, wanted: impl Fn(&[Value]) -> bool) {
    wait_until_async(SOON, what, || async {
        let found = client.list(&nodes(), "", "").await.ok()?;
        wanted(&found).then_some(())
    })
    .await;
}

fn is_draining(node: &Value) -> bool {
    node["metadata"]["annotations"]["kogge.dev/draining"].is_string()
}

fn autoscalers(of: &[(&str, Value)]) -> Desired {
    let named = of.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone()));
    Desired::Autoscalers(named.collect::<BTreeMap<_, _>>())
}

/// Two nodes with a pod on each, and a budget that lets none of them go.
async fn two_guarded_nodes() -> kogge_sim::SimMember {
    let group = GroupSpec { initial: 2, ..kogge_sim::default_group() };
    let member = common::member(vec![group]).await;
    let client = member.client();
    wait_nodes(&client, "two nodes", |it| it.len() == 2).await;
    create(&client, &deployment("web", 2, "500m")).await;
    create(
        &client,
        &json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}),
    )
    .await;
    let pods = Resource::new("", "v1", "Pod", "pods", true);
    wait_until_async(SOON, "a pod runs on each node", || async {
        let found = client.list(&pods, "default", "app=web").await.ok()?;
        let running = |it: &&Value| it["status"]["phase"] == "Running";
        (found.iter().filter(running).count() == 2).then_some(())
    })
    .await;
    member
}

#[tokio::test]
async fn a_budget_that_refuses_holds_up_no_other_pod_and_who_goes_leaves_nothing_behind() {
    let member = two_guarded_nodes().await;
    let client = member.client();
    let agent = Agent::start(client.clone());
    let spec = json!({"minAvailable": 1, "maxAvailable": 8, "scaleDownUnneededTime": "1s"});
    agent.hub.say(autoscalers(&[("all", spec.clone())]));
    wait_nodes(&client, "a node is drained", |it| it.iter().any(is_draining)).await;
    let refused = agent
        .hub
        .hear("the budget's refusal", |it| match it {
            Report::Autoscaler { events, .. } => {
                events.iter().find(|it| it.reason == "EvictionRefused").cloned()
            }
            _ => None,
        })
        .await;
    assert!(refused.message.contains("disruption budget"), "{}", refused.message);

    create(&client, &deployment("more", 8, "1500m")).await;
    wait_nodes(&client, "nodes come for the pods", |it| 4 <= it.len()).await;
    scale(&client, "more", 0).await;
    wait_nodes(&client, "a node is drained again", |it| it.iter().any(is_draining)).await;
    // No autoscaler has these nodes any more: they take pods again.
    let elsewhere = json!({"nodeSelector": {"pool": "other"}, "scaleDownUnneededTime": "1s"});
    agent.hub.say(autoscalers(&[("other", elsewhere)]));
    wait_nodes(&client, "all take pods", |it| !it.iter().any(is_draining)).await;
    agent.hub.say(autoscalers(&[("all", spec)]));
    wait_nodes(&client, "a node is drained once more", |it| it.iter().any(is_draining)).await;
    agent.hub.say(autoscalers(&[]));
    wait_nodes(&client, "all take pods", |it| {
        it.iter().all(|it| !is_draining(it) && it["spec"]["unschedulable"] != true)
    })
    .await;
}

#[tokio::test]
async fn a_node_has_one_autoscaler() {
    let member = two_guarded_nodes().await;
    let client = member.client();
    let agent = Agent::start(client.clone());
    let keeps = json!({"minAvailable": 1, "scaleDownUnneededWorkloads": false});
    let takes = json!({"minAvailable": 0, "scaleDownUnneededTime": "0s"});
    agent.hub.say(autoscalers(&[("a", keeps), ("b", takes)]));
    let overlap = agent
        .hub
        .hear("the overlap", |it| match it {
            Report::Autoscaler { name, events, .. } if name == "b" => {
                events.iter().find(|it| it.reason == "Overlap").cloned()
            }
            _ => None,
        })
        .await;
    assert!(overlap.message.contains("under a"), "{}", overlap.message);
    let found = client.list(&nodes(), "", "").await.unwrap();
    assert!(found.len() == 2 && !found.iter().any(is_draining), "{found:?}");
}
