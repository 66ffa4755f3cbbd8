//! The fleet: the Federation that lists its members, and a Cluster for each.

mod cluster;
mod federation;

pub use cluster::{
    ApiEnablement, ApiResource, Cluster, ClusterAffinity, ClusterSpec, ClusterStatus,
    FieldSelector, NodeSummary, ResourceModel, ResourceModelRange, ResourceSummary, SyncMode,
    Taint,
};
pub use federation::{Federation, FederationMember, FederationStatus, MemberState, MemberStatus};

pub(crate) use cluster::{affinity_schema, toleration_schema};

use crate::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![federation::row(), cluster::row()]
}
