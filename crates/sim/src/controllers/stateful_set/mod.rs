//! StatefulSet: numbered pods, one after the other, with their claims.
//!
//! Reading order: `pod` (what pods and claims are made of), `step` (which comes or goes next),
//! this file.

mod pod;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use kogge_member::object;
use serde_json::{Value, json};

use self::step::{Change, Seen, Situation};
use super::{
    Effect, Plan,
    claim::claim,
    kind::{Key, Kind},
    pods::{
        count, is_active, is_available, is_finished, is_ready, next_available, number, replicas,
        status,
    },
    revision::{self, Revisions},
    world::World,
};

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let Some(set) = world.get(key) else { return Plan::default() };
    let is_member = |it: &Value| pod::number_of(set, object::name(it)).is_some() && is_active(it);
    let claimed = claim(world, Kind::Pod, set, is_member);
    if !claimed.effects.is_empty() {
        return claimed.effects.into();
    }
    if object::is_deleting(set) {
        return Plan::default();
    }
    let revisions = revision::of(world, set);
    let pods = claimed.objects;
    let current = current(set, &revisions);
    let mut plan = Plan::from(revisions.effects.clone());
    plan.recheck(next_available(pods.iter().copied(), set, now));
    let situation = situation(set, &pods, &revisions.name, now);
    for change in step::decide(&situation) {
        match change {
            Change::Make { number, old } => {
                let of = if old { &current } else { &revisions.name };
                plan.effects.extend(pod::missing_claims(world, set, number));
                let template = revisions.template(of);
                let (template, of) = match &template {
                    Some(it) => (it, of),
                    None => (&set["spec"]["template"], &revisions.name),
                };
                let object = pod::pod(set, template, number, of);
                plan.effects.push(Effect::Create { kind: Kind::Pod, object });
            }
            Change::Delete(name) => {
                plan.effects.push(Effect::Delete(Key::new(Kind::Pod, &key.namespace, &name)));
            }
        }
    }
    plan.effects.extend(pod::spare_claims(world, set, &pods));
    let mut live: BTreeSet<String> = pods
        .iter()
        .filter_map(|it| object::label(it, revision::LABEL).map(str::to_owned))
        .collect();
    live.insert(current.clone());
    plan.effects.extend(revisions.trim(set, &live));
    let said = summary(set, &pods, &revisions.name, &current, now);
    plan.effects.extend(status(key, set, &said));
    plan
}

/// The revision that all pods had before the newest; the newest where there was none.
fn current(set: &Value, revisions: &Revisions<'_>) -> String {
    let known = object::text(set, "/status/currentRevision");
    let known = Some(known).filter(|it| revisions.template(it).is_some());
    known.unwrap_or(&revisions.name).to_owned()
}

fn situation<'a>(set: &Value, pods: &[&'a Value], newest: &str, now: Timestamp) -> Situation<'a> {
    let strategy = &set["spec"]["updateStrategy"];
    let start = number(set, "/spec/ordinals/start");
    let seen = pods.iter().filter_map(|it| {
        let name = object::name(it);
        let seen = Seen {
            name,
            updated: object::label(it, revision::LABEL) == Some(newest),
            healthy: is_active(it) && is_ready(it),
            available: is_active(it) && is_available(it, set, now),
            going: object::is_deleting(it),
            finished: is_finished(it),
        };
        Some((pod::number_of(set, name)?, seen))
    });
    Situation {
        wanted: (start..start + replicas(set)).collect(),
        pods: seen.collect(),
        ordered: set["spec"]["podManagementPolicy"] != "Parallel",
        partition: start + number(strategy, "/rollingUpdate/partition"),
        rolling: strategy["type"] != "OnDelete",
    }
}

fn summary(set: &Value, pods: &[&Value], newest: &str, current: &str, now: Timestamp) -> Value {
    let wanted = replicas(set);
    let all = || pods.iter().copied().filter(|it| !is_finished(it));
    let active = || pods.iter().copied().filter(|it| is_active(it));
    let of = |revision: &str| {
        count(active().filter(|it| object::label(it, revision::LABEL) == Some(revision)))
    };
    let ready = count(active().filter(|it| is_ready(it)));
    let updated = of(newest);
    let rolling = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    let done = rolling && updated == wanted && ready == wanted && count(all()) == wanted;
    let current = if done { newest } else { current };
    json!({
        "replicas": count(all()), "readyReplicas": ready,
        "availableReplicas": count(active().filter(|it| is_available(it, set, now))),
        "currentReplicas": of(current), "updatedReplicas": updated,
        "updateRevision": newest, "currentRevision": current,
        "observedGeneration": set["metadata"]["generation"],
    })
}
