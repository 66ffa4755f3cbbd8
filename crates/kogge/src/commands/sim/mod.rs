//! `kogge sim`: clusters, nodes and fleets that only pretend.

mod gossip;

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use kogge_member::object;
use kogge_model::{ParseQuantityError, Quantity};
use kogge_sim::{PROVIDER, Prepared};
use serde_json::Value;

use crate::{clock, kubeconfig, stop::Stop};

/// Simulate parts of a cluster, or the gossip of a fleet
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Nodes(Nodes),
    Gossip(gossip::Args),
}

/// Add pretended nodes to a real cluster
///
/// Registers nodes, keeps their leases and runs the pods bound to them in pretence. The nodes are
/// a NodeGroup on the cluster: change its spec.desiredSize, or let a ClusterAutoscaler do it.
#[derive(Debug, clap::Args)]
struct Nodes {
    /// Kubeconfig of the cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Context in it [default: the current one]
    #[arg(long)]
    context: Option<String>,
    /// Name of the node group
    #[arg(long, default_value = "sim", value_parser = label)]
    group: String,
    /// Nodes to start with
    #[arg(long = "nodes", default_value_t = 1)]
    initial: u32,
    /// Most nodes that may be asked for
    #[arg(long, default_value_t = 10)]
    max: u32,
    /// CPU of a node
    #[arg(long, default_value = "4", value_parser = quantity)]
    cpu: String,
    /// Memory of a node
    #[arg(long, default_value = "16Gi", value_parser = quantity)]
    memory: String,
    /// Time from when a pod is bound until it runs, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    start_delay: u64,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.what {
        What::Nodes(args) => nodes(args, out).await,
        What::Gossip(args) => gossip::run(args, out),
    }
}

async fn nodes(args: &Nodes, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.max < args.initial {
        bail!("--nodes {} is more than --max {}; raise --max too", args.initial, args.max);
    }
    let mut stop = Stop::listen()?;
    let client = kubeconfig::from_file(&args.kubeconfig, args.context.as_deref()).await?;
    let version = client.raw("/version").await.context("the cluster does not answer")?;
    tracing::debug!(version, "the cluster answers");
    let mut group = kogge_sim::default_group();
    group.name.clone_from(&args.group);
    group.initial = args.initial;
    group.max = args.max;
    group.capacity.insert("cpu".into(), args.cpu.clone());
    group.capacity.insert("memory".into(), args.memory.clone());
    let groups = vec![group];
    let prepared = kogge_sim::prepare(&client, &groups).await;
    for it in prepared.with_context(|| format!("could not make node group {}", args.group))? {
        refuse_other(&it.group)?;
        writeln!(out, "{}; Ctrl-C ends their leases", size(&it))?;
    }
    out.flush()?;
    let config = kogge_sim::NodesConfig {
        client,
        groups,
        faults: kogge_sim::Faults::default(),
        start_delay: Duration::from_millis(args.start_delay),
        now: clock::now,
    };
    tokio::select! {
        () = stop.asked() => Ok(()),
        () = kogge_sim::run_nodes(config) => Ok(()),
    }
}

/// An amount of something, as Kubernetes writes it, and not none.
fn quantity(text: &str) -> Result<String, String> {
    let amount: Quantity = text.parse().map_err(|error: ParseQuantityError| error.to_string())?;
    if amount.is_negative() || amount.is_zero() {
        return Err("it must be more than 0".to_owned());
    }
    Ok(text.to_owned())
}

/// The group's name is also a label of its nodes and the beginning of their names.
fn label(text: &str) -> Result<String, String> {
    kogge_model::names::dns_label(text).map(|()| text.to_owned())
}

/// Nodes of a group that is not simulated are nobody's here.
fn refuse_other(group: &Value) -> anyhow::Result<()> {
    let provider = object::text(group, "/spec/provider");
    if provider != PROVIDER {
        let name = object::name(group);
        bail!("node group {name} is of provider {provider:?}; name another with --group");
    }
    Ok(())
}

/// What the group really says: one that was there keeps what it has.
fn size(prepared: &Prepared) -> String {
    let group = &prepared.group;
    let number = |path: &str| object::number(group, path).unwrap_or(0);
    let most = number("/spec/maxSize");
    let nodes = number("/spec/desiredSize").min(most);
    let nodes = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    let name = object::name(group);
    if prepared.is_new {
        return format!("{nodes} in group {name}");
    }
    let of = |resource: &str| {
        object::text(group, &format!("/spec/template/capacity/{resource}")).to_owned()
    };
    let (cpu, memory) = (of("cpu"), of("memory"));
    format!(
        "group {name} is there already and stays as it is: \
         {nodes}, at most {most}, of cpu {cpu} and memory {memory}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_quantities_above_none() {
        for good in ["4", "500m", "16Gi"] {
            assert_eq!(quantity(good), Ok(good.to_owned()));
        }
        for bad in ["lots", "", "0", "-1", "4 CPU"] {
            assert!(quantity(bad).is_err(), "{bad}");
        }
    }
}
