//! Work: what one cluster is to hold. A computed view, in the namespace `karmada-es-<cluster>`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Condition;
use crate::meta::Object;
use crate::row::{Column, Row};
use crate::schema::{Schema, anything, boolean, conditions, count, list, object, root, text};

pub type Work = Object<WorkSpec, WorkStatus>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkSpec {
    pub workload: Workload,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_dispatching: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preserve_resources_on_deletion: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workload {
    pub manifests: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkStatus {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifest_statuses: Vec<ManifestStatus>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManifestStatus {
    pub identifier: ManifestIdentifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ManifestIdentifier {
    pub ordinal: u32,
    pub group: String,
    pub version: String,
    pub kind: String,
    pub resource: String,
    pub namespace: String,
    pub name: String,
}

pub(super) fn row() -> Row {
    Row {
        group: "work.karmada.io",
        version: "v1alpha1",
        kind: "Work",
        plural: "works",
        singular: "work",
        short_names: &["wk"],
        categories: &["karmada-io", "fleet"],
        namespaced: true,
        has_status: true,
        read_only: true,
        schema: root(
            "Objects that one cluster is to hold. Computed, never stored.",
            [("spec", spec()), ("status", status())],
        )
        .required(&["spec"])
        .build(),
        columns: vec![
            Column::text("Workload-Kind", ".spec.workload.manifests[*].kind"),
            Column::text("Workload-Name", ".spec.workload.manifests[*].metadata.name"),
            Column::text("Applied", r#".status.conditions[?(@.type=="Applied")].status"#),
            Column::age(),
        ],
    }
}

fn spec() -> Schema {
    let manifests = list("The objects.", anything("An object."));
    object(
        "What the cluster is to hold.",
        [
            ("workload", object("The objects.", [("manifests", manifests)])),
            ("suspendDispatching", boolean("Nothing goes out for now.")),
            ("preserveResourcesOnDeletion", boolean("The objects stay when this goes.")),
        ],
    )
}

fn status() -> Schema {
    let identifier = [
        ("ordinal", count("Place in the list.")),
        ("group", text("Group.")),
        ("version", text("Version.")),
        ("kind", text("Kind.")),
        ("resource", text("Plural name.")),
        ("namespace", text("Namespace.")),
        ("name", text("Name.")),
    ];
    let manifest = [
        ("identifier", object("Which object.", identifier)),
        ("status", anything("Its status in the cluster.")),
        ("health", text("Healthy, Unhealthy or Unknown.")),
    ];
    object(
        "What the cluster reports.",
        [
            ("conditions", conditions()),
            ("manifestStatuses", list("Each object.", object("An object.", manifest))),
        ],
    )
}
