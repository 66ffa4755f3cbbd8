//! The apps group.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Printer,
    age::age,
    cells::{containers, labels, list, name, number, selector, text},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Deployment" => &DEPLOYMENT,
        "ReplicaSet" => &REPLICA_SET,
        "StatefulSet" => &STATEFUL_SET,
        "DaemonSet" => &DAEMON_SET,
        "ControllerRevision" => &CONTROLLER_REVISION,
        _ => return None,
    })
}

static DEPLOYMENT: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Up-to-date", "string", 0),
        ("Available", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let ready = format!("{}/{}", number(status, "readyReplicas"), number(spec, "replicas"));
        let [names, images] = containers(&spec["template"]["spec"]);
        vec![
            name(object),
            ready.into(),
            number(status, "updatedReplicas").into(),
            number(status, "availableReplicas").into(),
            age(object, now),
            names,
            images,
            selector(&spec["selector"]).into(),
        ]
    },
};

pub(super) static REPLICA_SET: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    cells: replica_set,
};

fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(&spec["template"]["spec"]);
    let shown = match object["kind"].as_str() {
        Some("ReplicationController") => labels(&spec["selector"]),
        _ => selector(&spec["selector"]),
    };
    vec![
        name(object),
        number(spec, "replicas").into(),
        number(status, "replicas").into(),
        number(status, "readyReplicas").into(),
        age(object, now),
        names,
        images,
        shown.into(),
    ]
}

static STATEFUL_SET: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let ready = format!("{}/{}", number(status, "readyReplicas"), number(spec, "replicas"));
        let [names, images] = containers(&spec["template"]["spec"]);
        vec![name(object), ready.into(), age(object, now), names, images]
    },
};

static DAEMON_SET: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Up-to-date", "integer", 0),
        ("Available", "integer", 0),
        ("Node Selector", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    cells: |object, now| {
        let (spec, status) = (&object["spec"], &object["status"]);
        let [names, images] = containers(&spec["template"]["spec"]);
        vec![
            name(object),
            number(status, "desiredNumberScheduled").into(),
            number(status, "currentNumberScheduled").into(),
            number(status, "numberReady").into(),
            number(status, "updatedNumberScheduled").into(),
            number(status, "numberAvailable").into(),
            labels(&spec["template"]["spec"]["nodeSelector"]).into(),
            age(object, now),
            names,
            images,
            selector(&spec["selector"]).into(),
        ]
    },
};

static CONTROLLER_REVISION: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Controller", "string", 0),
        ("Revision", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let owners = list(&object["metadata"], "ownerReferences");
        let owner = owners.iter().find(|it| it["controller"] == true);
        let controller = owner.map_or_else(
            || "<none>".to_owned(),
            |it| {
                let kind = text(it, "kind").to_lowercase();
                let group = text(it, "apiVersion").rsplit_once('/').map_or("", |it| it.0);
                let dot = if group.is_empty() { "" } else { "." };
                format!("{kind}{dot}{group}/{}", text(it, "name"))
            },
        );
        vec![name(object), controller.into(), object["revision"].clone(), age(object, now)]
    },
};
