//! Ingresses, policies and endpoint slices.

use serde_json::Value;

use super::{
    Printer,
    age::age,
    cells::{NONE, UNSET, list, name, number, or, plain, selector, some, text},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Ingress" => &INGRESS,
        "IngressClass" => &INGRESS_CLASS,
        "NetworkPolicy" => &POLICY,
        "EndpointSlice" => &SLICE,
        "IPAddress" => &ADDRESS,
        "ServiceCIDR" => &CIDR,
        _ => return None,
    })
}

static INGRESS: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Class", "string", 0),
        ("Hosts", "string", 0),
        ("Address", "string", 0),
        ("Ports", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let rules = list(spec, "rules");
        let hosts: Vec<String> = rules
            .iter()
            .map(|it| text(it, "host").to_owned())
            .filter(|it| !it.is_empty())
            .collect();
        let ports = if list(spec, "tls").is_empty() { "80" } else { "80, 443" };
        vec![
            name(object),
            or(text(spec, "ingressClassName"), NONE).into(),
            or(&some(&hosts, 3, ","), "*").into(),
            balancer(&object["status"]).into(),
            ports.into(),
            age(object, now),
        ]
    },
};

/// Where a load balancer is reached.
pub fn balancer(status: &Value) -> String {
    let points = list(&status["loadBalancer"], "ingress");
    let shown = points.iter().map(|it| or(text(it, "ip"), text(it, "hostname")));
    shown.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(",")
}

static INGRESS_CLASS: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Controller", "string", 0),
        ("Parameters", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let (spec, parameters) = (&object["spec"], &object["spec"]["parameters"]);
        let group = text(parameters, "apiGroup");
        let dot = if group.is_empty() { "" } else { "." };
        let shown = if parameters.is_object() {
            format!("{}{dot}{group}/{}", text(parameters, "kind"), text(parameters, "name"))
        } else {
            NONE.into()
        };
        vec![name(object), text(spec, "controller").into(), shown.into(), age(object, now)]
    },
};

static POLICY: Printer = Printer {
    columns: &[("Name", "string", 0), ("Pod-Selector", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), selector(&object["spec"]["podSelector"]).into(), age(object, now)]
    },
};

static SLICE: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("AddressType", "string", 0),
        ("Ports", "string", 0),
        ("Endpoints", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let port = |it: &Value| match it["port"].as_i64() {
            Some(port) => port.to_string(),
            None => or(text(it, "name"), "*").to_owned(),
        };
        let ports: Vec<String> = list(object, "ports").iter().map(port).collect();
        let points = list(object, "endpoints").iter().flat_map(|it| list(it, "addresses"));
        let points: Vec<String> = points.map(|it| plain(it, "")).collect();
        vec![
            name(object),
            text(object, "addressType").into(),
            or(&some(&ports, 3, ","), UNSET).into(),
            or(&some(&points, 3, ","), UNSET).into(),
            age(object, now),
        ]
    },
};

static ADDRESS: Printer = Printer {
    // Kubernetes' rows have an age, but no column for it.
    columns: &[("Name", "string", 0), ("ParentRef", "string", 0)],
    cells: |object, now| {
        let parent = &object["spec"]["parentRef"];
        let mut words =
            vec![text(parent, "resource"), text(parent, "namespace"), text(parent, "name")];
        let group = text(parent, "group");
        let first =
            if group.is_empty() { words[0].to_owned() } else { format!("{}.{group}", words[0]) };
        words[0] = &first;
        words.retain(|it| !it.is_empty());
        vec![name(object), words.join("/").into(), age(object, now)]
    },
};

static CIDR: Printer = Printer {
    columns: &[("Name", "string", 0), ("CIDRs", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        let ranges = list(&object["spec"], "cidrs").iter().map(|it| plain(it, ""));
        let ranges = ranges.collect::<Vec<_>>().join(",");
        vec![name(object), ranges.into(), age(object, now)]
    },
};

/// `80:30080/TCP,53/UDP`.
pub fn service_ports(spec: &Value) -> String {
    let port = |it: &Value| {
        let (number, node) = (number(it, "port"), number(it, "nodePort"));
        let protocol = or(text(it, "protocol"), "TCP");
        match node {
            0 => format!("{number}/{protocol}"),
            node => format!("{number}:{node}/{protocol}"),
        }
    };
    let ports: Vec<String> = list(spec, "ports").iter().map(port).collect();
    or(&ports.join(","), NONE).to_owned()
}
