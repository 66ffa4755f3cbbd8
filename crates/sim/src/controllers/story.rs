//! What events tell of what was done, in Kubernetes' words. Pure.

use kogge_member::object;
use serde_json::Value;

use super::{
    Effect,
    kind::{Key, Kind},
    pods::replicas,
    world::World,
};

/// An event about the object whose rules asked for an effect; the name of what was made or taken
/// stands in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Story {
    pub reason: &'static str,
    before: String,
    name: String,
    after: String,
}

impl Story {
    /// `made` is the name of what was made, where it is known only now.
    pub fn message(&self, made: &str) -> String {
        let name = if self.name.is_empty() { made } else { &self.name };
        format!("{}{name}{}", self.before, self.after)
    }
}

/// Of an effect that is about to be carried out; `None` for what is not worth an event.
pub(super) fn of(world: &World, key: &Key, effect: &Effect) -> Option<Story> {
    let story = |reason, before: &str, name: &str, after: &str| {
        let (before, name, after) = (before.to_owned(), name.to_owned(), after.to_owned());
        Some(Story { reason, before, name, after })
    };
    let in_set = format!(" in StatefulSet {} successful", key.name);
    match (key.kind, effect) {
        (Kind::Deployment, Effect::Create { kind: Kind::ReplicaSet, object: set }) => {
            scaled(object::name(set), 0, replicas(set))
        }
        (Kind::Deployment, Effect::Patch { key: set, patch, .. })
            if set.kind == Kind::ReplicaSet =>
        {
            let from = world.get(set).map_or(0, replicas);
            scaled(&set.name, from, patch["spec"]["replicas"].as_i64()?)
        }
        (Kind::StatefulSet, Effect::Create { kind: Kind::Pod, .. }) => {
            story("SuccessfulCreate", "create Pod ", "", &in_set)
        }
        (Kind::StatefulSet, Effect::Delete(pod)) if pod.kind == Kind::Pod => {
            story("SuccessfulDelete", "delete Pod ", &pod.name, &in_set)
        }
        (_, Effect::Create { kind: Kind::Pod, .. }) => {
            story("SuccessfulCreate", "Created pod: ", "", "")
        }
        (Kind::ReplicaSet | Kind::DaemonSet | Kind::Job, Effect::Delete(pod))
            if pod.kind == Kind::Pod =>
        {
            story("SuccessfulDelete", "Deleted pod: ", &pod.name, "")
        }
        (Kind::CronJob, Effect::Create { kind: Kind::Job, .. }) => {
            story("SuccessfulCreate", "Created job ", "", "")
        }
        (Kind::Job, Effect::Patch { subresource: Some(_), patch, .. }) => ended(patch),
        _ => None,
    }
}

fn scaled(set: &str, from: i64, to: i64) -> Option<Story> {
    let way = if from < to { "up" } else { "down" };
    (from != to).then(|| Story {
        reason: "ScalingReplicaSet",
        before: format!("Scaled {way} replica set "),
        name: set.to_owned(),
        after: format!(" from {from} to {to}"),
    })
}

/// A Job is over once.
fn ended(patch: &Value) -> Option<Story> {
    let conditions = patch["status"]["conditions"].as_array()?;
    let complete = conditions.iter().any(|it| it["type"] == "Complete");
    complete.then(|| Story {
        reason: "Completed",
        before: "Job completed".to_owned(),
        name: String::new(),
        after: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(kind: Kind, effect: &Effect, want: Option<(&str, &str)>) {
        let mut world = World::default();
        let set =
            json!({"metadata": {"name": "web-1", "namespace": "shop"}, "spec": {"replicas": 3}});
        world.set(Kind::ReplicaSet, set);
        let story = of(&world, &Key::new(kind, "shop", "it"), effect);
        let said = story.as_ref().map(|it| (it.reason, it.message("it-7")));
        assert_eq!(said.as_ref().map(|(reason, it)| (*reason, it.as_str())), want);
    }

    #[test]
    fn what_is_done_is_told_in_kubernetes_words() {
        let key = |kind| Key::new(kind, "shop", "web-1");
        let create = |kind| Effect::Create { kind, object: json!({}) };
        let resize = |to: i64| Effect::Patch {
            key: key(Kind::ReplicaSet),
            subresource: None,
            patch: json!({"spec": {"replicas": to}}),
        };
        let scaled = |it| Some(("ScalingReplicaSet", it));
        let (up, down) = (
            "Scaled up replica set web-1 from 3 to 4",
            "Scaled down replica set web-1 from 3 to 0",
        );
        check(Kind::Deployment, &resize(4), scaled(up));
        check(Kind::Deployment, &resize(0), scaled(down));
        check(Kind::Deployment, &resize(3), None);
        let made = |it| Some(("SuccessfulCreate", it));
        check(Kind::ReplicaSet, &create(Kind::Pod), made("Created pod: it-7"));
        check(Kind::CronJob, &create(Kind::Job), made("Created job it-7"));
        let pod = "create Pod it-7 in StatefulSet it successful";
        check(Kind::StatefulSet, &create(Kind::Pod), made(pod));
        check(Kind::StatefulSet, &create(Kind::PersistentVolumeClaim), None);
        let gone = Effect::Delete(key(Kind::Pod));
        check(Kind::DaemonSet, &gone, Some(("SuccessfulDelete", "Deleted pod: web-1")));
    }
}
