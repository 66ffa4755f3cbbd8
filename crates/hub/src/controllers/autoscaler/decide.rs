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

/// All clusters, unless an affinity says which.
pub(super) fn covers(spec: &ClusterAutoscalerSpec, cluster: &Cluster) -> bool {
    let Some(affinity) = &spec.cluster_affinity else { return true };
    let affinity: ClusterAffinity = serde_json::from_value(json!(affinity)).unwrap_or_default();
    kogge_placement::filter::matches(&affinity, cluster)
}

pub(super) fn decide(seen: &Observed) -> ClusterAutoscalerStatus {
    let autoscaler = &seen.autoscaler;
    let covered: Vec<&Cluster> =
        seen.clusters.iter().filter(|it| covers(&autoscaler.spec, it)).collect();
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
    set_condition(&mut conditions, ready(&covered, &silent), seen.now);
    ClusterAutoscalerStatus {
        observed_generation: autoscaler.metadata.generation,
        clusters: counts,
        conditions,
    }
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
}
