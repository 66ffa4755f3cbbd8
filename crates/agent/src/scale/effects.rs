//! What is done to the member: groups resized, nodes cordoned, pods evicted.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use kogge_autoscale::{DELETE_ANNOTATION, DRAINING_ANNOTATION, Effect};
use kogge_member::{Client, Error, Fault, Resource};
use kogge_model::Pod;
use serde_json::{Value, json};

use super::groups::{Groups, resource};
use crate::link::Note;

/// Evictions under way at a time.
const EVICTIONS: usize = 8;

/// An eviction that hangs must not hold up the nodes that other pods wait for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does it all, in order, evictions side by side; says what is worth an event. What fails is
/// decided anew in the next round.
pub(super) async fn carry_out(
    client: &Client,
    groups: &mut Groups,
    effects: &[Effect],
) -> Vec<Note> {
    let mut notes = Vec::new();
    for effect in effects {
        let done = match effect {
            Effect::IncreaseGroup { group, to } => resize(client, groups, group, *to).await,
            Effect::Cordon(node) => cordon(client, node).await,
            Effect::Uncordon(node) => uncordon(client, node).await,
            Effect::RemoveNode { group, node, to } => {
                let done = remove_node(client, groups, group, node, *to).await;
                if done.is_ok() {
                    let message = format!("{node} is empty and goes: {group} is to have {to}");
                    notes.push(Note { warning: false, reason: "NodeRemoved".into(), message });
                }
                done
            }
            Effect::Evict(_) => continue,
        };
        match done {
            // Somebody else changed it: the next round sees how it is now.
            Err(error) if error.is_conflict() => {}
            Err(error) => notes.push(failed("ScalingFailed", error.chain())),
            Ok(()) => {}
        }
    }
    let evictions: Vec<_> = effects
        .iter()
        .filter_map(|it| match it {
            Effect::Evict(pod) => Some(evict(client.clone(), pod.clone())),
            _ => None,
        })
        .collect();
    let asked: Vec<Option<String>> =
        futures::stream::iter(evictions).buffer_unordered(EVICTIONS).collect().await;
    let mut refused: Vec<String> = asked.into_iter().flatten().collect();
    refused.sort_unstable();
    if let Some(first) = refused.into_iter().next() {
        notes.push(failed("EvictionRefused", first));
    }
    notes
}

fn failed(reason: &str, message: String) -> Note {
    Note { warning: true, reason: reason.to_owned(), message }
}

/// Sets how many nodes a group is to have, unless somebody changed the group meanwhile.
pub(super) async fn resize(
    client: &Client,
    groups: &mut Groups,
    name: &str,
    to: usize,
) -> Result<(), Error> {
    let mut patch = json!({"spec": {"desiredSize": to}});
    if let Some(group) = groups.get(name) {
        patch["metadata"] = json!({"resourceVersion": group["metadata"]["resourceVersion"]});
    }
    groups.put(client.merge(&resource(), "", name, None, &patch).await?);
    Ok(())
}

async fn cordon(client: &Client, node: &str) -> Result<(), Error> {
    let annotations = json!({DRAINING_ANNOTATION: "true"});
    patch_node(client, node, annotations, true.into()).await
}

/// Takes pods in again, and takes back the word that it goes.
pub(super) async fn uncordon(client: &Client, node: &str) -> Result<(), Error> {
    let annotations = json!({DRAINING_ANNOTATION: null, DELETE_ANNOTATION: null});
    patch_node(client, node, annotations, Value::Null).await
}

/// The mark first: a group only lets go of nodes that are marked.
async fn remove_node(
    client: &Client,
    groups: &mut Groups,
    group: &str,
    node: &str,
    to: usize,
) -> Result<(), Error> {
    patch_node(client, node, json!({DELETE_ANNOTATION: "true"}), true.into()).await?;
    resize(client, groups, group, to).await
}

async fn patch_node(
    client: &Client,
    name: &str,
    annotations: Value,
    unschedulable: Value,
) -> Result<(), Error> {
    let nodes = Resource::new("", "v1", "Node", "nodes", false);
    let patch = json!({
        "metadata": {"annotations": annotations}, "spec": {"unschedulable": unschedulable},
    });
    match client.merge(&nodes, "", name, None, &patch).await {
        // What is gone needs no mark.
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// Asks for an eviction; says why it was refused.
async fn evict(client: Client, pod: Arc<Pod>) -> Option<String> {
    let pods = Resource::new("", "v1", "Pod", "pods", true);
    let body = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"namespace": pod.namespace, "name": pod.name},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    });
    let asked = client.post(&pods, &pod.namespace, &pod.name, "eviction", &body);
    // What is not answered in time is asked again in the next round.
    let error = tokio::time::timeout(PATIENCE, asked).await.ok()?.err()?;
    // Gone already, or another pod by now.
    let moot = matches!(error.fault, Fault::NotFound(_) | Fault::Conflict(_));
    (!moot).then(|| format!("{}/{}: {}", pod.namespace, pod.name, error.fault))
}
