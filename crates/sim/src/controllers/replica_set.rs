//! ReplicaSet: as many pods as it says.

use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    pods::{count, from_template, is_active, is_ready, replicas, status, to_delete},
    world::{Key, Kind, World},
};

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let Some(set) = world.get(key) else { return Vec::new() };
    let active: Vec<&Value> = world.owned(Kind::Pod, set).filter(|it| is_active(it)).collect();
    let (has, wanted) = (active.len(), usize::try_from(replicas(set)).unwrap_or(0));
    let ready = count(active.iter().copied().filter(|it| is_ready(it)));
    let now = json!({
        "replicas": has, "fullyLabeledReplicas": has, "readyReplicas": ready,
        "availableReplicas": ready, "observedGeneration": set["metadata"]["generation"],
    });
    let mut effects = Vec::new();
    if !object::is_deleting(set) {
        let template = &set["spec"]["template"];
        let pod =
            |_| Effect::Create { kind: Kind::Pod, object: from_template(set, template, None) };
        effects.extend((has..wanted).map(pod));
        effects.extend(to_delete(active, has.saturating_sub(wanted)));
    }
    effects.extend(status(key, set, &now));
    effects
}
