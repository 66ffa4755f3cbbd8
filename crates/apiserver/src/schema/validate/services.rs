//! Services.

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::{Value, json};

use super::{
    causes::{Causes, has, list, text},
    pods,
};
use crate::{names::NameRule, schema::path::Path};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub fn validate(spec: &Value, path: &Path, causes: &mut Causes) {
    let kind = text(spec, "type");
    let headless = text(spec, "clusterIP") == "None";
    if list(spec, "ports").is_empty() && !headless && kind != "ExternalName" {
        causes.required(&path.field("ports"), "");
    }
    if kind == "ExternalName" {
        let name = text(spec, "externalName");
        let at = path.field("externalName");
        if name.is_empty() {
            causes.required(&at, "");
        } else if let Some(why) = NameRule::Subdomain.check(&name.to_ascii_lowercase()) {
            causes.invalid(&at, &name.into(), why);
        }
    }
    ports(spec, path, kind, causes);
    causes.one_of(spec, path, "sessionAffinity", &["ClientIP", "None"]);
    addresses(spec, path, causes);
    if !TYPES.contains(&kind) {
        causes.unsupported(&path.field("type"), &kind.into(), &TYPES);
    }
}

fn ports(spec: &Value, path: &Path, kind: &str, causes: &mut Causes) {
    let path = path.field("ports");
    let all = list(spec, "ports");
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in all.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        let at = path.field("name");
        if name.is_empty() && all.len() > 1 {
            causes.required(&at, "");
        } else if !name.is_empty() {
            if let Some(why) = NameRule::Label.check(name) {
                causes.invalid(&at, &name.into(), why);
            }
            if !names.insert(name) {
                causes.duplicate(&at, &name.into());
            }
        }
        pods::port_number(&port["port"], &path.field("port"), causes);
        causes.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
        if has(port, "targetPort") {
            pods::port(&port["targetPort"], &path.field("targetPort"), causes);
        }
        let node_port = port["nodePort"].as_i64().unwrap_or(0);
        if node_port != 0 && kind == "ClusterIP" {
            let why = "may not be used when `type` is 'ClusterIP'";
            causes.forbidden(&path.field("nodePort"), why);
        }
        if !numbers.insert((port["port"].as_i64(), text(port, "protocol"))) {
            causes.duplicate(&path, &json!({"port": port["port"], "protocol": port["protocol"]}));
        }
    }
}

fn addresses(spec: &Value, path: &Path, causes: &mut Causes) {
    let address = text(spec, "clusterIP");
    let fine = matches!(address, "" | "None") || address.parse::<IpAddr>().is_ok();
    if !fine {
        let path = path.field("clusterIPs");
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        causes.invalid(&path.index(0), &address.into(), why);
    }
}
