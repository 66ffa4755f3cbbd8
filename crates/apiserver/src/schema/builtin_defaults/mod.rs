//! Defaults of built-in kinds, as kube-apiserver sets them when it decodes.
//!
//! One file for each family of kinds; `pod` serves every kind that has a pod
//! template. What admission or allocators add (addresses, tolerations, tokens)
//! is not here: on a fleet's hub that is up to the members. Checked against what
//! a real server made of the same objects (`schema::golden`).

mod admission;
mod apps;
mod autoscaling;
mod batch;
mod core;
mod networking;
mod pod;
mod rbac;
mod service;
mod storage;
#[cfg(test)]
mod tests;
mod volumes;

use serde_json::{Value, json};

/// Sets the defaults of `kind`; twice is once.
pub fn apply(api_version: &str, kind: &str, object: &mut Value) {
    let group = api_version.rsplit_once('/').map_or("", |it| it.0);
    match (group, kind) {
        ("", _) => core::apply(kind, object),
        ("apps", _) => apps::apply(kind, object),
        ("batch", _) => batch::apply(kind, object),
        ("autoscaling", _) => autoscaling::apply(api_version, kind, object),
        ("networking.k8s.io" | "discovery.k8s.io", _) => networking::apply(kind, object),
        ("rbac.authorization.k8s.io", _) => rbac::apply(kind, object),
        ("storage.k8s.io", _) => storage::apply(kind, object),
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io" | "apiextensions.k8s.io", _) => {
            admission::apply(kind, object);
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            set(object, "preemptionPolicy", "PreemptLowerPriority");
        }
        _ => {}
    }
}

/// Sources of a volume that are set.
pub(crate) fn volume_sources(volume: &Value) -> Vec<&'static str> {
    volumes::sources(volume)
}

/// Sets a field of an object that has none.
fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    let Some(map) = object.as_object_mut() else { return };
    let known = map.entry(field).or_insert(Value::Null);
    if known.is_null() {
        *known = value.into();
    }
}

/// As [`set`], also where the field is empty.
fn set_text(object: &mut Value, field: &str, value: &str) {
    if text(object, field).is_empty() {
        let Some(map) = object.as_object_mut() else { return };
        map.insert(field.to_owned(), value.into());
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn has(object: &Value, field: &str) -> bool {
    object.get(field).is_some_and(|it| !it.is_null())
}

/// The fields of an object that is there, for as long as the path goes.
fn inner<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    let found = path.iter().try_fold(object, |at, step| at.get_mut(step))?;
    found.is_object().then_some(found)
}

/// The items of a list, none where there is no list.
fn items<'a>(object: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn empty() -> Value {
    json!({})
}
