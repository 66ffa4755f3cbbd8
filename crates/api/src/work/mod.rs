//! What was decided and what goes out: read-only views in Karmada's shape.

mod binding;
mod manifest;

pub use binding::{
    AggregatedStatusItem, BindingSpec, BindingStatus, EvictionTask, ObjectReference,
    ReplicaRequirements, ResourceBinding, TargetCluster,
};
pub use manifest::{ManifestIdentifier, ManifestStatus, Work, WorkSpec, WorkStatus, Workload};

use crate::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        binding::row("ResourceBinding", "resourcebindings", "resourcebinding", &["rb"], true),
        binding::row(
            "ClusterResourceBinding",
            "clusterresourcebindings",
            "clusterresourcebinding",
            &["crb"],
            false,
        ),
        manifest::row(),
    ]
}
