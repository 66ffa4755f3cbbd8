//! A propagation policy's spec, as Karmada writes it. Deserializes from `.spec` as it is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::selector::{LabelSelector, Operator, Requirement};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicySpec {
    pub resource_selectors: Vec<ResourceSelector>,
    pub propagate_deps: bool,
    pub placement: Placement,
    pub priority: i32,
    pub conflict_resolution: ConflictResolution,
    /// Accepted, not acted on yet: see [`PolicySpec::unsupported`].
    pub dependent_overrides: Vec<String>,
    pub scheduler_name: Option<String>,
    pub failover: Option<Failover>,
    pub suspension: Option<Value>,
    pub preserve_resources_on_deletion: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConflictResolution {
    #[default]
    Abort,
    Overwrite,
}

/// What happens to a template when its cluster fails; `application` is not acted on yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Failover {
    pub application: Option<Value>,
    pub cluster: Option<ClusterFailover>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterFailover {
    /// `Gracefully` unless given.
    pub purge_mode: Option<PurgeMode>,
    /// How long the old copy is kept for a new one that does not get healthy.
    pub grace_period_seconds: Option<u32>,
    pub state_preservation: Option<StatePreservation>,
}

/// How the old copy goes. Older names of Karmada are read as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurgeMode {
    /// At once.
    #[serde(alias = "Immediately")]
    Directly,
    /// When the new one is healthy, or the grace period is over.
    #[default]
    #[serde(alias = "Graciously")]
    Gracefully,
    /// It stays until the policy says otherwise.
    Never,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatePreservation {
    pub rules: Vec<StateRule>,
}

/// The new copy gets the label, with the value that the old one's status had at the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateRule {
    pub alias_label_name: String,
    pub json_path: String,
}

/// `*` for apiVersion or kind is every one, the hub's own kinds excepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceSelector {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    /// Makes the label selector void.
    pub name: String,
    pub label_selector: Option<LabelSelector>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Placement {
    pub cluster_affinity: Option<ClusterAffinity>,
    pub cluster_affinities: Vec<AffinityTerm>,
    pub cluster_tolerations: Vec<Toleration>,
    pub spread_constraints: Vec<SpreadConstraint>,
    pub replica_scheduling: Option<ReplicaScheduling>,
    pub workload_affinity: Option<Value>,
}

/// All parts that are given must hold; none given is every cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterAffinity {
    pub cluster_names: Vec<String>,
    pub exclude: Vec<String>,
    pub label_selector: Option<LabelSelector>,
    pub field_selector: Option<FieldSelector>,
}

/// Keys are `provider`, `region` and `zone`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldSelector {
    pub match_expressions: Vec<Requirement>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AffinityTerm {
    pub affinity_name: String,
    #[serde(flatten)]
    pub affinity: ClusterAffinity,
    pub overflow_affinities: Vec<Value>,
}

/// Empty `key` with `Exists` is every taint, empty `effect` every effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    pub key: String,
    pub operator: String,
    pub value: String,
    pub effect: String,
    pub toleration_seconds: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    pub spread_by_field: String,
    pub spread_by_label: String,
    pub min_groups: u32,
    /// Zero is no bound.
    pub max_groups: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaScheduling {
    pub replica_scheduling_type: SchedulingType,
    /// Of `Divided`; `Weighted` unless given.
    pub replica_division_preference: DivisionPreference,
    pub weight_preference: Option<WeightPreference>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulingType {
    #[default]
    Divided,
    Duplicated,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DivisionPreference {
    #[default]
    Weighted,
    Aggregated,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightPreference {
    pub static_weight_list: Vec<StaticWeight>,
    /// `AvailableReplicas`; wins over the list.
    pub dynamic_weight: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StaticWeight {
    pub target_cluster: ClusterAffinity,
    pub weight: u32,
}

/// How replicas get their clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy<'a> {
    /// All replicas on each cluster.
    Duplicated,
    /// By fixed weights; an empty list is all alike.
    Static(&'a [StaticWeight]),
    /// By room.
    Dynamic,
    /// On few clusters.
    Aggregated,
}

impl Placement {
    /// Without replicaScheduling every cluster gets all replicas.
    pub fn strategy(&self) -> Strategy<'_> {
        let Some(scheduling) = &self.replica_scheduling else { return Strategy::Duplicated };
        let weights = scheduling.weight_preference.as_ref();
        match (scheduling.replica_scheduling_type, scheduling.replica_division_preference) {
            (SchedulingType::Duplicated, _) => Strategy::Duplicated,
            (_, DivisionPreference::Aggregated) => Strategy::Aggregated,
            _ if weights.is_some_and(|it| it.dynamic_weight.is_some()) => Strategy::Dynamic,
            _ => Strategy::Static(weights.map_or(&[], |it| &it.static_weight_list)),
        }
    }

    pub fn is_divided(&self) -> bool {
        self.strategy() != Strategy::Duplicated
    }
}

impl PolicySpec {
    /// Fields in use that hold something back. Nothing acts on them yet, and to place all the same
    /// would be the opposite of what they ask for: such a policy places nothing.
    pub fn withholding(&self) -> Vec<&'static str> {
        let set =
            |field: &str| self.suspension.as_ref().and_then(|it| it.get(field)).is_some_and(asks);
        let fields = [
            ("suspension.dispatching", set("dispatching")),
            ("suspension.dispatchingOnClusters", set("dispatchingOnClusters")),
            ("suspension.scheduling", set("scheduling")),
            ("preserveResourcesOnDeletion", self.preserve_resources_on_deletion == Some(true)),
        ];
        fields.into_iter().filter(|it| it.1).map(|it| it.0).collect()
    }

    /// Fields in use that nothing acts on yet, beside those that hold back: to be said.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let placement = &self.placement;
        let other_spread = |it: &SpreadConstraint| {
            !it.spread_by_label.is_empty() || !matches!(&it.spread_by_field[..], "" | "cluster")
        };
        let overflows = |it: &AffinityTerm| !it.overflow_affinities.is_empty();
        let other_scheduler = |it: &String| it != "default-scheduler";
        let used = [
            ("placement.spreadConstraints", placement.spread_constraints.iter().any(other_spread)),
            (
                "placement.clusterAffinities.overflowAffinities",
                placement.cluster_affinities.iter().any(overflows),
            ),
            ("placement.workloadAffinity", placement.workload_affinity.is_some()),
            (
                "failover.application",
                self.failover.as_ref().is_some_and(|it| it.application.is_some()),
            ),
            ("dependentOverrides", !self.dependent_overrides.is_empty()),
            ("schedulerName", self.scheduler_name.as_ref().is_some_and(other_scheduler)),
        ];
        used.into_iter().filter(|it| it.1).map(|it| it.0).collect()
    }
}

/// Whether a switch is on: `false` and what is empty ask for nothing.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::Array(items) => items.iter().any(asks),
        Value::Object(fields) => fields.values().any(asks),
        Value::String(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn karmadas_policies_are_read_as_they_are() {
        let spec: PolicySpec = serde_json::from_value(json!({
            "resourceSelectors": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "nginx"}],
            "placement": {
                "clusterAffinity": {"clusterNames": ["member1", "member2"]},
                "clusterTolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
                "replicaScheduling": {
                    "replicaDivisionPreference": "Weighted", "replicaSchedulingType": "Divided",
                    "weightPreference": {"staticWeightList": [
                        {"targetCluster": {"clusterNames": ["member1"]}, "weight": 2}]}}},
            "schedulerName": "default-scheduler", "unknownToUs": 1}))
        .unwrap();
        assert_eq!(spec.resource_selectors[0].name, "nginx");
        let Strategy::Static(weights) = spec.placement.strategy() else { panic!() };
        assert_eq!(weights[0].weight, 2);
        assert!(spec.unsupported().is_empty());
    }

    #[track_caller]
    fn check(scheduling: &Value, want: Strategy<'_>) {
        let placement: Placement =
            serde_json::from_value(json!({"replicaScheduling": scheduling})).unwrap();
        assert_eq!(placement.strategy(), want);
    }

    #[test]
    fn strategies() {
        assert_eq!(Placement::default().strategy(), Strategy::Duplicated);
        check(&json!(null), Strategy::Duplicated);
        check(&json!({}), Strategy::Static(&[]));
        check(&json!({"replicaSchedulingType": "Duplicated"}), Strategy::Duplicated);
        check(&json!({"replicaDivisionPreference": "Aggregated"}), Strategy::Aggregated);
        check(
            &json!({"weightPreference": {"dynamicWeight": "AvailableReplicas"}}),
            Strategy::Dynamic,
        );
    }

    #[test]
    fn what_is_not_acted_on_is_named() {
        let spec: PolicySpec = serde_json::from_value(json!({
            "failover": {"application": {}}, "placement": {"spreadConstraints": [{"spreadByField": "region"}]}}))
        .unwrap();
        assert_eq!(spec.unsupported(), ["placement.spreadConstraints", "failover.application"]);
        assert!(spec.withholding().is_empty());
    }

    #[track_caller]
    fn check_withholding(spec: Value, want: &[&str]) {
        let spec: PolicySpec = serde_json::from_value(spec).unwrap();
        assert_eq!(spec.withholding(), want);
        assert!(spec.unsupported().is_empty());
    }

    #[test]
    fn what_holds_back_is_named_when_it_is_on() {
        check_withholding(
            json!({"preserveResourcesOnDeletion": true, "suspension": {"dispatching": true}}),
            &["suspension.dispatching", "preserveResourcesOnDeletion"],
        );
        check_withholding(
            json!({"suspension": {"dispatchingOnClusters": {"clusterNames": ["eu"]}}}),
            &["suspension.dispatchingOnClusters"],
        );
        let off = json!({"dispatching": false, "dispatchingOnClusters": {"clusterNames": []}});
        check_withholding(json!({"preserveResourcesOnDeletion": false, "suspension": off}), &[]);
    }
}
