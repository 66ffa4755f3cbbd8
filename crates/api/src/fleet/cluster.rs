//! Cluster, in Karmada's shape.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::meta::{LabelSelector, LocalReference, Object};
use crate::row::{Column, Row};
use crate::schema::{
    Schema, boolean, conditions, count, integer, label_selector, list, map, object, one_of,
    quantity, reference, root, taints, text,
};

pub type Cluster = Object<ClusterSpec, ClusterStatus>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// Uid of the member's kube-system namespace: the same cluster joins once.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    pub sync_mode: SyncMode,
    #[serde(rename = "apiEndpoint", skip_serializing_if = "String::is_empty")]
    pub api_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonator_secret_ref: Option<LocalReference>,
    #[serde(rename = "insecureSkipTLSVerification", skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verification: bool,
    #[serde(rename = "proxyURL", skip_serializing_if = "String::is_empty")]
    pub proxy_url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub proxy_header: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Deprecated upstream in favour of `zones`; read, never written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub zone: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_models: Vec<ResourceModel>,
}

impl ClusterSpec {
    /// `zones`, or the one `zone` of older objects.
    pub fn all_zones(&self) -> Vec<String> {
        let one = Some(self.zone.clone()).filter(|it| !it.is_empty());
        if self.zones.is_empty() { one.into_iter().collect() } else { self.zones.clone() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncMode {
    /// The hub dials the member.
    #[default]
    Push,
    /// An agent in the member dials the hub.
    Pull,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    pub effect: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_added: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceModel {
    pub grade: u32,
    pub ranges: Vec<ResourceModelRange>,
}

/// Quantities as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceModelRange {
    pub name: String,
    pub min: String,
    pub max: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterStatus {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kubernetes_version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_enablements: Vec<ApiEnablement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_summary: Option<NodeSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_summary: Option<ResourceSummary>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiEnablement {
    /// `v1`, `apps/v1`.
    pub group_version: String,
    pub resources: Vec<ApiResource>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiResource {
    pub name: String,
    pub kind: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSummary {
    pub total_num: u32,
    pub ready_num: u32,
}

/// Quantities as text, by resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceSummary {
    /// Of all nodes that take pods.
    pub allocatable: BTreeMap<String, String>,
    /// Asked for by pods without a node.
    pub allocating: BTreeMap<String, String>,
    /// Asked for by pods on nodes.
    pub allocated: BTreeMap<String, String>,
}

pub(super) fn row() -> Row {
    Row {
        group: "cluster.karmada.io",
        version: "v1alpha1",
        kind: "Cluster",
        plural: "clusters",
        singular: "cluster",
        short_names: &[],
        categories: &["fleet"],
        namespaced: false,
        has_status: true,
        read_only: false,
        schema: root("A member cluster of the fleet.", [("spec", spec()), ("status", status())])
            .required(&["spec"])
            .build(),
        columns: vec![
            Column::text("Version", ".status.kubernetesVersion"),
            Column::text("Mode", ".spec.syncMode"),
            Column::text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#),
            Column::age(),
            Column::text("Region", ".spec.region").wide(),
            Column::text("Zones", ".spec.zones").wide(),
            Column::text("APIEndpoint", ".spec.apiEndpoint").wide(),
        ],
    }
}

fn spec() -> Schema {
    object(
        "How the cluster is reached, and what it is.",
        [
            ("id", text("Uid of the cluster's kube-system namespace.")),
            (
                "syncMode",
                one_of("Push: the hub dials. Pull: an agent dials the hub.", &["Push", "Pull"])
                    .default("Push"),
            ),
            ("apiEndpoint", text("The cluster's API endpoint.")),
            ("secretRef", reference("Secret with token and caBundle, or kubeconfig.")),
            ("impersonatorSecretRef", reference("Secret with a token that may impersonate.")),
            ("insecureSkipTLSVerification", boolean("Do not check the cluster's certificate.")),
            ("proxyURL", text("Proxy on the way to the cluster.")),
            ("proxyHeader", map("Headers for the proxy.", text("Value."))),
            ("provider", text("Who runs the cluster's machines.")),
            ("region", text("Region that the cluster is in.")),
            ("zone", text("Deprecated: use zones.")),
            ("zones", list("Zones that the cluster's nodes are in.", text("Zone."))),
            ("taints", taints("Keep away workloads that do not tolerate them.")),
            ("resourceModels", resource_models()),
        ],
    )
}

fn resource_models() -> Schema {
    let range = [
        ("name", text("Name of the resource.")),
        ("min", quantity("Smallest capacity, included.")),
        ("max", quantity("Largest capacity, excluded.")),
    ];
    let model = [
        ("grade", integer("Rank of the model.")),
        ("ranges", list("Capacities of such a node.", object("A range.", range))),
    ];
    list("Sizes of nodes, in grades.", object("A grade.", model))
}

fn status() -> Schema {
    let resource = [("name", text("Plural name.")), ("kind", text("Kind."))];
    let enablement = [
        ("groupVersion", text("Group and version.")),
        ("resources", list("Resources of it.", object("A resource.", resource))),
    ];
    let amounts = |about: &str| map(about, quantity("Amount."));
    object(
        "What the cluster last reported.",
        [
            ("kubernetesVersion", text("Version of the cluster's API server.")),
            ("apiEnablements", list("APIs it serves.", object("An API.", enablement))),
            ("conditions", conditions()),
            (
                "nodeSummary",
                object(
                    "Nodes, counted.",
                    [("totalNum", count("All nodes.")), ("readyNum", count("Nodes ready."))],
                ),
            ),
            (
                "resourceSummary",
                object(
                    "Resources of all nodes.",
                    [
                        ("allocatable", amounts("What pods may use.")),
                        ("allocating", amounts("Asked for by pods that wait for a node.")),
                        ("allocated", amounts("Asked for by pods on nodes.")),
                    ],
                ),
            ),
        ],
    )
}

/// `clusterAffinity`: which clusters. All parts given must hold; none given is every cluster.
pub(crate) fn affinity_schema(about: &str) -> Schema {
    let expression = [
        ("key", one_of("Field.", &["provider", "region", "zone"])),
        ("operator", one_of("Operator.", &["In", "NotIn", "Exists", "DoesNotExist"])),
        ("values", list("Values for In and NotIn.", text("Value."))),
    ];
    object(
        about,
        [
            ("clusterNames", list("Only these clusters.", text("Name of a cluster."))),
            ("exclude", list("Never these clusters.", text("Name of a cluster."))),
            ("labelSelector", label_selector("Only clusters with these labels.")),
            (
                "fieldSelector",
                object(
                    "Only clusters with these fields.",
                    [(
                        "matchExpressions",
                        list(
                            "Requirements that must all hold.",
                            object("A requirement.", expression).required(&["key", "operator"]),
                        ),
                    )],
                ),
            ),
        ],
    )
}

/// `clusterAffinity` as a type, for kinds that select clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAffinity {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_selector: Option<FieldSelector>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldSelector {
    pub match_expressions: Vec<crate::LabelSelectorRequirement>,
}

pub(crate) fn toleration_schema() -> Schema {
    list(
        "Taints that do not keep it away.",
        object(
            "A toleration.",
            [
                ("key", text("Taint key. Empty with Exists: every taint.")),
                ("operator", one_of("Operator.", &["Exists", "Equal"])),
                ("value", text("Taint value, for Equal.")),
                (
                    "effect",
                    one_of(
                        "Effect. Empty: every effect.",
                        &["", "NoSchedule", "PreferNoSchedule", "NoExecute"],
                    ),
                ),
                ("tolerationSeconds", integer("How long NoExecute is tolerated.")),
            ],
        ),
    )
}
