//! What a fleet of agents costs while nothing happens, and how soon all know what happens.
//!
//! `cargo xtask bench agents [COUNT]`, 50 without a number. Each agent is a process on a host of its own
//! (a network namespace), beside a simulated cluster; the hub is one more. `alone` measures gossip
//! without anything around it.
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod alone;
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/hosts/mod.rs"]
mod hosts;
#[path = "../../tests/pulled/mod.rs"]
mod pulled;

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use kogge_testkit::wait_until;
use serde_json::Value;

use self::{
    common::SOON,
    hosts::{Fleet, Member, count, seen, until},
};

const EVENTS: usize = 20;
const WORKS: usize = 100;
const WARM: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_mins(1);

const POLICY: &str = r#"{"apiVersion": "policy.karmada.io/v1alpha1",
"kind": "ClusterPropagationPolicy", "metadata": {"name": "first"},
"spec": {"resourceSelectors": [{"apiVersion": "apps/v1", "kind": "Deployment"},
        {"apiVersion": "v1", "kind": "ConfigMap"}],
    "placement": {"clusterAffinity": {"clusterNames": ["c01"]}}}}"#;

fn main() -> anyhow::Result<()> {
    // Cargo adds a word of its own.
    let asked = std::env::args().skip(1).find_map(|it| it.parse().ok());
    let agents = asked.unwrap_or(50);
    alone::measure(agents)?;
    let Some((mut fleet, hosts)) = Fleet::or_skip(agents) else { return Ok(()) };
    for host in &hosts {
        fleet.network.meter(host)?;
    }
    let started = Instant::now();
    fleet.join(hosts, &[]);
    fleet.all_see_all_alive();
    println!("{agents} agents joined one after the other, all see all: {:.1?}", started.elapsed());
    idle(&fleet)?;
    events(&fleet)?;
    memory(&fleet)?;
    hub_returns(&mut fleet);
    Ok(())
}

fn idle(fleet: &Fleet) -> anyhow::Result<()> {
    until(Instant::now() + WARM);
    let before = spent(fleet)?;
    until(Instant::now() + IDLE);
    let after = spent(fleet)?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let each = |it: u64| it as f64 / fleet.members.len() as f64 / IDLE.as_secs_f64();
    println!(
        "idle, each agent: gossip sends {:.0} B/s and receives {:.0} B/s (UDP, IP headers included), \
         {:.1} datagrams/s out",
        each(after.sent - before.sent),
        each(after.received - before.received),
        each(after.datagrams - before.datagrams)
    );
    println!(
        "idle, each agent with all it does (gossip, hub's link, watches): {:.2} % of a core",
        each(after.cpu_ms - before.cpu_ms) / 10.0
    );
    Ok(())
}

/// Sums over all agents.
#[derive(Default)]
struct Spent {
    sent: u64,
    received: u64,
    datagrams: u64,
    cpu_ms: u64,
}

fn spent(fleet: &Fleet) -> anyhow::Result<Spent> {
    let mut all = Spent::default();
    for member in &fleet.members {
        let meter = member.host.metered()?;
        all.sent += meter.sent;
        all.received += meter.received;
        all.datagrams += meter.datagrams;
        all.cpu_ms += cpu_ms(member.agent.pid())?;
    }
    Ok(all)
}

/// User and system time so far.
fn cpu_ms(pid: u32) -> anyhow::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in parentheses; user and system time are fields 14 and 15, in 10 ms.
    let fields = stat.rsplit_once(')').context("a process has a name")?.1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map_while(|it| it.parse::<u64>().ok()).sum();
    Ok(ticks * 10)
}

/// A work arrives at one cluster, whose agent then says so. Each agent is asked afterwards how long
/// ago it learned that, so that nothing is measured but the way.
fn events(fleet: &Fleet) -> anyhow::Result<()> {
    fleet.hub.apply("policy.json", POLICY);
    let (first, others) = fleet.members.split_first().context("there are agents")?;
    let mut times = Vec::new();
    for event in 0..EVENTS {
        until(Instant::now() + Duration::from_secs(3));
        let old = learned(first)?.version;
        let map = ["create", "configmap", &format!("event-{event}"), "-n", "default"];
        fleet.hub.kubectl.ok(&map);
        wait_until(SOON, "the first agent says so", || {
            learned(first).is_ok_and(|it| old < it.version).then_some(())
        });
        until(Instant::now() + Duration::from_secs(1));
        let said = learned(first)?;
        let mut last = Duration::ZERO;
        for other in others {
            let heard = learned(other)?;
            anyhow::ensure!(heard.version == said.version, "{} missed an event", other.name);
            last = last.max(heard.at.saturating_duration_since(said.at));
        }
        times.push(last);
    }
    times.sort();
    println!(
        "an event is known to all other agents after {:.0?} (median; the longest {:.0?})",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    Ok(())
}

/// What an agent knows of the first one, and when it learned that; an answer takes a millisecond or
/// two, whose middle counts as its time.
struct Learned {
    version: u64,
    at: Instant,
}

fn learned(by: &Member) -> anyhow::Result<Learned> {
    let asked = Instant::now();
    let view: Value = serde_json::from_str(&by.status()?)?;
    let answered = asked + asked.elapsed() / 2;
    let first = seen(&view, "c01");
    let version = first["version"].as_u64().context("it is a member")?;
    let ago = first["changedSeconds"].as_f64().context("it says when")?;
    let at = answered.checked_sub(Duration::from_secs_f64(ago)).context("the clock is young")?;
    Ok(Learned { version, at })
}

fn memory(fleet: &Fleet) -> anyhow::Result<()> {
    let first = &fleet.members[0];
    let (before, _) = memory_mib(first.agent.pid())?;
    let mut works = String::new();
    for it in 0..WORKS {
        write!(
            works,
            "---\napiVersion: apps/v1\nkind: Deployment\n\
             metadata: {{name: web-{it}, namespace: default}}\n\
             spec:\n  selector: {{matchLabels: {{app: web-{it}}}}}\n  template:\n    \
             metadata: {{labels: {{app: web-{it}}}}}\n    \
             spec: {{containers: [{{name: web, image: nginx}}]}}\n"
        )?;
    }
    fleet.hub.apply("works.yaml", &works);
    let ready = ["get", "deployments", "-o", "jsonpath={.items[*].status.readyReplicas}"];
    let all = vec!["1"; WORKS].join(" ");
    first.kubectl.wait(&ready, &all);
    until(Instant::now() + Duration::from_secs(5));
    let (now, own) = memory_mib(first.agent.pid())?;
    println!(
        "an agent's memory: {before:.1} MiB, with {WORKS} works {now:.1} MiB (RSS), {own:.1} without its program's file"
    );
    Ok(())
}

/// All that is in memory, and of that what is no file.
fn memory_mib(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |field: &str| -> Option<f64> {
        let line = status.lines().find_map(|it| it.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let field = |it| of(it).map(|kilobytes| kilobytes / 1024.0).context("the kernel says it");
    Ok((field("VmRSS:")?, field("RssAnon:")?))
}

fn hub_returns(fleet: &mut Fleet) {
    fleet.hub.process.kill().expect("killed");
    until(Instant::now() + Duration::from_secs(20));
    let started = Instant::now();
    fleet.hub.start_again();
    let all = fleet.members.len() + 1;
    wait_until(SOON, "the hub sees all", || {
        (count(&fleet.hub.view(), "Alive") == all).then_some(())
    });
    println!("the hub is back and sees all alive: {:.1?} from its start", started.elapsed());
}
