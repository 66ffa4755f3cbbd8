//! Nodes: how many a cluster may have, and where they come from.

mod cluster_autoscaler;
mod node_group;

pub use cluster_autoscaler::{
    ClusterAutoscaler, ClusterAutoscalerSpec, ClusterAutoscalerStatus, ClusterNodeCounts,
};
pub use node_group::{NodeGroup, NodeGroupSpec, NodeGroupStatus, NodeTemplate};

use crate::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![cluster_autoscaler::row(), node_group::row()]
}
