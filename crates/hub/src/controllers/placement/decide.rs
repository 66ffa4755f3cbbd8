//! From the planner's decision to what has to be written. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kogge_api::work::EvictionTask;
use kogge_member::object::text;
use kogge_placement::{Cluster, Mode, Policy, Reason, Request, Target, decide as plan_placement};
use serde_json::{Value, json};

use super::{
    binding::{annotations, has, last_policy, previous, spec, tasks},
    labels,
};
use crate::{bindings, controllers::federation::LEAVING, decisions::Decision, policies};

/// What was seen of one template, frozen at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// `None`: deleted.
    pub template: Option<Value>,
    pub policy: Option<Policy>,
    pub clusters: Arc<Vec<Cluster>>,
    /// Replicas that each cluster has room for; `u32::MAX` where that is not known.
    pub rooms: BTreeMap<String, u32>,
    pub binding: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    CreateBinding {
        annotations: BTreeMap<&'static str, String>,
        spec: Value,
    },
    UpdateBinding {
        annotations: BTreeMap<&'static str, String>,
        spec: Value,
    },
    DeleteBinding,
    Say {
        warning: bool,
        reason: &'static str,
        message: String,
    },
    /// It left a cluster that failed: said of the template and of the cluster.
    SayMoved {
        from: String,
        message: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub effects: Vec<Effect>,
    pub decision: Option<Decision>,
}

pub(super) fn decide(seen: &Observed) -> Plan {
    let Some(template) = &seen.template else {
        let effects = seen.binding.iter().map(|_| Effect::DeleteBinding).collect();
        return Plan { effects, decision: None };
    };
    let Some(policy) = &seen.policy else {
        let binding = seen.binding.as_ref();
        let moved = binding.and_then(|it| leave(seen, template, it));
        return moved.or_else(|| binding.map(|it| stay(template, it))).unwrap_or_default();
    };
    if !policy.spec.withholding().is_empty() {
        return withhold(seen, template, policy);
    }
    let decided = place(seen, template, policy);
    let decision = explain(policy, &decided);
    let spec = json!(spec(template, policy, &decided.targets, seen.binding.as_ref()));
    let annotations = annotations(policy);
    let mut effects = Vec::new();
    match &seen.binding {
        None => effects.push(Effect::CreateBinding { annotations, spec }),
        Some(binding) if binding["spec"] != spec || !has(binding, &annotations) => {
            effects.push(Effect::UpdateBinding { annotations, spec });
        }
        Some(_) => {}
    }
    if !decision.scheduled {
        let message = decision.message.clone();
        effects.push(Effect::Say { warning: true, reason: "ScheduleBindingFailed", message });
    } else if !effects.is_empty() {
        let message = decision.message.clone();
        effects.push(Effect::Say { warning: false, reason: "ScheduleBindingSucceed", message });
    }
    effects.extend(moved(seen.binding.as_ref(), &decided.targets));
    Plan { effects, decision: Some(decision) }
}

/// What is to be said of clusters that failed and that this decision leaves.
fn moved(binding: Option<&Value>, targets: &[Target]) -> Vec<Effect> {
    let previous = previous(binding);
    let is_left = |it: &EvictionTask| {
        previous.contains_key(&it.from_cluster)
            && !targets.iter().any(|target| target.name == it.from_cluster)
    };
    let left = tasks(binding).into_iter().filter(is_left);
    let grew = |it: &&Target| match (previous.get(&it.name), it.replicas) {
        (Some(had), Some(now)) => *had < now,
        (had, _) => had.is_none(),
    };
    let gets = |it: &Target| match it.replicas {
        Some(replicas) => {
            let had = previous.get(&it.name).copied().unwrap_or(0);
            format!("{} (+{})", it.name, replicas.saturating_sub(had))
        }
        None => it.name.clone(),
    };
    let to: Vec<String> = targets.iter().filter(grew).map(gets).collect();
    left.map(|it| {
        let message = format!("moved from {} to {} {}", it.from_cluster, to.join(", "), it.message);
        Effect::SayMoved { from: it.from_cluster, message }
    })
    .collect()
}

/// No policy selects it any more. A policy says where a template may go; only the template itself
/// says that it runs at all, so what is placed stays.
fn stay(template: &Value, binding: &Value) -> Plan {
    let clusters: Vec<String> = previous(Some(binding)).into_keys().collect();
    let message = format!(
        "no policy selects this {} any more; {}",
        text(template, "/kind"),
        if clusters.is_empty() {
            "it runs nowhere".to_owned()
        } else {
            format!(
                "it keeps running where it is, on {}; to take it away delete the object, to move \
                 it let another policy select it",
                clusters.join(", ")
            )
        }
    );
    let decision = Decision {
        scheduled: was_scheduled(binding).unwrap_or(!clusters.is_empty()),
        reason: "PolicyGone".to_owned(),
        message: message.clone(),
    };
    let say = Effect::Say { warning: true, reason: "PolicyGone", message };
    Plan { effects: vec![say], decision: Some(decision) }
}

/// No policy selects it any more, and a cluster that runs it leaves the fleet: it moves as its last
/// policy would have it, or drains would wait for ever. None if there is nothing to move, or no
/// place for it.
fn leave(seen: &Observed, template: &Value, binding: &Value) -> Option<Plan> {
    let previous = previous(Some(binding));
    let leaves = |it: &Cluster| it.deleting || it.taints.iter().any(|it| it.key == LEAVING);
    let fails = tasks(Some(binding)).iter().any(|it| previous.contains_key(&it.from_cluster));
    if !fails && !seen.clusters.iter().any(|it| previous.contains_key(&it.name) && leaves(it)) {
        return None;
    }
    let policy = last_policy(binding)?;
    let decided = place(seen, template, &policy);
    let spec = json!(spec(template, &policy, &decided.targets, Some(binding)));
    if decided.reason != Reason::Success || binding["spec"] == spec {
        return None;
    }
    let message = format!(
        "no policy selects this {} any more, and a cluster that ran it leaves the fleet or failed: \
         moved by its last placement: {}",
        text(template, "/kind"),
        decided.message
    );
    let decision =
        Decision { scheduled: true, reason: "PolicyGone".to_owned(), message: message.clone() };
    let mut effects = vec![
        Effect::UpdateBinding { annotations: annotations(&policy), spec },
        Effect::Say { warning: false, reason: "ScheduleBindingSucceed", message },
    ];
    effects.extend(moved(Some(binding), &decided.targets));
    Some(Plan { effects, decision: Some(decision) })
}

fn was_scheduled(binding: &Value) -> Option<bool> {
    let all = binding.pointer("/status/conditions")?.as_array()?;
    let known = all.iter().find(|it| it["type"] == "Scheduled")?;
    Some(known["status"] == "True")
}

/// The policy asks for something to be held back that nothing here holds back.
fn withhold(seen: &Observed, template: &Value, policy: &Policy) -> Plan {
    let fields = policy.spec.withholding();
    let fields: Vec<String> = fields.into_iter().map(|it| format!("spec.{it}")).collect();
    let message = format!(
        "{}: not supported yet: {}; so this policy places nothing; what runs already stays where \
         it is, follows changes of the object and goes when the object is deleted",
        name_of(policy),
        fields.join(", ")
    );
    let mut effects = Vec::new();
    if seen.binding.is_none() {
        let spec = json!(spec(template, policy, &[], None));
        effects.push(Effect::CreateBinding { annotations: annotations(policy), spec });
    }
    let reason = "ScheduleBindingFailed";
    effects.push(Effect::Say { warning: true, reason, message: message.clone() });
    let reason = "Unsupported".to_owned();
    Plan { effects, decision: Some(Decision { scheduled: false, reason, message }) }
}

/// What runs on a cluster that leaves the fleet moves elsewhere; if nothing else takes it, it
/// stays where it is, and the cluster waits.
fn place(seen: &Observed, template: &Value, policy: &Policy) -> kogge_placement::Decision {
    let previous = previous(seen.binding.as_ref());
    let mut left = left(seen.binding.as_ref());
    let moved = plan(seen, template, policy, &seen.clusters, &left);
    let has_to_stay = |it: &Cluster| {
        previous.contains_key(&it.name)
            && (left.contains_key(&it.name) || it.taints.iter().any(|it| it.key == LEAVING))
    };
    if moved.reason == Reason::Success || !seen.clusters.iter().any(has_to_stay) {
        return moved;
    }
    let clusters: Vec<Cluster> = seen
        .clusters
        .iter()
        .map(|it| Cluster { deleting: it.deleting && !has_to_stay(it), ..it.clone() })
        .collect();
    left.retain(|cluster, _| !previous.contains_key(cluster));
    let mut stays = plan(seen, template, policy, &clusters, &left);
    stays.message.push_str(&format!("; what has to leave a cluster waits: {}", moved.message));
    stays
}

/// The clusters that failed and are not used until their tasks end, and why.
fn left(binding: Option<&Value>) -> BTreeMap<String, String> {
    tasks(binding).into_iter().map(|it| (it.from_cluster, it.message)).collect()
}

/// Whether a template could leave these clusters and run as its policy wants; if not, why not.
pub(crate) fn could_leave(seen: &Observed, clusters: &BTreeSet<String>) -> Result<(), String> {
    let kept = || seen.binding.as_ref().and_then(last_policy);
    let (Some(template), Some(policy)) = (&seen.template, seen.policy.clone().or_else(kept)) else {
        return Err("no policy says where".to_owned());
    };
    let withheld = policy.spec.withholding();
    if !withheld.is_empty() {
        return Err(format!("its policy has {}, and so places nothing", withheld.join(", ")));
    }
    let left = clusters.iter().map(|it| (it.clone(), "it failed".to_owned())).collect();
    let decided = plan(seen, template, &policy, &seen.clusters, &left);
    if decided.reason != Reason::Success {
        return Err(decided.message);
    }
    let previous = previous(seen.binding.as_ref());
    let divided = policy.spec.placement.is_divided() && bindings::replicas(template).is_some();
    let is_new = |it: &Target| !previous.contains_key(&it.name);
    if decided.targets.is_empty() || (!divided && !decided.targets.iter().any(is_new)) {
        return Err("it runs already on every other cluster that its policy allows".to_owned());
    }
    Ok(())
}

fn plan(
    seen: &Observed,
    template: &Value,
    policy: &Policy,
    clusters: &[Cluster],
    left: &BTreeMap<String, String>,
) -> kogge_placement::Decision {
    let labels = labels(template);
    let previous_group =
        seen.binding.as_ref().map(|it| text(it, "/status/schedulerObservedAffinityName"));
    plan_placement(&Request {
        template: &policies::template(template, &labels),
        placement: &policy.spec.placement,
        clusters,
        room: &|it| seen.rooms.get(&it.name).copied().unwrap_or(u32::MAX),
        previous: &previous(seen.binding.as_ref()),
        previous_group: previous_group.filter(|it| !it.is_empty()),
        mode: Mode::Steady,
        left,
    })
}

fn name_of(policy: &Policy) -> String {
    match &policy.namespace {
        Some(namespace) => format!("PropagationPolicy {namespace}/{}", policy.name),
        None => format!("ClusterPropagationPolicy {}", policy.name),
    }
}

/// The planner's words, with the policy, and a line for each cluster that is left out.
fn explain(policy: &Policy, decided: &kogge_placement::Decision) -> Decision {
    let mut message = format!("{}: {}", name_of(policy), decided.message);
    for (cluster, why) in &decided.left_out {
        message.push_str(&format!("\nnot on {cluster}: {why}"));
    }
    for field in policy.spec.unsupported() {
        message.push_str(&format!("\n{field} is accepted but not acted on yet"));
    }
    Decision {
        scheduled: decided.reason == Reason::Success,
        reason: decided.reason.as_str().to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests;
