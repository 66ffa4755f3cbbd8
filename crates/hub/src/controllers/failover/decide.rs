//! The rules around the planner's (`kogge_placement::failover`): what is read into it, and what its
//! words become. Pure.

use jiff::Timestamp;
use kogge_api::{
    Condition,
    ConditionStatus::{self, False, True},
    find_condition, fleet, set_condition,
    work::{EvictionTask, ResourceBinding},
};
use kogge_member::{ObjectKey, object};
use kogge_placement::{
    Placement,
    cluster::Taint,
    failover::{
        Assessed, By, Guard, Link, Member, Millis, Placed, Standing, Task, Timed, UNREACHABLE,
        Verdict, Word, keep,
    },
    policy::{Failover, PurgeMode},
};
use serde_json::Value;

use crate::{
    bindings,
    controllers::{cluster::DUPLICATE, federation::LEAVING},
    moves::Move,
};

/// The annotation by which a person agrees that a cluster is given up, this once.
pub(super) const APPROVE: &str = "kogge.dev/approve-failover";
/// How long the hub alone has to find this cluster unreachable: a duration, or `never`.
const DEAD_AFTER: &str = "kogge.dev/dead-after";

/// The conditions of a Cluster that are kept here.
const DEAD: &str = "Dead";
const HELD: &str = "FailoverHeld";

/// As the cluster controller says them.
const CONNECTING: &str = "Connecting";
const NOT_REACHABLE: &str = "ClusterNotReachable";

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    SetTaints(Vec<fleet::Taint>),
    SetConditions(Vec<Condition>),
    UseUpApproval,
    Say { warning: bool, reason: &'static str, message: String },
}

/// One cluster as the planner sees it. Before the hub `started` it saw nothing: that is no silence.
pub(super) fn member(now: Millis, started: Millis, cluster: &fleet::Cluster, word: Word) -> Member {
    let spec = &cluster.spec;
    let ready = find_condition(&cluster.status.conditions, "Ready");
    let link = link(ready);
    let taints: Vec<Timed> = spec.taints.iter().map(timed).collect();
    // Ready does not say how long the reason is what it is; the taint does.
    let silent = |it: &&Timed| it.taint.key == UNREACHABLE && it.taint.effect == "NoSchedule";
    let since = match link {
        Link::Unreachable => {
            taints.iter().find(silent).and_then(|it| it.since).map(|it| it.max(started))
        }
        _ => ready.and_then(|it| it.last_transition_time).map(Timestamp::as_millisecond),
    };
    let condition = |kind| find_condition(&cluster.status.conditions, kind);
    let is_twin = ready.is_some_and(|it| it.reason == DUPLICATE);
    Member {
        name: cluster.metadata.name.clone(),
        link,
        since: since.unwrap_or(now),
        word,
        dead_after: dead_after(cluster),
        // A hub that was cut off itself holds nothing once it is back.
        held: condition(HELD).is_some_and(|it| it.is_true() && it.reason == MAJORITY),
        approved: cluster.metadata.annotations.get(APPROVE).is_some_and(|it| it == "true"),
        leaving: is_twin
            || cluster.metadata.deletion_timestamp.is_some()
            || spec.taints.iter().any(|it| it.key == LEAVING),
        taints,
    }
}

fn link(ready: Option<&Condition>) -> Link {
    let Some(ready) = ready else { return Link::Unknown };
    match (ready.status, ready.reason.as_str()) {
        (True, _) => Link::Ready,
        (ConditionStatus::Unknown, CONNECTING) => Link::Unknown,
        (ConditionStatus::Unknown, _) | (False, NOT_REACHABLE) => Link::Unreachable,
        (False, _) => Link::NotReady,
    }
}

fn dead_after(cluster: &fleet::Cluster) -> Option<Millis> {
    let said = cluster.metadata.annotations.get(DEAD_AFTER)?;
    if said == "never" {
        return Some(Millis::MAX / 2);
    }
    let read = kogge_api::parse_duration(said)?;
    Millis::try_from(read.as_millis()).ok()
}

fn timed(it: &fleet::Taint) -> Timed {
    let taint = Taint { key: it.key.clone(), value: it.value.clone(), effect: it.effect.clone() };
    Timed { taint, since: it.time_added.map(Timestamp::as_millisecond) }
}

fn untimed(it: &Timed) -> fleet::Taint {
    fleet::Taint {
        key: it.taint.key.clone(),
        value: it.taint.value.clone(),
        effect: it.taint.effect.clone(),
        // Whole seconds, as Kubernetes writes times.
        time_added: it.since.and_then(|at| Timestamp::from_second(at.div_euclid(1_000)).ok()),
    }
}

const MAJORITY: &str = "MajorityGone";

/// What a cluster's own object has to say.
pub(super) fn tell(
    now: Timestamp,
    cluster: &fleet::Cluster,
    judged: &Assessed,
    seen_by: &[String],
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let taints: Vec<fleet::Taint> = judged.taints.iter().map(untimed).collect();
    if taints != cluster.spec.taints {
        effects.push(Effect::SetTaints(taints));
    }
    let mut conditions = cluster.status.conditions.clone();
    for (condition, reason) in
        [(dead(cluster, judged, seen_by), DEAD), (held(cluster, judged), HELD)]
    {
        let Some(condition) = condition else { continue };
        let before = find_condition(&cluster.status.conditions, reason).map(|it| it.status);
        if before != Some(condition.status) && (condition.is_true() || before.is_some()) {
            let reason = match (reason, condition.is_true()) {
                (DEAD, true) => "ClusterDead",
                (DEAD, false) => "ClusterBack",
                (_, true) => "FailoverHeld",
                (_, false) => "FailoverReleased",
            };
            let message = condition.message.clone();
            effects.push(Effect::Say { warning: condition.is_true(), reason, message });
        }
        set_condition(&mut conditions, condition, now);
    }
    if conditions != cluster.status.conditions {
        effects.push(Effect::SetConditions(conditions));
    }
    // It was for the death that is over, or for none.
    let known = judged.standing != Standing::NotKnown;
    if known && !judged.approved && cluster.metadata.annotations.contains_key(APPROVE) {
        effects.push(Effect::UseUpApproval);
    }
    effects
}

fn dead(cluster: &fleet::Cluster, judged: &Assessed, seen_by: &[String]) -> Option<Condition> {
    let name = &cluster.metadata.name;
    let before = find_condition(&cluster.status.conditions, DEAD);
    Some(match &judged.standing {
        Standing::Dead { by, .. } => {
            let reason = match by {
                By::Observers(_) => "DeclaredByObservers",
                By::Hub => "UnreachableTooLong",
            };
            Condition::new(DEAD, True, reason, format!("{name} {by}"))
        }
        Standing::OutOfReach { .. } if !seen_by.is_empty() => {
            let message = format!(
                "the hub does not reach it, and it is alive: seen by {}",
                seen_by.join(", ")
            );
            Condition::new(DEAD, False, "SeenByOthers", message)
        }
        Standing::NotKnown => return None,
        _ => {
            before?;
            let message = format!("{name} answers; what moved off may come back to it later");
            Condition::new(DEAD, False, "ClusterBack", message)
        }
    })
}

fn held(cluster: &fleet::Cluster, judged: &Assessed) -> Option<Condition> {
    let name = &cluster.metadata.name;
    if let Some(guard) = judged.held {
        let reason = match guard {
            Guard::CutOff => "HubCutOff",
            Guard::Majority { .. } => MAJORITY,
        };
        let message = format!(
            "nothing moves off {name}: {guard}; to move it all the same, run \
             kogge failover approve {name}"
        );
        return Some(Condition::new(HELD, True, reason, message));
    }
    let before = find_condition(&cluster.status.conditions, HELD)?;
    Some(match judged.standing {
        Standing::NotKnown => return None,
        Standing::Dead { .. } if judged.approved => {
            Condition::new(HELD, False, "Approved", "a person agreed that its workloads move")
        }
        _ if before.is_true() => Condition::new(HELD, False, "NothingHeld", ""),
        _ => return None,
    })
}

/// A template's place as the planner sees it.
pub(super) fn placed(id: String, template: &Value, binding: &ResourceBinding) -> Placed {
    let spec = &binding.spec;
    let placement = spec.placement.clone().and_then(|it| serde_json::from_value(it).ok());
    let placement: Placement = placement.unwrap_or_default();
    let failover = spec.failover.clone().and_then(|it| serde_json::from_value(it).ok());
    let failover: Failover = failover.unwrap_or_default();
    Placed {
        id,
        clusters: spec.clusters.iter().map(|it| it.name.clone()).collect(),
        tolerations: placement.cluster_tolerations,
        behaviour: failover.cluster,
        keeps_data: keeps_data(template),
        finished: is_finished(template),
        healthy: is_healthy(binding),
        tasks: spec.graceful_eviction_tasks.iter().map(task).collect(),
    }
}

fn task(it: &EvictionTask) -> Task {
    Task {
        from: it.from_cluster.clone(),
        since: it.creation_timestamp.map_or(0, Timestamp::as_millisecond),
        purge: serde_json::from_value(it.purge_mode.clone().into()).unwrap_or_default(),
        grace: it.grace_period_seconds.map(|it| Millis::from(it) * 1_000),
        purged: it.purged_at.is_some(),
    }
}

/// Whether its data stays where it is: it is a volume claim, or its pods mount some.
fn keeps_data(template: &Value) -> bool {
    let list = |pointer: &str| template.pointer(pointer).and_then(Value::as_array);
    let claims = list("/spec/volumeClaimTemplates").is_some_and(|it| !it.is_empty());
    let mounts = |it: &Vec<Value>| it.iter().any(|it| it.get("persistentVolumeClaim").is_some());
    template["kind"] == "PersistentVolumeClaim"
        || claims
        || list("/spec/template/spec/volumes").is_some_and(mounts)
}

fn is_finished(template: &Value) -> bool {
    let conditions = template.pointer("/status/conditions").and_then(Value::as_array);
    let ended =
        |it: &Value| (it["type"] == "Complete" || it["type"] == "Failed") && it["status"] == "True";
    template["kind"] == "Job" && conditions.into_iter().flatten().any(ended)
}

/// Every cluster reports it healthy, as it is placed now.
fn is_healthy(binding: &ResourceBinding) -> bool {
    let status = &binding.status;
    let healthy = |name: &str| {
        let mut items = status.aggregated_status.iter().filter(|it| it.cluster_name == name);
        items.any(|it| it.applied && it.health == "Healthy")
    };
    let clusters = &binding.spec.clusters;
    status.scheduler_observed_generation == binding.metadata.generation
        && !clusters.is_empty()
        && clusters.iter().all(|it| healthy(&it.name))
}

/// The task by which a template leaves a cluster. `last`: the status that it had there.
pub(super) fn begin(
    now: Timestamp,
    binding: &ResourceBinding,
    (cluster, why): (&str, &str),
    last: Option<&Value>,
) -> EvictionTask {
    let spec = &binding.spec;
    let failover = spec.failover.clone().and_then(|it| serde_json::from_value(it).ok());
    let failover: Failover = failover.unwrap_or_default();
    let behaviour = failover.cluster.unwrap_or_default();
    let purge = match behaviour.purge_mode.unwrap_or_default() {
        PurgeMode::Directly => "Directly",
        PurgeMode::Gracefully => "Gracefully",
        PurgeMode::Never => "Never",
    };
    let rules = behaviour.state_preservation.unwrap_or_default().rules;
    let kept = keep(&rules, last.unwrap_or(&Value::Null));
    let mut message = why.to_owned();
    if !kept.missing.is_empty() {
        message.push_str(&format!("; its state did not come along: {}", kept.missing.join(", ")));
    }
    EvictionTask {
        from_cluster: cluster.to_owned(),
        purge_mode: purge.to_owned(),
        replicas: spec.clusters.iter().find(|it| it.name == cluster).and_then(|it| it.replicas),
        reason: "TaintUntolerated".to_owned(),
        message,
        producer: "TaintManager".to_owned(),
        grace_period_seconds: behaviour.grace_period_seconds,
        creation_timestamp: Timestamp::from_second(now.as_second()).ok(),
        preserved_label_state: kept.labels,
        clusters_before_failover: spec.clusters.iter().map(|it| it.name.clone()).collect(),
        purged_at: None,
    }
}

/// What is said of a template: a line for each cluster, and the reason of the first that waits.
pub(super) fn say(verdicts: &[(&str, &Verdict)], tasks: &[EvictionTask]) -> Move {
    let waiting = verdicts.iter().find(|(_, it)| **it != Verdict::Moved);
    let line = |(cluster, verdict): &(&str, &Verdict)| {
        let mut said = format!("{cluster}: it {verdict}");
        let task = tasks.iter().find(|it| it.from_cluster == **cluster);
        match (verdict, task) {
            (Verdict::Moved, Some(task)) if task.keeps_place() => {
                said.push_str(&format!(" {}; the old copy is kept there yet", task.message));
            }
            (Verdict::Moved, Some(task)) => said.push_str(&format!(" {}", task.message)),
            (Verdict::Waits { until, .. }, _) => {
                if let Ok(until) = Timestamp::from_millisecond(*until) {
                    said.push_str(&format!(", until {until:.0}"));
                }
            }
            _ => {}
        }
        said
    };
    Move {
        done: waiting.is_none(),
        reason: waiting.map_or("Moved", |it| it.1.reason()).to_owned(),
        message: verdicts.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// Where a template is, read off its binding without the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub clusters: Vec<String>,
    pub has_tasks: bool,
}

impl Places {
    pub fn of(binding: &Value) -> Self {
        let list = |pointer| binding.pointer(pointer).and_then(Value::as_array);
        let names = list("/spec/clusters").into_iter().flatten();
        Self {
            clusters: names.map(|it| object::text(it, "/name").to_owned()).collect(),
            has_tasks: list("/spec/gracefulEvictionTasks").is_some_and(|it| !it.is_empty()),
        }
    }
}

/// The binding that a template's place is written in.
pub(super) fn binding_of(template: &ObjectKey) -> ObjectKey {
    bindings::key_for(template)
}
