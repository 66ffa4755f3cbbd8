//! Roles and bindings.

use serde_json::Value;

use super::causes::{Causes, list, text};
use crate::schema::path::Path;

const GROUP: &str = "rbac.authorization.k8s.io";

pub fn validate(kind: &str, object: &Value, causes: &mut Causes) {
    match kind {
        "Role" | "ClusterRole" => rules(object, kind == "Role", causes),
        "RoleBinding" | "ClusterRoleBinding" => binding(object, kind == "RoleBinding", causes),
        _ => {}
    }
}

fn rules(object: &Value, namespaced: bool, causes: &mut Causes) {
    let path = Path::Root.field("rules");
    for (index, rule) in list(object, "rules").iter().enumerate() {
        let path = path.index(index);
        if list(rule, "verbs").is_empty() {
            causes.required(&path.field("verbs"), "");
        }
        let urls = list(rule, "nonResourceURLs");
        if !urls.is_empty() {
            let at = path.field("nonResourceURLs");
            let value = &rule["nonResourceURLs"];
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                causes.invalid(&at, value, why);
            } else if !list(rule, "apiGroups").is_empty() || !list(rule, "resources").is_empty() {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                causes.invalid(&at, value, why);
            }
            continue;
        }
        if list(rule, "apiGroups").is_empty() {
            let why = "resource rules must supply at least one api group";
            causes.required(&path.field("apiGroups"), why);
        }
        if list(rule, "resources").is_empty() {
            let why = "resource rules must supply at least one resource";
            causes.required(&path.field("resources"), why);
        }
    }
}

fn binding(object: &Value, namespaced: bool, causes: &mut Causes) {
    let role = &object["roleRef"];
    let path = Path::Root.field("roleRef");
    if text(role, "apiGroup") != GROUP {
        causes.unsupported(&path.field("apiGroup"), &role["apiGroup"], &[GROUP]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(role, "kind")) {
        causes.unsupported(&path.field("kind"), &role["kind"], kinds);
    }
    if text(role, "name").is_empty() {
        causes.required(&path.field("name"), "");
    }
    let subjects = Path::Root.field("subjects");
    for (index, subject) in list(object, "subjects").iter().enumerate() {
        let path = subjects.index(index);
        if text(subject, "name").is_empty() {
            causes.required(&path.field("name"), "");
        }
        match text(subject, "kind") {
            "ServiceAccount" => {
                if text(subject, "namespace").is_empty() && !namespaced {
                    causes.required(&path.field("namespace"), "");
                }
            }
            "User" | "Group" => {
                if text(subject, "apiGroup") != GROUP {
                    causes.unsupported(&path.field("apiGroup"), &subject["apiGroup"], &[GROUP]);
                }
            }
            _ => {
                let kinds = ["ServiceAccount", "User", "Group"];
                causes.unsupported(&path.field("kind"), &subject["kind"], &kinds);
            }
        }
    }
}
