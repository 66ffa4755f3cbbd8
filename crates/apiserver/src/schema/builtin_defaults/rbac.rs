//! Role bindings.

use serde_json::Value;

use super::{inner, items, set_text, text};

const GROUP: &str = "rbac.authorization.k8s.io";

pub fn apply(kind: &str, object: &mut Value) {
    if !matches!(kind, "RoleBinding" | "ClusterRoleBinding") {
        return;
    }
    if let Some(role) = inner(object, &["roleRef"]) {
        set_text(role, "apiGroup", GROUP);
    }
    for subject in items(object, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            set_text(subject, "apiGroup", GROUP);
        }
    }
}
