//! Services: all but their addresses, which the members give.

use serde_json::{Value, json};

use super::{has, inner, items, set, set_text, text};

pub fn service(object: &mut Value) {
    let Some(spec) = inner(object, &["spec"]) else { return };
    set_text(spec, "sessionAffinity", "None");
    if text(spec, "sessionAffinity") == "ClientIP" {
        set(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    } else if let Some(spec) = spec.as_object_mut() {
        spec.remove("sessionAffinityConfig");
    }
    set_text(spec, "type", "ClusterIP");
    ports(spec);
    let kind = text(spec, "type").to_owned();
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        set_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", "Cluster");
        families(spec);
    }
}

/// `targetPort` is the port where nothing else is said; 0 is nothing.
fn ports(spec: &mut Value) {
    for port in items(spec, "ports") {
        set_text(port, "protocol", "TCP");
        let target = &port["targetPort"];
        if target.is_null() || *target == 0 || *target == "" {
            port["targetPort"] = port["port"].clone();
        }
    }
}

/// Kubernetes asks its allocator; a fleet's hub has none and says what most clusters would.
fn families(spec: &mut Value) {
    set(spec, "ipFamilyPolicy", "SingleStack");
    if text(spec, "ipFamilyPolicy") == "SingleStack" {
        set(spec, "ipFamilies", json!(["IPv4"]));
    }
    if has(spec, "clusterIP") {
        let first = spec["clusterIP"].clone();
        set(spec, "clusterIPs", vec![first]);
    }
}
