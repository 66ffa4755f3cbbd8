//! What belongs to an owner: what it controls and selects.
//!
//! Objects that nobody controls and that its selector matches are taken in; what it controls and
//! its selector no longer matches is let go, as Kubernetes does.

use kogge_member::object;
use kogge_model::{Selector, labels_of};
use serde_json::{Value, json};

use super::{
    Effect,
    kind::{Key, Kind},
    pods::owned_by,
    world::World,
};

pub(super) struct Claimed<'a> {
    pub objects: Vec<&'a Value>,
    /// Takes in and lets go.
    pub effects: Vec<Effect>,
}

/// `fits` is what an orphan must be besides being selected.
pub(super) fn claim<'a>(
    world: &'a World,
    kind: Kind,
    owner: &'a Value,
    fits: impl Fn(&Value) -> bool,
) -> Claimed<'a> {
    let selector = Selector::from_value(&owner["spec"]["selector"]).ok();
    let selects = |it: &Value| {
        selector.as_ref().is_some_and(|by| by.matches(&labels_of(&it["metadata"]["labels"])))
    };
    let mut claimed = Claimed { objects: Vec::new(), effects: Vec::new() };
    for it in world.owned(kind, owner) {
        if selects(it) {
            claimed.objects.push(it);
        } else if !object::is_deleting(owner) && !object::is_deleting(it) {
            claimed.effects.push(with_owners(kind, it, others(it, owner)));
        }
    }
    if object::is_deleting(owner) {
        return claimed;
    }
    let namespace = object::namespace(owner);
    for it in world.orphans(kind, namespace).filter(|it| !object::is_deleting(it)) {
        if selects(it) && fits(it) {
            let mut owners = others(it, owner);
            owners.push(owned_by(owner));
            claimed.effects.push(with_owners(kind, it, owners));
        }
    }
    claimed
}

fn others(it: &Value, owner: &Value) -> Vec<Value> {
    let owners = it["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.filter(|it| it["uid"] != owner["metadata"]["uid"]).cloned().collect()
}

/// The uid keeps the write from a namesake that came meanwhile.
fn with_owners(kind: Kind, it: &Value, owners: Vec<Value>) -> Effect {
    let owners = if owners.is_empty() { Value::Null } else { owners.into() };
    Effect::Patch {
        key: Key::of(kind, it),
        subresource: None,
        patch: json!({"metadata": {"uid": object::uid(it), "ownerReferences": owners}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, app: &str, owners: &Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop", "uid": name,
            "labels": {"app": app}, "ownerReferences": owners}})
    }

    #[test]
    fn orphans_are_taken_in_and_strays_let_go() {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web", "namespace": "shop", "uid": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}}});
        let mine = json!([{"kind": "ReplicaSet", "name": "web", "uid": "web", "controller": true}]);
        let other = json!([{"kind": "ReplicaSet", "name": "db", "uid": "db", "controller": true}]);
        let mut world = World::default();
        world.set(Kind::Pod, pod("orphan", "web", &Value::Null));
        world.set(Kind::Pod, pod("unselected", "db", &Value::Null));
        world.set(Kind::Pod, pod("mine", "web", &mine));
        world.set(Kind::Pod, pod("stray", "debug", &mine));
        world.set(Kind::Pod, pod("another's", "web", &other));
        let claimed = claim(&world, Kind::Pod, &owner, |_| true);
        let names: Vec<&str> = claimed.objects.iter().map(|it| object::name(it)).collect();
        assert_eq!(names, ["mine"]);
        let patched = |name: &str, owners: Value| Effect::Patch {
            key: Key::new(Kind::Pod, "shop", name),
            subresource: None,
            patch: json!({"metadata": {"uid": name, "ownerReferences": owners}}),
        };
        let wanted = [patched("stray", Value::Null), patched("orphan", json!([owned_by(&owner)]))];
        assert_eq!(claimed.effects, wanted);
    }
}
