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
    if !seen.clusters.iter().any(|it| previous.contains_key(&it.name) && leaves(it)) {
        return None;
    }
    let policy = last_policy(binding)?;
    let decided = place(seen, template, &policy);
    let spec = json!(spec(template, &policy, &decided.targets));
    if decided.reason != Reason::Success || binding["spec"] == spec {
        return None;
    }
    let message = format!(
        "no policy selects this {} any more, and a cluster that ran it leaves the fleet: moved by \
         its last placement: {}",
        text(template, "/kind"),
        decided.message
    );
    let decision =
        Decision { scheduled: true, reason: "PolicyGone".to_owned(), message: message.clone() };
    let effects = vec![
        Effect::UpdateBinding { annotations: annotations(&policy), spec },
        Effect::Say { warning: false, reason: "ScheduleBindingSucceed", message },
    ];
    Some(Plan { effects, decision: Some(decision) })
}

/// What the binding has kept of the policy that decided last.
fn last_policy(binding: &Value) -> Option<Policy> {
    let said = |name: &str| object::annotation(binding, name).map(str::to_owned);
    let (namespace, name) = match said(POLICY_NAME) {
        Some(name) => (said(POLICY_NAMESPACE), name),
        None => (None, said(CLUSTER_POLICY_NAME)?),
    };
    let spec = &binding["spec"];
    let kept = json!({"placement": spec.get("placement")?,
        "propagateDeps": spec["propagateDeps"] == true,
        "conflictResolution": spec.get("conflictResolution").cloned().unwrap_or("Abort".into())});
    Some(Policy { namespace, name, spec: serde_json::from_value(kept).ok()? })
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
        let spec = json!(spec(template, policy, &[]));
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

    fn placed(on: &[&str]) -> Value {
        let clusters: Vec<Value> = on.iter().map(|it| json!({"name": it, "replicas": 2})).collect();
        json!({"metadata": {}, "spec": {"clusters": clusters}})
    }

    /// The plan must write no binding.
    #[track_caller]
    fn check_kept(seen: &Observed, scheduled: bool, reason: &str, words: &[&str]) {
        let plan = decide(seen);
        assert!(plan.effects.iter().all(|it| matches!(it, Effect::Say { .. })), "{plan:?}");
        let decision = plan.decision.expect("a decision that says why");
        assert_eq!((decision.scheduled, decision.reason.as_str()), (scheduled, reason));
        for it in words {
            assert!(decision.message.contains(it), "{} lacks {it}", decision.message);
        }
    }

    #[test]
    fn what_no_policy_selects_any_more_stays_where_it_is() {
        let mut unselected = Observed { policy: None, ..seen(Some(placed(&["eu", "us"]))) };
        let words = ["on eu, us", "delete the object"];
        check_kept(&unselected, true, "PolicyGone", &words);
        if let Some(binding) = &mut unselected.binding {
            binding["status"] = json!({"conditions": [{"type": "Scheduled", "status": "False"}]});
        }
        check_kept(&unselected, false, "PolicyGone", &words);
        let nowhere = Observed { policy: None, ..seen(None) };
        assert_eq!(decide(&nowhere), Plan::default());
    }

    #[test]
    fn what_no_policy_selects_any_more_moves_off_a_cluster_that_leaves() {
        let cluster = |name: &str, deleting| Cluster {
            name: name.into(),
            ready: true,
            deleting,
            ..Cluster::default()
        };
        let mut binding = placed(&["eu"]);
        binding["metadata"]["annotations"] = json!({ CLUSTER_POLICY_NAME: "all" });
        binding["spec"]["placement"] = json!({"clusterAffinity": {"clusterNames": ["eu", "us"]}});
        let mut seen = Observed { policy: None, ..seen(Some(binding)) };
        let moved_to = |seen: &Observed| -> Vec<String> {
            let plan = decide(seen);
            let spec = plan.effects.iter().find_map(|it| match it {
                Effect::UpdateBinding { spec, .. } => Some(spec.clone()),
                _ => None,
            });
            previous(spec.map(|it| json!({ "spec": it })).as_ref()).into_keys().collect()
        };
        let clusters = |leaves| Arc::new(vec![cluster("eu", leaves), cluster("us", false)]);
        seen.clusters = clusters(false);
        assert_eq!(moved_to(&seen), [""; 0]);
        seen.clusters = clusters(true);
        assert_eq!(moved_to(&seen), ["us"]);
        // Nowhere else to go: it stays, and the cluster waits.
        seen.clusters = Arc::new(vec![cluster("eu", true), cluster("cn", false)]);
        assert_eq!(moved_to(&seen), [""; 0]);
    }

    #[test]
    fn what_is_deleted_loses_its_binding() {
        let deleted = Observed { template: None, ..seen(Some(placed(&["eu"]))) };
        assert_eq!(decide(&deleted).effects, [Effect::DeleteBinding]);
        let both = Observed { policy: None, ..deleted };
        assert_eq!(decide(&both).effects, [Effect::DeleteBinding]);
    }

    #[test]
    fn a_policy_that_holds_something_back_places_nothing() {
        let withheld = |binding: Option<Value>| {
            let mut seen = seen(binding);
            if let Some(policy) = &mut seen.policy {
                policy.spec.preserve_resources_on_deletion = Some(true);
                policy.spec.suspension = Some(json!({"dispatching": true}));
            }
            seen.clusters =
                Arc::new(vec![Cluster { name: "eu".into(), ready: true, ..Cluster::default() }]);
            seen
        };
        let words = ["spec.suspension.dispatching, spec.preserveResourcesOnDeletion"];
        check_kept(&withheld(Some(placed(&["us"]))), false, "Unsupported", &words);
        let plan = decide(&withheld(None));
        let Some(Effect::CreateBinding { spec, .. }) = plan.effects.first() else {
            panic!("{plan:?}");
        };
        assert_eq!(spec.get("clusters").cloned().unwrap_or(json!([])), json!([]));
    }
}
