//! What the planners know of a node.

use crate::{Effect, Error, Labels, Resources, Taint, labels_of};
use serde_json::Value;

/// Old and new names of the same label.
const ALIASES: [(&str, &str); 5] = [
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// Gives each well-known label its other name too, so that selectors of either age match.
pub fn add_aliases(labels: &mut Labels) {
    for (old, new) in ALIASES {
        if let Some(value) = labels.get(new).cloned() {
            labels.entry(old.to_owned()).or_insert(value);
        } else if let Some(value) = labels.get(old).cloned() {
            labels.insert(new.to_owned(), value);
        }
    }
}

/// A node, or the template of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// Labels, well-known ones under both names.
    pub labels: Labels,
    /// `metadata.annotations`.
    pub annotations: Labels,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `status.allocatable`.
    pub allocatable: Resources,
    /// Cordoned.
    pub unschedulable: bool,
    /// Its `Ready` condition is True.
    pub ready: bool,
    /// Its `Ready` condition is Unknown: its kubelet is not heard any more.
    pub lost: bool,
    /// It bears a control plane role or taint.
    pub control_plane: bool,
}

impl Node {
    /// Reads a `v1.Node`.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        const ROLES: [&str; 2] =
            ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
        let name = v["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut labels = labels_of(&v["metadata"]["labels"]);
        add_aliases(&mut labels);
        let taints = v["spec"]["taints"].as_array().into_iter().flatten();
        let taints: Vec<_> = taints
            .map(|t| Taint::from_value(t).map_err(|e| e.within("spec.taints")))
            .collect::<Result<_, _>>()?;
        let conditions = v["status"]["conditions"].as_array();
        let says_ready = |status: &str| {
            let mut all = conditions.into_iter().flatten();
            all.any(|c| c["type"] == "Ready" && c["status"] == status)
        };
        let tainted = |role: &&str| {
            taints.iter().any(|t| t.key == **role && t.effect != Effect::PreferNoSchedule)
        };
        Ok(Self {
            control_plane: ROLES.iter().any(|r| labels.contains_key(*r) || tainted(r)),
            allocatable: Resources::from_value(&v["status"]["allocatable"])
                .map_err(|e| e.within("status.allocatable"))?,
            unschedulable: v["spec"]["unschedulable"].as_bool().unwrap_or(false),
            ready: says_ready("True"),
            lost: says_ready("Unknown"),
            annotations: labels_of(&v["metadata"]["annotations"]),
            name,
            labels,
            taints,
        })
    }
}
