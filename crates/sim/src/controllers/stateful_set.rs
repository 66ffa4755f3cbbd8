//! StatefulSet: numbered pods, one after the other, with their claims.

use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    pods::{count, from_template, is_active, is_ready, replicas, status, template_hash},
    world::{Key, Kind, World},
};

const REVISION: &str = "controller-revision-hash";

pub(super) fn decide(world: &World, key: &Key) -> Vec<Effect> {
    let Some(set) = world.get(key) else { return Vec::new() };
    let pods: Vec<&Value> = world.owned(Kind::Pod, set).collect();
    let revision = format!("{}-{}", key.name, template_hash(&set["spec"]["template"]));
    let is_updated = |it: &Value| object::label(it, REVISION) == Some(revision.as_str());
    let active = || pods.iter().copied().filter(|it| is_active(it));
    let ready = count(active().filter(|it| is_ready(it)));
    let updated = count(active().filter(|it| is_updated(it)));
    let wanted = replicas(set);
    let all_updated = updated == wanted && count(active()) == wanted;
    let current = set["status"]["currentRevision"].as_str().filter(|_| !all_updated);
    let now = json!({
        "replicas": count(active()), "readyReplicas": ready, "availableReplicas": ready,
        "currentReplicas": updated, "updatedReplicas": updated,
        "updateRevision": revision, "currentRevision": current.unwrap_or(&revision),
        "observedGeneration": set["metadata"]["generation"],
    });
    let mut effects = Vec::new();
    if !object::is_deleting(set) {
        effects.extend(step(set, &pods, wanted, &revision));
    }
    effects.extend(status(key, set, &now));
    effects
}

/// The next pods to make or to take: in order, the next when the one before is ready.
fn step(set: &Value, pods: &[&Value], wanted: i64, revision: &str) -> Vec<Effect> {
    let parallel = set["spec"]["podManagementPolicy"] == "Parallel";
    let find = |name: &str| pods.iter().find(|it| object::name(it) == name).copied();
    let mut effects = Vec::new();
    for number in 0..wanted {
        let name = format!("{}-{number}", object::name(set));
        match find(&name) {
            None => {
                effects.push(Effect::Create { kind: Kind::Pod, object: pod(set, &name, revision) });
            }
            Some(pod) if is_active(pod) && is_ready(pod) => continue,
            Some(_) => {}
        }
        if !parallel {
            return effects;
        }
    }
    let number_of = |it: &Value| object::name(it).rsplit('-').next()?.parse::<i64>().ok();
    let spare = pods.iter().filter(|it| is_active(it));
    let mut spare: Vec<&&Value> =
        spare.filter(|it| number_of(it).is_some_and(|it| wanted <= it)).collect();
    spare.sort_by_key(|it| std::cmp::Reverse(number_of(it)));
    let stale = |it: &&&Value| object::label(it, REVISION) != Some(revision);
    // Outdated pods go from the last to the first, when all are ready.
    let next = spare.first().copied().or_else(|| {
        pods.iter().filter(|it| is_active(it)).filter(stale).max_by_key(|it| number_of(it))
    });
    effects.extend(next.map(|it| Effect::Delete(Key::of(Kind::Pod, it))));
    effects
}

/// The pod; a claim template becomes the name of a claim, which nobody here provides.
fn pod(set: &Value, name: &str, revision: &str) -> Value {
    let mut pod = from_template(set, &set["spec"]["template"], Some(name));
    pod["metadata"]["labels"][REVISION] = revision.into();
    pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.into();
    let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for claim in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let volume = object::name(claim);
        volumes.push(json!({"name": volume,
            "persistentVolumeClaim": {"claimName": format!("{volume}-{name}")}}));
    }
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = volumes.into();
    }
    pod
}
