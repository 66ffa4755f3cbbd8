//! HorizontalPodAutoscaler: keeps a target's replicas within bounds.
//!
//! Pods that only pretend use nothing, so there are no metrics, and none are made up: the
//! condition `ScalingActive` says that they are missing.

use jiff::Timestamp;
use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    kind::{Key, Kind},
    pods::{number, replicas, stamped, status},
    world::World,
};
use crate::time::seconds;

type Said = (&'static str, &'static str, &'static str, String);

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Vec<Effect> {
    let Some(scaler) = world.get(key).filter(|it| !object::is_deleting(it)) else {
        return Vec::new();
    };
    let aim = &scaler["spec"]["scaleTargetRef"];
    let (kind, name) = (object::text(aim, "/kind"), object::text(aim, "/name"));
    let target = Kind::named(kind)
        .filter(|it| matches!(it, Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet))
        .and_then(|it| world.get(&Key::new(it, &key.namespace, name)).map(|found| (it, found)));
    let Some((kind, target)) = target else {
        let missing = unable(kind, name);
        return status(key, scaler, &words(scaler, &[missing], now)).into_iter().collect();
    };
    let has = replicas(target);
    let (wanted, said) = judge(scaler, has);
    let mut report = words(scaler, &said, now);
    report["currentReplicas"] = number(target, "/status/replicas").into();
    report["desiredReplicas"] = wanted.into();
    let mut effects = Vec::new();
    if wanted != has {
        report["lastScaleTime"] = seconds(now).into();
        let patch = json!({"spec": {"replicas": wanted}});
        effects.push(Effect::Patch { key: Key::of(kind, target), subresource: None, patch });
    }
    effects.extend(status(key, scaler, &report));
    effects
}

/// How many replicas, and what the conditions say of that.
fn judge(scaler: &Value, has: i64) -> (i64, Vec<Said>) {
    let least = scaler["spec"]["minReplicas"].as_i64().unwrap_or(1);
    let most = scaler["spec"]["maxReplicas"].as_i64().unwrap_or(i64::MAX).max(least);
    if has == 0 {
        let why = "scaling is disabled since the replica count of the target is zero";
        let able = ("AbleToScale", "True", "SucceededGetScale", got());
        return (0, vec![able, ("ScalingActive", "False", "ScalingDisabled", why.to_owned())]);
    }
    let wanted = has.clamp(least, most);
    let mut said = Vec::new();
    if wanted == has {
        said.push(("AbleToScale", "True", "SucceededGetScale", got()));
        said.push(("ScalingActive", "False", "FailedGetResourceMetric", no_metrics()));
    } else {
        let to = format!("the HPA controller was able to update the target scale to {wanted}");
        said.push(("AbleToScale", "True", "SucceededRescale", to));
        said.push(("ScalingActive", "False", "FailedGetResourceMetric", no_metrics()));
        let limit = if has < least {
            let why = "the desired replica count is less than the minimum replica count";
            ("ScalingLimited", "True", "TooFewReplicas", why.to_owned())
        } else {
            let why = "the desired replica count is more than the maximum replica count";
            ("ScalingLimited", "True", "TooManyReplicas", why.to_owned())
        };
        said.push(limit);
    }
    (wanted, said)
}

fn got() -> String {
    "the HPA controller was able to get the target's current scale".to_owned()
}

fn no_metrics() -> String {
    "the HPA was unable to compute the replica count: unable to get metrics: no metrics are \
     served by a simulated cluster"
        .to_owned()
}

fn unable(kind: &str, name: &str) -> Said {
    let why = format!(
        "the HPA controller was unable to get the target's current scale: {kind} {name:?} not found"
    );
    ("AbleToScale", "False", "FailedGetScale", why)
}

/// The status with these conditions; others stay as they were.
fn words(scaler: &Value, said: &[Said], now: Timestamp) -> Value {
    let mut conditions = scaler["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for (kind, value, reason, message) in said {
        let it = stamped(scaler, (kind, value, reason, message), now);
        match conditions.iter_mut().find(|known| known["type"] == *kind) {
            Some(known) => *known = it,
            None => conditions.push(it),
        }
    }
    json!({"conditions": conditions, "observedGeneration": scaler["metadata"]["generation"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

    #[track_caller]
    fn check(has: i64, wanted: i64, reasons: &[&str]) {
        let scaler = json!({"spec": {"minReplicas": 2, "maxReplicas": 5}});
        let (replicas, said) = judge(&scaler, has);
        let got: Vec<&str> = said.iter().map(|it| it.2).collect();
        assert_eq!((replicas, &got[..]), (wanted, reasons), "{has}");
    }

    #[test]
    fn replicas_stay_within_bounds_and_the_conditions_say_why() {
        check(0, 0, &["SucceededGetScale", "ScalingDisabled"]);
        check(1, 2, &["SucceededRescale", "FailedGetResourceMetric", "TooFewReplicas"]);
        check(3, 3, &["SucceededGetScale", "FailedGetResourceMetric"]);
        check(9, 5, &["SucceededRescale", "FailedGetResourceMetric", "TooManyReplicas"]);
    }

    #[test]
    fn a_target_that_is_not_there_is_named() {
        let mut world = World::default();
        world.set(
            Kind::HorizontalPodAutoscaler,
            json!({"metadata": {"name": "h", "namespace": "shop", "uid": "h"}, "spec": {
                "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}}),
        );
        let key = Key::new(Kind::HorizontalPodAutoscaler, "shop", "h");
        let effects = decide(&world, &key, NOON);
        let [Effect::Patch { patch, .. }] = &effects[..] else { panic!("{effects:?}") };
        let condition = &patch["status"]["conditions"][0];
        assert_eq!(condition["reason"], "FailedGetScale");
        assert!(object::text(condition, "/message").ends_with("Deployment \"web\" not found"));
    }
}
