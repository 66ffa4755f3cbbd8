//! Fifty members of four nodes in one process: how long until their pods run, in how much memory.
//!
//! `cargo xtask bench sim [PODS]`: pods of each member, 20 unless said. The process holds the
//! members alone, so that its memory is theirs.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::future::try_join_all;
use kogge_apiserver::Authorization;
use kogge_member::{Client, Resource};
use kogge_sim::{Faults, SimMember, SimOptions, default_group};
use kogge_store::Embedded;
use serde_json::{Value, json};

const MEMBERS: usize = 50;
const NODES: u32 = 4;
const PODS: u64 = 20;
const DEPLOYMENTS: u64 = 4;
const PATIENCE: Duration = Duration::from_mins(5);

fn main() -> anyhow::Result<()> {
    let asked = std::env::args().skip(1).find_map(|it| it.parse().ok());
    tokio::runtime::Runtime::new()?.block_on(measure(asked.unwrap_or(PODS)))
}

async fn measure(pods: u64) -> anyhow::Result<()> {
    let started = Instant::now();
    let members = try_join_all((0..MEMBERS).map(start)).await?;
    println!("{MEMBERS} members started: {} ms, {}", started.elapsed().as_millis(), memory()?);
    let each = pods / DEPLOYMENTS;
    for client in members.iter().map(SimMember::client) {
        for number in 0..DEPLOYMENTS {
            client.create(&deployments(), &deployment(number, each)).await?;
        }
    }
    for member in &members {
        while !all_available(&member.client(), each).await? {
            anyhow::ensure!(started.elapsed() < PATIENCE, "{}: pods do not run", member.name());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let took = started.elapsed().as_millis();
    println!(
        "{MEMBERS} members with {NODES} nodes, {pods} pods each, run: {took} ms, {}",
        memory()?
    );

    let (before, idle) = (cpu_ms()?, Duration::from_secs(10));
    tokio::time::sleep(idle).await;
    let used = cpu_ms()? - before;
    println!("idle: {:.1} % of one core", 100.0 * used / (idle.as_secs_f64() * 1000.0));
    Ok(())
}

async fn start(number: usize) -> anyhow::Result<SimMember> {
    let mut group = default_group();
    group.initial = NODES;
    let options = SimOptions {
        name: format!("member{number}"),
        store: Arc::new(Embedded::in_memory()),
        groups: vec![group],
        faults: Faults::default(),
        start_delay: Duration::ZERO,
        now: jiff::Timestamp::now,
        authorization: Authorization::Rbac,
    };
    Ok(SimMember::start(options).await?)
}

fn deployments() -> Resource {
    Resource::new("apps", "v1", "Deployment", "deployments", true)
}

fn deployment(number: u64, replicas: u64) -> Value {
    let name = format!("web-{number}");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "nginx"}]}}},
    })
}

async fn all_available(client: &Client, replicas: u64) -> anyhow::Result<bool> {
    let all = client.list(&deployments(), "default", "").await?;
    Ok(all.iter().all(|it| it["status"]["availableReplicas"] == replicas))
}

/// Resident now, and at most so far.
fn memory() -> anyhow::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mib = |field: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|it| it.strip_prefix(field)).context("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
    };
    Ok(format!("{} MiB resident, {} MiB at most", mib("VmRSS:")?, mib("VmHWM:")?))
}

/// CPU time of all threads so far.
fn cpu_ms() -> anyhow::Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let said = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let first = said.split_whitespace().next().context("an empty schedstat")?;
        nanoseconds += first.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}
