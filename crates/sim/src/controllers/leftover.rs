//! Pods on nodes that are gone: nobody is there who could end them gently.

use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::Value;

use super::{
    Effect, Plan,
    kind::{Key, Kind},
    pods::condition,
    world::World,
};

/// News of a node may come later than that of the first pod on it, but not by so much.
const DOUBT: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if world.get(key).is_some() {
        return plan;
    }
    let there = |it: &&Value| object::text(it, "/spec/nodeName") == key.name;
    for pod in world.all(Kind::Pod).filter(there) {
        let bound =
            condition(pod, "PodScheduled").map_or("", |it| object::text(it, "/lastTransitionTime"));
        let bound =
            bound.parse().or_else(|_| object::text(pod, "/metadata/creationTimestamp").parse());
        let left = DOUBT - now.duration_since(bound.unwrap_or(Timestamp::MIN));
        if left.is_positive() {
            plan.recheck(Some(left));
        } else {
            plan.effects.push(Effect::Remove(Key::of(Kind::Pod, pod)));
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_go_when_their_node_is_surely_gone() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut world = World::default();
        for (name, second) in [("old", 0), ("young", 55)] {
            world.set(
                Kind::Pod,
                json!({"metadata": {"name": name, "namespace": "shop", "uid": name,
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
                "spec": {"nodeName": "n"}}),
            );
        }
        let key = Key::new(Kind::Node, "", "n");
        let plan = decide(&world, &key, now);
        assert_eq!(plan.effects, [Effect::Remove(Key::new(Kind::Pod, "shop", "old"))]);
        assert_eq!(plan.recheck_after, Some(SignedDuration::from_secs(5)));
        world.set(Kind::Node, json!({"metadata": {"name": "n"}}));
        assert_eq!(decide(&world, &key, now), Plan::default());
    }
}
