//! Node groups and their nodes: as many as a group's `desiredSize` says, kept alive.
//!
//! Reading order: [`decide`] holds the rules, `beats` when nodes speak, `objects` what is written, `state` what is known,
//! `trouble` what went wrong, this file the loop. Whoever scales raises `desiredSize`; to shrink it annotates a drained node
//! with `kogge.dev/delete=true` and lowers `desiredSize`. No other node is ever deleted.

mod beats;
mod decide;
mod objects;
mod state;
#[cfg(test)]
mod tests;
mod trouble;

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kogge_member::{
    Client, Error,
    watch::{Scope, Seen, watch},
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use self::{beats::Beats, state::State};
use crate::{Faults, kinds, kubelet::Kubelet};

/// In `spec.provider` of the groups that are ours.
pub const PROVIDER: &str = "simulator";
/// Between tries of what failed.
const RETRY: Duration = Duration::from_secs(1);
const FOR_EVER: Duration = Duration::from_hours(24);

pub struct NodesConfig {
    pub client: Client,
    /// Made where they are missing; a group that is there stays as it is.
    pub groups: Vec<GroupSpec>,
    pub faults: Faults,
    /// From a pod being bound to its running.
    pub start_delay: Duration,
    pub now: fn() -> Timestamp,
}

/// A node group to begin with.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    pub name: String,
    pub initial: u32,
    pub min: u32,
    pub max: u32,
    pub labels: BTreeMap<String, String>,
    /// Quantities by resource name.
    pub capacity: BTreeMap<String, String>,
    /// Of a node for an hour, as a decimal number.
    pub price: Option<String>,
}

/// Nodes of 4 CPU, 16Gi and 110 pods: one to begin with, ten at most.
pub fn default_group() -> GroupSpec {
    let capacity =
        [("cpu", "4"), ("memory", "16Gi"), ("pods", "110"), ("ephemeral-storage", "100Gi")];
    GroupSpec {
        name: "default".to_owned(),
        initial: 1,
        min: 0,
        max: 10,
        labels: BTreeMap::new(),
        capacity: capacity.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        price: Some("0.2".to_owned()),
    }
}

/// Keeps the nodes of all simulated groups, and pretends to run what is bound to them. Endless.
pub async fn run_nodes(config: NodesConfig) {
    let mut said = String::new();
    while let Err(error) = prepare(&config.client, &config.groups).await {
        let error = error.chain();
        if error != said {
            tracing::warn!(error, "could not prepare node groups");
        }
        said = error;
        tokio::time::sleep(RETRY).await;
    }
    let kubelet = Kubelet::new(&config);
    let own = kubelet.own_nodes();
    let state = State::new(config, own);
    tokio::join!(keep(state), kubelet.run());
}

/// A group as it is served.
pub struct Prepared {
    pub group: Value,
    /// Whether it is as asked for; one that was there stays as it was.
    pub is_new: bool,
}

/// The kind NodeGroup is served, and the first groups are there.
pub async fn prepare(client: &Client, groups: &[GroupSpec]) -> Result<Vec<Prepared>, Error> {
    let kind = kinds::node_groups();
    if client.list(&kind, "", "").await.is_err() {
        let rows = kogge_api::rows();
        let row = rows.iter().find(|it| it.kind == kind.kind && it.group == kind.group);
        let definition = objects::definition(row.expect("the api crate has this kind"));
        exists(client.create(&kinds::definitions(), &definition).await)?;
        // A new kind is served a moment after it was defined.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = client.list(&kind, "", "").await {
            if deadline < Instant::now() {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut prepared = Vec::new();
    for spec in groups {
        let made = match client.create(&kind, &objects::group(spec)).await {
            Err(error) if error.is_conflict() => {
                let group = client.get(&kind, "", &spec.name).await?;
                Prepared { group, is_new: false }
            }
            made => Prepared { group: made?, is_new: true },
        };
        prepared.push(made);
    }
    Ok(prepared)
}

/// There already is as good as made.
fn exists<T>(made: Result<T, Error>) -> Result<(), Error> {
    match made {
        Err(error) if !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}

async fn keep(mut state: State) {
    let client = state.config.client.clone();
    let labelled = Scope { label_selector: kinds::GROUP_LABEL.to_owned(), ..Scope::default() };
    let mut groups = Box::pin(watch(client.clone(), kinds::node_groups(), Scope::default()));
    let mut nodes = Box::pin(watch(client, kinds::nodes(), labelled));
    let mut faults = state.config.faults.watch();
    let mut beats = Beats::default();
    let mut recheck = FOR_EVER;
    loop {
        let beat = beats.next().unwrap_or_else(|| Instant::now() + FOR_EVER);
        tokio::select! {
            Some(seen) = groups.next() => note(&mut state.groups, seen),
            Some(seen) = nodes.next() => note(&mut state.nodes, seen),
            Ok(()) = faults.changed() => {}
            () = tokio::time::sleep(recheck) => {}
            () = sleep_until(beat) => {
                state.beat(beats.due(Instant::now())).await;
                continue;
            }
        }
        while let Some(Some(seen)) = groups.next().now_or_never() {
            note(&mut state.groups, seen);
        }
        while let Some(Some(seen)) = nodes.next().now_or_never() {
            note(&mut state.nodes, seen);
        }
        recheck =
            if state.is_synced() { state.reconcile().await } else { None }.unwrap_or(FOR_EVER);
        beats.sync(state.alive(), Instant::now());
    }
}

/// By name; `None` until the first list is here.
type Known = Option<BTreeMap<String, Value>>;

fn note(known: &mut Known, seen: Seen) {
    let named = |it: Value| (kogge_member::object::name(&it).to_owned(), it);
    match seen {
        Seen::Reset { items, .. } => *known = Some(items.into_iter().map(named).collect()),
        Seen::Applied(object) => {
            known.get_or_insert_default().extend([named(object)]);
        }
        Seen::Deleted(object) => {
            known.get_or_insert_default().remove(kogge_member::object::name(&object));
        }
        Seen::Broken(error) => tracing::debug!(error = %error.chain(), "a watch broke"),
    }
}
