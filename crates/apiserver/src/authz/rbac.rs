//! Roles and bindings in memory, found by who they are for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use super::{Authorizer, Decision, Rule};
use crate::{request::RequestInfo, user::User};

pub const GROUP: &str = "rbac.authorization.k8s.io";

/// Role based access control: what no role allows is denied, `system:masters` may do all.
///
/// Feed it every Role, ClusterRole, RoleBinding and ClusterRoleBinding with [`Rbac::put`] and
/// [`Rbac::remove`]. Clones share one index.
#[derive(Clone, Debug, Default)]
pub struct Rbac {
    index: Arc<RwLock<Index>>,
}

/// A namespace, `""` for cluster-wide, and a name.
type Key = (String, String);

#[derive(Debug, Default)]
struct Index {
    roles: BTreeMap<Key, Role>,
    /// Rules of ClusterRoles that are made of others.
    aggregated: BTreeMap<String, Arc<[Rule]>>,
    bindings: BTreeMap<Key, Binding>,
    by_subject: BTreeMap<(String, Subject), BTreeSet<String>>,
}

#[derive(Debug)]
struct Role {
    rules: Arc<[Rule]>,
    labels: Value,
    /// `aggregationRule.clusterRoleSelectors`
    selectors: Vec<Value>,
}

#[derive(Debug)]
struct Binding {
    subjects: BTreeSet<Subject>,
    role_is_cluster: bool,
    role: String,
}

/// A ServiceAccount is the user `system:serviceaccount:<namespace>:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    User(String),
    Group(String),
}

/// One binding that gives a user rules.
struct Grant<'a> {
    namespace: &'a str,
    name: &'a str,
    binding: &'a Binding,
    subject: &'a Subject,
    rules: Option<&'a Arc<[Rule]>>,
}

impl Rbac {
    /// A role or binding as it is now. Other kinds are passed over.
    pub fn put(&self, object: &Value) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let key = key_of(object);
        match object["kind"].as_str().unwrap_or_default() {
            "Role" | "ClusterRole" => {
                index.roles.insert(key, Role::read(object));
                index.aggregate();
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                index.unbind(&key);
                index.bind(key, Binding::read(object));
            }
            _ => {}
        }
    }

    /// A role or binding that is gone. `namespace` is empty for the cluster-wide kinds.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            "Role" | "ClusterRole" => {
                index.roles.remove(&key);
                index.aggregate();
            }
            "RoleBinding" | "ClusterRoleBinding" => index.unbind(&key),
            _ => {}
        }
    }

    /// The rules of a role, those it aggregates included; `None` when there is no such role.
    pub fn role_rules(&self, namespace: &str, name: &str) -> Option<Arc<[Rule]>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.rules_of(namespace, name).cloned()
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, user: &User, info: &RequestInfo) -> Decision {
        if user.is_master() {
            return Decision { allowed: true, reason: String::new() };
        }
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let namespace = info.namespace.as_deref().unwrap_or_default();
        let mut missing = Vec::new();
        for grant in index.grants(user, namespace) {
            match grant.rules {
                Some(rules) if rules.iter().any(|it| it.allows(info)) => {
                    return Decision { allowed: true, reason: grant.reason() };
                }
                Some(_) => {}
                None => missing.push(grant.no_role()),
            }
        }
        let reason = match missing.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        };
        Decision { allowed: false, reason }
    }

    fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let all = || vec!["*".to_owned()];
        if user.is_master() {
            let resources =
                Rule { verbs: all(), groups: all(), resources: all(), ..Rule::default() };
            return vec![resources, Rule { verbs: all(), urls: all(), ..Rule::default() }];
        }
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let grants = index.grants(user, namespace);
        grants.filter_map(|it| it.rules).flat_map(|it| it.iter().cloned()).collect()
    }
}

impl Index {
    /// The bindings of a user: cluster-wide ones, then those of the namespace.
    fn grants<'a>(&'a self, user: &User, namespace: &'a str) -> impl Iterator<Item = Grant<'a>> {
        let groups = user.groups.iter().cloned().map(Subject::Group);
        let subjects: Vec<Subject> =
            std::iter::once(Subject::User(user.name.clone())).chain(groups).collect();
        let places = ["", namespace].into_iter().take(if namespace.is_empty() { 1 } else { 2 });
        let keys = places.flat_map(move |place| {
            subjects.clone().into_iter().map(move |it| (place.to_owned(), it))
        });
        keys.filter_map(|key| self.by_subject.get_key_value(&key)).flat_map(
            move |((place, subject), names)| {
                names.iter().filter_map(move |name| {
                    let binding = self.bindings.get(&(place.clone(), name.clone()))?;
                    let of = if binding.role_is_cluster { "" } else { place };
                    let rules = self.rules_of(of, &binding.role);
                    Some(Grant { namespace: place, name, binding, subject, rules })
                })
            },
        )
    }

    fn rules_of(&self, namespace: &str, name: &str) -> Option<&Arc<[Rule]>> {
        let role = self.roles.get(&(namespace.to_owned(), name.to_owned()))?;
        match role.selectors.as_slice() {
            [] => Some(&role.rules),
            _ => self.aggregated.get(name),
        }
    }

    /// Aggregating roles may aggregate each other, so rounds go on until nothing is new.
    fn aggregate(&mut self) {
        let cluster = || self.roles.iter().filter(|((namespace, _), _)| namespace.is_empty());
        let made: Vec<_> = cluster().filter(|(_, role)| !role.selectors.is_empty()).collect();
        let mut sets: BTreeMap<&str, BTreeSet<Rule>> = BTreeMap::new();
        loop {
            let before: usize = sets.values().map(BTreeSet::len).sum();
            for ((_, name), role) in &made {
                let mut rules = sets.get(name.as_str()).cloned().unwrap_or_default();
                let parts = cluster().filter(|((_, other), part)| {
                    other != name && role.selectors.iter().any(|it| selects(it, &part.labels))
                });
                for ((_, other), part) in parts {
                    match sets.get(other.as_str()) {
                        Some(theirs) => rules.extend(theirs.iter().cloned()),
                        None => rules.extend(part.rules.iter().cloned()),
                    }
                }
                sets.insert(name, rules);
            }
            if sets.values().map(BTreeSet::len).sum::<usize>() == before {
                break;
            }
        }
        self.aggregated = sets
            .into_iter()
            .map(|(name, rules)| (name.to_owned(), rules.into_iter().collect()))
            .collect();
    }

    fn bind(&mut self, key: Key, binding: Binding) {
        for subject in &binding.subjects {
            let names = self.by_subject.entry((key.0.clone(), subject.clone())).or_default();
            names.insert(key.1.clone());
        }
        self.bindings.insert(key, binding);
    }

    fn unbind(&mut self, key: &Key) {
        let Some(binding) = self.bindings.remove(key) else { return };
        for subject in binding.subjects {
            let at = (key.0.clone(), subject);
            if let Some(names) = self.by_subject.get_mut(&at) {
                names.remove(&key.1);
                if names.is_empty() {
                    self.by_subject.remove(&at);
                }
            }
        }
    }
}

impl Role {
    fn read(object: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Self {
            rules: list(&object["rules"]).iter().map(Rule::read).collect(),
            labels: object["metadata"]["labels"].clone(),
            selectors: list(&object["aggregationRule"]["clusterRoleSelectors"]),
        }
    }
}

impl Binding {
    fn read(object: &Value) -> Self {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let subjects = object["subjects"].as_array().into_iter().flatten();
        Self {
            subjects: subjects.filter_map(|it| Subject::read(it, namespace)).collect(),
            role_is_cluster: object["roleRef"]["kind"] == "ClusterRole",
            role: object["roleRef"]["name"].as_str().unwrap_or_default().into(),
        }
    }
}

impl Subject {
    fn read(subject: &Value, namespace: &str) -> Option<Self> {
        let name = subject["name"].as_str()?.to_owned();
        match subject["kind"].as_str()? {
            "User" => Some(Self::User(name)),
            "Group" => Some(Self::Group(name)),
            "ServiceAccount" => {
                let namespace = subject["namespace"].as_str().unwrap_or(namespace);
                Some(Self::User(format!("system:serviceaccount:{namespace}:{name}")))
            }
            _ => None,
        }
    }
}

impl Grant<'_> {
    fn role_kind(&self) -> &'static str {
        if self.binding.role_is_cluster { "ClusterRole" } else { "Role" }
    }

    fn reason(&self) -> String {
        let binding = match self.namespace {
            "" => format!("ClusterRoleBinding {:?}", self.name),
            namespace => format!("RoleBinding \"{}/{namespace}\"", self.name),
        };
        let subject = match self.subject {
            Subject::User(name) => format!("User {name:?}"),
            Subject::Group(name) => format!("Group {name:?}"),
        };
        let kind = self.role_kind();
        format!("RBAC: allowed by {binding} of {kind} {:?} to {subject}", self.binding.role)
    }

    fn no_role(&self) -> String {
        let kind = self.role_kind().to_ascii_lowercase();
        format!("{kind}.{GROUP} {:?} not found", self.binding.role)
    }
}

fn key_of(object: &Value) -> Key {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

/// A LabelSelector against labels; one that says nothing selects all.
fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let terms = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && terms.into_iter().all(|term| {
            let found = labels.get(term["key"].as_str().unwrap_or_default());
            let listed = || {
                let values = term["values"].as_array().into_iter().flatten();
                found.is_some_and(|it| values.into_iter().any(|value| value == it))
            };
            match term["operator"].as_str() {
                Some("In") => listed(),
                Some("NotIn") => !listed(),
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}
