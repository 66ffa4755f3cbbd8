//! Deployment: a ReplicaSet for each template, the newest taking over as its strategy allows.

use jiff::Timestamp;
use kogge_member::object;
use kogge_model::IntOrPercent;
use serde_json::{Value, json};

use super::{
    Effect,
    pods::{condition, number, owned_by, replicas, status, template_hash},
    world::{Key, Kind, World},
};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Vec<Effect> {
    let Some(deployment) = world.get(key) else { return Vec::new() };
    if object::is_deleting(deployment) {
        return Vec::new();
    }
    let hash = template_hash(&deployment["spec"]["template"]);
    let sets: Vec<&Value> =
        world.owned(Kind::ReplicaSet, deployment).filter(|it| !object::is_deleting(it)).collect();
    let is_new = |it: &&&Value| object::label(it, HASH) == Some(hash.as_str());
    let new = sets.iter().find(is_new).copied();
    let old: Vec<&Value> = sets.iter().filter(|it| !is_new(it)).copied().collect();
    let mut effects = Vec::new();
    if deployment["spec"]["paused"] != true {
        let plan = rollout(deployment, new, &old);
        effects.extend(scale(deployment, new, &old, &plan, &hash));
    }
    effects.extend(status(key, deployment, &summary(deployment, new, &sets, now)));
    effects
}

/// Replicas of the new set, and of each old one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    pub new: i64,
    pub old: Vec<i64>,
}

/// One step: never more than `replicas + maxSurge` pods, never fewer available than
/// `replicas - maxUnavailable` on account of it.
pub(super) fn rollout(deployment: &Value, new: Option<&Value>, old: &[&Value]) -> Rollout {
    let wanted = replicas(deployment);
    let has = |it: &Value| replicas(it);
    let new_has = new.map_or(0, has);
    let old_have: i64 = old.iter().map(|it| has(it)).sum();
    if deployment.pointer("/spec/strategy/type").is_some_and(|it| it == "Recreate") {
        let running: i64 = old.iter().map(|it| number(it, "/status/replicas")).sum();
        let new = if old_have == 0 && running == 0 { wanted } else { new_has.min(wanted) };
        return Rollout { new, old: vec![0; old.len()] };
    }
    let (surge, unavailable) = bounds(deployment, wanted);
    let room = (wanted + surge - new_has - old_have).max(0);
    let new_wants = if new_has < wanted { wanted.min(new_has + room) } else { wanted };
    // A status may still count pods that its set has been told to give up.
    let available = |it: &Value| number(it, "/status/availableReplicas").min(has(it));
    let all_available: i64 = old.iter().chain(&new).map(|it| available(it)).sum();
    let mut spare = (all_available - (wanted - unavailable)).max(0);
    let old = old
        .iter()
        .map(|it| {
            // Pods that are not available are no loss.
            let useless = (has(it) - available(it)).max(0);
            let go = (has(it) - useless).min(spare);
            spare -= go;
            has(it) - useless - go
        })
        .collect();
    Rollout { new: new_wants, old }
}

/// maxSurge and maxUnavailable in pods; both zero would never move.
fn bounds(deployment: &Value, wanted: i64) -> (i64, i64) {
    let of = |name: &str, up: bool| {
        let value = &deployment["spec"]["strategy"]["rollingUpdate"][name];
        IntOrPercent::from_value(value)
            .map_or_else(|_| IntOrPercent::Percent(25).of(wanted, up), |it| it.of(wanted, up))
    };
    match (of("maxSurge", true), of("maxUnavailable", false)) {
        (0, 0) => (0, 1),
        bounds => bounds,
    }
}

fn scale(
    deployment: &Value,
    new: Option<&Value>,
    old: &[&Value],
    plan: &Rollout,
    hash: &str,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    match new {
        None => effects.push(Effect::Create {
            kind: Kind::ReplicaSet,
            object: new_set(deployment, old, plan.new, hash),
        }),
        Some(set) if replicas(set) != plan.new => effects.push(resized(set, plan.new)),
        Some(_) => {}
    }
    let changed = old.iter().zip(&plan.old).filter(|(set, count)| replicas(set) != **count);
    effects.extend(changed.map(|(set, count)| resized(set, *count)));
    effects
}

fn resized(set: &Value, count: i64) -> Effect {
    let patch = json!({"spec": {"replicas": count}});
    Effect::Patch { key: Key::of(Kind::ReplicaSet, set), subresource: None, patch }
}

fn new_set(deployment: &Value, old: &[&Value], count: i64, hash: &str) -> Value {
    let revision = |it: &&Value| object::annotation(it, REVISION)?.parse::<u64>().ok();
    let revision = old.iter().filter_map(revision).max().unwrap_or(0) + 1;
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = hash.into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.into();
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", object::name(deployment)),
            "namespace": object::namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: revision.to_string()},
            "ownerReferences": [owned_by(deployment)],
        },
        "spec": {"replicas": count, "selector": selector, "template": template},
    })
}

fn summary(deployment: &Value, new: Option<&Value>, sets: &[&Value], now: Timestamp) -> Value {
    let sum = |field: &str| -> i64 {
        sets.iter().map(|it| number(it, &format!("/status/{field}"))).sum()
    };
    let wanted = replicas(deployment);
    let (all, available) = (sum("replicas"), sum("availableReplicas"));
    let updated = new.map_or(0, |it| number(it, "/status/replicas"));
    let (_, unavailable) = bounds(deployment, wanted);
    let enough = wanted - unavailable <= available;
    let complete = updated == wanted && all == wanted && available == wanted;
    let available_condition = if enough {
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        (
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let progressing = if complete {
        ("Progressing", "True", "NewReplicaSetAvailable", "ReplicaSet has successfully progressed.")
    } else {
        ("Progressing", "True", "ReplicaSetUpdated", "ReplicaSet is progressing.")
    };
    json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": all, "updatedReplicas": updated, "readyReplicas": sum("readyReplicas"),
        "availableReplicas": available, "unavailableReplicas": (wanted.max(all) - available).max(0),
        "conditions": [
            stamped(deployment, available_condition, now),
            stamped(deployment, progressing, now),
        ],
    })
}

/// A condition with the times of the one before it where it says the same.
fn stamped(it: &Value, said: (&str, &str, &str, &str), now: Timestamp) -> Value {
    let (kind, value, reason, message) = said;
    let now = crate::time::seconds(now);
    let before = condition(it, kind);
    let kept = |same: bool, field: &str| {
        let time = before.filter(|_| same).map(|it| it[field].clone());
        time.unwrap_or_else(|| now.clone().into())
    };
    let same_value = before.is_some_and(|it| it["status"] == value);
    let same_reason = same_value && before.is_some_and(|it| it["reason"] == reason);
    json!({
        "type": kind, "status": value, "reason": reason, "message": message,
        "lastTransitionTime": kept(same_value, "lastTransitionTime"),
        "lastUpdateTime": kept(same_reason, "lastUpdateTime"),
    })
}
