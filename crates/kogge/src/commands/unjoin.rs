//! `kogge unjoin`: a cluster leaves the fleet, its workloads stay where they are.

use std::io::Write;

use anyhow::{Context as _, anyhow, bail};
use kogge_agent::{MANAGED_LABEL, SYSTEM_NAMESPACE};
use kogge_member::{Client, DeleteOptions, Error, Resource};
use serde_json::{Value, json};

use super::join;
use crate::kubeconfig::Target;

/// Take a cluster out of the fleet
///
/// Its workloads go on running; the marks that kogge left on them go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the cluster in the fleet
    name: String,
    /// Forget it even if it cannot be reached
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let hub = args.target.client().await?;
    let name = &args.name;
    refuse_listed(&hub, name).await?;
    let clusters = hub.resource("cluster.karmada.io/v1alpha1", "Cluster").await?;
    let cluster = hub
        .get(&clusters, "", name)
        .await
        .with_context(|| format!("{name} is no cluster of this fleet"))?;
    if cluster.pointer("/spec/syncMode") == Some(&"Pull".into()) {
        // Its agent hears of it, and stops.
        gone(hub.delete(&clusters, "", name, &DeleteOptions::default()).await)?;
        writeln!(out, "{name} left the fleet; its agent stops, its workloads go on running")?;
        return Ok(());
    }
    let member = match connect(&hub, &cluster).await {
        Ok(member) => Some(member),
        Err(error) if args.force => {
            writeln!(out, "{name} is forgotten without being cleaned: {error:#}")?;
            None
        }
        Err(error) => {
            let hint = format!("{name} cannot be reached; to forget it as it is, add --force");
            return Err(error.context(hint));
        }
    };
    // The Cluster goes first: from then on no agent of the hub touches the member.
    gone(hub.delete(&clusters, "", name, &DeleteOptions::default()).await)?;
    let secrets = Resource::new("", "v1", "Secret", "secrets", true);
    gone(
        hub.delete(&secrets, SYSTEM_NAMESPACE, &join::secret_name(name), &DeleteOptions::default())
            .await,
    )?;
    // Marks of another hub, or of another Cluster of this one, are not ours to take.
    if let Some(member) = member.filter(|_| !is_somebody_elses(&cluster)) {
        clean(&member).await.with_context(|| format!("could not clean {name}"))?;
    }
    writeln!(out, "{name} left the fleet; its workloads go on running")?;
    Ok(())
}

async fn refuse_listed(hub: &Client, name: &str) -> anyhow::Result<()> {
    let federations = hub.resource("federation.k8s.io/v1beta1", "Federation").await?;
    for federation in hub.list(&federations, "", "").await? {
        let members = federation["members"].as_array();
        if members.into_iter().flatten().any(|it| it["name"] == name) {
            let federation = kogge_member::object::name(&federation);
            bail!("Federation {federation} lists {name}; take it off its members first");
        }
    }
    Ok(())
}

fn is_somebody_elses(cluster: &Value) -> bool {
    let conditions = cluster.pointer("/status/conditions").and_then(Value::as_array);
    let is_it = |it: &Value| it["reason"] == "OwnedByAnotherHub" || it["reason"] == "Duplicate";
    conditions.into_iter().flatten().any(is_it)
}

/// A client of the member that answers, with what the hub keeps of it.
async fn connect(hub: &Client, cluster: &Value) -> anyhow::Result<Client> {
    let member = kogge_hub::member_client(hub, cluster).await.map_err(|it| anyhow!(it))?;
    member.raw("/version").await?;
    Ok(member)
}

/// Takes kogge's marks and account off the member. The account goes last: it is the one that asks.
async fn clean(member: &Client) -> anyhow::Result<()> {
    unmark(member).await?;
    Ok(kogge_hub::clean_member(member).await?)
}

/// Takes kogge's label off everything that has it.
async fn unmark(member: &Client) -> anyhow::Result<()> {
    let unlabel = json!({"metadata": {"labels": {MANAGED_LABEL: null}}});
    for (api_version, kind) in kogge_agent::inventory_kinds(member).await? {
        let Ok(resource) = member.resource(&api_version, &kind).await else { continue };
        for object in member.list(&resource, "", &format!("{MANAGED_LABEL}=true")).await? {
            let (namespace, name) =
                (kogge_member::object::namespace(&object), kogge_member::object::name(&object));
            gone(member.merge(&resource, namespace, name, None, &unlabel).await.map(|_| ()))?;
        }
    }
    Ok(())
}

/// The same for a cluster whose agent may live in kogge's namespace there: that stays.
pub async fn release(member: &Client) -> anyhow::Result<()> {
    unmark(member).await?;
    let config_maps = Resource::new("", "v1", "ConfigMap", "configmaps", true);
    let options = DeleteOptions::default();
    let inventory = kogge_agent::INVENTORY;
    Ok(gone(member.delete(&config_maps, SYSTEM_NAMESPACE, inventory, &options).await)?)
}

/// What is not there need not be taken away.
fn gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
