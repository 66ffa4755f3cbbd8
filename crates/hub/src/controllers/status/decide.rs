//! The rules. Pure: a template, its binding and what clusters report in, two statuses out.

use jiff::Timestamp;
use kogge_agent::link::{Outcome, Unready};
use kogge_api::{
    Condition,
    ConditionStatus::{False, True, Unknown},
    set_condition,
    work::{AggregatedStatusItem, BindingStatus, ResourceBinding},
};
use kogge_member::{ObjectKey, object};
use kogge_sync::{
    health,
    status::{Report, Template, aggregate},
};
use serde_json::{Value, json};

use crate::{bindings, decisions::Decision, moves::Move, reports::ObjectReport};

/// There while a cluster that failed concerns the template.
const FAILOVER: &str = "Failover";

/// What was seen of one template, frozen at one instant.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub now: Timestamp,
    pub template: Value,
    pub binding: Option<ResourceBinding>,
    /// The clusters of the binding.
    pub targets: Vec<Target>,
    pub decision: Option<Decision>,
    /// What failover says of it, while a failed cluster concerns it.
    pub moves: Option<Move>,
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    pub cluster: String,
    pub replicas: Option<u32>,
    /// The hash of what it should hold; none while that is not rendered.
    pub wanted: Option<String>,
    /// What the cluster's agent last said of the cluster.
    pub ready: Option<Result<(), Unready>>,
    pub report: ObjectReport,
}

/// The statuses that have to be written; none where they are as they should be.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub template: Option<Value>,
    pub binding: Option<BindingStatus>,
}

pub(super) fn decide(seen: &Observed) -> Plan {
    let Some(binding) = &seen.binding else { return Plan::default() };
    let template = template_status(seen, binding);
    let status = binding_status(seen, binding);
    Plan {
        template: template.filter(|it| Some(it) != seen.template.get("status")),
        binding: Some(status).filter(|it| *it != binding.status),
    }
}

fn template_status(seen: &Observed, binding: &ResourceBinding) -> Option<Value> {
    let key = ObjectKey::of(&seen.template);
    let template = Template {
        group: &key.group,
        kind: &key.kind,
        generation: object::number(&seen.template, "/metadata/generation").unwrap_or(0),
        replicas: binding.spec.replicas,
        divided: bindings::is_divided(&binding.spec),
        status: seen.template.get("status").unwrap_or(&Value::Null),
    };
    let reports: Vec<Report<'_>> = seen
        .targets
        .iter()
        .map(|it| Report {
            cluster: &it.cluster,
            replicas: it.replicas,
            status: it.report.status.as_ref(),
            observed: is_observed(it),
        })
        .collect();
    aggregate(&template, &reports, seen.now)
}

/// The newest work is applied there, and the status is about it.
fn is_observed(target: &Target) -> bool {
    let report = &target.report;
    let seen_by_controller = report
        .status
        .as_ref()
        .and_then(|it| object::number(it, "/observedGeneration"))
        .is_none_or(|it| report.applied_generation <= it);
    is_applied(target) && report.applied_generation <= report.generation && seen_by_controller
}

fn is_applied(target: &Target) -> bool {
    target.report.outcome == Some(Outcome::Applied)
        && target.wanted.as_ref().is_none_or(|it| *it == target.report.hash)
}

fn binding_status(seen: &Observed, binding: &ResourceBinding) -> BindingStatus {
    let mut status = binding.status.clone();
    if let Some(decision) = &seen.decision {
        let condition = Condition::new(
            "Scheduled",
            decision.scheduled,
            &decision.reason,
            decision.message.as_str(),
        );
        set_condition(&mut status.conditions, condition, seen.now);
        status.scheduler_observed_generation = binding.metadata.generation;
    }
    match &seen.moves {
        Some(it) => {
            let condition = Condition::new(FAILOVER, it.done, &it.reason, it.message.as_str());
            set_condition(&mut status.conditions, condition, seen.now);
        }
        None => status.conditions.retain(|it| it.kind != FAILOVER),
    }
    let wanted = Wanted::of(&seen.template, bindings::is_divided(&binding.spec));
    let items = seen.targets.iter().map(|it| item(&wanted, it, seen.now));
    status.aggregated_status = items.collect();
    set_condition(&mut status.conditions, fully_applied(&seen.targets), seen.now);
    status
}

/// What members are to be like, as far as somebody said so: what defaults say on the hub is their
/// own affair.
struct Wanted<'a> {
    template: &'a Value,
    spec: Value,
    divided: bool,
}

impl<'a> Wanted<'a> {
    fn of(template: &'a Value, divided: bool) -> Self {
        let spec = kogge_sync::strip::for_member(template)["spec"].take();
        Self { template, spec, divided }
    }

    /// The member's object, as well as it can be known here.
    fn live(&self, target: &Target) -> Value {
        let mut live = json!({
            "apiVersion": self.template["apiVersion"], "kind": self.template["kind"],
            "metadata": {"generation": target.report.generation}, "spec": self.spec,
        });
        let status = target.report.status.as_ref();
        let replicas = if self.divided {
            target.replicas.map(Value::from)
        } else if self.spec.get("replicas").is_none() {
            // As many as the member has by itself, an autoscaler's wish for one.
            status.and_then(|it| it.get("replicas")).cloned()
        } else {
            None
        };
        if let (Some(replicas), Some(spec)) = (replicas, live["spec"].as_object_mut()) {
            spec.insert("replicas".to_owned(), replicas);
        }
        if let Some(status) = status {
            live["status"] = status.clone();
        }
        live
    }
}

fn item(wanted: &Wanted<'_>, target: &Target, now: Timestamp) -> AggregatedStatusItem {
    let status = target.report.status.clone();
    let (health, message) = health_of(wanted, target, now);
    AggregatedStatusItem {
        cluster_name: target.cluster.clone(),
        status: status.map(without_noise),
        applied: is_applied(target),
        applied_message: message,
        health: health.to_owned(),
    }
}

/// `Healthy`, `Unhealthy` or `Unknown`, and what is wrong.
fn health_of(wanted: &Wanted<'_>, target: &Target, now: Timestamp) -> (&'static str, String) {
    if let Some(Err(unready)) = &target.ready {
        return ("Unknown", unready.message.clone());
    }
    match &target.report.outcome {
        Some(Outcome::Conflict(message) | Outcome::Failed(message)) => {
            return ("Unhealthy", message.clone());
        }
        None => return ("Unknown", "not applied yet".to_owned()),
        Some(Outcome::Applied) => {}
    }
    let health = health::health(&wanted.live(target), now);
    match health.state {
        health::State::Current => ("Healthy", health.message),
        health::State::Unknown => ("Unknown", health.message),
        _ => ("Unhealthy", health.message),
    }
}

/// Conditions of members are many words that the template's own conditions repeat.
fn without_noise(mut status: Value) -> Value {
    if let Some(fields) = status.as_object_mut() {
        fields.remove("conditions");
    }
    status
}

fn fully_applied(targets: &[Target]) -> Condition {
    let missing: Vec<&str> =
        targets.iter().filter(|it| !is_applied(it)).map(|it| it.cluster.as_str()).collect();
    let all = targets.len();
    if targets.is_empty() {
        Condition::new("FullyApplied", Unknown, "NoCluster", "no cluster is chosen")
    } else if missing.is_empty() {
        let message = format!("applied on {all} of {all} clusters");
        Condition::new("FullyApplied", True, "FullyAppliedSuccess", message)
    } else {
        let done = all - missing.len();
        let message =
            format!("applied on {done} of {all} clusters, not yet on {}", missing.join(", "));
        Condition::new("FullyApplied", False, "FullyAppliedFailed", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Deployment whose `replicas` somebody set, or the hub's defaults.
    fn deployment(set: bool) -> Value {
        let mut owned = json!({"f:spec": {"f:selector": {}}});
        if set {
            owned["f:spec"]["f:replicas"] = json!({});
        }
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "managedFields": [
                {"manager": "kubectl", "operation": "Apply", "fieldsV1": owned}]},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}},
        })
    }

    #[track_caller]
    fn check(set: bool, divided: bool, replicas: Option<u32>, have: u32, want: &str) {
        let counts = json!({"observedGeneration": 1, "replicas": have, "updatedReplicas": have,
            "availableReplicas": have, "readyReplicas": have});
        let report = ObjectReport {
            outcome: Some(Outcome::Applied),
            generation: 1,
            status: Some(counts),
            ..ObjectReport::default()
        };
        let target =
            Target { cluster: "eu".into(), replicas, wanted: None, ready: Some(Ok(())), report };
        let template = deployment(set);
        let (health, message) =
            health_of(&Wanted::of(&template, divided), &target, Timestamp::UNIX_EPOCH);
        assert_eq!(format!("{health} {message}").trim(), want);
    }

    #[test]
    fn replicas_that_nobody_set_are_the_members_own() {
        check(false, false, Some(1), 2, "Healthy");
        check(true, false, Some(1), 2, "Unhealthy 1 old pods are left");
        check(false, true, Some(3), 2, "Unhealthy created: 2/3");
        check(false, true, Some(2), 2, "Healthy");
    }
}
