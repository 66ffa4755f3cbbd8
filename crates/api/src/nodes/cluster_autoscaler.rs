//! `ClusterAutoscaler`: bounds for the nodes of every cluster that it selects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::fleet::{ClusterAffinity, affinity_schema};
use crate::meta::{Object, is_zero};
use crate::row::{Column, Row};
use crate::schema::{
    Schema, boolean, conditions, count, duration, integer, list_by, map, object, root, text,
};

pub type ClusterAutoscaler = Object<ClusterAutoscalerSpec, ClusterAutoscalerStatus>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAutoscalerSpec {
    /// `false` turns every scale-down off.
    pub scale_down_unneeded_workloads: bool,
    /// Nodes that count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Fewest nodes per cluster.
    pub min_available: u32,
    /// Most nodes per cluster; `None` leaves it to the node groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_available: Option<u32>,
    /// Room for that many pods is always kept.
    pub min_pods: u32,
    /// Past that many pods, pending ones get no nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pods: Option<u32>,
    /// Go duration.
    pub scale_down_unneeded_time: String,
    /// Clusters it is about; all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_affinity: Option<ClusterAffinity>,
}

/// How long a node is unneeded before it may go, as the upstream autoscaler's default.
const UNNEEDED_TIME: &str = "10m";

impl Default for ClusterAutoscalerSpec {
    fn default() -> Self {
        Self {
            scale_down_unneeded_workloads: true,
            node_selector: BTreeMap::new(),
            min_available: 0,
            max_available: None,
            min_pods: 0,
            max_pods: None,
            scale_down_unneeded_time: UNNEEDED_TIME.to_owned(),
            cluster_affinity: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAutoscalerStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// How many of `clusters`, and their nodes together: columns can show no sums.
    pub cluster_count: u32,
    pub current_node_count: u32,
    pub new_node_count: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterNodeCounts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// `new_node_count` = `current_node_count` + `desired_scale_up_count` - `desired_scale_down_count`,
/// always: build it with [`ClusterNodeCounts::new`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNodeCounts {
    pub name: String,
    pub current_node_count: u32,
    pub desired_scale_up_count: u32,
    pub desired_scale_down_count: u32,
    pub new_node_count: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl ClusterNodeCounts {
    /// More nodes cannot go than are there or come.
    pub fn new(name: &str, current: u32, up: u32, down: u32) -> Self {
        let all = current.saturating_add(up);
        let down = down.min(all);
        Self {
            name: name.to_owned(),
            current_node_count: current,
            desired_scale_up_count: all - current,
            desired_scale_down_count: down,
            new_node_count: all - down,
            ..Self::default()
        }
    }
}

pub(super) fn row() -> Row {
    Row {
        group: "autoscaling",
        version: "v1beta2",
        kind: "ClusterAutoscaler",
        plural: "clusterautoscalers",
        singular: "clusterautoscaler",
        short_names: &["ca"],
        categories: &["fleet"],
        namespaced: false,
        has_status: true,
        read_only: false,
        schema: root(
            "Keeps the number of nodes within bounds, in every cluster that it selects.",
            [("spec", spec()), ("status", status())],
        )
        .required(&["spec"])
        .build(),
        columns: vec![
            Column::integer("Min", ".spec.minAvailable"),
            Column::integer("Max", ".spec.maxAvailable"),
            Column::integer("Clusters", ".status.clusterCount"),
            Column::integer("Nodes", ".status.currentNodeCount"),
            Column::integer("New", ".status.newNodeCount"),
            Column::text("Ready", ".status.conditions[?(@.type==\"Ready\")].status"),
            Column::age(),
            Column::boolean("Scale-Down", ".spec.scaleDownUnneededWorkloads").wide(),
            Column::integer("Min-Pods", ".spec.minPods").wide(),
            Column::integer("Max-Pods", ".spec.maxPods").wide(),
        ],
    }
}

fn spec() -> Schema {
    object(
        "Bounds, for each cluster.",
        [
            (
                "scaleDownUnneededWorkloads",
                boolean("Take nodes away that are not needed. false: never take any away.")
                    .default(true),
            ),
            ("nodeSelector", map("Nodes that count: those with these labels.", text("Value."))),
            ("minAvailable", count("Fewest nodes in each cluster.").default(0)),
            ("maxAvailable", count("Most nodes in each cluster.")),
            ("minPods", count("Room for that many pods is always kept.").default(0)),
            ("maxPods", count("Past that many pods, pending ones get no nodes.")),
            (
                "scaleDownUnneededTime",
                duration("How long a node is unneeded before it goes.").default(UNNEEDED_TIME),
            ),
            ("clusterAffinity", affinity_schema("Clusters it is about. Without: all.")),
        ],
    )
}

fn status() -> Schema {
    object(
        "Nodes of each cluster.",
        [
            ("observedGeneration", integer("Generation that this status is about.")),
            ("clusterCount", count("Clusters that have told of their nodes.")),
            ("currentNodeCount", count("Nodes of all clusters that are ready or coming.")),
            ("newNodeCount", count("Nodes there will be on all clusters.")),
            ("conditions", conditions()),
            (
                "clusters",
                list_by(
                    "Each cluster that is selected.",
                    "name",
                    object(
                        "newNodeCount = currentNodeCount + desiredScaleUpCount - desiredScaleDownCount.",
                        [
                            ("name", text("Name of the cluster.")),
                            ("currentNodeCount", count("Nodes that are ready or coming.")),
                            ("desiredScaleUpCount", count("Nodes to add.")),
                            ("desiredScaleDownCount", count("Nodes to take away.")),
                            ("newNodeCount", count("Nodes there will be.")),
                            ("reason", text("Why, in one word.")),
                            ("message", text("Why, in a sentence.")),
                        ],
                    ),
                ),
            ),
        ],
    )
}
