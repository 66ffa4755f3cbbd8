//! `NodeGroup`: nodes of one shape that a provider can add and take away. Lives on members.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Condition;
use crate::fleet::Taint;
use crate::meta::Object;
use crate::row::{Column, Row};
use crate::schema::{Schema, conditions, count, map, object, quantity, root, taints, text};

pub type NodeGroup = Object<NodeGroupSpec, NodeGroupStatus>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeGroupSpec {
    pub provider: String,
    pub min_size: u32,
    pub max_size: u32,
    /// Nodes that are wanted; who scales writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_size: Option<u32>,
    pub template: NodeTemplate,
    /// Of a node for an hour, as a decimal number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
}

/// A node of the group before it exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeTemplate {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Quantities as text, by resource name.
    pub capacity: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeGroupStatus {
    pub ready_nodes: u32,
    /// Asked for and not ready yet.
    pub coming_nodes: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

pub(super) fn row() -> Row {
    Row {
        group: "kogge.dev",
        version: "v1alpha1",
        kind: "NodeGroup",
        plural: "nodegroups",
        singular: "nodegroup",
        short_names: &["ng"],
        categories: &["fleet"],
        namespaced: false,
        has_status: true,
        read_only: false,
        schema: root(
            "Nodes of one shape that a provider can add and take away.",
            [("spec", spec()), ("status", status())],
        )
        .required(&["spec"])
        .build(),
        columns: vec![
            Column::text("Provider", ".spec.provider"),
            Column::integer("Min", ".spec.minSize"),
            Column::integer("Max", ".spec.maxSize"),
            Column::integer("Desired", ".spec.desiredSize"),
            Column::integer("Ready", ".status.readyNodes"),
            Column::age(),
            Column::text("Price", ".spec.price").wide(),
        ],
    }
}

fn spec() -> Schema {
    let template = [
        ("labels", map("Labels of the node.", text("Value."))),
        ("taints", taints("Taints of the node.")),
        ("capacity", map("What the node has.", quantity("Amount."))),
    ];
    object(
        "The group.",
        [
            ("provider", text("Who makes the nodes, as simulator.")),
            ("minSize", count("Fewest nodes.").default(0)),
            ("maxSize", count("Most nodes.")),
            ("desiredSize", count("Nodes that are wanted.")),
            (
                "template",
                object("A node of the group before it exists.", template).required(&["capacity"]),
            ),
            ("price", text("Price of a node for an hour.").pattern(r"^[0-9]+(\.[0-9]+)?$")),
        ],
    )
    .required(&["provider", "maxSize", "template"])
}

fn status() -> Schema {
    object(
        "The nodes there are.",
        [
            ("readyNodes", count("Nodes that are ready.")),
            ("comingNodes", count("Nodes asked for that are not ready yet.")),
            ("conditions", conditions()),
        ],
    )
}
