//! A whole hub, and the fleet's word about clusters that exist in its reports only.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use kogge_agent::link::{ClusterState, Report, Unready};
use kogge_apiserver::User;
use kogge_member::{Client, Resource};
use kogge_store::Embedded;
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};

use crate::{Hub, Options, Verdict};

const SOON: Duration = Duration::from_mins(1);
const CLUSTERS: [&str; 5] = ["c0", "c1", "c2", "c3", "c4"];

/// Two seconds of moves at the rate that is allowed.
const TEMPLATES: usize = 200;

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn now() -> Timestamp {
    Timestamp::now()
}

struct Fleet {
    hub: Hub,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::in_memory());
        let options = Options { store, now, data_dir: dir.path().to_owned() };
        let hub = Hub::start(options).await.unwrap();
        let client = kogge_member::from_service(hub.server().local(User::system("test")));
        let it = Self { hub, client, _dir: dir };
        for name in CLUSTERS {
            let cluster = json!({"apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
                "metadata": {"name": name}, "spec": {"syncMode": "Pull"}});
            it.create(&cluster).await;
            it.report(name, Ok(()));
        }
        for name in CLUSTERS {
            it.cluster_says(name, "Ready", "ClusterReady").await;
        }
        it
    }

    async fn create(&self, object: &Value) {
        let text = |path: &str| kogge_member::object::text(object, path).to_owned();
        let resource = self.resource(&text("/apiVersion"), &text("/kind")).await;
        self.client.create(&resource, object).await.unwrap();
    }

    async fn resource(&self, api_version: &str, kind: &str) -> Resource {
        self.client.resource(api_version, kind).await.unwrap()
    }

    /// `TEMPLATES` Deployments, divided over all clusters.
    async fn deploy(&self) {
        self.create(&json!({"apiVersion": "policy.karmada.io/v1alpha1",
            "kind": "PropagationPolicy", "metadata": {"name": "all", "namespace": "default"},
            "spec": {"resourceSelectors": [{"apiVersion": "apps/v1", "kind": "Deployment"}],
                "placement": {"replicaScheduling": {"replicaSchedulingType": "Divided"}}}}))
            .await;
        let create = async |index: usize| {
            let labels = json!({"app": "web"});
            let pod = json!({"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]}});
            let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": format!("web-{index}"), "namespace": "default"},
                "spec": {"replicas": 5, "selector": {"matchLabels": labels}, "template": pod}});
            self.create(&object).await;
        };
        stream::iter(0..TEMPLATES).for_each_concurrent(16, create).await;
        self.placed_on_c0(TEMPLATES).await;
    }

    /// Waits until so many Deployments have replicas on `c0`, and all are whole; agents go on
    /// being heard.
    async fn placed_on_c0(&self, count: usize) {
        let bindings = self.resource("work.karmada.io/v1alpha2", "ResourceBinding").await;
        wait_until_async(SOON, &format!("{count} on c0"), async || {
            for name in CLUSTERS {
                self.hub.verdicts().reports().heard(name, None, now());
            }
            let all = self.client.list(&bindings, "default", "").await.unwrap();
            let targets =
                |it: &Value| it["spec"]["clusters"].as_array().cloned().unwrap_or_default();
            let replicas = |it: &Value| {
                targets(it).iter().filter_map(|it| it["replicas"].as_u64()).sum::<u64>()
            };
            let here = all.iter().filter(|it| targets(it).iter().any(|it| it["name"] == "c0"));
            let whole = all.iter().all(|it| replicas(it) == 5);
            (here.count() == count && whole && all.len() == TEMPLATES).then_some(())
        })
        .await;
    }

    /// What a cluster's agent says of it.
    fn report(&self, name: &str, ready: Result<(), Unready>) {
        let reports = self.hub.verdicts().reports();
        reports.heard(name, None, now());
        let state = ClusterState { ready: Some(ready), ..ClusterState::default() };
        reports.take(name, Report::Cluster(Box::new(state)));
    }

    fn lose(&self, name: &str) {
        let reason = "ClusterNotReachable".into();
        self.report(name, Err(Unready { reason, message: "no route".into() }));
    }

    fn declare_dead(&self, name: &str) {
        let observers = ["c2", "c3", "c4"].map(str::to_owned).to_vec();
        let since = now() - SignedDuration::from_secs(10);
        self.hub.verdicts().set(name, Some(Verdict::Dead { since, observers }));
    }

    async fn cluster(&self, name: &str) -> Value {
        let clusters = self.resource("cluster.karmada.io/v1alpha1", "Cluster").await;
        self.client.get(&clusters, "", name).await.unwrap()
    }

    async fn cluster_says(&self, name: &str, kind: &str, reason: &str) {
        wait_until_async(SOON, reason, async || {
            self.hub.verdicts().reports().heard(name, None, now());
            let cluster = self.cluster(name).await;
            let conditions = cluster["status"]["conditions"].as_array().cloned();
            let is_it = |it: &Value| it["type"] == kind && it["reason"] == reason;
            conditions.unwrap_or_default().iter().any(is_it).then_some(())
        })
        .await;
    }

    /// Waits until a cluster's taints have these effects.
    async fn tainted(&self, name: &str, effects: &[&str]) {
        wait_until_async(SOON, &format!("{name} has {effects:?}"), async || {
            let cluster = self.cluster(name).await;
            let taints = cluster["spec"]["taints"].as_array().cloned().unwrap_or_default();
            taints.iter().map(|it| &it["effect"]).eq(effects).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_see_is_not_dead_and_what_they_declare_dead_is_left_within_the_bound() {
    let fleet = Fleet::start().await;
    fleet.deploy().await;
    let seen_by = vec!["c1".to_owned()];
    fleet.hub.verdicts().set("c0", Some(Verdict::Alive { seen_by }));
    fleet.lose("c0");
    fleet.cluster_says("c0", "Dead", "SeenByOthers").await;
    fleet.tainted("c0", &["NoSchedule"]).await;
    fleet.placed_on_c0(TEMPLATES).await;

    let declared = now();
    fleet.declare_dead("c0");
    fleet.cluster_says("c0", "Dead", "DeclaredByObservers").await;
    fleet.placed_on_c0(0).await;
    let took = now().duration_since(declared);
    let bound = SignedDuration::from_secs(30);
    // The rate alone makes it more than a second.
    assert!(SignedDuration::from_millis(900) < took && took < bound, "it took {took}");

    fleet.hub.verdicts().set("c0", None);
    fleet.report("c0", Ok(()));
    fleet.cluster_says("c0", "Dead", "ClusterBack").await;
    fleet.tainted("c0", &[]).await;
    fleet.placed_on_c0(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_cut_off_moves_nothing() {
    let fleet = Fleet::start().await;
    fleet.deploy().await;
    fleet.hub.verdicts().set_cut_off(true);
    fleet.lose("c0");
    fleet.declare_dead("c0");
    fleet.cluster_says("c0", "FailoverHeld", "HubCutOff").await;
    fleet.placed_on_c0(TEMPLATES).await;
    fleet.hub.verdicts().set_cut_off(false);
    fleet.placed_on_c0(0).await;
}
