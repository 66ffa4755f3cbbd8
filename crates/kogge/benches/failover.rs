//! From the word that a cluster is dead to all that moves running elsewhere.
//!
//! `cargo xtask bench failover [TEMPLATES]`: `kogge up` with four simulated members, their nodes
//! there beforehand. All Deployments run on one member, the wire to it is cut, and watches see
//! when each binding left it and when each Deployment is available elsewhere.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

#[allow(dead_code, reason = "tests use the rest of it")]
#[path = "../tests/faults/wire.rs"]
mod wire;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use kogge_member::{
    Client, DeleteOptions, Resource, object,
    watch::{Scope, Seen, watch},
};
use kogge_testkit::{Process, process::Leash};
use serde_json::{Value, json};

use self::wire::Wire;

const TEMPLATES: usize = 2_000;
const MEMBERS: [&str; 4] = ["member1", "member2", "member3", "member4"];
const DEAD: &str = MEMBERS[0];
/// A node runs 110 pods, and some of them are the sample's.
const PODS_OF_A_NODE: usize = 100;
/// Requests at a time while the fleet is filled.
const AT_ONCE: usize = 24;
/// Between the last change before the death and the death.
const REST: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(5);

fn main() -> anyhow::Result<()> {
    // `cargo bench` itself adds `--bench`.
    let given = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let templates = given.map_or(Ok(TEMPLATES), |it| it.parse()).context("not a number")?;
    tokio::runtime::Runtime::new()?.block_on(measure(templates))
}

async fn measure(templates: usize) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut process = start(dir.path())?;
    let kubeconfig = fs::read_to_string(dir.path().join("fleet/kubeconfig"))?;
    let hub = kogge_member::from_kubeconfig(&kubeconfig, None).await?;
    let mut members = Vec::new();
    for name in MEMBERS {
        members.push(kogge_member::from_kubeconfig(&kubeconfig, Some(name)).await?);
    }
    let fleet = Fleet { hub, members };
    fleet.grow(templates).await?;
    let wire = fleet.wire().await?;
    fleet.fill(templates).await?;
    tokio::time::sleep(REST).await;

    let bindings = fleet.hub.resource("work.karmada.io/v1alpha2", "ResourceBinding").await?;
    let left = count(watched(&fleet.hub, bindings), templates, has_left);
    let elsewhere = fleet.members[1..].iter().map(|it| watched(it, deployments()).boxed());
    let running = count(stream::select_all(elsewhere), templates, is_available);
    let watching = tokio::spawn(async { tokio::try_join!(left, running) });
    let cut = Instant::now();
    wire.cut();
    fleet.until(&format!("{DEAD} is dead"), async || fleet.is(DEAD, "Dead").await).await?;
    let dead = Instant::now();
    println!("{templates} Deployments; the wire cut -> dead: {} ms", (dead - cut).as_millis());
    let (left, running) = watching.await??;
    say("dead -> decided to run elsewhere", dead, &left);
    say("dead -> available elsewhere", dead, &running);
    fleet.events(templates, dead).await?;
    process.kill()?;
    Ok(())
}

fn start(dir: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kogge"));
    command.args(["up", "--port", "0", "--members", &MEMBERS.len().to_string(), "--data-dir"]);
    command.arg(dir.join("fleet"));
    let mut process = Process::spawn("up", command, &dir.join("up.log"), Leash::Watchdog)?;
    process.wait_log("The fleet is ready", PATIENCE);
    Ok(process)
}

fn deployments() -> Resource {
    Resource::new("apps", "v1", "Deployment", "deployments", true)
}

struct Fleet {
    hub: Client,
    members: Vec<Client>,
}

impl Fleet {
    /// Nodes for all of it on each member, and nobody who takes them away again.
    async fn grow(&self, templates: usize) -> anyhow::Result<()> {
        let scalers = self.hub.resource("autoscaling/v1beta2", "ClusterAutoscaler").await?;
        let options = DeleteOptions::default();
        self.hub.delete(&scalers, "", "kubernetes-autoscaler", &options).await?;
        let size = templates.div_ceil(PODS_OF_A_NODE) + 1;
        let nodes = Resource::new("", "v1", "Node", "nodes", false);
        let ready = |it: &Value| has_condition(it, "Ready");
        for member in &self.members {
            let groups = member.resource("kogge.dev/v1alpha1", "NodeGroup").await?;
            let wanted = json!({"spec": {"maxSize": size, "desiredSize": size}});
            member.merge(&groups, "", "default", None, &wanted).await?;
            self.until("nodes are ready", async || {
                Ok(member.list(&nodes, "", "").await?.iter().filter(|it| ready(it)).count() == size)
            })
            .await?;
        }
        Ok(())
    }

    /// A wire to the cluster that is to die; two seconds without it are its death.
    async fn wire(&self) -> anyhow::Result<Wire> {
        let clusters = self.hub.resource("cluster.karmada.io/v1alpha1", "Cluster").await?;
        let cluster = self.hub.get(&clusters, "", DEAD).await?;
        let server = object::text(&cluster, "/spec/apiEndpoint");
        let wire = Wire::to(server.trim_start_matches("https://"));
        let by_wire = json!({
            "metadata": {"annotations": {"kogge.dev/dead-after": "2s"}},
            "spec": {"apiEndpoint": format!("https://{}", wire.address)},
        });
        self.hub.merge(&clusters, "", DEAD, None, &by_wire).await?;
        Ok(wire)
    }

    /// All run on the cluster that is to die, and may run anywhere.
    async fn fill(&self, templates: usize) -> anyhow::Result<()> {
        self.create(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        )
        .await?;
        let placement = json!({"clusterAffinity": {"clusterNames": [DEAD]},
            "spreadConstraints": [{"spreadByField": "cluster", "minGroups": 1, "maxGroups": 1}]});
        let selectors = json!([{"apiVersion": "apps/v1", "kind": "Deployment"}]);
        self.create(&json!({"apiVersion": "policy.karmada.io/v1alpha1",
            "kind": "PropagationPolicy", "metadata": {"name": "one", "namespace": "shop"},
            "spec": {"resourceSelectors": selectors, "placement": placement}}))
            .await?;
        let numbers = stream::iter((0..templates).map(anyhow::Ok));
        numbers
            .try_for_each_concurrent(AT_ONCE, async |number| {
                let labels = json!({"app": format!("web-{number}")});
                let pod = json!({"metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "web", "image": "nginx"}]}});
                self.create(&json!({"apiVersion": "apps/v1", "kind": "Deployment",
                    "metadata": {"name": format!("web-{number}"), "namespace": "shop"},
                    "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}}))
                    .await
            })
            .await?;
        // The hub's own status comes last: then nothing of the filling is left to do.
        self.until("all run", async || {
            let all = self.hub.list(&deployments(), "shop", "").await?;
            Ok(all.iter().filter(|it| is_available(it)).count() == templates)
        })
        .await?;
        let policies = self.hub.resource("policy.karmada.io/v1alpha1", "PropagationPolicy").await?;
        let wider = json!({"spec": {"placement": {"clusterAffinity": {"clusterNames": MEMBERS}}}});
        self.hub.merge(&policies, "shop", "one", None, &wider).await?;
        Ok(())
    }

    /// Waits until each move is told of, on its template and on the cluster.
    async fn events(&self, templates: usize, since: Instant) -> anyhow::Result<()> {
        let events = Resource::new("", "v1", "Event", "events", true);
        for (what, namespace) in [("templates", "shop"), ("cluster", "default")] {
            let told = async || {
                let all = self.hub.list(&events, namespace, "").await?;
                Ok::<_, anyhow::Error>(all.iter().filter(|it| it["reason"] == "FailedOver").count())
            };
            let all = self.until("each move has an event", async || Ok(told().await? == templates));
            let complete = all.await.is_ok();
            let (took, told) = (since.elapsed().as_millis(), told().await?);
            println!("events of the {what}: {told} of {templates}, complete {complete}, {took} ms");
        }
        Ok(())
    }

    async fn create(&self, object: &Value) -> anyhow::Result<()> {
        let text = |path: &str| object::text(object, path).to_owned();
        let resource = self.hub.resource(&text("/apiVersion"), &text("/kind")).await?;
        self.hub.create(&resource, object).await?;
        Ok(())
    }

    async fn is(&self, cluster: &str, condition: &str) -> anyhow::Result<bool> {
        let clusters = self.hub.resource("cluster.karmada.io/v1alpha1", "Cluster").await?;
        Ok(has_condition(&self.hub.get(&clusters, "", cluster).await?, condition))
    }

    async fn until(
        &self,
        what: &str,
        is_so: impl AsyncFn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_so().await? {
            anyhow::ensure!(began.elapsed() < PATIENCE, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == kind && it["status"] == "True")
}

fn is_available(deployment: &Value) -> bool {
    deployment["status"]["availableReplicas"] == 1
}

fn has_left(binding: &Value) -> bool {
    let clusters = binding.pointer("/spec/clusters").and_then(Value::as_array);
    clusters.is_some_and(|it| !it.is_empty() && it.iter().all(|it| it["name"] != DEAD))
}

fn watched(client: &Client, resource: Resource) -> impl Stream<Item = Seen> + Send + use<> {
    let scope = Scope { namespace: "shop".to_owned(), ..Scope::default() };
    watch(client.clone(), resource, scope)
}

/// When each of so many objects was first seen to be so.
async fn count(
    seen: impl Stream<Item = Seen>,
    wanted: usize,
    is_so: fn(&Value) -> bool,
) -> anyhow::Result<Vec<Instant>> {
    let mut seen = std::pin::pin!(seen);
    let mut times: BTreeMap<String, Instant> = BTreeMap::new();
    while times.len() < wanted {
        let next = tokio::time::timeout(PATIENCE, seen.next()).await;
        let items = match next.context("no more of them come")?.context("no more news")? {
            Seen::Reset { items, .. } => items,
            Seen::Applied(item) => vec![item],
            _ => continue,
        };
        for item in items.iter().filter(|it| is_so(it)) {
            times.entry(object::name(item).to_owned()).or_insert_with(Instant::now);
        }
    }
    Ok(times.into_values().collect())
}

fn say(what: &str, since: Instant, times: &[Instant]) {
    let mut waits: Vec<Duration> = times.iter().map(|it| it.duration_since(since)).collect();
    waits.sort();
    let at = |part: usize| waits[((waits.len() - 1) * part) / 100].as_millis();
    println!("{what}: first {} ms, half {} ms, all {} ms", at(0), at(50), at(100));
}
