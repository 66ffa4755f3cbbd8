//! Nobody hands out more rights than they hold.

use serde_json::Value;

use super::{Authorizer, Rbac, Rule, rbac::GROUP};
use crate::{request::RequestInfo, status::Failure, user::User};

/// A write of a role or binding, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct RoleWrite<'a> {
    pub user: &'a User,
    /// `roles`, `clusterroles`, `rolebindings` or `clusterrolebindings`.
    pub resource: &'a str,
    /// Empty for the cluster-wide kinds.
    pub namespace: &'a str,
    pub name: &'a str,
    pub object: &'a Value,
    /// Null for a creation.
    pub old: &'a Value,
}

/// The check over an index of roles.
#[derive(Clone, Debug)]
pub struct NoEscalation {
    pub rbac: Rbac,
}

impl NoEscalation {
    /// 403 when the writer holds neither the rights given away nor `escalate` or `bind`.
    pub fn check(&self, write: &RoleWrite) -> Result<(), Failure> {
        if write.user.is_master() {
            return Ok(());
        }
        match write.resource {
            "roles" | "clusterroles" => self.check_role(write),
            "rolebindings" | "clusterrolebindings" => self.check_binding(write),
            _ => Ok(()),
        }
    }

    fn check_role(&self, write: &RoleWrite) -> Result<(), Failure> {
        let same = |key: &str| write.object[key] == write.old[key];
        if !write.old.is_null() && same("rules") && same("aggregationRule") {
            return Ok(());
        }
        if self.may(write, "escalate", write.resource, write.name) {
            return Ok(());
        }
        let mut rules = rules_in(write.object);
        if !write.object["aggregationRule"].is_null() && !same("aggregationRule") {
            // What it will come to hold is anyone's to say, so it counts as everything.
            rules.extend(everything());
        }
        self.holds_all(write, &rules)
    }

    fn check_binding(&self, write: &RoleWrite) -> Result<(), Failure> {
        let same = |key: &str| write.object[key] == write.old[key];
        if !write.old.is_null() && same("roleRef") && same("subjects") {
            return Ok(());
        }
        let role = &write.object["roleRef"];
        let name = role["name"].as_str().unwrap_or_default();
        let (resource, namespace) = match role["kind"].as_str() {
            Some("ClusterRole") => ("clusterroles", ""),
            _ => ("roles", write.namespace),
        };
        if self.may(write, "bind", resource, name) {
            return Ok(());
        }
        let rules = self
            .rbac
            .role_rules(namespace, name)
            .ok_or_else(|| Failure::not_found(GROUP, resource, name))?;
        self.holds_all(write, &rules)
    }

    fn may(&self, write: &RoleWrite, verb: &str, resource: &str, name: &str) -> bool {
        let info = RequestInfo {
            is_resource: true,
            verb: verb.into(),
            group: GROUP.into(),
            version: "v1".into(),
            resource: resource.into(),
            name: Some(name.into()),
            namespace: (!write.namespace.is_empty()).then(|| write.namespace.into()),
            ..RequestInfo::default()
        };
        self.rbac.authorize(write.user, &info).allowed
    }

    fn holds_all(&self, write: &RoleWrite, rules: &[Rule]) -> Result<(), Failure> {
        let held = self.rbac.rules(write.user, write.namespace);
        let missing: Vec<String> = rules
            .iter()
            .flat_map(Rule::pieces)
            .filter(|piece| !held.iter().any(|it| it.covers(piece)))
            .map(|it| it.to_string())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = write.user.groups.iter().map(|it| format!("{it:?}")).collect();
        Err(Failure::forbidden(format!(
            "{}.{GROUP} {:?} is forbidden: user {:?} (groups=[{}]) is attempting to grant RBAC \
             permissions not currently held:\n{}",
            write.resource,
            write.name,
            write.user.name,
            groups.join(" "),
            missing.join("\n")
        )))
    }
}

fn rules_in(role: &Value) -> Vec<Rule> {
    role["rules"].as_array().into_iter().flatten().map(Rule::read).collect()
}

fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    [
        Rule { verbs: all(), groups: all(), resources: all(), ..Rule::default() },
        Rule { verbs: all(), urls: all(), ..Rule::default() },
    ]
}
