//! Kustomization: a path of a source that is rendered and applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Condition;
use crate::meta::{LocalReference, Object, is_zero};
use crate::row::{Column, Row};
use crate::schema::{
    Schema, anything, boolean, conditions, duration, integer, list, local_reference, map, object,
    one_of, root, text,
};

pub type Kustomization = Object<KustomizationSpec, KustomizationStatus>;

/// What kogge acts on is typed; the rest is kept as given, so that its use can be reported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Flux's fields")]
pub struct KustomizationSpec {
    pub source_ref: SourceRef,
    /// Inside the source; its root unless given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    pub prune: bool,
    /// Go duration.
    pub interval: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_namespace: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<String>,
    /// `postBuild`, `patches`, `images`, `decryption`, ...
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceRef {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dependency {
    #[serde(flatten)]
    pub reference: LocalReference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_expr: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizationStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_applied_revision: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inventory {
    pub entries: Vec<InventoryEntry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InventoryEntry {
    /// `namespace_name_group_kind`.
    pub id: String,
    /// Version.
    pub v: String,
}

pub(super) fn row() -> Row {
    Row {
        group: "kustomize.toolkit.fluxcd.io",
        version: "v1",
        kind: "Kustomization",
        plural: "kustomizations",
        singular: "kustomization",
        short_names: &["ks"],
        categories: &["flux"],
        namespaced: true,
        has_status: true,
        read_only: false,
        schema: root(
            "A path of a source, rendered and applied.",
            [("spec", spec()), ("status", status())],
        )
        .required(&["spec"])
        .build(),
        columns: vec![
            Column::age(),
            Column::text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#),
            Column::text("Status", r#".status.conditions[?(@.type=="Ready")].message"#),
        ],
    }
}

fn spec() -> Schema {
    source()
        .fields([
            ("prune", boolean("Delete what left the source.")),
            ("interval", duration("How often to check what was applied.")),
            ("retryInterval", duration("How soon to try again after a failure.")),
            ("timeout", duration("Longest that applying and waiting may take.")),
            ("suspend", boolean("Apply nothing for now.")),
            ("wait", boolean("Ready only when all that was applied is.")),
            ("force", boolean("Make anew what cannot be changed in place.")),
            (
                "deletionPolicy",
                one_of(
                    "What happens to the objects when this goes.",
                    &["MirrorPrune", "Delete", "WaitForTermination", "Orphan"],
                ),
            ),
            ("serviceAccountName", text("ServiceAccount to apply as.")),
            ("kubeConfig", anything("Another cluster to apply to.")),
            ("dependsOn", depends_on()),
            ("healthChecks", list("Objects that must be healthy.", anything("An object."))),
            ("healthCheckExprs", list("Health in CEL.", anything("A rule."))),
        ])
        .required(&["interval", "prune", "sourceRef"])
}

/// What is read, and how it is changed on the way.
fn source() -> Schema {
    let pairs = |about: &str| map(about, text("Value."));
    object(
        "What to apply, and how.",
        [
            ("sourceRef", source_ref()),
            ("path", text("Path inside the source.")),
            ("targetNamespace", text("Namespace of every object.").not_empty()),
            ("namePrefix", text("Put before every name.")),
            ("nameSuffix", text("Put after every name.")),
            (
                "commonMetadata",
                object(
                    "Put on every object.",
                    [("labels", pairs("Labels.")), ("annotations", pairs("Annotations."))],
                ),
            ),
            ("components", list("Kustomize components.", text("Path."))),
            ("ignoreMissingComponents", boolean("Components may be missing.")),
            ("patches", list("Kustomize patches.", anything("A patch."))),
            ("images", list("Kustomize images.", anything("An image."))),
            ("postBuild", anything("Variables to put in.")),
            (
                "decryption",
                object(
                    "How secrets are decrypted.",
                    [
                        ("provider", text("Only sops.")),
                        ("secretRef", local_reference("Secret with the keys.")),
                        ("serviceAccountName", text("ServiceAccount to get keys with.")),
                    ],
                ),
            ),
        ],
    )
}

fn source_ref() -> Schema {
    object(
        "The source.",
        [
            ("apiVersion", text("Version of the source.")),
            (
                "kind",
                one_of(
                    "Kind of the source.",
                    &["GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"],
                ),
            ),
            ("name", text("Name of the source.")),
            ("namespace", text("Namespace of the source; the same unless given.")),
        ],
    )
    .required(&["kind", "name"])
}

fn depends_on() -> Schema {
    let dependency = [
        ("name", text("Name of the Kustomization.")),
        ("namespace", text("Its namespace; the same unless given.")),
        ("readyExpr", text("When it counts as ready, in CEL.")),
    ];
    list(
        "Kustomizations that must be ready first.",
        object("A Kustomization.", dependency).required(&["name"]),
    )
}

fn status() -> Schema {
    let entry =
        [("id", text("Namespace, name, group and kind, joined by _.")), ("v", text("Version."))];
    let entries = list("The objects.", object("An object.", entry).required(&["id", "v"]));
    object(
        "What was applied.",
        [
            ("observedGeneration", integer("Generation that this status is about.")),
            ("conditions", conditions()),
            ("lastAppliedRevision", text("Revision that was last applied in full.")),
            ("lastAppliedOriginRevision", text("Origin of that revision.")),
            ("lastAttemptedRevision", text("Revision that was last tried.")),
            ("lastHandledReconcileAt", text("Last request for a reconcile that was handled.")),
            ("inventory", object("All that was applied.", [("entries", entries)])),
            ("history", list("Earlier reconciles.", anything("A reconcile."))),
        ],
    )
}
