//! DaemonSet: a pod on every node that it is meant for, all of the newest template in the end.
//!
//! Reading order: `nodes` (which nodes), `update` (what goes and comes for a new template), this
//! file.

mod nodes;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kogge_member::object;
use kogge_model::{Node, PodSpec};
use serde_json::{Value, json};

use self::{
    nodes::{Fit, fit, tolerant},
    update::{Change, Here, Strategy, step},
};
use super::{
    Effect, Plan,
    claim::claim,
    kind::{Key, Kind},
    pods::{from_template, is_active, is_available, is_finished, is_ready, next_available, status},
    revision,
    world::World,
};

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let Some(set) = world.get(key) else { return Plan::default() };
    let claimed = claim(world, Kind::Pod, set, is_active);
    if !claimed.effects.is_empty() {
        return claimed.effects.into();
    }
    if object::is_deleting(set) {
        return Plan::default();
    }
    let revisions = revision::of(world, set);
    let mut pods: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for pod in &claimed.objects {
        pods.entry(place(pod)).or_default().push(pod);
    }
    let fits = fits(world, set);
    let is_new = |it: &Value| object::label(it, revision::LABEL) == Some(revisions.hash.as_str());
    let mut plan = Plan::default();
    plan.recheck(next_available(claimed.objects.iter().copied(), set, now));
    let on = |node: &str| pods.get(node).map_or(&[][..], Vec::as_slice);
    let here: BTreeMap<&str, Here> = fits
        .iter()
        .filter(|(_, fit)| **fit == Fit::Runs)
        .map(|(node, _)| (node.as_str(), see(on(node), is_new, set, now)))
        .collect();

    plan.effects.extend(unwanted(&pods, &fits));
    for (node, change) in step(&here, Strategy::of(set, here.len())) {
        let of_kind =
            |new: bool| on(node).iter().filter(move |it| is_active(it) && is_new(it) == new);
        match change {
            Change::Make => plan
                .effects
                .push(Effect::Create { kind: Kind::Pod, object: pod(set, node, &revisions.hash) }),
            Change::DropOld => {
                plan.effects
                    .extend(of_kind(false).map(|it| Effect::Delete(Key::of(Kind::Pod, it))));
            }
        }
    }
    plan.effects.splice(0..0, revisions.effects.iter().cloned());
    let live: BTreeSet<String> = claimed
        .objects
        .iter()
        .filter_map(|it| object::label(it, revision::LABEL).map(str::to_owned))
        .collect();
    plan.effects.extend(revisions.trim(set, &live));
    let said = summary(set, &pods, &fits, &is_new, now);
    plan.effects.extend(status(key, set, &said));
    plan
}

fn fits(world: &World, set: &Value) -> BTreeMap<String, Fit> {
    let Ok(spec) = PodSpec::from_value(&tolerant(&set["spec"]["template"])) else {
        return BTreeMap::new();
    };
    let nodes = world.all(Kind::Node).filter(|it| !object::is_deleting(it));
    let nodes = nodes.filter_map(|it| Node::from_value(it).ok());
    nodes.map(|it| (it.name.clone(), fit(&spec, &it))).collect()
}

/// Pods where none is to be, finished ones, and all but the oldest of a kind on one node.
fn unwanted(pods: &BTreeMap<&str, Vec<&Value>>, fits: &BTreeMap<String, Fit>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for (node, pods) in pods {
        let no = !matches!(fits.get(*node), Some(Fit::Runs | Fit::Stays));
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut sorted: Vec<&&Value> = pods.iter().filter(|it| !object::is_deleting(it)).collect();
        sorted.sort_by_key(|it| object::text(it, "/metadata/creationTimestamp").to_owned());
        for pod in sorted {
            let double = is_active(pod)
                && !seen.insert(object::label(pod, revision::LABEL).unwrap_or_default());
            if no || is_finished(pod) || double {
                effects.push(Effect::Delete(Key::of(Kind::Pod, pod)));
            }
        }
    }
    effects
}

fn see(pods: &[&Value], is_new: impl Fn(&Value) -> bool, set: &Value, now: Timestamp) -> Here {
    let active = |new: bool| {
        pods.iter().copied().filter(move |it| is_active(it)).filter({
            let is_new = &is_new;
            move |it| is_new(it) == new
        })
    };
    let available = |new: bool| active(new).any(|it| is_available(it, set, now));
    Here {
        old: active(false).next().is_some(),
        old_available: available(false),
        new: active(true).next().is_some(),
        new_available: available(true),
        going: pods.iter().any(|it| !is_active(it)),
    }
}

fn summary(
    set: &Value,
    pods: &BTreeMap<&str, Vec<&Value>>,
    fits: &BTreeMap<String, Fit>,
    is_new: &dyn Fn(&Value) -> bool,
    now: Timestamp,
) -> Value {
    let count = |wanted: bool, is: &dyn Fn(&Value) -> bool| {
        let on =
            |node: &str| pods.get(node).into_iter().flatten().any(|it| is_active(it) && is(it));
        fits.iter()
            .filter(|(_, fit)| (**fit == Fit::Runs) == wanted)
            .filter(|(node, _)| on(node))
            .count()
    };
    let wanted = fits.values().filter(|it| **it == Fit::Runs).count();
    let available = count(true, &|it| is_available(it, set, now));
    json!({
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": count(true, &|_| true),
        "numberMisscheduled": count(false, &|_| true),
        "numberReady": count(true, &is_ready),
        "updatedNumberScheduled": count(true, is_new),
        "numberAvailable": available,
        "numberUnavailable": wanted - available.min(wanted),
        "observedGeneration": set["metadata"]["generation"],
    })
}

const PLACE: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution\
                     /nodeSelectorTerms/0/matchFields/0/values/0";

/// The node that a pod was made for, or taken in on.
fn place(pod: &Value) -> &str {
    let made_for = pod.pointer(PLACE).and_then(Value::as_str);
    made_for.unwrap_or_else(|| object::text(pod, "/spec/nodeName"))
}

fn pod(set: &Value, node: &str, hash: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut pod = from_template(set, template, None);
    pod["metadata"]["labels"][revision::LABEL] = hash.into();
    pod["metadata"]["labels"]["pod-template-generation"] =
        set["metadata"]["generation"].to_string().into();
    pod["spec"] = tolerant(template);
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let rule = &mut pod["spec"]["affinity"]["nodeAffinity"][required];
    // The node's name joins each term there is, or is the only one.
    match rule["nodeSelectorTerms"].as_array_mut() {
        Some(terms) => {
            for term in terms {
                term["matchFields"] = json!([field]);
            }
        }
        None => *rule = json!({"nodeSelectorTerms": [{"matchFields": [field]}]}),
    }
    pod
}
