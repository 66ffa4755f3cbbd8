//! Which objects are templates, and how templates and bindings find each other.

use kogge_api::work::BindingSpec;
use kogge_member::ObjectKey;
use kogge_placement::Placement;
use serde_json::Value;

pub(crate) const GROUP: &str = "work.karmada.io";

/// Groups whose objects steer the hub, and so never run on members.
const HUB_GROUPS: [&str; 8] = [
    GROUP,
    "policy.karmada.io",
    "cluster.karmada.io",
    "federation.k8s.io",
    "source.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io",
    "kogge.dev",
    "apiregistration.k8s.io",
];

/// Kinds that an API server keeps for itself.
const OWN_KINDS: [&str; 12] = [
    "APIService",
    "CertificateSigningRequest",
    "ClusterAutoscaler",
    "ComponentStatus",
    "ControllerRevision",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "Lease",
    "Node",
    "Pod",
    "ReplicaSet",
];

/// The roles that every API server makes for itself, beside those named `system:*`.
const OWN_ROLES: [&str; 4] = ["cluster-admin", "admin", "edit", "view"];

/// Whether a policy may select the object: not the hub's own kinds and roles, nor what lives in
/// `kube-*`.
pub(crate) fn may_be_template(key: &ObjectKey) -> bool {
    let reserved = |name: &str| name.starts_with("kube-") || name == kogge_agent::SYSTEM_NAMESPACE;
    let in_reserved = reserved(&key.namespace) || (key.kind == "Namespace" && reserved(&key.name));
    let is_own_kind = OWN_KINDS.contains(&key.kind.as_str());
    let is_own_role = key.group == "rbac.authorization.k8s.io"
        && (key.name.starts_with("system:")
            || key.kind.starts_with("Cluster") && OWN_ROLES.contains(&key.name.as_str()));
    !in_reserved && !is_own_kind && !is_own_role && !HUB_GROUPS.contains(&key.group.as_str())
}

pub(crate) fn is_binding(key: &ObjectKey) -> bool {
    key.group == GROUP && (key.kind == "ResourceBinding" || key.kind == "ClusterResourceBinding")
}

/// The binding of a template: `web-deployment`, as Karmada names it.
///
/// A kind of a group with a domain of its own has the group in the name, so that
/// two groups with one kind do not share a binding.
pub(crate) fn key_for(template: &ObjectKey) -> ObjectKey {
    let kind =
        if template.namespace.is_empty() { "ClusterResourceBinding" } else { "ResourceBinding" };
    let mut name = format!("{}-{}", template.name.replace(':', "."), template.kind.to_lowercase());
    if template.group.contains('.') && !template.group.ends_with(".k8s.io") {
        name.push('.');
        name.push_str(&template.group);
    }
    ObjectKey::new(GROUP, kind, &template.namespace, &shortened(name))
}

/// Names are at most 253 characters; a longer one ends in a hash of itself.
fn shortened(name: String) -> String {
    const LONGEST: usize = 253;
    if name.len() <= LONGEST {
        return name;
    }
    let hash = kogge_sync::canonical::hash(name.as_bytes());
    let kept: String = name.chars().take(LONGEST - 11).collect();
    format!("{kept}-{}", &hash[..10])
}

/// The template that a binding is about.
pub(crate) fn template_of(binding: &Value) -> Option<ObjectKey> {
    let resource = binding.pointer("/spec/resource")?;
    let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or("");
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    Some(ObjectKey::new(group, text("kind"), text("namespace"), text("name")))
}

/// Whether each cluster gets a number of replicas of its own.
pub(crate) fn is_divided(binding: &BindingSpec) -> bool {
    let placement = binding.placement.clone().map(serde_json::from_value::<Placement>);
    binding.replicas.is_some() && placement.is_some_and(|it| it.is_ok_and(|it| it.is_divided()))
}

/// How many replicas a template wants; none for what has no replicas.
///
/// A workload that does not say has one, as Kubernetes defaults it.
pub(crate) fn replicas(template: &Value) -> Option<u32> {
    let key = ObjectKey::of(template);
    let field = match (key.group.as_str(), key.kind.as_str()) {
        ("batch", "Job") => "/spec/parallelism",
        ("apps", "Deployment" | "StatefulSet") => "/spec/replicas",
        _ => {
            let replicas = template.pointer("/spec/replicas")?.as_u64()?;
            return u32::try_from(replicas).ok();
        }
    };
    let replicas = template.pointer(field).and_then(Value::as_u64).unwrap_or(1);
    u32::try_from(replicas).ok()
}

/// What a template's pods name: ConfigMaps, Secrets, its ServiceAccount and the like.
pub(crate) fn dependencies(template: &Value) -> Vec<ObjectKey> {
    kogge_placement::dependencies::of(template)
        .into_iter()
        .map(|it| ObjectKey::new(&it.group, &it.kind, &it.namespace, &it.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &ObjectKey, want: &str) {
        assert_eq!(key_for(template).name, want);
    }

    #[test]
    fn bindings_are_named_as_karmada_names_them() {
        check(&ObjectKey::new("apps", "Deployment", "shop", "web"), "web-deployment");
        check(
            &ObjectKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "system:x"),
            "system.x-clusterrole",
        );
        check(&ObjectKey::new("acme.io", "Deployment", "shop", "web"), "web-deployment.acme.io");
        let long = key_for(&ObjectKey::new("", "ConfigMap", "shop", &"a".repeat(250)));
        assert_eq!(long.name.len(), 253);
    }

    #[test]
    fn the_hubs_own_objects_are_no_templates() {
        assert!(may_be_template(&ObjectKey::new("apps", "Deployment", "shop", "web")));
        assert!(may_be_template(&ObjectKey::new("", "Namespace", "", "shop")));
        assert!(!may_be_template(&ObjectKey::new("", "Namespace", "", "kube-system")));
        assert!(!may_be_template(&ObjectKey::new("", "ConfigMap", "kube-public", "x")));
        assert!(!may_be_template(&ObjectKey::new("", "Event", "shop", "x")));
        assert!(!may_be_template(&ObjectKey::new(
            "policy.karmada.io",
            "PropagationPolicy",
            "shop",
            "x"
        )));
    }
}
