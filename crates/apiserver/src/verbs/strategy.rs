//! What Kubernetes does to objects of certain built-in kinds when they are written.
//!
//! A strategy looks at resources by group and plural; everything else is the same for all kinds.

use serde_json::{Value, json};

use crate::{
    crd,
    object::{self, remove_meta, set_meta},
    registry::Resource,
    status::Failure,
    user::User,
};

const CERTIFICATES: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";

/// Status is the server's; generation counts from 1; a few kinds begin with more.
pub(super) fn on_create(resource: &Resource, object: &mut Value) {
    if resource.status {
        remove(object, "status");
    }
    if has_generation(resource) {
        set_meta(object, "generation", 1);
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => {
            object["status"] = json!({"phase": "Active"});
            object["spec"]["finalizers"] = json!(["kubernetes"]);
        }
        ("", "pods") => object["status"]["phase"] = "Pending".into(),
        ("", "persistentvolumeclaims" | "persistentvolumes") => {
            object["status"]["phase"] = "Pending".into();
        }
        ("", "services") => object["status"]["loadBalancer"] = json!({}),
        _ => {}
    }
    same_always(resource, object);
}

/// Who asks for a certificate is who the server says, whatever the request says.
pub(super) fn by(resource: &Resource, object: &mut Value, user: &User) {
    if !resource.is(CERTIFICATES, REQUESTS) {
        return;
    }
    let said = [
        ("username", json!(user.name)),
        ("groups", json!(user.groups)),
        ("uid", json!(user.uid)),
        ("extra", json!(user.extra)),
    ];
    for (field, value) in said {
        object["spec"][field] = value;
    }
}

/// What holds after every write: namespaces are labelled with their name, for selectors, and
/// definitions are complete.
fn same_always(resource: &Resource, object: &mut Value) {
    own_label(resource, object);
    if crd::is_definition(resource) {
        crd::complete(object);
    }
}

fn own_label(resource: &Resource, object: &mut Value) {
    if resource.is("", "namespaces") {
        let name = object::meta(object, "name").to_owned();
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
    }
}

/// `object` is about to replace `live`, sent to the main resource: status stays as it was, and a
/// change of anything but metadata and status is a new generation.
pub(super) fn on_update(resource: &Resource, object: &mut Value, live: &Value) {
    if resource.status {
        match live.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => remove(object, "status"),
        }
    }
    // Only the finalize subresource may take a namespace's off; who asked for a certificate, and
    // for which, stays said.
    if resource.is("", "namespaces") || resource.is(CERTIFICATES, REQUESTS) {
        object["spec"] = live["spec"].clone();
    }
    same_always(resource, object);
    if !has_generation(resource) {
        match live["metadata"].get("generation") {
            Some(generation) => set_meta(object, "generation", generation.clone()),
            None => drop(remove_meta(object, "generation")),
        }
        return;
    }
    let generation = live["metadata"]["generation"].as_i64().unwrap_or(1);
    let changed = content(object, resource.status) != content(live, resource.status);
    set_meta(object, "generation", generation + i64::from(changed));
}

/// All that counts for the generation.
fn content(object: &Value, status_apart: bool) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| match key.as_str() {
            "metadata" | "apiVersion" | "kind" => false,
            "status" => !status_apart,
            _ => true,
        })
        .collect()
}

/// Kinds that count their generations: all custom ones, and these built-in ones.
pub(super) fn has_generation(resource: &Resource) -> bool {
    match resource.group.as_str() {
        "" => {
            matches!(resource.plural.as_str(), "pods" | "replicationcontrollers" | "podtemplates")
        }
        "apps" => resource.plural != "controllerrevisions",
        "batch"
        | "networking.k8s.io"
        | "policy"
        | "discovery.k8s.io"
        | "apiextensions.k8s.io"
        | "admissionregistration.k8s.io"
        | "scheduling.k8s.io"
        | "flowcontrol.apiserver.k8s.io" => true,
        _ => resource.custom,
    }
}

/// How long a deleted object is left alone: a pod that runs on a node, until the kubelet is done.
pub(super) fn grace_seconds(resource: &Resource, object: &Value, asked: Option<i64>) -> i64 {
    let finished = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let runs = object["spec"]["nodeName"].as_str().is_some_and(|it| !it.is_empty());
    if !resource.is("", "pods") || !runs || finished {
        return 0;
    }
    asked.or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30).max(0)
}

/// 403 for the namespaces that no cluster can do without.
pub(super) fn may_be_deleted(resource: &Resource, name: &str) -> Result<(), Failure> {
    let kept =
        resource.is("", "namespaces") && matches!(name, "default" | "kube-system" | "kube-public");
    if !kept {
        return Ok(());
    }
    let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
    Err(Failure::forbidden(message))
}

/// Kinds whose deletion is answered with the object, not with a Status.
pub(super) fn returns_deleted(resource: &Resource) -> bool {
    resource.group.is_empty()
        && matches!(
            resource.plural.as_str(),
            "pods"
                | "services"
                | "serviceaccounts"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "podtemplates"
                | "resourcequotas"
        )
}

fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}
