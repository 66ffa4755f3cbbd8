//! What a cluster holds of what came from Git.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const KINDS: &str = "namespaces,deployments,statefulsets,services,configmaps,serviceaccounts,\
    horizontalpodautoscalers,persistentvolumeclaims,cronjobs,networkpolicies";

/// Fields of specs that a cluster fills in by itself, each time anew.
const OWN: [&str; 6] = [
    "clusterIP",
    "clusterIPs",
    "healthCheckNodePort",
    "nodePort",
    "volumeName",
    // An autoscaler's, where it is not Git's.
    "replicas",
];

/// Kind, namespace, name.
pub type Key = (String, String, String);

#[derive(Debug, PartialEq)]
pub struct Snapshot(pub BTreeMap<Key, Value>);

impl Snapshot {
    pub fn of(run: impl Fn(&[&str]) -> Result<String, String>) -> Result<Self, String> {
        let labelled = "kustomize.toolkit.fluxcd.io/name";
        let said = run(&["get", KINDS, "-A", "-l", labelled, "-o", "json"])?;
        let list: Value = serde_json::from_str(&said).map_err(|it| it.to_string())?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        Ok(Self(items.into_iter().map(|it| (key(&it), content(it))).collect()))
    }

    pub fn count(&self, namespace: &str) -> usize {
        self.0.keys().filter(|it| it.1 == namespace).count()
    }

    pub fn has_objects_of(&self, other: &Self) -> bool {
        let keys = |it: &Self| it.0.keys().cloned().collect::<BTreeSet<Key>>();
        keys(other).is_subset(&keys(self))
    }

    /// What is not as it is in `wanted`.
    pub fn differences<'a>(&self, wanted: &'a Self) -> Vec<&'a Key> {
        wanted
            .0
            .iter()
            .filter(|(key, it)| self.0.get(*key) != Some(it))
            .map(|(key, _)| key)
            .collect()
    }
}

fn key(object: &Value) -> Key {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

fn content(mut object: Value) -> Value {
    if object["kind"] == "Deployment" && object["metadata"]["name"] == "loadgenerator" {
        // Git says how many.
        let replicas = object["spec"]["replicas"].take();
        object["replicas"] = replicas;
    }
    if let Some(fields) = object.as_object_mut() {
        for field in ["metadata", "status", "apiVersion", "kind"] {
            fields.remove(field);
        }
    }
    without_own(&mut object["spec"]);
    object
}

fn without_own(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !OWN.contains(&key.as_str()));
            fields.values_mut().for_each(without_own);
        }
        Value::Array(items) => items.iter_mut().for_each(without_own),
        _ => {}
    }
}
