//! Claims for the ephemeral volumes of a pod: made for it, and gone with it.

use kogge_member::object;
use serde_json::json;

use super::{
    Effect,
    kind::{Key, Kind},
    pods::{is_active, owned_by},
    world::World,
};

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let Some(pod) = world.get(key).filter(|it| is_active(it)) else { return Vec::new() };
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let missing = volumes.filter_map(|volume| {
        let template = &volume["ephemeral"]["volumeClaimTemplate"];
        let name = format!("{}-{}", key.name, object::text(volume, "/name"));
        let claim = Key::new(Kind::PersistentVolumeClaim, &key.namespace, &name);
        if !template.is_object() || world.get(&claim).is_some() {
            return None;
        }
        let object = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": key.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [owned_by(pod)]},
            "spec": template["spec"],
        });
        Some(Effect::Create { kind: Kind::PersistentVolumeClaim, object })
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_named_after_pod_and_volume() {
        let mut world = World::default();
        world.set(
            Kind::Pod,
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "p", "namespace": "shop", "uid": "p"}, "spec": {"volumes": [
                    {"name": "tmp", "emptyDir": {}},
                    {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": {"a": 1}}}}]}}),
        );
        let key = Key::new(Kind::Pod, "shop", "p");
        let effects = decide(&world, &key);
        let [Effect::Create { object: claim, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((object::name(claim), &claim["spec"]), ("p-data", &json!({"a": 1})));
        world.set(Kind::PersistentVolumeClaim, claim.clone());
        assert_eq!(decide(&world, &key), []);
    }
}
