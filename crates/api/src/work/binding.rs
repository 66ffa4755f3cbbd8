//! `ResourceBinding`: the decision about one template. Only the hub writes it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Condition;
use crate::meta::{Object, is_zero};
use crate::policy::placement;
use crate::row::{Column, Row};
use crate::schema::{
    Schema, anything, boolean, conditions, count, integer, list, map, object, quantity, root, text,
    time,
};

/// Also the type of `ClusterResourceBinding`, whose objects have no namespace.
pub type ResourceBinding = Object<BindingSpec, BindingStatus>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BindingSpec {
    pub resource: ObjectReference,
    /// Absent for templates without replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_requirements: Option<ReplicaRequirements>,
    pub clusters: Vec<TargetCluster>,
    /// The policy's placement as it was when this was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub propagate_deps: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub conflict_resolution: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reschedule_triggered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub graceful_eviction_tasks: Vec<EvictionTask>,
    /// As in the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<Value>,
    /// Bindings that need this one (dependencies).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_by: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    pub api_version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaRequirements {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_request: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_claim: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetCluster {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

/// A cluster that failed and is left, or was: while this is here nothing of it goes there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EvictionTask {
    pub from_cluster: String,
    /// `Directly`, `Gracefully` or `Never`.
    pub purge_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    pub reason: String,
    pub message: String,
    pub producer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
    /// Labels for the copies on clusters that are new.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub preserved_label_state: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clusters_before_failover: Vec<String>,
    /// Since when the old place is no longer kept. Karmada ends the task at that time; here it
    /// goes on until the cluster may be placed on again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purged_at: Option<Timestamp>,
}

impl EvictionTask {
    /// Whether the old place is still to be held as it was.
    pub fn keeps_place(&self) -> bool {
        self.purged_at.is_none() && self.purge_mode != "Directly"
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BindingStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub scheduler_observed_generation: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scheduler_observed_affinity_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scheduled_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aggregated_status: Vec<AggregatedStatusItem>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AggregatedStatusItem {
    pub cluster_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    pub applied: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub applied_message: String,
    /// `Healthy`, `Unhealthy` or `Unknown`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health: String,
}

pub(super) fn row(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
    namespaced: bool,
) -> Row {
    Row {
        group: "work.karmada.io",
        version: "v1alpha2",
        kind,
        plural,
        singular,
        short_names,
        categories: &["karmada-io", "fleet"],
        namespaced,
        has_status: true,
        read_only: true,
        schema: root(
            "The clusters chosen for one template, and what they report. Written by the hub.",
            [("spec", spec()), ("status", status())],
        )
        .required(&["spec"])
        .build(),
        columns: vec![
            Column::text("Scheduled", r#".status.conditions[?(@.type=="Scheduled")].status"#),
            Column::text("FullyApplied", r#".status.conditions[?(@.type=="FullyApplied")].status"#),
            Column::text("Clusters", ".spec.clusters[*].name").wide(),
            Column::age(),
        ],
    }
}

fn spec() -> Schema {
    let target = [
        ("name", text("Name of the cluster.")),
        ("replicas", count("Replicas there.")),
        ("components", list("Replicas of components.", anything("A component."))),
    ];
    let requirements = [
        ("resourceRequest", map("Resources that one replica asks for.", quantity("Amount."))),
        ("nodeClaim", anything("Nodes that a replica needs.")),
        ("namespace", text("Namespace of the quota that counts.")),
        ("priorityClassName", text("Priority class.")),
    ];
    object(
        "The decision.",
        [
            ("resource", resource()),
            ("replicas", count("Replicas that the template wants.")),
            ("replicaRequirements", object("What one replica needs.", requirements)),
            ("components", list("Components of the template.", anything("A component."))),
            (
                "clusters",
                list("Clusters chosen.", object("A cluster.", target).required(&["name"])),
            ),
            ("placement", placement()),
            ("propagateDeps", boolean("Dependencies come along.")),
            ("conflictResolution", text("When the object exists on a member and is not ours.")),
            ("rescheduleTriggeredAt", time("When a fresh decision was asked for.")),
            (
                "gracefulEvictionTasks",
                list("Clusters being left.", anything("A cluster being left.")),
            ),
            ("requiredBy", list("Bindings that need this one.", anything("A binding."))),
            ("schedulerName", text("Scheduler in use.")),
            ("failover", anything("As in the policy.")),
            ("suspension", anything("As in the policy.")),
            ("preserveResourcesOnDeletion", boolean("As in the policy.")),
        ],
    )
    .required(&["resource"])
}

fn resource() -> Schema {
    object(
        "The template.",
        [
            ("apiVersion", text("Its version.")),
            ("kind", text("Its kind.")),
            ("namespace", text("Its namespace.")),
            ("name", text("Its name.")),
            ("uid", text("Its uid.")),
            ("resourceVersion", text("Version of the object that was decided about.")),
        ],
    )
    .required(&["apiVersion", "kind", "name"])
}

fn status() -> Schema {
    let item = [
        ("clusterName", text("Name of the cluster.")),
        ("status", anything("Status of the object there.")),
        ("applied", boolean("The object is as wanted there.")),
        ("appliedMessage", text("Why not.")),
        ("health", text("Healthy, Unhealthy or Unknown.")),
    ];
    object(
        "What came of it.",
        [
            ("schedulerObservedGeneration", integer("Generation that was decided about.")),
            ("schedulerObservedAffinityName", text("Group of clusters in use.")),
            ("lastScheduledTime", time("When this was decided.")),
            ("conditions", conditions()),
            ("aggregatedStatus", list("What each cluster reports.", object("A report.", item))),
        ],
    )
}
