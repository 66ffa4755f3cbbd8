//! Service: an address, and the EndpointSlice of the pods behind it.

use kogge_member::object;
use kogge_model::labels_of;
use serde_json::{Value, json};

use super::{
    Effect,
    pods::{is_ready, owned_by},
    world::{Key, Kind, World},
};

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let Some(service) = world.get(key).filter(|it| !object::is_deleting(it)) else {
        return Vec::new();
    };
    let mut effects = Vec::new();
    if needs_address(service) {
        let address = address(object::uid(service));
        let patch = json!({"spec": {"clusterIP": address, "clusterIPs": [address]}});
        effects.push(Effect::Patch { key: key.clone(), subresource: None, patch });
    }
    let selector = labels_of(&service["spec"]["selector"]);
    if selector.is_empty() {
        return effects;
    }
    let behind = world.in_namespace(Kind::Pod, &key.namespace).filter(|pod| {
        let labels = labels_of(&pod["metadata"]["labels"]);
        selector.iter().all(|(k, v)| labels.get(k) == Some(v))
    });
    let endpoints: Vec<Value> = behind.filter_map(endpoint).collect();
    let slice_key = Key { kind: Kind::EndpointSlice, ..key.clone() };
    match world.get(&slice_key) {
        None => effects
            .push(Effect::Create { kind: Kind::EndpointSlice, object: slice(service, &endpoints) }),
        Some(known) => {
            let addresses = |it: &Value| -> Vec<(Value, Value)> {
                let all = it.as_array().into_iter().flatten();
                all.map(|it| (it["addresses"].clone(), it["conditions"]["ready"].clone())).collect()
            };
            if addresses(&known["endpoints"]) != addresses(&json!(endpoints)) {
                let patch = json!({"endpoints": endpoints});
                effects.push(Effect::Patch { key: slice_key, subresource: None, patch });
            }
        }
    }
    effects
}

fn needs_address(service: &Value) -> bool {
    service["spec"]["type"] != "ExternalName"
        && service["spec"]["clusterIP"].as_str().unwrap_or_default().is_empty()
}

/// An address of 10.96.0.0/12 that follows from the uid; nobody routes to it.
fn address(uid: &str) -> String {
    let hash =
        uid.bytes().fold(17_u32, |hash, it| hash.wrapping_mul(31).wrapping_add(u32::from(it)));
    format!("10.{}.{}.{}", 96 + (hash >> 16) % 16, (hash >> 8) % 256, 1 + hash % 254)
}

fn endpoint(pod: &Value) -> Option<Value> {
    let address = pod["status"]["podIP"].as_str().filter(|it| !it.is_empty())?;
    let ready = is_ready(pod) && !object::is_deleting(pod);
    Some(json!({
        "addresses": [address],
        "conditions": {"ready": ready, "serving": ready, "terminating": object::is_deleting(pod)},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", "name": object::name(pod),
            "namespace": object::namespace(pod), "uid": object::uid(pod)},
    }))
}

fn slice(service: &Value, endpoints: &[Value]) -> Value {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let ports: Vec<Value> = ports
        .map(|it| {
            let number = it["targetPort"].as_i64().or(it["port"].as_i64());
            json!({"name": it["name"].as_str().unwrap_or_default(), "port": number,
                "protocol": it["protocol"].as_str().unwrap_or("TCP")})
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": object::name(service), "namespace": object::namespace(service),
            "labels": {"kubernetes.io/service-name": object::name(service)},
            "ownerReferences": [owned_by(service)],
        },
        "endpoints": endpoints, "ports": ports,
    })
}
