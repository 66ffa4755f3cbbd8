//! ReplicaSet: as many pods as it says.

use jiff::Timestamp;
use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect, Plan,
    claim::claim,
    kind::{Key, Kind},
    pods::{
        count, from_template, is_active, is_available, is_ready, next_available, replicas, status,
        to_delete,
    },
    world::World,
};

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let Some(set) = world.get(key) else { return Plan::default() };
    let claimed = claim(world, Kind::Pod, set, is_active);
    let active: Vec<&Value> = claimed.objects.into_iter().filter(|it| is_active(it)).collect();
    let mut plan = Plan::from(claimed.effects);
    if !plan.effects.is_empty() {
        // What was taken in or let go is counted in the next round.
        return plan;
    }
    plan.recheck(next_available(active.iter().copied(), set, now));
    let (has, wanted) = (active.len(), usize::try_from(replicas(set)).unwrap_or(0));
    let ready = count(active.iter().copied().filter(|it| is_ready(it)));
    let available = count(active.iter().copied().filter(|it| is_available(it, set, now)));
    let labelled = &set["spec"]["template"]["metadata"]["labels"];
    let is_labelled = |it: &&Value| {
        let has = &it["metadata"]["labels"];
        labelled.as_object().into_iter().flatten().all(|(key, value)| has[key] == *value)
    };
    let said = json!({
        "replicas": has, "fullyLabeledReplicas": count(active.iter().copied().filter(is_labelled)),
        "readyReplicas": ready, "availableReplicas": available,
        "observedGeneration": set["metadata"]["generation"],
    });
    if !object::is_deleting(set) {
        let template = &set["spec"]["template"];
        let pod =
            |_| Effect::Create { kind: Kind::Pod, object: from_template(set, template, None) };
        plan.effects.extend((has..wanted).map(pod));
        plan.effects.extend(to_delete(active, has.saturating_sub(wanted)));
    }
    plan.effects.extend(status(key, set, &said));
    plan
}
