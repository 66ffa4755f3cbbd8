//! Pretended nodes on a real control plane: its own controllers and scheduler, our kubelets.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{all_run, condition, is_ready, kind, now, spec};
use kogge_member::{Client, DeleteOptions, object};
use kogge_sim::{Faults, NodesConfig, default_group, run_nodes};
use kogge_testkit::{
    kube::{self, Cluster, Options},
    wait_until_async,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// A real control plane takes its time.
const SOON: Duration = Duration::from_mins(1);

struct Real {
    client: Client,
    _cluster: Cluster,
}

/// Until it is aborted.
fn play(client: &Client) -> JoinHandle<()> {
    let mut group = default_group();
    "sim".clone_into(&mut group.name);
    group.initial = 2;
    tokio::spawn(run_nodes(NodesConfig {
        client: client.clone(),
        groups: vec![group],
        faults: Faults::default(),
        start_delay: Duration::ZERO,
        now,
    }))
}

impl Real {
    async fn or_skip(name: &str) -> Option<Self> {
        let binary = kube::or_skip()?;
        let cluster = Cluster::start(&binary, &Options::named(name)).unwrap();
        let kubeconfig = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        let client = kogge_member::from_kubeconfig(&kubeconfig, None).await.unwrap();
        Some(Self { client, _cluster: cluster })
    }

    async fn create(&self, of: &str, name: &str, spec: Value) {
        let resource = kind(of);
        let it = json!({"apiVersion": resource.api_version(), "kind": of,
            "metadata": {"name": name, "namespace": "default"}, "spec": spec});
        self.client.create(&resource, &it).await.unwrap();
    }

    async fn until(&self, of: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let (resource, wanted) = (kind(of), &wanted);
        wait_until_async(SOON, of, || async {
            self.client.list(&resource, "", "").await.ok().filter(|it| wanted(it))
        })
        .await
    }

    async fn delete(&self, of: &str, name: &str) {
        let options = DeleteOptions::default();
        self.client.delete(&kind(of), "default", name, &options).await.unwrap();
    }
}

/// Uid and address of each pod, by name.
fn addresses(pods: &[Value]) -> BTreeMap<String, (String, String)> {
    let of = |it: &Value| {
        let address = object::text(it, "/status/podIP").to_owned();
        (object::name(it).to_owned(), (object::uid(it).to_owned(), address))
    };
    pods.iter().map(of).collect()
}

#[tokio::test]
async fn pods_run_end_and_outlive_a_restart_of_their_kubelets() {
    let Some(real) = Real::or_skip("nodes").await else { return };
    let kubelets = play(&real.client);
    real.until("Node", |it| it.len() == 2 && it.iter().all(is_ready)).await;
    real.create("Deployment", "web", spec("a", &json!({"replicas": 4}))).await;
    let pods = real.until("Pod", |it| all_run(it, 4, "a")).await;

    // One that is told to go is gone well within its grace, and another comes.
    let first = object::uid(&pods[0]).to_owned();
    real.delete("Pod", object::name(&pods[0])).await;
    let without = |it: &[Value]| it.iter().all(|it| object::uid(it) != first);
    let pods = real.until("Pod", |it| without(it) && all_run(it, 4, "a")).await;
    let before = addresses(&pods);

    kubelets.abort();
    // Bound while nobody is there to run it.
    let lone = json!({"nodeName": "sim-1", "containers": [{"name": "c", "image": "a"}]});
    real.create("Pod", "lone", lone).await;
    let kubelets = play(&real.client);
    let pods = real.until("Pod", |it| all_run(it, 5, "a")).await;
    let mut after = addresses(&pods);
    let lone = after.remove("lone").unwrap();
    assert_eq!(after, before, "the others were left alone");
    assert!(before.values().all(|it| it.1 != lone.1), "its address is its own: {lone:?}");

    let work = json!({"parallelism": 2, "completions": 4, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "job"}]}}});
    real.create("Job", "work", work).await;
    let jobs = real
        .until("Job", |it| it.iter().any(|it| condition(it, "Complete")["status"] == "True"))
        .await;
    assert_eq!(jobs[0]["status"]["succeeded"], 4);
    let options = DeleteOptions { propagation: Some("Foreground"), ..DeleteOptions::default() };
    real.client.delete(&kind("Job"), "default", "work", &options).await.unwrap();
    real.until("Job", <[Value]>::is_empty).await;
    real.delete("Deployment", "web").await;
    real.delete("Pod", "lone").await;
    real.until("Pod", <[Value]>::is_empty).await;
    kubelets.abort();
}

#[tokio::test]
async fn a_group_grows_and_gives_up_the_node_that_is_named() {
    let Some(real) = Real::or_skip("groups").await else { return };
    let kubelets = play(&real.client);
    real.until("Node", |it| it.len() == 2 && it.iter().all(is_ready)).await;
    let resize = |many: u32| json!({"spec": {"desiredSize": many}});
    let (groups, nodes) = (kind("NodeGroup"), kind("Node"));
    real.client.merge(&groups, "", "sim", None, &resize(3)).await.unwrap();
    real.until("Node", |it| it.len() == 3 && it.iter().all(is_ready)).await;
    real.create("DaemonSet", "d", spec("a", &json!({}))).await;
    real.until("Pod", |it| all_run(it, 3, "a")).await;
    let given_up = json!({"metadata": {"annotations": {"kogge.dev/delete": "true"}}});
    real.client.merge(&nodes, "", "sim-2", None, &given_up).await.unwrap();
    real.client.merge(&groups, "", "sim", None, &resize(2)).await.unwrap();
    let left = real.until("Node", |it| it.len() == 2).await;
    let names: Vec<&str> = left.iter().map(object::name).collect();
    assert_eq!(names, ["sim-1", "sim-3"]);
    real.until("NodeGroup", |it| it[0]["status"]["readyNodes"] == 2).await;
    kubelets.abort();
}
