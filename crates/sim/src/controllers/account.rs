//! The ServiceAccount `default` of every namespace.

use kogge_member::object;
use serde_json::json;

use super::{
    Effect,
    kind::{Key, Kind},
    world::World,
};

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let name = "default".to_owned();
    let account = Key { kind: Kind::ServiceAccount, namespace: key.name.clone(), name };
    let alive = world.get(key).is_some_and(|it| !object::is_deleting(it));
    if !alive || world.get(&account).is_some() {
        return Vec::new();
    }
    vec![Effect::Create {
        kind: Kind::ServiceAccount,
        object: json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": account.name, "namespace": account.namespace}}),
    }]
}
