//! `kogge sim nodes` on a real control plane: how soon pods run, and what fifty idle nodes cost.
//!
//! `cargo xtask bench nodes`. Every pod is created with its node named, as a scheduler would bind
//! it; both moments are seen by one watch.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kogge_member::{
    Client, Resource, object,
    watch::{Scope, Seen, watch},
};
use kogge_testkit::{
    Process,
    kube::{self, Cluster, Options},
    process::Leash,
};
use serde_json::{Value, json};

const NODES: usize = 50;
const ONE_BY_ONE: usize = 200;
const AT_ONCE: usize = 1000;
const WARM: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_mins(2);

fn main() -> anyhow::Result<()> {
    let Some(binary) = kube::or_skip() else { return Ok(()) };
    tokio::runtime::Runtime::new()?.block_on(measure(&binary))
}

async fn measure(binary: &Path) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = Cluster::start(binary, &Options::named("bench"))?;
    let client =
        kogge_member::from_kubeconfig(&fs::read_to_string(cluster.kubeconfig())?, None).await?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_kogge"));
    command.args(["sim", "nodes", "--nodes", &NODES.to_string(), "--max", &NODES.to_string()]);
    command.arg("--kubeconfig").arg(cluster.kubeconfig());
    let started = Instant::now();
    let mut process =
        Process::spawn("sim nodes", command, &dir.path().join("nodes.log"), Leash::Watchdog)?;
    while ready_nodes(&client).await? < NODES {
        anyhow::ensure!(started.elapsed() < PATIENCE, "the nodes did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{NODES} nodes Ready: {} ms", started.elapsed().as_millis());

    tokio::time::sleep(WARM).await;
    let before = cpu_ms(process.pid())?;
    tokio::time::sleep(IDLE).await;
    let used = 100.0 * (cpu_ms(process.pid())? - before) / (IDLE.as_secs_f64() * 1000.0);
    let (now, most) = memory_mib(process.pid())?;
    println!("idle with {NODES} nodes: {used:.2} % of one core, {now} MiB ({most} at most)");

    one_by_one(&client).await?;
    all_at_once(&client).await?;
    let (now, most) = memory_mib(process.pid())?;
    println!("with {} pods: {now} MiB ({most} at most)", ONE_BY_ONE + AT_ONCE);
    process.kill()?;
    Ok(())
}

async fn ready_nodes(client: &Client) -> anyhow::Result<usize> {
    let nodes = Resource::new("", "v1", "Node", "nodes", false);
    let ready = |it: &Value| {
        let conditions = it["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    Ok(client.list(&nodes, "", "").await?.iter().filter(|it| ready(it)).count())
}

fn pods() -> Resource {
    Resource::new("", "v1", "Pod", "pods", true)
}

fn pod(name: &str, node: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": format!("sim-{}", node % NODES + 1),
            "containers": [{"name": "c", "image": "nginx"}]}})
}

/// When each pod was seen bound and running.
#[derive(Default)]
struct Moments {
    bound: BTreeMap<String, Instant>,
    running: BTreeMap<String, Instant>,
}

impl Moments {
    async fn until_running(
        &mut self,
        seen: &mut (impl Stream<Item = Seen> + Unpin),
        wanted: usize,
    ) -> anyhow::Result<()> {
        while self.running.len() < wanted {
            let next = tokio::time::timeout(PATIENCE, seen.next()).await;
            let Seen::Applied(pod) = next.context("pods do not run")?.context("no more news")?
            else {
                continue;
            };
            let (name, now) = (object::name(&pod).to_owned(), Instant::now());
            self.bound.entry(name.clone()).or_insert(now);
            if pod["status"]["phase"] == "Running" {
                self.running.entry(name).or_insert(now);
            }
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        let waits = self.running.iter().map(|(name, at)| *at - self.bound[name]);
        let mut waits: Vec<Duration> = waits.collect();
        waits.sort();
        let at = |part: usize| {
            waits[(waits.len() * part / 100).min(waits.len() - 1)].as_secs_f64() * 1000.0
        };
        println!("{what}: median {:.1} ms, p99 {:.1} ms, n {}", at(50), at(99), waits.len());
    }
}

async fn one_by_one(client: &Client) -> anyhow::Result<()> {
    let mut seen = Box::pin(watch(client.clone(), pods(), Scope::default()));
    seen.next().await;
    let mut moments = Moments::default();
    for number in 0..ONE_BY_ONE {
        client.create(&pods(), &pod(&format!("one-{number}"), number)).await?;
        moments.until_running(&mut seen, number + 1).await?;
    }
    moments.say("bound -> Running, one by one");
    Ok(())
}

async fn all_at_once(client: &Client) -> anyhow::Result<()> {
    let mut seen = Box::pin(watch(client.clone(), pods(), Scope::default()));
    seen.next().await;
    let started = Instant::now();
    let creator = client.clone();
    let creating = tokio::spawn(async move {
        let all = futures::stream::iter((0..AT_ONCE).map(Ok::<_, kogge_member::Error>));
        let create = |number: usize| {
            let client = creator.clone();
            async move {
                let pod = pod(&format!("many-{number}"), number);
                client.create(&pods(), &pod).await.map(drop)
            }
        };
        all.try_for_each_concurrent(16, create).await.map(|()| started.elapsed())
    });
    let mut moments = Moments::default();
    moments.until_running(&mut seen, AT_ONCE).await?;
    let (all, created) = (started.elapsed().as_millis(), creating.await??.as_millis());
    println!("{AT_ONCE} bound pods created in {created} ms, all Running after {all} ms");
    moments.say("bound -> Running, all at once");
    Ok(())
}

/// CPU time of all its threads so far.
fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let said = fs::read_to_string(task?.path().join("schedstat"))?;
        let first = said.split_whitespace().next().context("an empty schedstat")?;
        nanoseconds += first.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}

/// Resident now, and at most so far.
fn memory_mib(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |field: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|it| it.strip_prefix(field)).context("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
    };
    Ok((mib("VmRSS:")?, mib("VmHWM:")?))
}
