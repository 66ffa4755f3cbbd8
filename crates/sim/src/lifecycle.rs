//! Nodes that fell silent: not Ready, tainted, and their pods deleted when they have waited long.
//!
//! What a real cluster's controller manager does; only members without one run it.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kogge_member::{Client, DeleteOptions, Error, object};
use serde_json::{Value, json};

use crate::{
    kinds::{self, LEASE_NAMESPACE},
    time::seconds,
};

/// How long a lease may be old, and how long pods stay on a silent node: Kubernetes' defaults.
const SILENCE: SignedDuration = SignedDuration::from_secs(40);
const PATIENCE: SignedDuration = SignedDuration::from_secs(300);
const EVERY: Duration = Duration::from_secs(5);
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// What a node's state asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    MarkUnknown,
    /// It speaks again.
    Untaint,
    EvictPods,
}

fn decide(node: &Value, renewed: Option<Timestamp>, now: Timestamp) -> Vec<Effect> {
    let since = tainted_since(node);
    // A node whose lease is not there yet has just come.
    let silent = renewed.is_some_and(|it| SILENCE < now.duration_since(it));
    match (silent, since) {
        (true, None) => vec![Effect::MarkUnknown],
        (true, Some(since)) if PATIENCE <= now.duration_since(since) => vec![Effect::EvictPods],
        (false, Some(_)) => vec![Effect::Untaint],
        _ => Vec::new(),
    }
}

fn tainted_since(node: &Value) -> Option<Timestamp> {
    let taints = node["spec"]["taints"].as_array()?;
    let taint = taints.iter().find(|it| it["key"] == UNREACHABLE && it["effect"] == "NoExecute")?;
    Some(taint["timeAdded"].as_str().and_then(|it| it.parse().ok()).unwrap_or(Timestamp::MIN))
}

/// Looks at every node's lease, for ever.
pub(crate) async fn run(client: Client, now: fn() -> Timestamp) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = round(&client, now()).await {
            tracing::debug!(error = %error.chain(), "could not look after nodes");
        }
    }
}

async fn round(client: &Client, now: Timestamp) -> Result<(), Error> {
    let leases = client.list(&kinds::leases(), LEASE_NAMESPACE, "").await?;
    let renewed: BTreeMap<&str, Timestamp> = leases
        .iter()
        .filter_map(|it| Some((object::name(it), it["spec"]["renewTime"].as_str()?.parse().ok()?)))
        .collect();
    for node in client.list(&kinds::nodes(), "", "").await? {
        let name = object::name(&node);
        for effect in decide(&node, renewed.get(name).copied(), now) {
            match effect {
                Effect::MarkUnknown => mark_unknown(client, &node, now).await?,
                Effect::Untaint => taint(client, &node, None).await?,
                Effect::EvictPods => evict(client, name).await?,
            }
        }
    }
    Ok(())
}

/// Conditions first: the taint says that this is done.
async fn mark_unknown(client: &Client, node: &Value, now: Timestamp) -> Result<(), Error> {
    let mut conditions = node["status"]["conditions"].clone();
    for condition in conditions.as_array_mut().into_iter().flatten() {
        condition["status"] = "Unknown".into();
        condition["reason"] = "NodeStatusUnknown".into();
        condition["message"] = "Kubelet stopped posting node status.".into();
        condition["lastTransitionTime"] = seconds(now).into();
    }
    let patch = json!({"status": {"conditions": conditions}});
    client.merge(&kinds::nodes(), "", object::name(node), Some("status"), &patch).await?;
    taint(client, node, Some(now)).await
}

async fn taint(client: &Client, node: &Value, since: Option<Timestamp>) -> Result<(), Error> {
    let others = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let mut taints: Vec<Value> = others.into_iter().filter(|it| it["key"] != UNREACHABLE).collect();
    if let Some(since) = since {
        for effect in ["NoSchedule", "NoExecute"] {
            taints.push(json!({"key": UNREACHABLE, "effect": effect, "timeAdded": seconds(since)}));
        }
    }
    let patch = json!({"spec": {"taints": taints}});
    client.merge(&kinds::nodes(), "", object::name(node), None, &patch).await.map(drop)
}

/// Nobody runs there who could end them gently.
async fn evict(client: &Client, node: &str) -> Result<(), Error> {
    let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    for pod in client.list(&kinds::pods(), "", "").await? {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        let is_daemon = owners.into_iter().flatten().any(|it| it["kind"] == "DaemonSet");
        if object::text(&pod, "/spec/nodeName") == node && !is_daemon {
            client
                .delete(&kinds::pods(), object::namespace(&pod), object::name(&pod), &options)
                .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

    #[test]
    fn a_silent_node_is_marked_then_emptied_and_untainted_when_back() {
        let ago = |seconds: i64| Some(NOON - SignedDuration::from_secs(seconds));
        let node = json!({});
        let tainted = |seconds: i64| {
            json!({"spec": {"taints": [{"key": UNREACHABLE, "effect": "NoExecute",
                "timeAdded": crate::time::seconds(NOON - SignedDuration::from_secs(seconds))}]}})
        };
        assert_eq!(decide(&node, ago(40), NOON), []);
        assert_eq!(decide(&node, None, NOON), []);
        assert_eq!(decide(&node, ago(41), NOON), [Effect::MarkUnknown]);
        assert_eq!(decide(&tainted(10), ago(60), NOON), []);
        assert_eq!(decide(&tainted(300), ago(400), NOON), [Effect::EvictPods]);
        assert_eq!(decide(&tainted(10), ago(1), NOON), [Effect::Untaint]);
    }
}
