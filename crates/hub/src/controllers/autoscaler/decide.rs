//! The rules: whom an autoscaler covers, and what its status says. Pure.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use kogge_api::{
    Condition,
    nodes::{ClusterAutoscaler, ClusterAutoscalerSpec, ClusterAutoscalerStatus, ClusterNodeCounts},
    set_condition,
};
use kogge_placement::{Cluster, policy::ClusterAffinity};
use serde_json::{Value, json};

pub(super) struct Observed {
    pub now: Timestamp,
    pub autoscaler: ClusterAutoscaler,
    pub clusters: Arc<Vec<Cluster>>,
    /// What each cluster's agent said last.
    pub reports: BTreeMap<String, Value>,
}

/// What clusters tell of that breaks the bounds, the worst first.
const UNREADY: [&str; 5] =
    ["InvalidSpec", "NodeGroupsRefused", "Overlap", "MinAvailableNotReached", "AboveMaxAvailable"];

/// Whom an autoscaler covers: all clusters, unless an affinity says which.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage(Option<ClusterAffinity>);

impl Coverage {
    /// An affinity that cannot be read covers nobody, and the error says where and why.
    pub fn of(spec: &ClusterAutoscalerSpec) -> Result<Self, String> {
        let Some(affinity) = &spec.cluster_affinity else { return Ok(Self(None)) };
        match serde_path_to_error::deserialize(json!(affinity)) {
            Ok(affinity) => Ok(Self(Some(affinity))),
            Err(error) => Err(format!("spec.clusterAffinity.{}: {}", error.path(), error.inner())),
        }
    }

    pub fn has(&self, cluster: &Cluster) -> bool {
        self.0.as_ref().is_none_or(|it| kogge_placement::filter::matches(it, cluster))
    }
}

pub(super) fn decide(seen: &Observed) -> ClusterAutoscalerStatus {
    let autoscaler = &seen.autoscaler;
    let coverage = Coverage::of(&autoscaler.spec);
    let covers = |it: &&Cluster| coverage.as_ref().is_ok_and(|coverage| coverage.has(it));
    let covered: Vec<&Cluster> = seen.clusters.iter().filter(covers).collect();
    let counts: Vec<ClusterNodeCounts> = covered
        .iter()
        .filter_map(|it| {
            let said = seen.reports.get(&it.name)?.clone();
            let counts: ClusterNodeCounts = serde_json::from_value(said).ok()?;
            Some(ClusterNodeCounts { name: it.name.clone(), ..counts })
        })
        .collect();
    let silent: Vec<&str> = covered
        .iter()
        .map(|it| it.name.as_str())
        .filter(|name| !counts.iter().any(|it| it.name == *name))
        .collect();
    let mut conditions = autoscaler.status.conditions.clone();
    let ready = match &coverage {
        Err(message) => Condition::new("Ready", false, "InvalidSpec", message),
        Ok(_) => broken(&counts).unwrap_or_else(|| ready(&covered, &silent)),
    };
    set_condition(&mut conditions, ready, seen.now);
    let sum =
        |of: fn(&ClusterNodeCounts) -> u32| counts.iter().map(of).fold(0, u32::saturating_add);
    ClusterAutoscalerStatus {
        observed_generation: autoscaler.metadata.generation,
        cluster_count: sum(|_| 1),
        current_node_count: sum(|it| it.current_node_count),
        new_node_count: sum(|it| it.new_node_count),
        clusters: counts,
        conditions,
    }
}

/// The worst that clusters tell of, and who tells it.
fn broken(counts: &[ClusterNodeCounts]) -> Option<Condition> {
    UNREADY.into_iter().find_map(|reason| {
        let telling = counts.iter().filter(|it| it.reason == reason);
        let told: Vec<String> = telling.map(|it| format!("{}: {}", it.name, it.message)).collect();
        (!told.is_empty()).then(|| Condition::new("Ready", false, reason, told.join("; ")))
    })
}

fn ready(covered: &[&Cluster], silent: &[&str]) -> Condition {
    if covered.is_empty() {
        return Condition::new("Ready", false, "NoClusters", "spec.clusterAffinity selects none");
    }
    if silent.is_empty() {
        let message = format!("active on {} clusters", covered.len());
        return Condition::new("Ready", true, "Active", message);
    }
    let message = format!("not heard from yet: {}", silent.join(", "));
    Condition::new("Ready", false, "Waiting", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str) -> Cluster {
        Cluster { name: name.into(), ..Cluster::default() }
    }

    fn seen(affinity: Option<&Value>, reports: &Value) -> Observed {
        let object = json!({
            "metadata": {"name": "ca", "generation": 2},
            "spec": {"clusterAffinity": affinity.cloned()},
        });
        Observed {
            now: Timestamp::UNIX_EPOCH,
            autoscaler: serde_json::from_value(object).expect("an autoscaler"),
            clusters: Arc::new(vec![cluster("a"), cluster("b")]),
            reports: serde_json::from_value(reports.clone()).expect("reports by cluster"),
        }
    }

    #[track_caller]
    fn check(affinity: Option<&Value>, reports: &Value, names: &[&str], reason: &str) {
        let status = decide(&seen(affinity, reports));
        let found: Vec<&str> = status.clusters.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(found, names);
        assert_eq!(status.conditions[0].reason, reason);
        assert_eq!(status.observed_generation, 2);
    }

    #[test]
    fn counts_of_covered_clusters_are_gathered_and_silence_is_said() {
        let both = json!({"a": {"currentNodeCount": 1, "newNodeCount": 1}, "b": {}});
        check(None, &both, &["a", "b"], "Active");
        check(None, &json!({"a": {}}), &["a"], "Waiting");
        check(Some(&json!({"clusterNames": ["b"]})), &both, &["b"], "Active");
        check(Some(&json!({"clusterNames": ["c"]})), &both, &[], "NoClusters");
    }

    #[test]
    fn the_nodes_of_all_clusters_are_summed() {
        let counts = |now: u32, new: u32| json!({"currentNodeCount": now, "newNodeCount": new});
        let status = decide(&seen(None, &json!({"a": counts(2, 5), "b": counts(4, 3)})));
        let sums = (status.cluster_count, status.current_node_count, status.new_node_count);
        assert_eq!(sums, (2, 6, 8));
    }

    #[test]
    fn an_affinity_that_cannot_be_read_covers_nobody() {
        let odd = json!({"labelSelector": {"matchExpressions": [
            {"key": "env", "operator": "Is", "values": ["prod"]}]}});
        let both = json!({"a": {}, "b": {}});
        check(Some(&odd), &both, &[], "InvalidSpec");
        let message = &decide(&seen(Some(&odd), &both)).conditions[0].message;
        let path = "spec.clusterAffinity.labelSelector.matchExpressions[0].operator: ";
        assert!(message.starts_with(path) && message.contains("NotIn"), "{message}");
    }

    #[test]
    fn the_worst_of_the_clusters_is_its_own() {
        let few = json!({"reason": "MinAvailableNotReached", "message": "2 of 3"});
        let odd = json!({"reason": "InvalidSpec", "message": "no"});
        check(None, &json!({"a": few, "b": odd}), &["a", "b"], "InvalidSpec");
        check(None, &json!({"b": few}), &["b"], "MinAvailableNotReached");
        let blind = json!({"reason": "NodeGroupsRefused", "message": "no"});
        check(None, &json!({"a": few, "b": blind}), &["a", "b"], "NodeGroupsRefused");
        check(None, &json!({"a": {"reason": "ScaleDown"}, "b": {}}), &["a", "b"], "Active");
        let message = &decide(&seen(None, &json!({"a": few, "b": few}))).conditions[0].message;
        assert_eq!(message, "a: 2 of 3; b: 2 of 3");
    }
}
