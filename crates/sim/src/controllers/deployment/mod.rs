//! Deployment: a ReplicaSet for each template, the newest taking over as its strategy allows.
//!
//! Reading order: [`rollout`] is how many replicas each set gets, `sets` what they say and how
//! they are numbered, `status` what the Deployment says, this file puts them together.

mod rollout;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use kogge_member::object;
use serde_json::Value;

use super::{
    Effect, Plan,
    claim::claim,
    kind::{Key, Kind},
    pods::{is_finished, replicas, status as said},
    world::World,
};

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let Some(deployment) = world.get(key).filter(|it| !object::is_deleting(it)) else {
        return Plan::default();
    };
    let claimed = claim(world, Kind::ReplicaSet, deployment, |_| true);
    if !claimed.effects.is_empty() {
        // What was taken in or let go is counted in the next round.
        return claimed.effects.into();
    }
    let sets: Vec<&Value> =
        claimed.objects.into_iter().filter(|it| !object::is_deleting(it)).collect();
    // Should two be of one template, the older is kept.
    let born = |it: &&Value| object::text(it, "/metadata/creationTimestamp").to_owned();
    let of_template = sets.iter().filter(|it| sets::is_of_template(it, deployment));
    let new = of_template.copied().min_by_key(born);
    let others = sets.iter().filter(|it| new.is_none_or(|new| object::uid(new) != object::uid(it)));
    let old: Vec<&Value> = others.copied().collect();

    let named = status::name_of(deployment, new);
    let summary = status::summary(deployment, new, &sets, &named, now);
    let mut plan = Plan { effects: Vec::new(), recheck_after: summary.recheck_after };
    if deployment["spec"]["paused"] == true {
        plan.effects = resize_paused(deployment, new, &old);
    } else {
        plan.effects = roll(world, deployment, new, &old);
    }
    if summary.complete {
        plan.effects.extend(sets::trim(deployment, &old));
    }
    plan.effects.extend(said(key, deployment, &summary.status));
    plan
}

fn roll(world: &World, deployment: &Value, new: Option<&Value>, old: &[&Value]) -> Vec<Effect> {
    let number = sets::next_revision(new, old);
    let plan = if rollout::is_recreate(deployment) {
        let runs = |set: &&Value| world.owned(Kind::Pod, set).any(|it| !is_finished(it));
        let gone = old.iter().all(|it| replicas(it) == 0 && !runs(it));
        rollout::recreate(deployment, new, old, gone)
    } else {
        rollout::rolling(deployment, new, old)
    };
    let mut effects = Vec::new();
    match new {
        None => effects.push(Effect::Create {
            kind: Kind::ReplicaSet,
            object: sets::new_set(deployment, plan.new, number),
        }),
        Some(set) => effects.extend(sets::update(deployment, set, plan.new, Some(number))),
    }
    let resized = old.iter().zip(&plan.old);
    effects.extend(resized.filter_map(|(set, count)| sets::update(deployment, set, *count, None)));
    effects.extend(sets::mark(deployment, number));
    effects
}

/// No set is made and none takes over; a change of `replicas` still counts.
fn resize_paused(deployment: &Value, new: Option<&Value>, old: &[&Value]) -> Vec<Effect> {
    let mut sets: Vec<&Value> = old.iter().copied().chain(new).collect();
    sets.sort_by_key(|it| std::cmp::Reverse(sets::revision(it)));
    let sizes = rollout::paused(deployment, &sets);
    sets.iter()
        .zip(sizes)
        .filter_map(|(set, count)| sets::update(deployment, set, count, None))
        .collect()
}
