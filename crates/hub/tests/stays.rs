//! On a hub without members: what stays when a policy or a Cluster goes, and what is said of it.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_apiserver::User;
use kogge_hub::{Hub, Options};
use kogge_member::{Client, DeleteOptions, Resource};
use kogge_store::Embedded;
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};
use tempfile::TempDir;

const SOON: Duration = Duration::from_mins(1);
const POLICY: &str = "policy.karmada.io/v1alpha1";
const CLUSTER: &str = "cluster.karmada.io/v1alpha1";
const BINDING: &str = "work.karmada.io/v1alpha2";

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A hub, and a client that may do everything.
struct Fleet {
    client: Client,
    _hub: Hub,
    _dir: TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::in_memory());
        let options = Options { store, now, data_dir: dir.path().to_owned() };
        let hub = Hub::start(options).await.unwrap();
        let client = kogge_member::from_service(hub.server().local(User::system("test")));
        Self { client, _hub: hub, _dir: dir }
    }

    async fn resource(&self, api_version: &str, kind: &str) -> Resource {
        self.client.resource(api_version, kind).await.unwrap()
    }

    async fn create(&self, object: &Value) {
        let text = |path: &str| kogge_member::object::text(object, path).to_owned();
        let resource = self.resource(&text("/apiVersion"), &text("/kind")).await;
        self.client.create(&resource, object).await.unwrap();
    }

    async fn delete(&self, api_version: &str, kind: &str, namespace: &str, name: &str) {
        let resource = self.resource(api_version, kind).await;
        let options = DeleteOptions::default();
        self.client.delete(&resource, namespace, name, &options).await.unwrap();
    }

    /// Waits for a condition of an object to have a reason; returns the condition.
    async fn said(&self, resource: &Resource, at: (&str, &str), kind: &str, why: &str) -> Value {
        wait_until_async(SOON, why, async || {
            let object = self.client.get(resource, at.0, at.1).await.ok()?;
            let conditions = object.pointer("/status/conditions")?.as_array()?;
            conditions.iter().find(|it| it["type"] == kind && it["reason"] == why).cloned()
        })
        .await
    }

    async fn is_gone(&self, resource: &Resource, namespace: &str, name: &str) {
        wait_until_async(SOON, "it is gone", async || {
            let found = self.client.get(resource, namespace, name).await;
            found.is_err_and(|it| it.is_not_found()).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_outlives_its_policy_but_not_its_template() {
    let fleet = Fleet::start().await;
    let policy = json!({"apiVersion": POLICY, "kind": "PropagationPolicy",
        "metadata": {"name": "all", "namespace": "default"},
        "spec": {"resourceSelectors": [{"apiVersion": "v1", "kind": "ConfigMap"}]}});
    fleet.create(&policy).await;
    fleet
        .create(&json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
            "metadata": {"name": "web", "namespace": "default"}}))
        .await;
    let bindings = fleet.resource(BINDING, "ResourceBinding").await;
    let web = ("default", "web-configmap");
    fleet.said(&bindings, web, "Scheduled", "NoClusterFit").await;

    fleet.delete(POLICY, "PropagationPolicy", "default", "all").await;
    let said = fleet.said(&bindings, web, "Scheduled", "PolicyGone").await;
    assert_eq!(said["status"], "False", "as before: {said}");

    let mut held = policy;
    held["spec"]["suspension"] = json!({"dispatching": true});
    fleet.create(&held).await;
    let said = fleet.said(&bindings, web, "Scheduled", "Unsupported").await;
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("spec.suspension.dispatching"), "{message}");

    fleet.delete("v1", "ConfigMap", "default", "web").await;
    fleet.is_gone(&bindings, web.0, web.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_cluster_is_told_and_a_deleted_one_leaves_no_secret() {
    let fleet = Fleet::start().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "kogge-system"}});
    fleet.create(&namespace).await;
    let cluster = |name: &str| {
        json!({"apiVersion": CLUSTER, "kind": "Cluster", "metadata": {"name": name},
            "spec": {"id": "1234", "syncMode": "Push",
                "secretRef": {"name": format!("cluster-{name}"), "namespace": "kogge-system"}}})
    };
    let clusters = fleet.resource(CLUSTER, "Cluster").await;
    fleet.create(&cluster("eu-1")).await;
    fleet.said(&clusters, ("", "eu-1"), "Ready", "NoCredentials").await;
    fleet
        .create(&json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "cluster-eu-2", "namespace": "kogge-system"}}))
        .await;
    // Made in the same second, the name decides; made later, the time.
    fleet.create(&cluster("eu-2")).await;
    let said = fleet.said(&clusters, ("", "eu-2"), "Ready", "Duplicate").await;
    assert!(said["message"].as_str().unwrap().contains("eu-1"), "{said}");

    fleet.delete(CLUSTER, "Cluster", "", "eu-2").await;
    let secrets = fleet.resource("v1", "Secret").await;
    fleet.is_gone(&secrets, "kogge-system", "cluster-eu-2").await;
    let events = fleet.resource("v1", "Event").await;
    wait_until_async(SOON, "an event says what stays", async || {
        let all = fleet.client.list(&events, "default", "").await.ok()?;
        let is_it = |it: &&Value| it["reason"] == "LeftTheFleet";
        let message = all.iter().find(is_it)?["message"].as_str()?.to_owned();
        message.contains("eu-2 left the fleet").then_some(())
    })
    .await;
    fleet.delete(CLUSTER, "Cluster", "", "eu-1").await;
    fleet.is_gone(&clusters, "", "eu-1").await;
}
