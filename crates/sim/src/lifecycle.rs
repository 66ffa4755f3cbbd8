//! Nodes that fell silent: not Ready, tainted, and their pods deleted when they have waited long.
//!
//! What a real cluster's controller manager does; only members without one run it.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kogge_member::{Client, DeleteOptions, Error, object};
use kogge_model::{Taint, Toleration};
use serde_json::{Value, json};

use crate::{
    kinds::{self, LEASE_NAMESPACE},
    time::seconds,
};

/// How long a lease may be old, and how long pods stay on a silent node that say nothing else of
/// it: Kubernetes' defaults.
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
    /// Those whose patience ended, after it was silent for so long.
    EvictPods(SignedDuration),
}

fn decide(node: &Value, renewed: Option<Timestamp>, now: Timestamp) -> Vec<Effect> {
    let since = tainted_since(node);
    // A node whose lease is not there yet has just come.
    let silent = renewed.is_some_and(|it| SILENCE < now.duration_since(it));
    match (silent, since) {
        (true, None) => vec![Effect::MarkUnknown],
        (true, Some(since)) => vec![Effect::EvictPods(now.duration_since(since))],
        (false, Some(_)) => vec![Effect::Untaint],
        _ => Vec::new(),
    }
}

fn tainted_since(node: &Value) -> Option<Timestamp> {
    let taints = node["spec"]["taints"].as_array()?;
    let taint = taints.iter().find(|it| it["key"] == UNREACHABLE && it["effect"] == "NoExecute")?;
    Some(taint["timeAdded"].as_str().and_then(|it| it.parse().ok()).unwrap_or(Timestamp::MIN))
}

/// How long a pod bears that its node is silent; `None` for ever, as daemons do.
fn patience(pod: &Value) -> Option<SignedDuration> {
    let taint = Taint {
        key: UNREACHABLE.to_owned(),
        value: String::new(),
        effect: kogge_model::Effect::NoExecute,
    };
    let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
    let tolerations = tolerations.filter_map(|it| Toleration::from_value(it).ok());
    let mut bears = tolerations.filter(|it| it.tolerates(&taint)).peekable();
    if bears.peek().is_none() {
        return Some(PATIENCE);
    }
    bears.filter_map(|it| it.seconds).min().map(|it| SignedDuration::from_secs(it.max(0)))
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
                Effect::EvictPods(silent) => evict(client, name, silent).await?,
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
    for pod in pods_on(client, object::name(node)).await? {
        let patch = json!({"metadata": {"uid": object::uid(&pod)},
            "status": {"conditions": unready(&pod, now)}});
        let (namespace, name) = (object::namespace(&pod), object::name(&pod));
        let said = client.merge(&kinds::pods(), namespace, name, Some("status"), &patch).await;
        said.map(drop).or_else(fine_if_gone)?;
    }
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

/// The pod's conditions, but that nobody knows whether it is ready.
fn unready(pod: &Value, now: Timestamp) -> Value {
    let mut conditions = pod["status"]["conditions"].clone();
    for condition in conditions.as_array_mut().into_iter().flatten() {
        if condition["type"] == "Ready" && condition["status"] == "True" {
            condition["status"] = "False".into();
            condition["lastTransitionTime"] = seconds(now).into();
        }
    }
    conditions
}

/// Nobody runs there who could end them gently.
async fn evict(client: &Client, node: &str, silent: SignedDuration) -> Result<(), Error> {
    let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    for pod in pods_on(client, node).await? {
        if patience(&pod).is_some_and(|it| it <= silent) {
            let (namespace, name) = (object::namespace(&pod), object::name(&pod));
            let gone = client.delete(&kinds::pods(), namespace, name, &options).await;
            gone.or_else(fine_if_gone)?;
        }
    }
    Ok(())
}

async fn pods_on(client: &Client, node: &str) -> Result<Vec<Value>, Error> {
    let mut pods = client.list(&kinds::pods(), "", "").await?;
    pods.retain(|it| object::text(it, "/spec/nodeName") == node);
    Ok(pods)
}

fn fine_if_gone(error: Error) -> Result<(), Error> {
    if error.is_not_found() { Ok(()) } else { Err(error) }
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
        let silent = |seconds: i64| [Effect::EvictPods(SignedDuration::from_secs(seconds))];
        assert_eq!(decide(&tainted(10), ago(60), NOON), silent(10));
        assert_eq!(decide(&tainted(300), ago(400), NOON), silent(300));
        assert_eq!(decide(&tainted(10), ago(1), NOON), [Effect::Untaint]);
    }

    #[test]
    fn a_pod_bears_silence_for_as_long_as_it_says() {
        let pod = |tolerations: Value| json!({"spec": {"tolerations": tolerations}});
        let some = |seconds: i64| Some(SignedDuration::from_secs(seconds));
        assert_eq!(patience(&pod(json!([]))), some(300));
        let short = json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute",
            "tolerationSeconds": 5}]);
        assert_eq!(patience(&pod(short)), some(5));
        let daemon = json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}]);
        assert_eq!(patience(&pod(daemon)), None);
        assert_eq!(patience(&pod(json!([{"operator": "Exists"}]))), None);
    }

    #[test]
    fn nobody_knows_whether_pods_of_a_silent_node_are_ready() {
        let of = |ready: &str| {
            json!({"status": {"conditions": [{"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": ready, "lastTransitionTime": "then"}]}})
        };
        let said = unready(&of("True"), NOON);
        assert_eq!((&said[0]["status"], &said[1]["status"]), (&json!("True"), &json!("False")));
        assert_eq!(said[1]["lastTransitionTime"], seconds(NOON));
        assert_eq!(unready(&of("False"), NOON), of("False")["status"]["conditions"]);
    }
}
