//! From the hub to two real control planes and back: how long, and how much memory.
//!
//! `cargo xtask bench path`. Prints one line for each figure: median and 99th percentile.
//! `members` watches what arrives, `direct` does the same without a hub for comparison.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod direct;
mod members;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use kogge_git::{Author, commit_all, init_with};
use kogge_member::{Client, Resource};
use kogge_testkit::{
    Process,
    kube::{self, Cluster, Options},
    process::Leash,
};
use serde_json::{Value, json};

use self::members::{Member, Watched};

const DEPLOYMENTS: usize = 500;
/// Requests at a time where many are sent.
const AT_ONCE: usize = 24;
const KUSTOMIZATIONS: usize = 200;
/// Deployments that come alone, and the rest before each: what the one before makes the members'
/// controllers do is not its time.
const SINGLE: usize = 50;
const BETWEEN: Duration = Duration::from_millis(500);
/// A control plane that has just started keeps its core busy for a while with itself.
const SETTLE: Duration = Duration::from_secs(45);
const PATIENCE: Duration = Duration::from_mins(2);

struct Bench {
    hub: Client,
    members: Vec<Member>,
    deployments: Resource,
}

fn main() -> anyhow::Result<()> {
    let Some(binary) = kube::or_skip() else { return Ok(()) };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(&binary))
}

async fn measure(binary: &Path) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let clusters = ["cluster1", "cluster2"]
        .map(|name| Cluster::start(binary, &Options::named(name)).expect("a cluster starts"));
    let mut process = start_hub(dir.path())?;
    let kubeconfig = dir.path().join("data/kubeconfig");
    let deployments = Resource::new("apps", "v1", "Deployment", "deployments", true);
    let config_maps = Resource::new("", "v1", "ConfigMap", "configmaps", true);
    let mut members = Vec::new();
    for (number, cluster) in clusters.iter().enumerate() {
        let joined = Command::new(env!("CARGO_BIN_EXE_kogge"))
            .args(["join", &format!("cluster{}", number + 1), "--kubeconfig"])
            .arg(&kubeconfig)
            .arg("--cluster-kubeconfig")
            .arg(cluster.kubeconfig())
            .output()?;
        anyhow::ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
        let client = client(cluster.kubeconfig()).await?;
        members.push(Member {
            deployments: Watched::start(client.clone(), deployments.clone()),
            config_maps: Watched::start(client.clone(), config_maps.clone()),
            client,
        });
    }
    let bench = Bench { hub: client(&kubeconfig).await?, members, deployments };
    bench.prepare().await?;
    tokio::time::sleep(SETTLE).await;
    bench.without_a_hub().await?;
    tokio::time::sleep(SETTLE).await;
    bench.one_by_one().await?;
    bench.all_at_once().await?;
    println!("hub memory with {DEPLOYMENTS} Deployments: {} MiB", resident_mib(process.pid())?);
    bench.deleted_on_a_member().await?;
    tokio::time::sleep(SETTLE).await;
    process.kill()?;
    let started = Instant::now();
    let mut process = start_hub(dir.path())?;
    let bench = Bench { hub: client(&kubeconfig).await?, ..bench };
    bench.create("after-restart").await?;
    bench.on_members("after-restart").await?;
    println!("hub restarted -> a new Deployment on both: {} ms", started.elapsed().as_millis());
    bench.commits(dir.path()).await?;
    bench.kustomizations(dir.path()).await?;
    tokio::time::sleep(SETTLE).await;
    bench.many_without_a_hub().await?;
    process.kill()?;
    Ok(())
}

fn start_hub(dir: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kogge"));
    command.args(["hub", "--port", "17643", "--data-dir"]).arg(dir.join("data"));
    let mut hub = Process::spawn("hub", command, &dir.join("hub.log"), Leash::Watchdog)?;
    hub.wait_log("kogge join", PATIENCE);
    Ok(hub)
}

async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    Ok(kogge_member::from_kubeconfig(&fs::read_to_string(kubeconfig)?, None).await?)
}

fn resident_mib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

fn say(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_millis();
    println!("{what}: median {} ms, p99 {} ms, n {}", at(50), at(99), times.len());
}

impl Bench {
    /// A namespace, and a policy for all that comes.
    async fn prepare(&self) -> anyhow::Result<()> {
        self.apply(&json!({
            "apiVersion": "policy.karmada.io/v1alpha1", "kind": "ClusterPropagationPolicy",
            "metadata": {"name": "all"},
            "spec": {"resourceSelectors": [{"apiVersion": "*", "kind": "*"}],
                "placement": {"clusterAffinity": {}}},
        }))
        .await?;
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}))
            .await?;
        self.create("warm").await?;
        self.on_members("warm").await
    }

    async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let text = |path: &str| kogge_member::object::text(object, path).to_owned();
        let resource = self.hub.resource(&text("/apiVersion"), &text("/kind")).await?;
        let how = kogge_member::Apply { manager: "bench", force: true, dry_run: false };
        self.hub.apply(&resource, object, how).await?;
        Ok(())
    }

    async fn create(&self, name: &str) -> anyhow::Result<()> {
        self.hub.create(&self.deployments, &deployment(name)).await?;
        Ok(())
    }

    async fn on_members(&self, name: &str) -> anyhow::Result<()> {
        for member in &self.members {
            member.deployments.wait(name, |it| it.contains_key(name)).await?;
        }
        Ok(())
    }

    async fn one_by_one(&self) -> anyhow::Result<()> {
        let mut times = Vec::new();
        for number in 0..SINGLE {
            tokio::time::sleep(BETWEEN).await;
            let name = format!("one-{number}");
            let started = Instant::now();
            self.create(&name).await?;
            self.on_members(&name).await?;
            times.push(started.elapsed());
        }
        say("a Deployment created on the hub -> on both members", times);
        Ok(())
    }

    async fn all_at_once(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let created = (0..DEPLOYMENTS).map(async |it| self.create(&format!("many-{it}")).await);
        let mut created = futures::stream::iter(created).buffer_unordered(AT_ONCE);
        while created.try_next().await?.is_some() {}
        println!("{DEPLOYMENTS} Deployments -> created: {} ms", started.elapsed().as_millis());
        for member in &self.members {
            let many = |it: &BTreeMap<String, Value>| {
                it.keys().filter(|it| it.starts_with("many-")).count() == DEPLOYMENTS
            };
            member.deployments.wait("all Deployments", many).await?;
        }
        let took = started.elapsed().as_millis();
        println!("{DEPLOYMENTS} Deployments -> all on both members: {took} ms");
        Ok(())
    }

    async fn deleted_on_a_member(&self) -> anyhow::Result<()> {
        let member = &self.members[0];
        let mut times = Vec::new();
        for number in 0..20 {
            let name = format!("one-{number}");
            let before = member.deployments.uid(&name);
            let options = kogge_member::DeleteOptions::default();
            let started = Instant::now();
            member.client.delete(&self.deployments, "shop", &name, &options).await?;
            let is_back = |it: &BTreeMap<String, Value>| {
                it.get(&name).is_some_and(|it| kogge_member::object::uid(it) != before)
            };
            member.deployments.wait(&name, is_back).await?;
            times.push(started.elapsed());
        }
        say("deleted on a member -> back", times);
        Ok(())
    }

    /// A repository and a source for it, fetched every second.
    async fn source(&self, repository: &Path, name: &str) -> anyhow::Result<()> {
        self.apply(&json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"url": format!("file://{}", repository.display()), "interval": "1s",
                "ref": {"branch": "main"}}}))
            .await
    }

    async fn kustomization(&self, name: &str, source: &str, path: &str) -> anyhow::Result<()> {
        self.apply(&json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"interval": "10m", "path": path, "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": source}}}))
            .await
    }

    async fn commits(&self, dir: &Path) -> anyhow::Result<()> {
        let repository = dir.join("commits");
        let object = |value: usize| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: from-git, namespace: shop}}\n\
                 data: {{value: \"{value}\"}}\n"
            )
        };
        let now = jiff::Timestamp::now();
        init_with(&repository, &[("a/it.yaml", &object(0))], "first", &author(), now)?;
        self.source(&repository, "commits").await?;
        self.kustomization("commits", "commits", "./a").await?;
        self.wait_value(0).await?;
        let mut times = Vec::new();
        for value in 1..=20 {
            fs::write(repository.join("a/it.yaml"), object(value))?;
            // Commits fall anywhere between two fetches, as people's do: the same spread each run.
            let at = Duration::from_millis(value as u64 * 370 % 1_000);
            tokio::time::sleep(at).await;
            let started = Instant::now();
            commit_all(&repository, "next", &author(), jiff::Timestamp::now())?;
            self.wait_value(value).await?;
            times.push(started.elapsed());
        }
        say("commit -> object changed on a member, interval 1 s", times);
        Ok(())
    }

    async fn wait_value(&self, value: usize) -> anyhow::Result<()> {
        let value = value.to_string();
        let is_it = |it: &BTreeMap<String, Value>| {
            it.get("from-git").is_some_and(|it| it["data"]["value"] == value.as_str())
        };
        self.members[0].config_maps.wait("a value from Git", is_it).await
    }

    async fn kustomizations(&self, dir: &Path) -> anyhow::Result<()> {
        let repository = dir.join("many");
        let files: Vec<(String, String)> = (0..KUSTOMIZATIONS)
            .flat_map(|it| (0..4).map(move |part| (it, part)))
            .map(|(it, part)| {
                let object = format!(
                    "apiVersion: v1\nkind: ConfigMap\n\
                     metadata: {{name: k{it}-{part}, namespace: shop}}\ndata: {{a: b}}\n"
                );
                (format!("k{it}/{part}.yaml"), object)
            })
            .collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        init_with(&repository, &files, "many", &author(), jiff::Timestamp::now())?;
        let started = Instant::now();
        self.source(&repository, "many").await?;
        for it in 0..KUSTOMIZATIONS {
            self.kustomization(&format!("k{it}"), "many", &format!("./k{it}")).await?;
        }
        let resource = self.hub.resource("kustomize.toolkit.fluxcd.io/v1", "Kustomization").await?;
        let ready = |it: &Value| {
            let conditions = it.pointer("/status/conditions").and_then(Value::as_array);
            let ready = |it: &&Value| it["type"] == "Ready" && it["status"] == "True";
            conditions.is_some_and(|it| it.iter().any(|it| ready(&it)))
        };
        while !self.hub.list(&resource, "shop", "").await?.iter().all(ready) {
            anyhow::ensure!(started.elapsed() < PATIENCE, "not all Kustomizations became Ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let took = started.elapsed().as_millis();
        println!("{KUSTOMIZATIONS} Kustomizations of 4 objects -> all Ready: {took} ms");
        Ok(())
    }
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "nginx"}]}}},
    })
}

fn author() -> Author {
    Author { name: "bench".into(), email: "bench@localhost".into() }
}
