//! DaemonSet: a pod on every node that its node selector matches.

use kogge_member::object;
use kogge_model::labels_of;
use serde_json::{Value, json};

use super::{
    Effect,
    pods::{count, from_template, is_active, is_ready, status},
    world::{Key, Kind, World},
};

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let Some(set) = world.get(key) else { return Vec::new() };
    let selector = labels_of(&set["spec"]["template"]["spec"]["nodeSelector"]);
    let meant = |node: &&Value| {
        let labels = labels_of(&node["metadata"]["labels"]);
        !object::is_deleting(node) && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
    };
    let nodes: Vec<&str> = world.all(Kind::Node).filter(meant).map(object::name).collect();
    let pods: Vec<&Value> = world.owned(Kind::Pod, set).filter(|it| is_active(it)).collect();
    let mut effects = Vec::new();
    if !object::is_deleting(set) {
        let missing = nodes.iter().filter(|node| !pods.iter().any(|it| place(it) == **node));
        effects
            .extend(missing.map(|node| Effect::Create { kind: Kind::Pod, object: pod(set, node) }));
        let stray = pods.iter().filter(|it| !nodes.contains(&place(it)));
        effects.extend(stray.map(|it| Effect::Delete(Key::of(Kind::Pod, it))));
    }
    let ready = count(pods.iter().copied().filter(|it| is_ready(it)));
    let wanted = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let now = json!({
        "desiredNumberScheduled": wanted, "currentNumberScheduled": pods.len(),
        "updatedNumberScheduled": pods.len(), "numberReady": ready, "numberAvailable": ready,
        "numberUnavailable": (wanted - ready).max(0), "numberMisscheduled": 0,
        "observedGeneration": set["metadata"]["generation"],
    });
    effects.extend(status(key, set, &now));
    effects
}

const PLACE: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
                     /nodeSelectorTerms/0/matchFields/0/values/0";

/// The node that a pod was made for.
fn place(pod: &Value) -> &str {
    pod.pointer(PLACE).and_then(Value::as_str).unwrap_or_default()
}

fn pod(set: &Value, node: &str) -> Value {
    let mut pod = from_template(set, &set["spec"]["template"], None);
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
    pod
}
