//! What a Service asks a cluster for: an address, and ports on the nodes. Pure.

use std::collections::BTreeSet;

use kogge_member::object;
use serde_json::{Value, json};

use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    world::World,
};

const NODE_PORTS: std::ops::Range<i64> = 30_000..32_768;

/// Gives what is missing.
pub(super) fn give(world: &World, key: &Key, service: &Value) -> Option<Effect> {
    let mut spec = json!({});
    if needs_address(service) {
        let address = free_address(world, object::uid(service));
        spec["clusterIPs"] = json!([address]);
        spec["clusterIP"] = address.into();
    }
    if let Some(ports) = with_node_ports(world, service) {
        spec["ports"] = ports;
    }
    let asked = spec.as_object().is_some_and(|it| !it.is_empty());
    let patch = json!({"spec": spec});
    asked.then(|| Effect::Patch { key: key.clone(), subresource: None, patch })
}

fn needs_address(service: &Value) -> bool {
    service["spec"]["type"] != "ExternalName"
        && service["spec"]["clusterIP"].as_str().unwrap_or_default().is_empty()
}

/// One of 10.96.0.0/12 that nobody has, found from the uid; nobody routes to it.
fn free_address(world: &World, uid: &str) -> String {
    let taken: BTreeSet<&str> =
        world.all(Kind::Service).map(|it| object::text(it, "/spec/clusterIP")).collect();
    let addresses = (0..u32::MAX).map(|more| {
        let hash = spread(uid).wrapping_add(more);
        format!("10.{}.{}.{}", 96 + (hash >> 16) % 16, (hash >> 8) % 256, 1 + hash % 254)
    });
    let mut free = addresses.filter(|it| !taken.contains(it.as_str()));
    free.next().unwrap_or_default()
}

fn spread(uid: &str) -> u32 {
    uid.bytes().fold(17_u32, |hash, it| hash.wrapping_mul(31).wrapping_add(u32::from(it)))
}

/// The ports with one on the nodes each, where the type wants that and some have none.
fn with_node_ports(world: &World, service: &Value) -> Option<Value> {
    let spec = &service["spec"];
    let wants = match spec["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    };
    let missing = |it: &Value| it["nodePort"].as_i64().unwrap_or(0) == 0;
    let mut ports = spec["ports"].as_array().filter(|it| wants && it.iter().any(missing))?.clone();
    let all = world.all(Kind::Service);
    let mut taken: BTreeSet<i64> = all
        .flat_map(|it| it["spec"]["ports"].as_array().into_iter().flatten())
        .filter_map(|it| it["nodePort"].as_i64())
        .collect();
    let start = i64::from(spread(object::uid(service)));
    let count = NODE_PORTS.end - NODE_PORTS.start;
    for port in ports.iter_mut().filter(|it| missing(it)) {
        let mut free = (0..count)
            .map(|more| NODE_PORTS.start + (start + more) % count)
            .filter(|it| !taken.contains(it));
        let chosen = free.next()?;
        taken.insert(chosen);
        port["nodePort"] = chosen.into();
    }
    Some(ports.into())
}
