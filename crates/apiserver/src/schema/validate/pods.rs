//! Pods and their templates.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    causes::{Causes, entries, has, list, text},
    labels, metadata, resources,
};
use crate::{
    names::NameRule,
    schema::{builtin_defaults, path::Path},
};

const DNS: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const PULL: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// What holds of every template of pods. Kubernetes names no `metadata` in the paths.
pub fn template(template: &Value, path: &Path, causes: &mut Causes) {
    let meta = &template["metadata"];
    labels::labels(meta, "labels", &path.field("labels"), causes);
    metadata::annotations(meta, &path.field("annotations"), causes);
    spec(&template["spec"], &path.field("spec"), causes);
}

/// What holds of every pod spec; its restart policy is the owner's business.
pub fn spec(spec: &Value, path: &Path, causes: &mut Causes) {
    let volumes = volumes(spec, path, causes);
    let mut names = BTreeSet::new();
    if list(spec, "containers").is_empty() {
        causes.required(&path.field("containers"), "");
    }
    for kind in ["containers", "initContainers", "ephemeralContainers"] {
        let path = path.field(kind);
        for (index, container) in list(spec, kind).iter().enumerate() {
            self::container(container, &path.index(index), &volumes, &mut names, causes);
        }
    }
    causes.one_of(spec, path, "dnsPolicy", &DNS);
    labels::labels(spec, "nodeSelector", &path.field("nodeSelector"), causes);
    causes.not_negative(spec, path, "activeDeadlineSeconds");
}

/// Names of the volumes.
fn volumes<'a>(spec: &'a Value, path: &Path, causes: &mut Causes) -> BTreeSet<&'a str> {
    let path = path.field("volumes");
    let mut names = BTreeSet::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = path.index(index);
        let name = name(volume, &path, causes);
        if !name.is_empty() && !names.insert(name) {
            causes.duplicate(&path.field("name"), &name.into());
        }
        for source in builtin_defaults::volume_sources(volume).into_iter().skip(1) {
            causes.forbidden(&path.field(source), "may not specify more than 1 volume type");
        }
    }
    names
}

/// A name that is there and is a label.
fn name<'a>(holder: &'a Value, path: &Path, causes: &mut Causes) -> &'a str {
    let name = text(holder, "name");
    if name.is_empty() {
        causes.required(&path.field("name"), "");
    } else if let Some(why) = NameRule::Label.check(name) {
        causes.invalid(&path.field("name"), &name.into(), why);
    }
    name
}

fn container<'a>(
    container: &'a Value,
    path: &Path,
    volumes: &BTreeSet<&str>,
    names: &mut BTreeSet<&'a str>,
    causes: &mut Causes,
) {
    let name = name(container, path, causes);
    if !name.is_empty() && !names.insert(name) {
        causes.duplicate(&path.field("name"), &name.into());
    }
    let image = text(container, "image");
    if image.is_empty() {
        causes.required(&path.field("image"), "");
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        causes.invalid(&path.field("image"), &image.into(), why);
    }
    ports(container, path, causes);
    environment(container, path, causes);
    mounts(container, path, volumes, causes);
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(kind) {
            self::probe(probe, &path.field(kind), causes);
        }
    }
    causes.one_of(container, path, "imagePullPolicy", &PULL);
    causes.one_of(container, path, "terminationMessagePolicy", &["FallbackToLogsOnError", "File"]);
    if let Some(given) = container.get("resources") {
        resources::validate(given, &path.field("resources"), causes);
    }
}

fn ports(container: &Value, path: &Path, causes: &mut Causes) {
    let path = path.field("ports");
    let mut names = BTreeSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            let here = path.field("name");
            for why in port_name(name) {
                causes.invalid(&here, &name.into(), why);
            }
            if !names.insert(name) {
                causes.duplicate(&here, &name.into());
            }
        }
        let number = &port["containerPort"];
        if number.is_null() || *number == 0 {
            causes.required(&path.field("containerPort"), "");
        } else {
            port_number(number, &path.field("containerPort"), causes);
        }
        if has(port, "hostPort") && port["hostPort"] != 0 {
            port_number(&port["hostPort"], &path.field("hostPort"), causes);
        }
        causes.one_of(port, &path, "protocol", &PROTOCOLS);
    }
}

pub fn port_number(number: &Value, path: &Path, causes: &mut Causes) {
    if !number.as_i64().is_some_and(|it| (1..=65_535).contains(&it)) {
        causes.invalid(path, number, "must be between 1 and 65535, inclusive");
    }
}

/// Why a name cannot be that of a port.
pub fn port_name(name: &str) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if name.len() > 15 {
        wrong.push("must be no more than 15 bytes");
    }
    if !name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-') {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.bytes().any(|it| it.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        wrong.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        wrong.push("must not begin or end with a hyphen");
    }
    wrong
}

/// A number, or the name of a port.
pub fn port(value: &Value, path: &Path, causes: &mut Causes) {
    match value {
        Value::String(name) => {
            for why in port_name(name) {
                causes.invalid(path, value, why);
            }
        }
        number => port_number(number, path, causes),
    }
}

fn environment(container: &Value, path: &Path, causes: &mut Causes) {
    let path = path.field("env");
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = path.index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            causes.required(&path.field("name"), "");
        } else if !name.bytes().all(|it| (b' '..=b'~').contains(&it) && it != b'=') {
            let why = "a valid environment variable name must consist only of printable ASCII \
                       characters other than '='";
            causes.invalid(&path.field("name"), &name.into(), why);
        }
        let from = path.field("valueFrom");
        let sources = entries(variable, "valueFrom").count();
        if has(variable, "valueFrom") && sources == 0 {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, \
                       `secretKeyRef` or `fileKeyRef`";
            causes.invalid(&from, &"".into(), why);
        }
        if sources > 0 && !text(variable, "value").is_empty() {
            causes.invalid(&from, &"".into(), "may not be specified when `value` is not empty");
        } else if sources > 1 {
            causes.invalid(
                &from,
                &"".into(),
                "may not have more than one field specified at a time",
            );
        }
    }
}

fn mounts(container: &Value, path: &Path, volumes: &BTreeSet<&str>, causes: &mut Causes) {
    let path = path.field("volumeMounts");
    let mut places = BTreeSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let path = path.index(index);
        let (name, place) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            causes.required(&path.field("name"), "");
        } else if !volumes.contains(name) {
            causes.not_found(&path.field("name"), &name.into());
        }
        if place.is_empty() {
            causes.required(&path.field("mountPath"), "");
        } else if !places.insert(place) {
            causes.invalid(&path.field("mountPath"), &place.into(), "must be unique");
        }
    }
}

fn probe(probe: &Value, path: &Path, causes: &mut Causes) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    let mut found = handlers.into_iter().filter(|it| has(probe, it));
    match found.next() {
        None => causes.required(path, "must specify a handler type"),
        Some("exec") if list(&probe["exec"], "command").is_empty() => {
            causes.required(&path.field("exec").field("command"), "");
        }
        Some(handler @ ("httpGet" | "tcpSocket" | "grpc")) => {
            let path = path.field(handler);
            port(&probe[handler]["port"], &path.field("port"), causes);
        }
        Some(_) => {}
    }
    if let Some(second) = found.next() {
        causes.forbidden(&path.field(second), "may not specify more than 1 handler type");
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        causes.not_negative(probe, path, field);
    }
}
