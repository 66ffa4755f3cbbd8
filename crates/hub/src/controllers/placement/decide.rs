//! From the planner's decision to what has to be written. Pure.

use std::{collections::BTreeMap, sync::Arc};

use kogge_api::work::{BindingSpec, ObjectReference, ReplicaRequirements, TargetCluster};
use kogge_member::object::{self, text};
use kogge_model::Resources;
use kogge_placement::{
    Cluster, Mode, Policy, Reason, Request, Target, decide as plan_placement,
    policy::ConflictResolution,
};
use serde_json::{Value, json};

use super::labels;
use crate::{bindings, controllers::federation::LEAVING, decisions::Decision, policies, room};

/// Where Karmada says which policy decided.
const POLICY_NAME: &str = "propagationpolicy.karmada.io/name";
const POLICY_NAMESPACE: &str = "propagationpolicy.karmada.io/namespace";
const CLUSTER_POLICY_NAME: &str = "clusterpropagationpolicy.karmada.io/name";

/// What was seen of one template, frozen at one instant.
#[derive(Clone, Debug)]
pub(super) struct Observed {
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
    CreateBinding { annotations: BTreeMap<&'static str, String>, spec: Value },
    UpdateBinding { annotations: BTreeMap<&'static str, String>, spec: Value },
    DeleteBinding,
    Say { warning: bool, reason: &'static str, message: String },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub effects: Vec<Effect>,
    pub decision: Option<Decision>,
}

pub(super) fn decide(seen: &Observed) -> Plan {
    let (Some(template), Some(policy)) = (&seen.template, &seen.policy) else {
        let effects = seen.binding.iter().map(|_| Effect::DeleteBinding).collect();
        return Plan { effects, decision: None };
    };
    let decided = place(seen, template, policy);
    let decision = explain(policy, &decided);
    let spec = json!(spec(template, policy, &decided.targets));
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
    Plan { effects, decision: Some(decision) }
}

/// What runs on a cluster that leaves the fleet moves elsewhere; if nothing else takes it, it
/// stays where it is, and the cluster waits.
fn place(seen: &Observed, template: &Value, policy: &Policy) -> kogge_placement::Decision {
    let previous = previous(seen.binding.as_ref());
    let moved = plan(seen, template, policy, &previous, &seen.clusters);
    let has_to_stay = |it: &Cluster| {
        previous.contains_key(&it.name) && it.taints.iter().any(|it| it.key == LEAVING)
    };
    if moved.reason == Reason::Success || !seen.clusters.iter().any(has_to_stay) {
        return moved;
    }
    let clusters: Vec<Cluster> = seen
        .clusters
        .iter()
        .map(|it| Cluster { deleting: it.deleting && !has_to_stay(it), ..it.clone() })
        .collect();
    let mut stays = plan(seen, template, policy, &previous, &clusters);
    stays.message.push_str(&format!("; what leaves the fleet has to wait: {}", moved.message));
    stays
}

fn plan(
    seen: &Observed,
    template: &Value,
    policy: &Policy,
    previous: &BTreeMap<String, u32>,
    clusters: &[Cluster],
) -> kogge_placement::Decision {
    let labels = labels(template);
    let previous_group =
        seen.binding.as_ref().map(|it| text(it, "/status/schedulerObservedAffinityName"));
    plan_placement(&Request {
        template: &policies::template(template, &labels),
        placement: &policy.spec.placement,
        clusters,
        room: &|it| seen.rooms.get(&it.name).copied().unwrap_or(u32::MAX),
        previous,
        previous_group: previous_group.filter(|it| !it.is_empty()),
        mode: Mode::Steady,
    })
}

fn previous(binding: Option<&Value>) -> BTreeMap<String, u32> {
    let clusters = binding.and_then(|it| it.pointer("/spec/clusters")?.as_array());
    let target = |it: &Value| {
        let replicas = it["replicas"].as_u64().and_then(|it| u32::try_from(it).ok());
        Some((it["name"].as_str()?.to_owned(), replicas.unwrap_or(0)))
    };
    clusters.into_iter().flatten().filter_map(target).collect()
}

fn spec(template: &Value, policy: &Policy, targets: &[Target]) -> BindingSpec {
    let requirements = room::requirements(template);
    BindingSpec {
        resource: ObjectReference {
            api_version: text(template, "/apiVersion").to_owned(),
            kind: text(template, "/kind").to_owned(),
            namespace: object::namespace(template).to_owned(),
            name: object::name(template).to_owned(),
            uid: object::uid(template).to_owned(),
            resource_version: String::new(),
        },
        replicas: bindings::replicas(template),
        replica_requirements: (requirements != Resources::default()).then(|| ReplicaRequirements {
            resource_request: room::as_quantities(&requirements),
            node_claim: None,
        }),
        clusters: targets
            .iter()
            .map(|it| TargetCluster { name: it.name.clone(), replicas: it.replicas })
            .collect(),
        placement: Some(given(json!(policy.spec.placement))),
        propagate_deps: policy.spec.propagate_deps,
        conflict_resolution: match policy.spec.conflict_resolution {
            ConflictResolution::Abort => "Abort".to_owned(),
            ConflictResolution::Overwrite => "Overwrite".to_owned(),
        },
        ..BindingSpec::default()
    }
}

/// What was given of it: the API server stores no nulls, so a binding that has them never looks
/// like what is stored.
fn given(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        let before = std::mem::take(fields);
        let kept = before.into_iter().map(|(key, it)| (key, given(it)));
        fields.extend(kept.filter(|(_, it)| !it.is_null() && *it != json!([])));
    } else if let Some(items) = value.as_array_mut() {
        let before = std::mem::take(items);
        items.extend(before.into_iter().map(given));
    }
    value
}

fn annotations(policy: &Policy) -> BTreeMap<&'static str, String> {
    match &policy.namespace {
        Some(namespace) => BTreeMap::from([
            (POLICY_NAME, policy.name.clone()),
            (POLICY_NAMESPACE, namespace.clone()),
        ]),
        None => BTreeMap::from([(CLUSTER_POLICY_NAME, policy.name.clone())]),
    }
}

fn has(binding: &Value, annotations: &BTreeMap<&'static str, String>) -> bool {
    annotations.iter().all(|(key, value)| object::annotation(binding, key) == Some(value))
}

/// The planner's words, with the policy, and a line for each cluster that is left out.
fn explain(policy: &Policy, decided: &kogge_placement::Decision) -> Decision {
    let name = match &policy.namespace {
        Some(namespace) => format!("PropagationPolicy {namespace}/{}", policy.name),
        None => format!("ClusterPropagationPolicy {}", policy.name),
    };
    let mut message = format!("{name}: {}", decided.message);
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
mod tests {
    use super::*;

    fn seen(binding: Option<Value>) -> Observed {
        let template = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {"replicas": 2}});
        let policy = Policy {
            namespace: None,
            name: "all".into(),
            spec: serde_json::from_value(json!({"placement": {"clusterAffinity": {}}}))
                .unwrap_or_default(),
        };
        Observed {
            template: Some(template),
            policy: Some(policy),
            clusters: Arc::default(),
            rooms: BTreeMap::new(),
            binding,
        }
    }

    #[test]
    fn a_binding_that_says_the_same_is_not_written_again() {
        let plan = decide(&seen(None));
        let Some(Effect::CreateBinding { annotations, spec }) = plan.effects.first() else {
            panic!("{plan:?}");
        };
        assert_eq!(spec["placement"], json!({"clusterAffinity": {}}));
        let stored = json!({"metadata": {"annotations": annotations}, "spec": spec});
        let writes = |plan: &Plan| {
            plan.effects.iter().filter(|it| !matches!(it, Effect::Say { .. })).count()
        };
        assert_eq!(writes(&decide(&seen(Some(stored.clone())))), 0);
        let mut other = stored;
        other["spec"]["replicas"] = 3.into();
        assert_eq!(writes(&decide(&seen(Some(other)))), 1);
    }

    #[test]
    fn what_no_policy_selects_has_no_binding() {
        let stored = json!({"metadata": {}, "spec": {}});
        let unselected = Observed { policy: None, ..seen(Some(stored)) };
        assert_eq!(decide(&unselected).effects, [Effect::DeleteBinding]);
    }
}
