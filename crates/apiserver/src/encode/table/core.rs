//! The core group, but for pods and events.

use serde_json::Value;

use super::{
    Printer,
    age::age,
    apps::REPLICA_SET,
    cells::{
        NONE, UNSET, access_modes, condition, containers, labels, list, name, or, plain, some, text,
    },
    networking::{balancer, service_ports},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Service" => &SERVICE,
        "Endpoints" => &ENDPOINTS,
        "ConfigMap" => &CONFIG_MAP,
        "Secret" => &SECRET,
        "Namespace" => &NAMESPACE,
        "Node" => &NODE,
        "ServiceAccount" => &SERVICE_ACCOUNT,
        "PersistentVolume" => &VOLUME,
        "PersistentVolumeClaim" => &CLAIM,
        "ResourceQuota" => &QUOTA,
        "PodTemplate" => &POD_TEMPLATE,
        "ReplicationController" => &REPLICA_SET,
        _ => return None,
    })
}

static SERVICE: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Type", "string", 0),
        ("Cluster-IP", "string", 0),
        ("External-IP", "string", 0),
        ("Port(s)", "string", 0),
        ("Age", "string", 0),
        ("Selector", "string", 1),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let address = or(text(&spec["clusterIPs"], ""), text(spec, "clusterIP"));
        vec![
            name(object),
            text(spec, "type").into(),
            or(address, NONE).into(),
            external(object).into(),
            service_ports(spec).into(),
            age(object, now),
            labels(&spec["selector"]).into(),
        ]
    },
};

fn external(service: &Value) -> String {
    let spec = &service["spec"];
    let listed: Vec<String> = list(spec, "externalIPs").iter().map(|it| plain(it, "")).collect();
    match text(spec, "type") {
        "ExternalName" => text(spec, "externalName").to_owned(),
        "LoadBalancer" => {
            let mut all = vec![balancer(&service["status"])];
            all.retain(|it| !it.is_empty());
            all.extend(listed);
            or(&all.join(","), "<pending>").to_owned()
        }
        _ => or(&listed.join(","), NONE).to_owned(),
    }
}

static ENDPOINTS: Printer = Printer {
    columns: &[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![name(object), endpoints(object).into(), age(object, now)],
};

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in list(object, "subsets") {
        let ports = list(subset, "ports");
        let addresses = list(subset, "addresses");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|it| text(it, "ip").to_owned()));
        }
        for port in ports {
            all.extend(addresses.iter().map(|it| format!("{}:{}", text(it, "ip"), port["port"])));
        }
    }
    or(&some(&all, 3, ","), NONE).to_owned()
}

fn count(object: &Value, fields: &[&str]) -> Value {
    let sizes = fields.iter().map(|it| object[*it].as_object().map_or(0, serde_json::Map::len));
    sizes.sum::<usize>().into()
}

static CONFIG_MAP: Printer = Printer {
    columns: &[("Name", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), count(object, &["data", "binaryData"]), age(object, now)]
    },
};

static SECRET: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Type", "string", 0),
        ("Data", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        vec![name(object), text(object, "type").into(), count(object, &["data"]), age(object, now)]
    },
};

static NAMESPACE: Printer = Printer {
    columns: &[("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), text(&object["status"], "phase").into(), age(object, now)]
    },
};

static SERVICE_ACCOUNT: Printer = Printer {
    columns: &[("Name", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![name(object), age(object, now)],
};

static NODE: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Roles", "string", 0),
        ("Age", "string", 0),
        ("Version", "string", 0),
        ("Internal-IP", "string", 1),
        ("External-IP", "string", 1),
        ("OS-Image", "string", 1),
        ("Kernel-Version", "string", 1),
        ("Container-Runtime", "string", 1),
    ],
    cells: |object, now| {
        let info = &object["status"]["nodeInfo"];
        let unknown = |field: &str| or(text(info, field), "<unknown>").to_owned();
        let kernel = match text(info, "architecture") {
            "" => unknown("kernelVersion"),
            architecture => format!("{} ({architecture})", unknown("kernelVersion")),
        };
        vec![
            name(object),
            node_status(object).into(),
            roles(object).into(),
            age(object, now),
            text(info, "kubeletVersion").into(),
            address(object, "InternalIP").into(),
            address(object, "ExternalIP").into(),
            unknown("osImage").into(),
            kernel.into(),
            unknown("containerRuntimeVersion").into(),
        ]
    },
};

fn node_status(node: &Value) -> String {
    let ready = match condition(node, "Ready") {
        "True" => "Ready",
        "" => "Unknown",
        _ => "NotReady",
    };
    let closed = node["spec"]["unschedulable"] == true;
    format!("{ready}{}", if closed { ",SchedulingDisabled" } else { "" })
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|it| !it.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    or(&roles.join(","), NONE).to_owned()
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let all = list(&node["status"], "addresses");
    all.iter().find(|it| it["type"] == kind).map_or(NONE, |it| text(it, "address"))
}

/// A phase, or that the object is on its way out.
fn phase(object: &Value) -> Value {
    if text(&object["metadata"], "deletionTimestamp").is_empty() {
        text(&object["status"], "phase").into()
    } else {
        "Terminating".into()
    }
}

static VOLUME: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Capacity", "string", 0),
        ("Access Modes", "string", 0),
        ("Reclaim Policy", "string", 0),
        ("Status", "string", 0),
        ("Claim", "string", 0),
        ("StorageClass", "string", 0),
        ("VolumeAttributesClass", "string", 0),
        ("Reason", "string", 0),
        ("Age", "string", 0),
        ("VolumeMode", "string", 1),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let claim = &spec["claimRef"];
        let claimed = if claim.is_object() {
            format!("{}/{}", text(claim, "namespace"), text(claim, "name"))
        } else {
            String::new()
        };
        vec![
            name(object),
            plain(&spec["capacity"]["storage"], "").into(),
            access_modes(list(spec, "accessModes")).into(),
            text(spec, "persistentVolumeReclaimPolicy").into(),
            phase(object),
            claimed.into(),
            text(spec, "storageClassName").into(),
            or(text(spec, "volumeAttributesClassName"), UNSET).into(),
            text(&object["status"], "reason").into(),
            age(object, now),
            or(text(spec, "volumeMode"), UNSET).into(),
        ]
    },
};

static CLAIM: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Volume", "string", 0),
        ("Capacity", "string", 0),
        ("Access Modes", "string", 0),
        ("StorageClass", "string", 0),
        ("VolumeAttributesClass", "string", 0),
        ("Age", "string", 0),
        ("VolumeMode", "string", 1),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let bound = !text(spec, "volumeName").is_empty();
        let capacity =
            if bound { plain(&status["capacity"]["storage"], "") } else { String::new() };
        let modes = if bound { access_modes(list(status, "accessModes")) } else { String::new() };
        vec![
            name(object),
            phase(object),
            text(spec, "volumeName").into(),
            capacity.into(),
            modes.into(),
            text(spec, "storageClassName").into(),
            or(text(spec, "volumeAttributesClassName"), UNSET).into(),
            age(object, now),
            or(text(spec, "volumeMode"), UNSET).into(),
        ]
    },
};

static QUOTA: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Request", "string", 0),
        ("Limit", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let used = &object["status"]["used"];
        let (mut requests, mut limits) = (Vec::new(), Vec::new());
        for (resource, hard) in object["status"]["hard"].as_object().into_iter().flatten() {
            let shown = format!("{resource}: {}/{}", plain(&used[resource], "0"), plain(hard, ""));
            let list = if resource.starts_with("limits") { &mut limits } else { &mut requests };
            list.push(shown);
        }
        vec![name(object), requests.join(", ").into(), limits.join(", ").into(), age(object, now)]
    },
};

static POD_TEMPLATE: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Containers", "string", 0),
        ("Images", "string", 0),
        ("Pod Labels", "string", 0),
    ],
    cells: |object, _| {
        let template = &object["template"];
        let [names, images] = containers(&template["spec"]);
        vec![name(object), names, images, labels(&template["metadata"]["labels"]).into()]
    },
};
