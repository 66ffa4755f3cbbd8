//! What the hub refuses, and what it warns of, when its API is written to or read.

use std::collections::BTreeSet;

use kogge_apiserver::{
    Admission, AdmissionRequest, Operation, RequestInfo,
    status::{Cause, Failure},
};
use kogge_member::ObjectKey;
use kogge_placement::{Policy, PolicyIndex, PolicySpec};
use serde_json::Value;

use crate::{
    bindings,
    cache::{Cache, GroupKind},
    controllers::{autoscaler, cluster},
    policies::{self, Policies},
};

const METRICS: &str = "metrics.k8s.io";

/// The user that the hub's own controllers are.
pub(crate) const HUB_USER: &str = "system:kogge:hub";

pub(crate) struct HubAdmission {
    policies: Policies,
    cache: Cache,
    /// Group and kind that only the hub writes.
    read_only: BTreeSet<(String, String)>,
}

impl HubAdmission {
    pub fn new(policies: Policies, cache: Cache) -> Self {
        let rows = kogge_api::rows();
        let read_only = rows
            .iter()
            .filter(|it| it.read_only)
            .map(|it| (it.group.to_owned(), it.kind.to_owned()))
            .collect();
        Self { policies, cache, read_only }
    }
}

impl Admission for HubAdmission {
    fn review(&self, request: &mut AdmissionRequest) -> Result<Vec<String>, Failure> {
        let resource = &request.resource;
        let id = (resource.group.clone(), resource.kind.clone());
        if self.read_only.contains(&id) && request.user.name != HUB_USER {
            let kind = &resource.kind;
            let message = format!("{kind} is a view: only the hub writes it; change the policy");
            return Err(Failure::forbidden(message));
        }
        if !request.subresource.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(warning) = about_kind(request.operation, &id) {
            return Ok(vec![warning]);
        }
        if request.operation == Operation::Delete {
            return Ok(Vec::new());
        }
        if request.operation == Operation::Create && id.0 == cluster::GROUP && id.1 == "Cluster" {
            let cause = misnamed(&request.object);
            return cause.map_or(Ok(Vec::new()), |it| Err(invalid(request, vec![it])));
        }
        if is_propagation(&id) {
            return review_policy(request, &self.cache);
        }
        if id.0 == autoscaler::GROUP && id.1 == autoscaler::KIND {
            let causes = crossed_bounds(&request.object["spec"]);
            return if causes.is_empty() { Ok(Vec::new()) } else { Err(invalid(request, causes)) };
        }
        let namespace = request.namespace.clone().unwrap_or_default();
        let key = ObjectKey::new(&id.0, &id.1, &namespace, &request.name);
        let is_new = request.operation == Operation::Create;
        if !is_new || !bindings::may_be_template(&key) || key.kind == "Namespace" {
            return Ok(Vec::new());
        }
        if self.policies.select(&request.object).is_none() {
            return Ok(vec![format!(
                "no PropagationPolicy selects this {}, so it stays on the hub and runs nowhere",
                resource.kind
            )]);
        }
        Ok(Vec::new())
    }

    fn advise(&self, request: &RequestInfo) -> Option<String> {
        // kubectl looks for metrics among the groups, and finding none says no more than that.
        let looks_for_metrics =
            request.path == "/apis" && request.command.starts_with("kubectl top");
        let group = if looks_for_metrics { METRICS } else { &request.group };
        elsewhere(group, &request.resource).map(str::to_owned)
    }
}

fn is_propagation(id: &GroupKind) -> bool {
    id.0 == policies::GROUP && id.1.ends_with("PropagationPolicy")
}

/// What is to be known of any write of this sort to a kind.
fn about_kind(operation: Operation, id: &GroupKind) -> Option<String> {
    match (operation, is_propagation(id)) {
        (Operation::Delete, true) => Some(
            "what only this policy selects keeps running where it is; \
             to take it away delete the objects themselves"
                .to_owned(),
        ),
        (Operation::Create | Operation::Update, false) if id.0 == policies::GROUP => {
            Some(format!("{} is stored, and nothing acts on it yet", id.1))
        }
        _ => None,
    }
}

/// Where to look for what a hub does not have itself.
fn elsewhere(group: &str, resource: &str) -> Option<&'static str> {
    match (group, resource) {
        ("", "pods" | "nodes" | "endpoints") | ("apps", "replicasets") => Some(
            "the hub itself runs nothing: this kind lives on the members; \
             use a member's context (kubectl config get-contexts) and see: kubectl get clusters",
        ),
        (METRICS, _) => Some(
            "the hub itself runs nothing, so it has no metrics: use a member's context \
             (kubectl config get-contexts) and see: kubectl get clusters",
        ),
        _ => None,
    }
}

/// A policy that the planner cannot read is refused, with the field's name.
fn review_policy(request: &AdmissionRequest, cache: &Cache) -> Result<Vec<String>, Failure> {
    let spec = read(request.object.get("spec")).map_err(|it| invalid(request, vec![it]))?;
    let crossed = crossed_groups(&request.object["spec"]);
    if !crossed.is_empty() {
        return Err(invalid(request, crossed));
    }
    let mut warnings = unsupported(&spec);
    if spec.resource_selectors.is_empty() {
        warnings.push("spec.resourceSelectors is empty: the policy selects nothing".into());
        return Ok(warnings);
    }
    let namespace = request.namespace.clone().filter(|it| !it.is_empty());
    let policy = Policy { namespace, name: request.name.clone(), spec };
    if !selects_something(policy, cache) {
        let nothing = "spec.resourceSelectors: the policy selects nothing that is on the hub yet";
        warnings.push(nothing.into());
    }
    Ok(warnings)
}

fn invalid(request: &AdmissionRequest, causes: Vec<Cause>) -> Failure {
    // A new object is named in its metadata only.
    let name = kogge_member::object::name(&request.object);
    Failure::invalid(&request.resource.group, &request.resource.kind, name, causes)
}

fn read(spec: Option<&Value>) -> Result<PolicySpec, Cause> {
    serde_path_to_error::deserialize(spec.cloned().unwrap_or_default()).map_err(|error| Cause {
        reason: "FieldValueInvalid",
        message: error.inner().to_string(),
        field: format!("spec.{}", error.path()),
    })
}

/// A Cluster whose name is no member's would never gossip, nor could it be removed for ever.
fn misnamed(cluster: &Value) -> Option<Cause> {
    let name = kogge_member::object::name(cluster);
    kogge_model::names::cluster_name(name).err().map(|why| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {name:?}: {why}"),
        field: "metadata.name".to_owned(),
    })
}

/// Of an autoscaler's bounds the lower may not be above the upper.
fn crossed_bounds(spec: &Value) -> Vec<Cause> {
    let pairs = [("minAvailable", "maxAvailable"), ("minPods", "maxPods")];
    pairs.into_iter().filter_map(|it| crossed(spec, "spec", it)).collect()
}

/// Nor the fewest groups of a policy above the most; none is no bound there.
fn crossed_groups(spec: &Value) -> Vec<Cause> {
    let all = spec["placement"]["spreadConstraints"].as_array();
    let all = all.into_iter().flatten().enumerate();
    all.filter(|(_, it)| it["maxGroups"] != 0)
        .filter_map(|(index, it)| {
            let path = format!("spec.placement.spreadConstraints[{index}]");
            crossed(it, &path, ("minGroups", "maxGroups"))
        })
        .collect()
}

fn crossed(holder: &Value, path: &str, (low, high): (&str, &str)) -> Option<Cause> {
    let (least, most) = (holder[low].as_u64()?, holder[high].as_u64()?);
    (most < least).then(|| Cause {
        reason: "FieldValueInvalid",
        message: format!(
            "Invalid value: {least}: may not be more than {path}.{high}, which is {most}"
        ),
        field: format!("{path}.{low}"),
    })
}

fn unsupported(spec: &PolicySpec) -> Vec<String> {
    let withheld = spec.withholding().into_iter().map(|it| {
        format!("spec.{it} is not supported yet, so this policy places nothing while it is set")
    });
    let ignored = spec.unsupported().into_iter();
    withheld
        .chain(ignored.map(|it| format!("spec.{it} is stored, and nothing acts on it yet")))
        .collect()
}

fn selects_something(policy: Policy, cache: &Cache) -> bool {
    let selectors = &policy.spec.resource_selectors;
    let kinds: BTreeSet<String> = selectors.iter().map(|it| it.kind.clone()).collect();
    let index = PolicyIndex::new(vec![policy]);
    let keys = cache.keys(|id| kinds.contains("*") || kinds.contains(&id.1));
    keys.iter().filter(|it| bindings::may_be_template(it)).any(|key| {
        let Some(object) = cache.value(key) else { return false };
        let labels = policies::labels(&object);
        index.select(&policies::template(&object, &labels)).is_some()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_names_its_field_and_what_is_allowed() {
        let spec = json!({"resourceSelectors": [{"apiVersion": "v1", "kind": "ConfigMap",
            "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Foo"}]}}]});
        let cause = read(Some(&spec)).expect_err("no such operator");
        let field = "spec.resourceSelectors[0].labelSelector.matchExpressions[0].operator";
        assert_eq!(cause.field, field);
        let allowed = "expected one of `In`, `NotIn`, `Exists`, `DoesNotExist`";
        assert!(cause.message.contains(allowed), "{}", cause.message);
    }

    #[test]
    fn what_is_not_acted_on_is_warned_of() {
        let spec = json!({"suspension": {"dispatching": true}, "failover": {"application": {}}});
        let said = unsupported(&read(Some(&spec)).expect("a spec"));
        assert_eq!(
            said,
            [
                "spec.suspension.dispatching is not supported yet, so this policy places nothing \
                 while it is set",
                "spec.failover.application is stored, and nothing acts on it yet",
            ]
        );
    }

    #[track_caller]
    fn check_kind(operation: Operation, kind: &str, want: &str) {
        let said = about_kind(operation, &(policies::GROUP.into(), kind.into()));
        assert!(said.as_ref().map_or(want.is_empty(), |it| it.contains(want)), "{said:?}");
        assert_eq!(about_kind(operation, &("apps".into(), "Deployment".into())), None);
    }

    #[test]
    fn kinds_that_nothing_acts_on_and_policies_that_go_are_warned_of() {
        let ignored = "is stored, and nothing acts on it yet";
        for kind in ["OverridePolicy", "ClusterOverridePolicy", "ClusterTaintPolicy"] {
            check_kind(Operation::Create, kind, ignored);
            check_kind(Operation::Update, kind, ignored);
            check_kind(Operation::Delete, kind, "");
        }
        for kind in ["PropagationPolicy", "ClusterPropagationPolicy"] {
            check_kind(Operation::Update, kind, "");
            check_kind(Operation::Delete, kind, "keeps running where it is");
        }
    }

    #[test]
    fn a_name_that_no_member_may_have_is_refused() {
        let named = |name: &str| misnamed(&json!({"metadata": {"name": name}}));
        assert!(named("eu-1").is_none());
        let cause = named("eu.1").expect("a dot");
        assert_eq!(cause.field, "metadata.name");
        assert!(cause.message.starts_with("Invalid value: \"eu.1\": a lowercase RFC 1123 label"));
    }

    #[track_caller]
    fn check(spec: &Value, want: &[&str]) {
        let causes = [crossed_bounds(spec), crossed_groups(spec)].concat();
        let said: Vec<String> =
            causes.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
        assert_eq!(said, want);
    }

    #[test]
    fn bounds_that_cross_are_refused_with_both_fields() {
        check(&json!({"minAvailable": 3, "maxAvailable": 3, "minPods": 9}), &[]);
        check(
            &json!({"minAvailable": 3, "maxAvailable": 2, "minPods": 9, "maxPods": 8}),
            &[
                "spec.minAvailable: Invalid value: 3: may not be more than spec.maxAvailable, \
                 which is 2",
                "spec.minPods: Invalid value: 9: may not be more than spec.maxPods, which is 8",
            ],
        );
        let groups = |least: u32, most: u32| json!({"minGroups": least, "maxGroups": most});
        let spread = [groups(2, 2), groups(3, 0), json!({"minGroups": 4}), groups(3, 2)];
        check(
            &json!({"placement": {"spreadConstraints": spread}}),
            &["spec.placement.spreadConstraints[3].minGroups: Invalid value: 3: may not be more \
               than spec.placement.spreadConstraints[3].maxGroups, which is 2"],
        );
    }
}
