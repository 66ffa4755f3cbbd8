//! How many replicas each ReplicaSet of a Deployment gets. Pure.

use kogge_model::IntOrPercent;
use serde_json::Value;

use crate::controllers::pods::{number, replicas};

/// Replicas of the new set, and of each old one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    pub new: i64,
    pub old: Vec<i64>,
}

/// One step: never more than `replicas + maxSurge` pods, never fewer available than
/// `replicas - maxUnavailable` on account of it.
pub(super) fn rolling(deployment: &Value, new: Option<&Value>, old: &[&Value]) -> Rollout {
    let wanted = replicas(deployment);
    let has = |it: &Value| replicas(it);
    let new_has = new.map_or(0, has);
    let (surge, unavailable) = bounds(deployment, wanted);
    // Pods that a set has yet to take away still take room.
    let takes = |it: &Value| has(it).max(number(it, "/status/replicas"));
    let taken: i64 = old.iter().chain(&new).map(|it| takes(it)).sum();
    let room = (wanted + surge - taken).max(0);
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

/// All old pods go, and when none is left (`old_gone`) the new ones come.
pub(super) fn recreate(
    deployment: &Value,
    new: Option<&Value>,
    old: &[&Value],
    old_gone: bool,
) -> Rollout {
    let (wanted, has) = (replicas(deployment), new.map_or(0, replicas));
    Rollout { new: if old_gone { wanted } else { has.min(wanted) }, old: vec![0; old.len()] }
}

/// A paused Deployment rolls nothing, but what there is grows and shrinks with `replicas`: a
/// single set alone, several in proportion to their size. `sets` newest first.
pub(super) fn paused(deployment: &Value, sets: &[&Value]) -> Vec<i64> {
    let wanted = replicas(deployment);
    let sizes: Vec<i64> = sets.iter().map(|it| replicas(it)).collect();
    let active = sizes.iter().filter(|it| 0 < **it).count();
    if active <= 1 {
        let only = sizes.iter().position(|it| 0 < *it).unwrap_or(0);
        let resized = |(at, size): (usize, &i64)| if at == only { wanted } else { *size };
        return sizes.iter().enumerate().map(resized).collect();
    }
    let (surge, _) = bounds(deployment, wanted);
    let total = if wanted == 0 { 0 } else { wanted + surge };
    proportional(&sizes, total)
}

/// Divides `total` by size; what rounding leaves goes to the first that has any.
fn proportional(sizes: &[i64], total: i64) -> Vec<i64> {
    let all: i64 = sizes.iter().sum();
    let mut shares: Vec<i64> = sizes.iter().map(|it| it * total / all.max(1)).collect();
    let left = total - shares.iter().sum::<i64>();
    if let Some(first) = sizes.iter().position(|it| 0 < *it) {
        shares[first] += left;
    }
    shares
}

/// maxSurge and maxUnavailable in pods; both zero would never move.
pub(super) fn bounds(deployment: &Value, wanted: i64) -> (i64, i64) {
    if is_recreate(deployment) {
        return (0, wanted);
    }
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

pub(super) fn is_recreate(deployment: &Value) -> bool {
    deployment.pointer("/spec/strategy/type").is_some_and(|it| it == "Recreate")
}
