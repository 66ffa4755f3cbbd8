//! Which policy a template has. Asking costs a few lookups, however many policies there are.
//!
//! A `PropagationPolicy` wins over a `ClusterPropagationPolicy`; then the higher priority, then how it
//! matches (name, labels, all), then the smaller name.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::policy::{PolicySpec, ResourceSelector};

/// What is to be placed. `namespace` is empty for what has none.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    /// `None` for what has no replicas.
    pub replicas: Option<u32>,
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

impl Default for Template<'_> {
    fn default() -> Self {
        Self {
            api_version: "",
            kind: "",
            namespace: "",
            name: "",
            uid: "",
            labels: &NO_LABELS,
            replicas: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `None` for a `ClusterPropagationPolicy`.
    pub namespace: Option<String>,
    pub name: String,
    pub spec: PolicySpec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Name,
    Labels,
    All,
}

/// Smaller wins.
type Rank<'a> = (Reverse<i32>, Match, &'a str);

/// Policy and selector, by their places.
type Entry = (usize, usize);

/// Selectors of one scope, apiVersion and kind.
#[derive(Debug, Default)]
struct Bucket {
    by_name: BTreeMap<String, Vec<Entry>>,
    /// By one of the labels that they want.
    by_label: BTreeMap<String, BTreeMap<String, Vec<Entry>>>,
    others: Vec<Entry>,
}

#[derive(Debug, Default)]
pub struct PolicyIndex {
    policies: Vec<Policy>,
    /// Scope (a namespace; empty for policies of the cluster), apiVersion, kind.
    buckets: BTreeMap<(String, String, String), Bucket>,
}

const ANY: &str = "*";

impl PolicyIndex {
    pub fn new(policies: Vec<Policy>) -> Self {
        let mut order: Vec<usize> = (0..policies.len()).collect();
        // Within a list the first that matches is then the best one.
        order.sort_by_key(|&i| (Reverse(policies[i].spec.priority), &policies[i].name));
        let mut buckets: BTreeMap<(String, String, String), Bucket> = BTreeMap::new();
        for i in order {
            for (j, selector) in policies[i].spec.resource_selectors.iter().enumerate() {
                let scope = policies[i].namespace.clone().unwrap_or_default();
                let key = (scope, selector.api_version.clone(), selector.kind.clone());
                buckets.entry(key).or_default().add((i, j), selector);
            }
        }
        Self { policies, buckets }
    }

    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The policy that the template has, if any selects it.
    pub fn select(&self, template: &Template<'_>) -> Option<&Policy> {
        let namespaced = || {
            Some(template.namespace)
                .filter(|it| !it.is_empty())
                .and_then(|it| self.best(it, template))
        };
        namespaced().or_else(|| self.best("", template))
    }

    fn best(&self, scope: &str, template: &Template<'_>) -> Option<&Policy> {
        let (version, kind) = (template.api_version, template.kind);
        let mut ways = vec![(version, kind)];
        if may_match_any(template) {
            ways.extend([(version, ANY), (ANY, kind), (ANY, ANY)]);
        }
        let found = ways.into_iter().filter_map(|(version, kind)| {
            let key = (scope.to_owned(), version.to_owned(), kind.to_owned());
            self.best_in(self.buckets.get(&key)?, template)
        });
        found.min().map(|(_, i)| &self.policies[i])
    }

    fn best_in<'a>(
        &'a self,
        bucket: &'a Bucket,
        template: &Template<'_>,
    ) -> Option<(Rank<'a>, usize)> {
        let by_name = bucket.by_name.get(template.name);
        let by_label =
            template.labels.iter().filter_map(|(key, value)| bucket.by_label.get(key)?.get(value));
        let lists = by_name.into_iter().chain(by_label);
        let first = |list: &'a Vec<Entry>| list.iter().find_map(|it| self.matches(*it, template));
        let others = bucket.others.iter().filter_map(|it| self.matches(*it, template));
        // `others` mixes labels and all: of one priority labels win, so it is looked through until
        // the priority falls.
        let mut best = lists.filter_map(first).min();
        for (rank, i) in others {
            if best.as_ref().is_some_and(|it| it.0.0 < rank.0) {
                break;
            }
            best = Some(best.map_or((rank, i), |it| it.min((rank, i))));
        }
        best
    }

    fn matches(&self, (i, j): Entry, template: &Template<'_>) -> Option<(Rank<'_>, usize)> {
        let policy = &self.policies[i];
        let selector = &policy.spec.resource_selectors[j];
        let how = how_matches(selector, template)?;
        Some(((Reverse(policy.spec.priority), how, &policy.name), i))
    }
}

impl Bucket {
    fn add(&mut self, entry: Entry, selector: &ResourceSelector) {
        if !selector.name.is_empty() {
            self.by_name.entry(selector.name.clone()).or_default().push(entry);
            return;
        }
        let label = selector.label_selector.as_ref().and_then(|it| it.match_labels.iter().next());
        match label {
            Some((key, value)) => {
                let values = self.by_label.entry(key.clone()).or_default();
                values.entry(value.clone()).or_default().push(entry);
            }
            None => self.others.push(entry),
        }
    }
}

fn how_matches(selector: &ResourceSelector, template: &Template<'_>) -> Option<Match> {
    if !selector.namespace.is_empty() && selector.namespace != template.namespace {
        return None;
    }
    if !selector.name.is_empty() {
        return (selector.name == template.name).then_some(Match::Name);
    }
    match &selector.label_selector {
        Some(labels) => labels.matches(template.labels).then_some(Match::Labels),
        None => Some(Match::All),
    }
}

/// Groups whose objects steer the hub.
const HUB_GROUPS: [&str; 7] = [
    "cluster.karmada.io",
    "federation.k8s.io",
    "kogge.dev",
    "kustomize.toolkit.fluxcd.io",
    "policy.karmada.io",
    "source.toolkit.fluxcd.io",
    "work.karmada.io",
];

/// `*` is not meant for the hub's own kinds, Events, nor what lives in `kube-*`.
fn may_match_any(template: &Template<'_>) -> bool {
    let group = template.api_version.split_once('/').map_or("", |(group, _)| group);
    let of_kubernetes = template.namespace.starts_with("kube-")
        || (template.kind == "Namespace" && template.name.starts_with("kube-"));
    let own = matches!(template.kind, "Event" | "Lease" | "ClusterAutoscaler");
    !of_kubernetes && !own && !HUB_GROUPS.contains(&group)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(namespace: &str, name: &str, priority: i32, selector: &Value) -> Policy {
        let spec = json!({"priority": priority, "resourceSelectors": [selector]});
        Policy {
            namespace: Some(namespace.to_owned()).filter(|it| !it.is_empty()),
            name: name.to_owned(),
            spec: serde_json::from_value(spec).unwrap(),
        }
    }

    fn of(rest: &Value) -> Value {
        let mut selector = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
        selector.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        selector
    }

    /// Who wins over the template `shop/web`, labels `app: web`.
    #[track_caller]
    fn check(policies: &[Policy], want: &str) {
        let labels = [("app".to_owned(), "web".to_owned())].into();
        let template = Template {
            api_version: "apps/v1",
            kind: "Deployment",
            namespace: "shop",
            name: "web",
            labels: &labels,
            ..Template::default()
        };
        let reversed: Vec<Policy> = policies.iter().rev().cloned().collect();
        for policies in [policies.to_vec(), reversed] {
            let index = PolicyIndex::new(policies);
            assert_eq!(index.select(&template).map_or("", |it| &it.name), want);
        }
    }

    #[test]
    fn the_better_match_wins() {
        let all = of(&json!({}));
        let labels = of(&json!({"labelSelector": {"matchLabels": {"app": "web"}}}));
        let expression = of(
            &json!({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
        );
        let name = of(&json!({"name": "web"}));
        let any = json!({"apiVersion": "*", "kind": "*"});
        check(&[policy("", "z-cluster", 9, &name), policy("shop", "a", 0, &all)], "a");
        check(
            &[
                policy("shop", "a", 0, &all),
                policy("shop", "b", 0, &labels),
                policy("shop", "c", 0, &name),
            ],
            "c",
        );
        check(&[policy("shop", "a", 0, &all), policy("shop", "b", 0, &labels)], "b");
        check(&[policy("shop", "a", 0, &all), policy("shop", "b", 0, &expression)], "b");
        check(&[policy("shop", "a", 1, &all), policy("shop", "b", 0, &name)], "a");
        check(&[policy("shop", "b", 0, &labels), policy("shop", "a", 0, &expression)], "a");
        check(&[policy("shop", "b", 0, &all), policy("shop", "a", 0, &any)], "a");
        check(&[policy("other", "a", 0, &all)], "");
        check(&[policy("", "a", 0, &of(&json!({"namespace": "other"})))], "");
        check(&[policy("", "a", 0, &of(&json!({"namespace": "shop"})))], "a");
        check(
            &[policy(
                "",
                "a",
                0,
                &of(&json!({"name": "web", "labelSelector": {"matchLabels": {"app": "no"}}})),
            )],
            "a",
        );
        check(&[policy("", "a", 0, &of(&json!({"name": "other"})))], "");
        check(&[policy("", "a", 0, &json!({"apiVersion": "v1", "kind": "Deployment"}))], "");
        check(&[policy("", "a", 0, &json!({"apiVersion": "apps/v1", "kind": "*"}))], "a");
    }

    #[track_caller]
    fn check_any(api_version: &str, kind: &str, namespace: &str, want: bool) {
        let index =
            PolicyIndex::new(vec![policy("", "a", 0, &json!({"apiVersion": "*", "kind": "*"}))]);
        let template = Template { api_version, kind, namespace, name: "x", ..Template::default() };
        assert_eq!(index.select(&template).is_some(), want);
    }

    #[test]
    fn a_star_is_not_meant_for_what_steers_the_hub() {
        check_any("v1", "ConfigMap", "shop", true);
        check_any("v1", "Namespace", "", true);
        check_any("v1", "ConfigMap", "kube-system", false);
        check_any("v1", "Event", "shop", false);
        check_any("policy.karmada.io/v1alpha1", "PropagationPolicy", "shop", false);
        check_any("kogge.dev/v1alpha1", "NodeGroup", "", false);
        check_any("autoscaling/v1beta2", "ClusterAutoscaler", "", false);
        check_any("autoscaling/v2", "HorizontalPodAutoscaler", "shop", true);
    }
}
