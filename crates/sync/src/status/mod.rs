//! The status of a template, from the status that its clusters report.
//!
//! Divided: counts are summed. Duplicated: each cluster is the whole thing, so `replicas` is the
//! template's and the other counts are those of the cluster that is furthest behind.
//! observedGeneration moves when every chosen cluster has reported the generation.

mod conditions;
mod counts;
mod others;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::json::number;

/// What is aggregated for.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    pub group: &'a str,
    pub kind: &'a str,
    pub generation: i64,
    /// The template's own replicas, as its spec has them.
    pub replicas: Option<u32>,
    /// Replicas are divided over the clusters.
    pub divided: bool,
    /// Its status now: what is not known anew is kept, the times of conditions too.
    pub status: &'a Value,
}

/// What one chosen cluster says. A cluster that has said nothing yet is listed too.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    pub cluster: &'a str,
    /// Replicas asked of it.
    pub replicas: Option<u32>,
    pub status: Option<&'a Value>,
    /// The status is about the template's current generation: that was applied there, and the
    /// member's controller has observed it.
    pub observed: bool,
}

/// How the status of a kind is put together.
type Rule = fn(&Template<'_>, &[Report<'_>], &mut Map<String, Value>);

const RULES: &[(&str, &str, Rule)] = &[
    ("apps", "Deployment", counts::deployment),
    ("apps", "StatefulSet", counts::stateful_set),
    ("apps", "DaemonSet", counts::daemon_set),
    ("apps", "ReplicaSet", counts::replica_set),
    ("batch", "Job", others::job),
    ("", "Service", others::load_balancer),
    ("networking.k8s.io", "Ingress", others::load_balancer),
    ("", "PersistentVolumeClaim", others::claim),
    ("", "Pod", others::pod),
    ("autoscaling", "HorizontalPodAutoscaler", others::pod_autoscaler),
    ("policy", "PodDisruptionBudget", others::disruption_budget),
];

fn rule(group: &str, kind: &str) -> Option<Rule> {
    RULES.iter().find(|it| (it.0, it.1) == (group, kind)).map(|it| it.2)
}

/// Whether the hub shows a status for this kind: then members are watched with status.
pub fn is_aggregated(group: &str, kind: &str) -> bool {
    rule(group, kind).is_some()
}

/// The whole new status, or `None` for a kind without a rule, or while no cluster is chosen.
pub fn aggregate(template: &Template<'_>, reports: &[Report<'_>], now: Timestamp) -> Option<Value> {
    let rule = rule(template.group, template.kind).filter(|_| !reports.is_empty())?;
    let mut status = Map::new();
    rule(template, reports, &mut status);
    let observed = if reports.iter().all(|it| it.observed) {
        Some(template.generation)
    } else {
        number(template.status, "/observedGeneration")
    };
    let counts_generations = matches!(
        (template.group, template.kind),
        ("apps" | "policy", _) | ("autoscaling", "HorizontalPodAutoscaler")
    );
    if let Some(observed) = observed.filter(|_| counts_generations) {
        status.insert("observedGeneration".to_owned(), json!(observed));
    }
    conditions::keep_times(template.status, &mut status, now);
    Some(Value::Object(status))
}

#[cfg(test)]
mod tests;
