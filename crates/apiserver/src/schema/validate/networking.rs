//! Ingresses and network policies.

use serde_json::Value;

use super::{
    causes::{Causes, has, list, text},
    labels, pods,
};
use crate::{names::NameRule, schema::path::Path};

pub fn validate(kind: &str, object: &Value, causes: &mut Causes) {
    let spec = &object["spec"];
    let path = Path::Root.field("spec");
    match kind {
        "Ingress" => ingress(spec, &path, causes),
        "NetworkPolicy" => {
            labels::selector(&spec["podSelector"], &path.field("podSelector"), causes);
            let types = path.field("policyTypes");
            for (index, it) in list(spec, "policyTypes").iter().enumerate() {
                if *it != "Ingress" && *it != "Egress" {
                    causes.unsupported(&types.index(index), it, &["Egress", "Ingress"]);
                }
            }
        }
        _ => {}
    }
}

fn ingress(spec: &Value, path: &Path, causes: &mut Causes) {
    if list(spec, "rules").is_empty() && !has(spec, "defaultBackend") {
        let why = "either `defaultBackend` or `rules` must be specified";
        causes.invalid(path, &Value::Null, why);
    }
    if let Some(backend) = spec.get("defaultBackend") {
        self::backend(backend, &path.field("defaultBackend"), causes);
    }
    let rules = path.field("rules");
    for (index, rule) in list(spec, "rules").iter().enumerate() {
        let path = rules.index(index);
        let host = text(rule, "host");
        let plain = host.strip_prefix("*.").unwrap_or(host);
        if !host.is_empty()
            && let Some(why) = NameRule::Subdomain.check(plain)
        {
            causes.invalid(&path.field("host"), &host.into(), why);
        }
        let http = path.field("http");
        let paths = http.field("paths");
        if has(rule, "http") && list(&rule["http"], "paths").is_empty() {
            causes.required(&paths, "");
        }
        for (index, it) in list(&rule["http"], "paths").iter().enumerate() {
            self::path(it, &paths.index(index), causes);
        }
    }
}

fn path(rule: &Value, at: &Path, causes: &mut Causes) {
    let said = text(rule, "path");
    match text(rule, "pathType") {
        "" => causes.required(&at.field("pathType"), "pathType must be specified"),
        "Exact" | "Prefix" if !said.starts_with('/') => {
            causes.invalid(&at.field("path"), &said.into(), "must be an absolute path");
        }
        "Exact" | "Prefix" => {
            for part in ["//", "/./", "/../", "%2f", "%2F"].iter().filter(|it| said.contains(**it))
            {
                let why = format!("must not contain '{part}'");
                causes.invalid(&at.field("path"), &said.into(), why);
            }
        }
        "ImplementationSpecific" if !said.is_empty() && !said.starts_with('/') => {
            causes.invalid(&at.field("path"), &said.into(), "must be an absolute path");
        }
        _ => causes.one_of(rule, at, "pathType", &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&rule["backend"], &at.field("backend"), causes);
}

fn backend(backend: &Value, path: &Path, causes: &mut Causes) {
    match (has(backend, "service"), has(backend, "resource")) {
        (false, false) => {
            causes.invalid(path, &"".into(), "resource or service backend is required");
        }
        (true, true) => {
            let why = "cannot set both resource and service backends";
            causes.invalid(path, &"".into(), why);
        }
        (true, false) => {
            let (service, path) = (&backend["service"], path.field("service"));
            if text(service, "name").is_empty() {
                causes.required(&path.field("name"), "");
            }
            let (port, at) = (&service["port"], path.field("port"));
            match (text(port, "name"), port["number"].as_i64().unwrap_or(0)) {
                ("", 0) => causes.required(&path, "port name or number is required"),
                ("", _) => pods::port_number(&port["number"], &at.field("number"), causes),
                (name, 0) => {
                    for why in pods::port_name(name) {
                        causes.invalid(&at.field("name"), &name.into(), why);
                    }
                }
                _ => causes.invalid(&path, &"".into(), "cannot set both port name & port number"),
            }
        }
        (false, true) => {}
    }
}
