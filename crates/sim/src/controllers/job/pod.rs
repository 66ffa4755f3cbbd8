//! The pods of a Job.

use std::collections::BTreeSet;

use kogge_member::object;
use serde_json::{Value, json};

use super::{
    indexes::{self, INDEX, Indexes},
    tally::TRACKING,
};
use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    pods::{from_template, is_active},
};

/// `many` more pods; those of an indexed Job take the lowest numbers that nobody has or has had.
pub(super) fn more(
    job: &Value,
    pods: &[&Value],
    done: Option<&Indexes>,
    many: usize,
) -> Vec<Effect> {
    let made = |index: Option<i64>| Effect::Create { kind: Kind::Pod, object: pod(job, index) };
    let Some(done) = done else { return (0..many).map(|_| made(None)).collect() };
    let taken: BTreeSet<i64> =
        pods.iter().filter(|it| is_active(it)).filter_map(|it| indexes::of(it)).collect();
    let all = 0..job["spec"]["completions"].as_i64().unwrap_or(0);
    let free = all.filter(|it| !taken.contains(it) && !done.has(*it));
    free.take(many).map(|it| made(Some(it))).collect()
}

fn pod(job: &Value, index: Option<i64>) -> Value {
    let mut pod = from_template(job, &job["spec"]["template"], None);
    let (name, uid) = (object::name(job), object::uid(job));
    pod["metadata"]["finalizers"] = json!([TRACKING]);
    for prefix in ["", "batch.kubernetes.io/"] {
        pod["metadata"]["labels"][format!("{prefix}job-name")] = name.into();
        pod["metadata"]["labels"][format!("{prefix}controller-uid")] = uid.into();
    }
    if let Some(index) = index {
        pod["metadata"]["generateName"] = format!("{name}-{index}-").into();
        pod["metadata"]["labels"][INDEX] = index.to_string().into();
        pod["metadata"]["annotations"][INDEX] = index.to_string().into();
        pod["spec"]["hostname"] = format!("{name}-{index}").into();
        for list in ["containers", "initContainers"] {
            for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
                tell_index(container);
            }
        }
    }
    pod
}

fn tell_index(container: &mut Value) {
    let path = format!("metadata.labels['{INDEX}']");
    let told =
        json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}});
    match container["env"].as_array_mut() {
        Some(env) => env.push(told),
        None => container["env"] = json!([told]),
    }
}

/// Lets a pod go uncounted, or after it was counted.
pub(super) fn release(pod: &Value) -> Effect {
    let held = pod["metadata"]["finalizers"].as_array().into_iter().flatten();
    let left: Vec<&Value> = held.filter(|it| **it != TRACKING).collect();
    let left = if left.is_empty() { Value::Null } else { json!(left) };
    Effect::Patch {
        key: Key::of(Kind::Pod, pod),
        subresource: None,
        patch: json!({"metadata": {"uid": object::uid(pod), "finalizers": left}}),
    }
}
