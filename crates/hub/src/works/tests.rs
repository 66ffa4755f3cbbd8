use futures::FutureExt as _;
use kogge_api::work::ResourceBinding;
use serde_json::json;

use super::*;
use crate::cache::Cache;

fn template() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 3}})
}

/// It was on `eu`, which failed, and on `us`; now it is on `us` and `asia`.
fn moved(purge: &str, purged: bool) -> ResourceBinding {
    let mut task = json!({"fromCluster": "eu", "purgeMode": purge, "replicas": 2,
        "preservedLabelState": {"resume": "7"}, "clustersBeforeFailover": ["eu", "us"]});
    if purged {
        task["purgedAt"] = "2026-01-01T00:00:00Z".into();
    }
    serde_json::from_value(json!({"spec": {
        "resource": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "replicas": 3, "gracefulEvictionTasks": [task],
        "placement": {"replicaScheduling": {"replicaSchedulingType": "Divided"}},
        "clusters": [{"name": "asia", "replicas": 1}, {"name": "us", "replicas": 2}]}}))
    .expect("a binding")
}

/// `cluster replicas label` for each copy.
#[track_caller]
fn check(binding: &ResourceBinding, want: &str) {
    let controller = WorksController::new(Cache::default(), Works::new("hub".into(), false));
    let claims = controller.claims(&template(), &binding.spec);
    let mut said = Vec::new();
    for (cluster, works) in &claims {
        for work in works {
            let object: Value = serde_json::from_slice(&work.manifest).expect("JSON");
            let label = object.pointer("/metadata/labels/resume").and_then(Value::as_str);
            said.push(format!("{cluster} {} {}", object["spec"]["replicas"], label.unwrap_or("-")));
        }
    }
    assert_eq!(said.join(", "), want);
}

#[test]
fn the_old_place_is_kept_until_it_is_purged_and_the_new_one_has_its_state() {
    check(&moved("Gracefully", false), "asia 1 7, eu 2 -, us 2 -");
    check(&moved("Never", false), "asia 1 7, eu 2 -, us 2 -");
    check(&moved("Gracefully", true), "asia 1 7, us 2 -");
    check(&moved("Directly", false), "asia 1 7, us 2 -");
}

/// What a stream says, all that is there to be read.
fn drain(stream: &mut BoxStream<'static, Desired>) -> Vec<Desired> {
    std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
}

#[test]
fn what_failover_took_away_goes_without_another_word() {
    let works = Works::new("hub".into(), false);
    let key = ObjectKey::of(&template());
    let copy = render::render(&template(), None, Mode::Abort);
    let on = |cluster: &str| Claims::from([(cluster.to_owned(), vec![copy.clone()])]);
    works.set(&key, &on("eu"), false);
    let mut eu = works.listen("eu");
    drain(&mut eu);
    works.set_left(&key, BTreeSet::from(["eu".to_owned()]));
    works.set(&key, &on("us"), false);
    let asked = Desired::Remove { key: key.clone(), asked: true };
    assert_eq!(drain(&mut eu), std::slice::from_ref(&asked));
    works.repeat_left("eu");
    assert_eq!(drain(&mut eu), [asked]);
    // Without a failure it is only a decision: that is weighed by the agent's guard.
    works.set_left(&key, BTreeSet::new());
    let mut us = works.listen("us");
    drain(&mut us);
    works.set(&key, &on("eu"), false);
    assert_eq!(drain(&mut us), [Desired::Remove { key, asked: false }]);
}
