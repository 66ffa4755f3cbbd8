//! `kogge sim`: clusters and nodes that only pretend.

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::Context as _;

use crate::{clock, kubeconfig, stop::Stop};

/// Simulate parts of a cluster
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Nodes(Nodes),
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
    #[arg(long, default_value = "sim")]
    group: String,
    /// Nodes to start with
    #[arg(long = "nodes", default_value_t = 1)]
    initial: u32,
    /// Most nodes that may be asked for
    #[arg(long, default_value_t = 10)]
    max: u32,
    /// CPU of a node
    #[arg(long, default_value = "4")]
    cpu: String,
    /// Memory of a node
    #[arg(long, default_value = "16Gi")]
    memory: String,
    /// Time from when a pod is bound until it runs, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    start_delay: u64,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let What::Nodes(args) = &args.what;
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
    let config = kogge_sim::NodesConfig {
        client,
        groups: vec![group],
        faults: kogge_sim::Faults::default(),
        start_delay: Duration::from_millis(args.start_delay),
        now: clock::now,
    };
    writeln!(out, "{} nodes in group {}; Ctrl-C ends their leases", args.initial, args.group)?;
    out.flush()?;
    tokio::select! {
        () = stop.asked() => Ok(()),
        () = kogge_sim::run_nodes(config) => Ok(()),
    }
}
