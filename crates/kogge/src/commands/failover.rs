//! `kogge failover`: what became of clusters that failed, and the word that gives them up.
//!
//! Says nothing of its own: the words are those of the conditions on the hub.

use std::io::Write;

use anyhow::{Context as _, bail};
use kogge_member::{
    Client, ObjectKey,
    object::{self, text},
};
use serde_json::{Value, json};

use crate::kubeconfig::Target;

const CLUSTER_VERSION: &str = "cluster.karmada.io/v1alpha1";
const BINDING_VERSION: &str = "work.karmada.io/v1alpha2";
const APPROVE: &str = "kogge.dev/approve-failover";

/// Show what became of clusters that failed, or give them up
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the clusters that failed, and what each workload on them does
    Status(Status),
    /// Agree that workloads move off clusters that are held; all of them, unless named
    Approve(Approve),
}

#[derive(Debug, clap::Args)]
struct Status {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct Approve {
    /// Names of clusters
    clusters: Vec<String>,
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.command {
        Command::Status(args) => {
            let client = args.target.client().await?;
            let clusters = list(&client, CLUSTER_VERSION, "Cluster").await?;
            let mut bindings = list(&client, BINDING_VERSION, "ResourceBinding").await?;
            bindings.extend(list(&client, BINDING_VERSION, "ClusterResourceBinding").await?);
            out.write_all(show(&clusters, &bindings).as_bytes())?;
        }
        Command::Approve(args) => {
            let client = args.target.client().await?;
            let clusters = list(&client, CLUSTER_VERSION, "Cluster").await?;
            for name in chosen(&clusters, &args.clusters)? {
                approve(&client, name).await?;
                writeln!(out, "{name} is given up: what can move moves off it")?;
            }
        }
    }
    Ok(())
}

async fn list(client: &Client, api_version: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
    let failed = || format!("could not list every {kind}");
    let resource = client.resource(api_version, kind).await.with_context(failed)?;
    client.list(&resource, "", "").await.with_context(failed)
}

async fn approve(client: &Client, name: &str) -> anyhow::Result<()> {
    let resource = client.resource(CLUSTER_VERSION, "Cluster").await?;
    let word = json!({"metadata": {"annotations": {APPROVE: "true"}}});
    let written = client.merge(&resource, "", name, None, &word).await;
    written.with_context(|| format!("could not approve the failover of {name}"))?;
    Ok(())
}

/// The clusters that a person's word is for: what is not held needs none.
fn chosen<'a>(clusters: &'a [Value], named: &[String]) -> anyhow::Result<Vec<&'a str>> {
    let held = clusters.iter().filter(|it| is_true(it, "FailoverHeld")).map(object::name);
    let held: Vec<&str> = held.collect();
    let Some(other) = named.iter().find(|it| !held.contains(&it.as_str())) else {
        if held.is_empty() {
            bail!("nothing is held: no cluster waits for a word");
        }
        return Ok(held.into_iter().filter(|it| named.is_empty() || is_in(named, it)).collect());
    };
    let all = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
    bail!("nothing is held on {other}; held are: {all}")
}

fn is_in(named: &[String], name: &str) -> bool {
    named.iter().any(|it| it == name)
}

fn show(clusters: &[Value], bindings: &[Value]) -> String {
    let failed: Vec<&Value> = clusters.iter().filter(|it| has_failed(it)).collect();
    let mut rows = vec![["CLUSTER", "STATE", "SINCE", "WHY"].map(str::to_owned)];
    rows.extend(failed.iter().map(|it| cluster_row(it)));
    let moves: Vec<_> =
        bindings.iter().filter_map(|it| Some((it, condition(it, "Failover")?))).collect();
    if failed.is_empty() && moves.is_empty() {
        return format!("all {} clusters are well, and nothing moves\n", clusters.len());
    }
    let mut said = if failed.is_empty() { String::new() } else { table(&rows) };
    if !moves.is_empty() {
        let mut rows = vec![["WORKLOAD", "STATE", "CLUSTER", "WHY"].map(str::to_owned)];
        rows.extend(moves.iter().flat_map(|(binding, it)| move_rows(binding, it)));
        if !failed.is_empty() {
            said.push('\n');
        }
        said.push_str(&table(&rows));
    }
    let held = failed.iter().any(|it| is_true(it, "FailoverHeld"));
    if held {
        said.push_str("\nNothing moves off what is held until: kogge failover approve\n");
    }
    said
}

fn has_failed(cluster: &Value) -> bool {
    is_true(cluster, "Dead") || unreachable(cluster).is_some()
}

/// The taint that says so.
fn unreachable(cluster: &Value) -> Option<&Value> {
    let taints = cluster.pointer("/spec/taints").and_then(Value::as_array);
    taints?.iter().find(|it| it["key"] == "cluster.karmada.io/unreachable")
}

fn cluster_row(cluster: &Value) -> [String; 4] {
    let dead = condition(cluster, "Dead").filter(|it| it["status"] == "True");
    let held = condition(cluster, "FailoverHeld").filter(|it| it["status"] == "True");
    let seen = condition(cluster, "Dead").filter(|it| it["reason"] == "SeenByOthers");
    let (state, why) = match (held, dead) {
        (Some(held), _) => ("held", held),
        (None, Some(dead)) => ("dead", dead),
        _ => ("unreachable", seen.or(condition(cluster, "Ready")).unwrap_or(&Value::Null)),
    };
    let since = match dead {
        Some(it) => text(it, "/lastTransitionTime"),
        None => unreachable(cluster).map_or("", |it| text(it, "/timeAdded")),
    };
    let since = if since.is_empty() { "-" } else { since };
    [object::name(cluster), state, since, text(why, "/message")].map(str::to_owned)
}

/// A row for each cluster that it is to leave.
fn move_rows(binding: &Value, condition: &Value) -> Vec<[String; 4]> {
    let resource = text(binding, "/spec/resource/apiVersion");
    let group = resource.split_once('/').map_or("", |it| it.0);
    let field = |name: &str| text(binding, &format!("/spec/resource/{name}"));
    let key = ObjectKey::new(group, field("kind"), field("namespace"), field("name"));
    let state = text(condition, "/reason");
    let lines = text(condition, "/message").lines();
    let row = |line: &str| {
        let (cluster, why) = line.split_once(": ").unwrap_or(("", line));
        [key.to_string(), state.to_owned(), cluster.to_owned(), why.to_owned()]
    };
    lines.map(row).collect()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array)?;
    all.iter().find(|it| it["type"] == kind)
}

fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|it| it["status"] == "True")
}

fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|it| it[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |it: &[String; 4]| {
        let [a, b, c, d] = it;
        format!("{a:0$}  {b:1$}  {c:2$}  {d}\n", widths[0], widths[1], widths[2])
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str, dead: bool, held: bool) -> Value {
        let status = |it: bool| if it { "True" } else { "False" };
        json!({"metadata": {"name": name}, "status": {"conditions": [
            {"type": "Dead", "status": status(dead), "lastTransitionTime": "2026-01-01T00:00:00Z",
             "message": format!("{name} was declared dead on the word of a, b, c")},
            {"type": "FailoverHeld", "status": status(held),
             "message": "nothing moves off it: 2 of 3 clusters are gone at once"}]}})
    }

    fn binding() -> Value {
        json!({
            "spec": {"resource": {"apiVersion": "apps/v1", "kind": "Deployment",
                "namespace": "shop", "name": "web"}},
            "status": {"conditions": [{"type": "Failover", "status": "True", "reason": "Moved",
                "message": "eu: it was moved away 10 s after eu was declared dead"}]}})
    }

    #[test]
    fn an_incident_is_shown_with_what_waits() {
        let clusters = [cluster("asia", true, true), cluster("eu", true, false)];
        insta::assert_snapshot!(show(&clusters, &[binding()]), @r"
        CLUSTER  STATE  SINCE                 WHY
        asia     held   2026-01-01T00:00:00Z  nothing moves off it: 2 of 3 clusters are gone at once
        eu       dead   2026-01-01T00:00:00Z  eu was declared dead on the word of a, b, c

        WORKLOAD                     STATE  CLUSTER  WHY
        deployment.apps/web -n shop  Moved  eu       it was moved away 10 s after eu was declared dead

        Nothing moves off what is held until: kogge failover approve
        ");
        let well = [cluster("eu", false, false)];
        assert_eq!(show(&well, &[]), "all 1 clusters are well, and nothing moves\n");
    }

    #[track_caller]
    fn check(named: &[&str], want: Result<&[&str], &str>) {
        let clusters = [cluster("asia", true, true), cluster("eu", true, false)];
        let named: Vec<String> = named.iter().map(|it| (*it).to_owned()).collect();
        let got = chosen(&clusters, &named).map_err(|it| it.to_string());
        assert_eq!(got, want.map(<[_]>::to_vec).map_err(str::to_owned));
    }

    #[test]
    fn only_what_is_held_is_approved() {
        check(&[], Ok(&["asia"]));
        check(&["asia"], Ok(&["asia"]));
        check(&["asia", "eu"], Err("nothing is held on eu; held are: asia"));
        assert!(chosen(&[cluster("eu", true, false)], &[]).is_err());
    }
}
