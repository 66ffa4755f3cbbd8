//! Pods and pod templates.

use serde_json::Value;

use super::{empty, has, inner, items, set, set_text, text, volumes};

/// The spec of a pod that runs by itself.
pub fn pod(spec: &mut Value) {
    template(spec);
    set(spec, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            requests_from_limits(container);
        }
    }
    if spec["hostNetwork"] == true {
        host_ports(spec);
    }
}

/// The spec of a pod template.
pub fn template(spec: &mut Value) {
    set_text(spec, "dnsPolicy", "ClusterFirst");
    set_text(spec, "restartPolicy", "Always");
    set_text(spec, "schedulerName", "default-scheduler");
    set(spec, "securityContext", empty());
    set(spec, "terminationGracePeriodSeconds", 30);
    service_account(spec);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
    items(spec, "volumes").for_each(volumes::volume);
    for constraint in items(spec, "topologySpreadConstraints") {
        // Defaults since 1.26 come from the scheduler, not from here.
        set(constraint, "maxSkew", 1);
    }
}

/// The old name of a field is kept in step with the new one.
fn service_account(spec: &mut Value) {
    let (new, old) = (text(spec, "serviceAccountName"), text(spec, "serviceAccount"));
    let name = if new.is_empty() { old } else { new }.to_owned();
    if !name.is_empty() {
        spec["serviceAccountName"] = name.clone().into();
        spec["serviceAccount"] = name.into();
    }
}

fn container(container: &mut Value) {
    let policy = if is_latest(text(container, "image")) { "Always" } else { "IfNotPresent" };
    set_text(container, "imagePullPolicy", policy);
    set_text(container, "terminationMessagePath", "/dev/termination-log");
    set_text(container, "terminationMessagePolicy", "File");
    for port in items(container, "ports") {
        set_text(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if let Some(field) = inner(variable, &["valueFrom", "fieldRef"]) {
            set_text(field, "apiVersion", "v1");
        }
        if let Some(field) = inner(variable, &["valueFrom", "resourceFieldRef"]) {
            set(field, "divisor", "0");
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = inner(container, &[kind]) {
            self::probe(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(get) = inner(container, &["lifecycle", hook, "httpGet"]) {
            http_get(get);
        }
    }
    if let Some(context) = inner(container, &["securityContext"])
        && text(context, "procMount").is_empty()
        && has(context, "procMount")
    {
        set_text(context, "procMount", "Default");
    }
}

/// Whether an image's tag may move: it is `latest`, or there is neither tag nor digest.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    }
}

fn probe(probe: &mut Value) {
    for (field, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        if probe[field].as_i64().unwrap_or(0) == 0 {
            probe[field] = value.into();
        }
    }
    if let Some(get) = inner(probe, &["httpGet"]) {
        http_get(get);
    }
    if let Some(grpc) = inner(probe, &["grpc"]) {
        set(grpc, "service", "");
    }
}

fn http_get(get: &mut Value) {
    set_text(get, "path", "/");
    set_text(get, "scheme", "HTTP");
}

/// What is limited and not asked for is asked for as limited.
fn requests_from_limits(container: &mut Value) {
    let Some(resources) = inner(container, &["resources"]) else { return };
    let Some(limits) = resources.get("limits").cloned() else { return };
    set(resources, "requests", empty());
    for (name, limit) in limits.as_object().into_iter().flatten() {
        set(&mut resources["requests"], name, limit.clone());
    }
}

/// On the host's network a port is the host's port.
fn host_ports(spec: &mut Value) {
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            for port in items(container, "ports") {
                let number = port["containerPort"].clone();
                set(port, "hostPort", number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_may_move_is_pulled_always() {
        for image in ["nginx", "nginx:latest", "reg:5000/x", "a/b/c"] {
            assert!(is_latest(image), "{image}");
        }
        for image in ["nginx:1", "reg:5000/x:2", "x@sha256:ab"] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
