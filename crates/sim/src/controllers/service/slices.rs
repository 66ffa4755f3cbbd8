//! The EndpointSlices of a Service. Pure.

use std::collections::BTreeMap;

use kogge_member::object;
use serde_json::{Map, Value, json};

use super::{Behind, HEADLESS, is_headless};
use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    pods::owned_by,
    world::World,
};

const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: (&str, &str) =
    ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");
/// Kubernetes' limit for one slice.
const MOST: usize = 100;

/// Makes, changes and deletes slices until they say who is behind the service.
pub(super) fn sync(world: &World, service: &Value, behind: &[Behind<'_>]) -> Vec<Effect> {
    let mut wanted: BTreeMap<String, (Value, Vec<Vec<Value>>)> = BTreeMap::new();
    for it in behind {
        let ports = Value::from(it.ports.clone());
        let (_, chunks) =
            wanted.entry(ports.to_string()).or_insert_with(|| (ports, vec![Vec::new()]));
        if chunks.last().is_none_or(|it| it.len() == MOST) {
            chunks.push(Vec::new());
        }
        chunks.last_mut().into_iter().for_each(|chunk| chunk.push(endpoint(service, it)));
    }
    if wanted.is_empty() {
        // Even with nobody behind it, a service has a slice.
        wanted.insert(String::new(), (json!([]), vec![Vec::new()]));
    }
    let owned = world.owned(Kind::EndpointSlice, service).filter(|it| !object::is_deleting(it));
    let mut known: Vec<&Value> = owned.collect();
    let mut effects = Vec::new();
    for (ports, chunks) in wanted.into_values() {
        for endpoints in chunks {
            // Those of the same ports first, so that the others keep theirs.
            let at = known.iter().position(|it| it["ports"] == ports);
            match at.or_else(|| (!known.is_empty()).then_some(0)) {
                Some(at) => {
                    effects.extend(changed(service, known.remove(at), &ports, &endpoints));
                }
                None => effects.push(Effect::Create {
                    kind: Kind::EndpointSlice,
                    object: slice(service, &ports, &endpoints),
                }),
            }
        }
    }
    effects.extend(known.iter().map(|it| Effect::Delete(Key::of(Kind::EndpointSlice, it))));
    effects
}

fn changed(service: &Value, known: &Value, ports: &Value, endpoints: &[Value]) -> Option<Effect> {
    let endpoints = Value::from(endpoints.to_vec());
    let listed = |it: &Value| it.as_array().cloned().unwrap_or_default();
    let labels = Value::from(labels(service));
    let same = listed(&known["endpoints"]) == listed(&endpoints)
        && listed(&known["ports"]) == listed(ports)
        && known["metadata"]["labels"] == labels;
    let patch = json!({"metadata": {"labels": labels}, "endpoints": endpoints, "ports": ports});
    let key = Key::of(Kind::EndpointSlice, known);
    (!same).then_some(Effect::Patch { key, subresource: None, patch })
}

fn slice(service: &Value, ports: &Value, endpoints: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "generateName": format!("{}-", object::name(service)),
            "namespace": object::namespace(service),
            "labels": labels(service), "ownerReferences": [owned_by(service)],
        },
        "endpoints": endpoints, "ports": ports,
    })
}

fn labels(service: &Value) -> Map<String, Value> {
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.insert(SERVICE.to_owned(), object::name(service).into());
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.into());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), "".into());
    }
    labels
}

fn endpoint(service: &Value, it: &Behind<'_>) -> Value {
    let ready = it.ready && !it.going || service["spec"]["publishNotReadyAddresses"] == true;
    let mut said = json!({
        "addresses": [it.address],
        "conditions": {"ready": ready, "serving": it.ready, "terminating": it.going},
        "nodeName": it.pod["spec"]["nodeName"], "targetRef": super::reference(it.pod),
    });
    let subdomain = it.pod["spec"]["subdomain"].as_str();
    if let Some(hostname) = it.pod["spec"]["hostname"].as_str()
        && subdomain == Some(object::name(service))
    {
        said["hostname"] = hostname.into();
    }
    said
}
