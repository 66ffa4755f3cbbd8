//! The networking and discovery groups.

use serde_json::Value;

use super::{has, inner, items, set, set_text};

pub fn apply(kind: &str, object: &mut Value) {
    match kind {
        "NetworkPolicy" => {
            if let Some(spec) = inner(object, &["spec"]) {
                policy(spec);
            }
        }
        "IngressClass" => {
            if let Some(parameters) = inner(object, &["spec", "parameters"]) {
                set(parameters, "scope", "Cluster");
            }
        }
        "EndpointSlice" => {
            for port in items(object, "ports") {
                set(port, "name", "");
                set(port, "protocol", "TCP");
            }
        }
        _ => {}
    }
}

fn policy(spec: &mut Value) {
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            for port in items(rule, "ports") {
                set_text(port, "protocol", "TCP");
            }
        }
    }
    let mut types = vec![Value::from("Ingress")];
    if has(spec, "egress") {
        types.push("Egress".into());
    }
    set(spec, "policyTypes", types);
}
