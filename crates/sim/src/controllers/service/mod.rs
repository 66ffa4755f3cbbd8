//! Service: an address, and who is behind it, as EndpointSlices and as Endpoints.
//!
//! Reading order: `address`, `ports`, `slices`, `endpoints`, this file.

mod address;
mod endpoints;
mod ports;
mod slices;
#[cfg(test)]
mod tests;

use kogge_member::object;
use kogge_model::labels_of;
use serde_json::{Value, json};

use super::{
    Effect,
    kind::{Key, Kind},
    pods::{is_finished, is_ready},
    world::World,
};

const HEADLESS: &str = "service.kubernetes.io/headless";

/// A pod that a service selects and that has an address.
struct Behind<'a> {
    pod: &'a Value,
    address: &'a str,
    ready: bool,
    going: bool,
    ports: Vec<Value>,
}

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let Some(service) = world.get(key).filter(|it| !object::is_deleting(it)) else {
        return endpoints::forget(world, key).into_iter().collect();
    };
    let mut effects: Vec<Effect> = address::give(world, key, service).into_iter().collect();
    let selector = labels_of(&service["spec"]["selector"]);
    if selector.is_empty() || service["spec"]["type"] == "ExternalName" {
        return effects;
    }
    let selected = world.in_namespace(Kind::Pod, &key.namespace).filter(|pod| {
        let labels = &pod["metadata"]["labels"];
        selector.iter().all(|(key, value)| labels[key] == value.as_str())
    });
    let behind: Vec<Behind<'_>> = selected.filter_map(|it| behind(service, it)).collect();
    effects.extend(slices::sync(world, service, &behind));
    effects.extend(endpoints::sync(world, key, service, &behind));
    effects
}

fn behind<'a>(service: &Value, pod: &'a Value) -> Option<Behind<'a>> {
    let address = pod["status"]["podIP"].as_str().filter(|it| !it.is_empty())?;
    (!is_finished(pod)).then(|| Behind {
        pod,
        address,
        ready: is_ready(pod),
        going: object::is_deleting(pod),
        ports: ports::of_pod(service, pod),
    })
}

fn is_headless(service: &Value) -> bool {
    service["spec"]["clusterIP"] == "None"
}

fn reference(pod: &Value) -> Value {
    json!({"kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod),
        "uid": object::uid(pod)})
}
