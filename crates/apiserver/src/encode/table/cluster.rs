//! Kinds that a cluster has by itself: definitions, API services, leases, classes.

use serde_json::Value;

use super::{
    Printer,
    age::{age, human_duration},
    cells::{NONE, condition, list, name, number, text},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "CustomResourceDefinition" => &DEFINITION,
        "APIService" => &API_SERVICE,
        "Lease" => &LEASE,
        "RuntimeClass" => &RUNTIME_CLASS,
        "PriorityClass" => &PRIORITY_CLASS,
        "CertificateSigningRequest" => &SIGNING,
        _ => return None,
    })
}

static DEFINITION: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Scope", "string", 0),
        ("Versions", "string", 0),
        ("Created At", "date", 0),
        ("Group", "string", 1),
        ("Kind", "string", 1),
        ("ShortNames", "string", 1),
        ("Established", "boolean", 1),
    ],
    cells: |object, _| {
        let spec = &object["spec"];
        let version = |it: &Value| {
            let mut marks = Vec::new();
            if it["storage"] == true {
                marks.push("storage");
            }
            if it["served"] == false {
                marks.push("unserved");
            }
            if it["deprecated"] == true {
                marks.push("deprecated");
            }
            let name = text(it, "name");
            if marks.is_empty() { name.to_owned() } else { format!("{name}({})", marks.join(",")) }
        };
        let versions: Vec<String> = list(spec, "versions").iter().map(version).collect();
        let shorts: Vec<&str> =
            list(&spec["names"], "shortNames").iter().filter_map(Value::as_str).collect();
        vec![
            name(object),
            text(spec, "scope").into(),
            versions.join(",").into(),
            object["metadata"]["creationTimestamp"].clone(),
            text(spec, "group").into(),
            text(&spec["names"], "kind").into(),
            shorts.join(",").into(),
            (condition(object, "Established") == "True").into(),
        ]
    },
};

static API_SERVICE: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Service", "string", 0),
        ("Available", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let service = &object["spec"]["service"];
        let place = if service.is_object() {
            format!("{}/{}", text(service, "namespace"), text(service, "name"))
        } else {
            "Local".into()
        };
        let conditions = list(&object["status"], "conditions");
        let available = conditions.iter().find(|it| it["type"] == "Available");
        let available = match available.map(|it| (text(it, "status"), text(it, "reason"))) {
            None => "Unknown".into(),
            Some(("True", _)) => "True".to_owned(),
            Some((status, reason)) => format!("{status} ({reason})"),
        };
        vec![name(object), place.into(), available.into(), age(object, now)]
    },
};

static LEASE: Printer = Printer {
    columns: &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), text(&object["spec"], "holderIdentity").into(), age(object, now)]
    },
};

static RUNTIME_CLASS: Printer = Printer {
    columns: &[("Name", "string", 0), ("Handler", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![name(object), text(object, "handler").into(), age(object, now)],
};

static PRIORITY_CLASS: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Value", "integer", 0),
        ("Global-Default", "boolean", 0),
        ("Age", "string", 0),
        ("PreemptionPolicy", "string", 0),
    ],
    cells: |object, now| {
        vec![
            name(object),
            number(object, "value").into(),
            (object["globalDefault"] == true).into(),
            age(object, now),
            text(object, "preemptionPolicy").into(),
        ]
    },
};

static SIGNING: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Age", "string", 0),
        ("SignerName", "string", 0),
        ("Requestor", "string", 0),
        ("RequestedDuration", "string", 0),
        ("Condition", "string", 0),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let duration = spec["expirationSeconds"].as_i64().map(jiff::SignedDuration::from_secs);
        let mut said: Vec<&str> = ["Approved", "Denied", "Failed"]
            .into_iter()
            .filter(|kind| list(status, "conditions").iter().any(|it| it["type"] == *kind))
            .collect();
        if said.is_empty() {
            said.push("Pending");
        }
        if !text(status, "certificate").is_empty() {
            said.push("Issued");
        }
        vec![
            name(object),
            age(object, now),
            text(spec, "signerName").into(),
            text(spec, "username").into(),
            duration.map_or_else(|| NONE.to_owned(), human_duration).into(),
            said.join(",").into(),
        ]
    },
};
