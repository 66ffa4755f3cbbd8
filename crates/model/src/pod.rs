//! What the planners know of a pod. The part that decides where it fits is shared behind an `Arc`.

use crate::{
    Error, Labels, NodeSelectorTerm, PodAffinityTerm, ResourceName, Resources, Spread, Toleration,
    labels_of,
};
use serde_json::Value;
use std::sync::Arc;

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Not yet running.
    #[default]
    Pending,
    /// Running, or not heard of.
    Running,
    /// Over, well or not.
    Finished,
}

/// The controller among the owner references.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What decides where a pod fits.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodSpec {
    /// What it asks for, one `pods` included.
    pub requests: Resources,
    /// `nodeSelector`.
    pub node_selector: Labels,
    /// Required node affinity: one of the terms must match. `None` when there is none.
    pub node_affinity: Option<Vec<NodeSelectorTerm>>,
    /// Required affinity to pods.
    pub pod_affinity: Vec<PodAffinityTerm>,
    /// Required anti-affinity to pods.
    pub pod_anti_affinity: Vec<PodAffinityTerm>,
    /// Tolerations.
    pub tolerations: Vec<Toleration>,
    /// `DoNotSchedule` spread constraints.
    pub spread: Vec<Spread>,
    /// Host ports: port, protocol, address (empty is every address).
    pub host_ports: Vec<(i64, String, String)>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// The controller that would make it anew.
    pub owner: Option<Owner>,
    /// What decides where it fits; `Arc`, so that copies are cheap.
    pub spec: Arc<PodSpec>,
    /// `spec.priority`.
    pub priority: i64,
    /// Where it is in its life.
    pub phase: Phase,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// Its `Ready` condition is True.
    pub ready: bool,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// A static pod that the kubelet owns.
    pub mirror: bool,
    /// `cluster-autoscaler.kubernetes.io/safe-to-evict`.
    pub safe_to_evict: Option<bool>,
    /// It keeps data in hostPath or a disk-backed emptyDir.
    pub local_storage: bool,
    /// Claims by name; whether they are bound is not known here.
    pub claims: Vec<String>,
}

impl Pod {
    /// Reads a `v1.Pod`.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        let meta = &v["metadata"];
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let annotations = labels_of(&meta["annotations"]);
        let volumes = || v["spec"]["volumes"].as_array().into_iter().flatten();
        Ok(Self {
            namespace: text(&meta["namespace"]),
            name: text(&meta["name"]),
            uid: text(&meta["uid"]),
            labels: labels_of(&meta["labels"]),
            owner: owner_of(meta),
            spec: Arc::new(PodSpec::from_value(&v["spec"]).map_err(|e| e.within("spec"))?),
            priority: v["spec"]["priority"].as_i64().unwrap_or(0),
            phase: match v["status"]["phase"].as_str() {
                Some("Succeeded" | "Failed") => Phase::Finished,
                Some("Running" | "Unknown") => Phase::Running,
                _ => Phase::Pending,
            },
            node: v["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()).map(str::to_owned),
            ready: v["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|c| c["type"] == "Ready" && c["status"] == "True"),
            deleting: meta["deletionTimestamp"].is_string(),
            mirror: annotations.contains_key("kubernetes.io/config.mirror"),
            safe_to_evict: annotations
                .get("cluster-autoscaler.kubernetes.io/safe-to-evict")
                .map(|v| v == "true"),
            local_storage: volumes().any(|v| {
                v["hostPath"].is_object()
                    || (v["emptyDir"].is_object() && v["emptyDir"]["medium"] != "Memory")
            }),
            claims: volumes()
                .filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// Whether a DaemonSet made it.
    pub fn daemon(&self) -> bool {
        self.owner.as_ref().is_some_and(|o| o.kind == "DaemonSet")
    }

    /// Whether it waits for a node.
    pub fn pending(&self) -> bool {
        self.node.is_none() && self.phase != Phase::Finished && !self.deleting
    }
}

fn owner_of(meta: &Value) -> Option<Owner> {
    let owner = meta["ownerReferences"].as_array()?.iter().find(|o| o["controller"] == true)?;
    let text = |name: &str| owner[name].as_str().unwrap_or_default().to_owned();
    Some(Owner { kind: text("kind"), name: text("name"), uid: text("uid") })
}

impl PodSpec {
    /// Reads a `v1.PodSpec`, a pod's or a template's.
    pub fn from_value(spec: &Value) -> Result<Self, Error> {
        let affinity = &spec["affinity"];
        let required =
            |kind: &str| &affinity[kind]["requiredDuringSchedulingIgnoredDuringExecution"];
        let terms = &required("nodeAffinity")["nodeSelectorTerms"];
        let spread = spec["topologySpreadConstraints"].as_array().into_iter().flatten();
        let hard: Vec<_> =
            spread.filter(|s| s["whenUnsatisfiable"] != "ScheduleAnyway").cloned().collect();
        Ok(Self {
            requests: requests_of(spec)?,
            node_selector: labels_of(&spec["nodeSelector"]),
            node_affinity: terms
                .is_array()
                .then(|| read(terms, "affinity.nodeAffinity", NodeSelectorTerm::from_value))
                .transpose()?,
            pod_affinity: read(
                required("podAffinity"),
                "affinity.podAffinity",
                PodAffinityTerm::from_value,
            )?,
            pod_anti_affinity: read(
                required("podAntiAffinity"),
                "affinity.podAntiAffinity",
                PodAffinityTerm::from_value,
            )?,
            tolerations: read(&spec["tolerations"], "tolerations", Toleration::from_value)?,
            spread: read(&Value::Array(hard), "topologySpreadConstraints", Spread::from_value)?,
            host_ports: host_ports_of(spec),
        })
    }
}

fn read<T>(
    list: &Value,
    field: &str,
    one: fn(&Value) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    list.as_array().into_iter().flatten().map(|v| one(v).map_err(|e| e.within(field))).collect()
}

fn host_ports_of(spec: &Value) -> Vec<(i64, String, String)> {
    let containers = spec["containers"].as_array().into_iter().flatten();
    let ports = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
    let held = ports.filter_map(|p| {
        let port = p["hostPort"].as_i64().filter(|n| *n > 0)?;
        let address = p["hostIP"].as_str().filter(|a| *a != "0.0.0.0").unwrap_or_default();
        Some((port, p["protocol"].as_str().unwrap_or("TCP").to_owned(), address.to_owned()))
    });
    held.collect()
}

/// Containers together, or the worst moment of initialisation, whichever is more, and the overhead: init containers run
/// one after the other, beside the sidecars (init containers that restart) started before them.
fn requests_of(spec: &Value) -> Result<Resources, Error> {
    let mut sum = Resources::default();
    for container in spec["containers"].as_array().into_iter().flatten() {
        sum.add(&asked(container)?);
    }
    let (mut sidecars, mut peak) = (Resources::default(), Resources::default());
    for init in spec["initContainers"].as_array().into_iter().flatten() {
        let mut moment = asked(init)?;
        if init["restartPolicy"] == "Always" {
            sidecars.add(&moment);
            moment = sidecars.clone();
        } else {
            moment.add(&sidecars);
        }
        peak.raise_to(&moment);
    }
    sum.add(&sidecars);
    sum.raise_to(&peak);
    for (name, amount) in asked(spec)?.iter() {
        sum.set(&name, amount);
    }
    sum.add(&Resources::from_value(&spec["overhead"]).map_err(|e| e.within("overhead"))?);
    sum.set(&ResourceName::Pods, 1);
    Ok(sum)
}

/// Requests, or limits where there is no request, as the API server defaults them.
fn asked(of: &Value) -> Result<Resources, Error> {
    let field = |e: Error| e.within("resources");
    let requests = &of["resources"]["requests"];
    let mut asked = Resources::from_value(requests).map_err(field)?;
    for (name, amount) in Resources::from_value(&of["resources"]["limits"]).map_err(field)?.iter() {
        if requests[name.as_str()].is_null() {
            asked.set(&name, amount);
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_follow_the_formula_with_sidecars_and_overhead() {
        let asks = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let sidecar = json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}});
        #[track_caller]
        fn check(spec: &Value, want: i64) {
            assert_eq!(PodSpec::from_value(spec).unwrap().requests.milli_cpu(), want, "{spec}");
        }
        check(&json!({"containers": [asks("1"), asks("500m")]}), 1500);
        check(&json!({"containers": [asks("1")], "initContainers": [asks("3"), asks("2")]}), 3000);
        check(
            &json!({"containers": [asks("1")], "initContainers": [sidecar, asks("3")], "overhead": {"cpu": "100m"}}),
            4100,
        );
        check(
            &json!({"containers": [asks("1")], "initContainers": [asks("1500m"), sidecar]}),
            2000,
        );
        check(&json!({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}), 2000);
    }

    #[test]
    fn an_error_says_where() {
        let pod = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1x"}}}]}});
        assert!(
            Pod::from_value(&pod)
                .unwrap_err()
                .to_string()
                .starts_with("spec.resources.cpu: \"1x\"")
        );
    }
}
