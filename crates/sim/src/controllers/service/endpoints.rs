//! The Endpoints of a Service, the older form that some clients still read. Pure.

use std::collections::BTreeMap;

use kogge_member::object;
use serde_json::{Map, Value, json};

use super::{Behind, HEADLESS, is_headless};
use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    world::World,
};

const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");

pub(super) fn sync(
    world: &World,
    key: &Key,
    service: &Value,
    behind: &[Behind<'_>],
) -> Option<Effect> {
    let key = Key { kind: Kind::Endpoints, ..key.clone() };
    let (subsets, labels) = (subsets(service, behind), Value::from(labels(service)));
    let Some(known) = world.get(&key) else {
        let object = json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
            "subsets": subsets,
        });
        return Some(Effect::Create { kind: Kind::Endpoints, object });
    };
    let listed = |it: &Value| it.as_array().cloned().unwrap_or_default();
    let same = listed(&known["subsets"]) == subsets && known["metadata"]["labels"] == labels;
    let patch = json!({"metadata": {"labels": labels}, "subsets": subsets});
    (!same).then_some(Effect::Patch { key, subresource: None, patch })
}

/// Those of a service that is gone go too; whoever made their own keeps them.
pub(super) fn forget(world: &World, key: &Key) -> Option<Effect> {
    let key = Key { kind: Kind::Endpoints, ..key.clone() };
    let ours = object::label(world.get(&key)?, MANAGED_BY.0) == Some(MANAGED_BY.1);
    ours.then_some(Effect::Delete(key))
}

fn labels(service: &Value) -> Map<String, Value> {
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.into());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), "".into());
    }
    labels
}

/// One subset for each set of ports; pods on their way out are in none.
fn subsets(service: &Value, behind: &[Behind<'_>]) -> Vec<Value> {
    let mut by_ports: BTreeMap<String, Value> = BTreeMap::new();
    for it in behind.iter().filter(|it| !it.going) {
        let ports = Value::from(it.ports.clone());
        let subset = by_ports.entry(ports.to_string()).or_insert_with(|| json!({"ports": ports}));
        let ready = it.ready || service["spec"]["publishNotReadyAddresses"] == true;
        let list = if ready { "addresses" } else { "notReadyAddresses" };
        let address = json!({"ip": it.address, "nodeName": it.pod["spec"]["nodeName"],
            "targetRef": super::reference(it.pod)});
        match subset[list].as_array_mut() {
            Some(known) => known.push(address),
            None => subset[list] = json!([address]),
        }
    }
    by_ports.into_values().collect()
}
