//! The storage group.

use serde_json::Value;

use super::{
    Printer,
    age::age,
    cells::{UNSET, list, name, plain, text},
};

pub fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "StorageClass" => &CLASS,
        "CSIDriver" => &DRIVER,
        "CSINode" => &NODE,
        "VolumeAttachment" => &ATTACHMENT,
        "VolumeAttributesClass" => &ATTRIBUTES,
        _ => return None,
    })
}

static CLASS: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Provisioner", "string", 0),
        ("ReclaimPolicy", "string", 0),
        ("VolumeBindingMode", "string", 0),
        ("AllowVolumeExpansion", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let marks = &object["metadata"]["annotations"];
        let is_default = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ]
        .iter()
        .any(|it| marks[*it] == "true");
        let suffix = if is_default { " (default)" } else { "" };
        vec![
            format!("{}{suffix}", text(&object["metadata"], "name")).into(),
            text(object, "provisioner").into(),
            plain(&object["reclaimPolicy"], "Delete").into(),
            plain(&object["volumeBindingMode"], "Immediate").into(),
            (object["allowVolumeExpansion"] == true).into(),
            age(object, now),
        ]
    },
};

static DRIVER: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("AttachRequired", "boolean", 0),
        ("PodInfoOnMount", "boolean", 0),
        ("StorageCapacity", "boolean", 0),
        ("TokenRequests", "string", 0),
        ("RequiresRepublish", "boolean", 0),
        ("Modes", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let tokens: Vec<&str> =
            list(spec, "tokenRequests").iter().map(|it| text(it, "audience")).collect();
        let tokens = if tokens.is_empty() { UNSET.to_owned() } else { tokens.join(",") };
        let modes: Vec<String> =
            list(spec, "volumeLifecycleModes").iter().map(|it| plain(it, "")).collect();
        vec![
            name(object),
            (spec["attachRequired"] != false).into(),
            (spec["podInfoOnMount"] == true).into(),
            (spec["storageCapacity"] == true).into(),
            tokens.into(),
            (spec["requiresRepublish"] == true).into(),
            if modes.is_empty() { "<none>".into() } else { modes.join(",").into() },
            age(object, now),
        ]
    },
};

static NODE: Printer = Printer {
    columns: &[("Name", "string", 0), ("Drivers", "integer", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), list(&object["spec"], "drivers").len().into(), age(object, now)]
    },
};

static ATTACHMENT: Printer = Printer {
    columns: &[
        ("Name", "string", 0),
        ("Attacher", "string", 0),
        ("PV", "string", 0),
        ("Node", "string", 0),
        ("Attached", "boolean", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            name(object),
            text(spec, "attacher").into(),
            text(&spec["source"], "persistentVolumeName").into(),
            text(spec, "nodeName").into(),
            (object["status"]["attached"] == true).into(),
            age(object, now),
        ]
    },
};

static ATTRIBUTES: Printer = Printer {
    columns: &[("Name", "string", 0), ("DriverName", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        vec![name(object), Value::from(text(object, "driverName")), age(object, now)]
    },
};
