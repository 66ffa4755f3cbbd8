use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    decide,
    rollout::{paused, rolling},
    sets::REVISION,
};
use crate::controllers::{
    Effect, Plan,
    kind::{Key, Kind},
    pods::condition,
    world::World,
};

fn deployment(replicas: i64, surge: i64, unavailable: i64) -> Value {
    json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}})
}

fn set(replicas: i64, available: i64) -> Value {
    json!({"spec": {"replicas": replicas},
        "status": {"replicas": replicas, "availableReplicas": available}})
}

/// Plays steps in which every pod becomes available, until nothing changes.
fn settle(deployment: &Value, mut new: i64, mut old: i64) -> (i64, i64, u32) {
    for step in 0..200 {
        let (new_set, old_set) = (set(new, new), set(old, old));
        let plan = rolling(deployment, Some(&new_set), &[&old_set]);
        if plan.new == new && plan.old == [old] {
            return (new, old, step);
        }
        (new, old) = (plan.new, plan.old[0]);
    }
    (new, old, 200)
}

proptest! {
    #[test]
    fn a_rollout_keeps_its_bounds(
        wanted in 0_i64..20, surge in 0_i64..5, unavailable in 0_i64..5,
        new in 0_i64..20, new_up in 0_i64..20, old in 0_i64..20, old_up in 0_i64..20,
    ) {
        let it = deployment(wanted, surge, unavailable);
        let (new_set, old_set) = (set(new, new_up), set(old, old_up));
        let plan = rolling(&it, Some(&new_set), &[&old_set]);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        let grows = new < plan.new;
        prop_assert!(!grows || plan.new + old <= wanted + surge);
        // A status may lag: pods that were given up already are not there to count on.
        let lost = old_up.min(old) - plan.old[0].min(old_up);
        let left = new_up.min(new) + old_up.min(old) - lost.max(0);
        prop_assert!(lost <= 0 || wanted - unavailable <= left);
    }

    #[test]
    fn a_rollout_ends(
        wanted in 0_i64..20, surge in 0_i64..5, unavailable in 0_i64..5, old in 0_i64..20,
    ) {
        let (new, old, steps) = settle(&deployment(wanted, surge, unavailable), 0, old);
        prop_assert_eq!((new, old), (wanted, 0));
        prop_assert!(steps < 200);
    }
}

#[test]
fn a_paused_deployment_resizes_what_there_is() {
    let (a, b, empty) = (set(2, 2), set(2, 2), set(0, 0));
    assert_eq!(paused(&deployment(5, 1, 0), &[&empty, &a]), [0, 5]);
    assert_eq!(paused(&deployment(3, 1, 0), &[&a, &b]), [2, 2]);
    assert_eq!(paused(&deployment(8, 1, 0), &[&a, &b]), [5, 4]);
    assert_eq!(paused(&deployment(0, 1, 0), &[&a, &b]), [0, 0]);
    assert_eq!(paused(&deployment(2, 1, 0), &[]), [0; 0]);
}

const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

fn whole(image: &str, more: &Value) -> Value {
    let mut it = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "web", "generation": 1},
        "spec": {"replicas": 2, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"image": image}]}}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        it["spec"][key] = value.clone();
    }
    it
}

/// A cluster whose sets do at once what they are told.
struct Played {
    world: World,
    version: u64,
    now: Timestamp,
    works: bool,
    /// Every round is cut short after this many effects.
    most: usize,
}

impl Played {
    fn new() -> Self {
        Self { world: World::default(), version: 0, now: NOON, works: true, most: usize::MAX }
    }

    fn key() -> Key {
        Key::new(Kind::Deployment, "shop", "web")
    }

    fn put(&mut self, kind: Kind, mut it: Value) {
        self.version += 1;
        it["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.world.set(kind, it);
    }

    /// A new spec, as a user would send it.
    fn apply(&mut self, mut it: Value) {
        if let Some(known) = self.world.get(&Self::key()) {
            it["status"] = known["status"].clone();
            it["metadata"]["annotations"] = known["metadata"]["annotations"].clone();
        }
        self.put(Kind::Deployment, it);
    }

    fn settle(&mut self) {
        for _ in 0..60 {
            let Plan { effects, .. } = decide(&self.world, &Self::key(), self.now);
            if effects.is_empty() {
                return;
            }
            for effect in effects.into_iter().take(self.most) {
                self.carry_out(effect);
            }
        }
        panic!("it does not settle: {:?}", decide(&self.world, &Self::key(), self.now));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Create { kind, object: mut it } => {
                it["metadata"]["uid"] = it["metadata"]["name"].clone();
                self.put(kind, self.worked(it));
            }
            Effect::Patch { key, patch, .. } => {
                let mut it = self.world.get(&key).unwrap().clone();
                merge(&mut it, &patch);
                if key.kind == Kind::ReplicaSet {
                    it = self.worked(it);
                }
                self.put(key.kind, it);
            }
            Effect::Warn { message, .. } => panic!("{message}"),
            Effect::Delete(key) | Effect::Remove(key) => {
                let it = self.world.get(&key).unwrap().clone();
                self.world.remove(key.kind, &it);
            }
        }
    }

    fn worked(&self, mut set: Value) -> Value {
        let count = set["spec"]["replicas"].clone();
        let up = if self.works { count.clone() } else { json!(0) };
        set["status"] = json!({"replicas": count, "readyReplicas": up, "availableReplicas": up});
        set
    }

    fn deployment(&self) -> &Value {
        self.world.get(&Self::key()).unwrap()
    }

    fn progressing(&self) -> (String, String) {
        let it = condition(self.deployment(), "Progressing").unwrap();
        let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    /// Revision and replicas of each set.
    fn sets(&self) -> Vec<(String, i64)> {
        let sets = self.world.all(Kind::ReplicaSet);
        let mut sets: Vec<_> = sets
            .map(|it| {
                let revision = object::annotation(it, REVISION).unwrap_or_default().to_owned();
                (revision, it["spec"]["replicas"].as_i64().unwrap_or(-1))
            })
            .collect();
        sets.sort();
        sets
    }
}

fn merge(it: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *it = patch.clone();
        return;
    };
    for (key, value) in fields {
        merge(&mut it[key], value);
    }
}

fn pair(revision: &str, replicas: i64) -> (String, i64) {
    (revision.to_owned(), replicas)
}

#[test]
fn revisions_count_up_and_an_undone_template_gets_its_old_set_back() {
    let mut played = Played::new();
    for image in ["a", "b", "a"] {
        played.apply(whole(image, &json!({})));
        played.settle();
        assert_eq!(played.progressing(), ("True".into(), "NewReplicaSetAvailable".into()));
    }
    assert_eq!(played.sets(), [pair("2", 0), pair("3", 2)]);
    assert_eq!(object::annotation(played.deployment(), REVISION), Some("3"));
    let newest = played.world.all(Kind::ReplicaSet).find(|it| it["spec"]["replicas"] == 2).unwrap();
    let said = |key: &str| object::annotation(newest, &format!("deployment.kubernetes.io/{key}"));
    assert_eq!(said("revision-history"), Some("1"));
    assert_eq!((said("desired-replicas"), said("max-replicas")), (Some("2"), Some("3")));
}

#[test]
fn history_is_kept_up_to_its_limit() {
    let mut played = Played::new();
    for image in ["a", "b", "c"] {
        played.apply(whole(image, &json!({})));
        played.settle();
        // Sets are counted empty only when they have said so.
        for it in played.world.all(Kind::ReplicaSet).cloned().collect::<Vec<_>>() {
            played.put(Kind::ReplicaSet, it);
        }
        played.settle();
    }
    assert_eq!(played.sets(), [pair("2", 0), pair("3", 2)]);
}

#[test]
fn a_rollout_that_stands_still_is_late_in_the_end() {
    let mut played = Played::new();
    played.works = false;
    played.apply(whole("a", &json!({})));
    played.settle();
    let late = |played: &Played| decide(&played.world, &Played::key(), played.now).recheck_after;
    assert_eq!(played.progressing().0, "True");
    assert_eq!(late(&played), Some(SignedDuration::from_secs(600)));
    played.now += SignedDuration::from_secs(601);
    played.settle();
    assert_eq!(played.progressing(), ("False".into(), "ProgressDeadlineExceeded".into()));
    assert_eq!(late(&played), None);
}

#[test]
fn a_paused_deployment_rolls_only_after_it_is_resumed() {
    let mut played = Played::new();
    played.apply(whole("a", &json!({})));
    played.settle();
    played.apply(whole("b", &json!({"paused": true, "replicas": 3})));
    played.settle();
    assert_eq!(played.sets(), [pair("1", 3)]);
    assert_eq!(played.progressing(), ("Unknown".into(), "DeploymentPaused".into()));
    played.apply(whole("b", &json!({"replicas": 3})));
    played.settle();
    assert_eq!(played.sets(), [pair("1", 0), pair("2", 3)]);
    assert_eq!(played.progressing(), ("True".into(), "NewReplicaSetAvailable".into()));
}

#[test]
fn a_round_cut_short_is_finished_by_the_next() {
    let mut played = Played { most: 1, ..Played::new() };
    for image in ["a", "b", "a"] {
        played.apply(whole(image, &json!({})));
        played.settle();
    }
    assert_eq!(played.sets(), [pair("2", 0), pair("3", 2)]);
    assert_eq!(object::annotation(played.deployment(), REVISION), Some("3"));
    assert_eq!(played.progressing(), ("True".into(), "NewReplicaSetAvailable".into()));
}
