mod judged;

use jiff::Timestamp;
use kogge_api::{find_condition, fleet, set_condition, work::ResourceBinding};
use kogge_placement::failover::{
    Assessed, By, Guard, Link, Settings, Standing, Verdict, Word, assess,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::decide::{APPROVE, Effect, begin, member, placed, say, tell};

const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

fn cluster(name: &str, ready: (&str, &str)) -> fleet::Cluster {
    serde_json::from_value(json!({
        "metadata": {"name": name}, "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": ready.0, "reason": ready.1,
            "lastTransitionTime": "2025-06-15T14:00:00Z"}]},
    }))
    .expect("a cluster")
}

#[track_caller]
fn check_link(ready: (&str, &str), want: Link) {
    let got = member(NOON.as_millisecond(), 0, &cluster("eu", ready), Word::Silent);
    assert_eq!(got.link, want);
}

#[test]
fn what_does_not_answer_is_unreachable_and_what_refuses_is_not() {
    check_link(("True", "ClusterReady"), Link::Ready);
    check_link(("False", "ClusterNotReachable"), Link::Unreachable);
    check_link(("Unknown", "AgentSilent"), Link::Unreachable);
    check_link(("Unknown", "Connecting"), Link::Unknown);
    check_link(("False", "CredentialsRefused"), Link::NotReady);
    check_link(("False", "ClusterNotReady"), Link::NotReady);
}

#[test]
fn a_cluster_says_itself_how_long_the_hub_waits() {
    let mut eu = cluster("eu", ("False", "ClusterNotReachable"));
    let mut limit = |said: &str| {
        eu.metadata.annotations.insert("kogge.dev/dead-after".into(), said.into());
        member(0, 0, &eu, Word::Silent).dead_after
    };
    assert_eq!(limit("10s"), Some(10_000));
    assert!(limit("never").is_some_and(|it| 1_000_000_000_000 < it));
    assert_eq!(limit("soon"), None);
}

#[test]
fn a_hub_that_was_away_counts_its_own_time_only() {
    let mut eu = cluster("eu", ("False", "ClusterNotReachable"));
    eu.spec.taints = vec![fleet::Taint {
        key: "cluster.karmada.io/unreachable".into(),
        effect: "NoSchedule".into(),
        time_added: Some(NOON),
        ..fleet::Taint::default()
    }];
    let noon = NOON.as_millisecond();
    assert_eq!(member(noon + 9_000, noon - 5, &eu, Word::Silent).since, noon);
    assert_eq!(member(noon + 9_000, noon + 5, &eu, Word::Silent).since, noon + 5);
}

/// Writes what a plan says; returns the reasons of what it tells.
fn play(cluster: &mut fleet::Cluster, effects: Vec<Effect>) -> Vec<&'static str> {
    let mut said = Vec::new();
    for effect in effects {
        match effect {
            Effect::SetTaints(taints) => cluster.spec.taints = taints,
            Effect::SetConditions(conditions) => cluster.status.conditions = conditions,
            Effect::UseUpApproval => drop(cluster.metadata.annotations.remove(APPROVE)),
            Effect::Say { reason, .. } => said.push(reason),
        }
    }
    said
}

fn judged(standing: Standing, held: Option<Guard>, approved: bool) -> Assessed {
    Assessed { standing, taints: Vec::new(), held, approved }
}

#[test]
fn an_incident_is_told_from_death_to_return() {
    let mut eu = cluster("eu", ("False", "ClusterNotReachable"));
    let dead = || Standing::Dead { since: 0, by: By::Observers(vec!["us".into(), "asia".into()]) };
    let guard = Some(Guard::Majority { gone: 2, of: 3 });
    let mut run = |judged: &Assessed| {
        let effects = tell(NOON, &eu, judged, &[]);
        play(&mut eu, effects)
    };
    assert_eq!(run(&judged(dead(), guard, false)), ["ClusterDead", "FailoverHeld"]);
    assert!(run(&judged(dead(), guard, false)).is_empty());
    assert_eq!(run(&judged(dead(), None, true)), ["FailoverReleased"]);
    let back = judged(Standing::Well { since: 0 }, None, false);
    assert_eq!(run(&back), ["ClusterBack"]);
    assert!(run(&back).is_empty());
    let said = |kind| find_condition(&eu.status.conditions, kind).map(|it| it.message.clone());
    assert_eq!(
        said("Dead").as_deref(),
        Some("eu answers; what moved off may come back to it later")
    );
}

#[test]
fn a_held_cluster_names_the_command() {
    let eu = cluster("eu", ("False", "ClusterNotReachable"));
    let dead = Standing::Dead { since: 0, by: By::Hub };
    let held = judged(dead, Some(Guard::Majority { gone: 2, of: 3 }), false);
    let effects = tell(NOON, &eu, &held, &[]);
    let said: Vec<&str> = effects
        .iter()
        .filter_map(|it| match it {
            Effect::Say { message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    eu was given up by the hub, which alone watched it and found it unreachable
    nothing moves off eu: 2 of 3 clusters are gone at once, which is more likely a fault of the network than theirs; to move it all the same, run kogge failover approve eu
    ");
}

fn binding(spec: &Value) -> ResourceBinding {
    serde_json::from_value(json!({"metadata": {"generation": 2}, "spec": spec})).expect("a binding")
}

fn two() -> Value {
    json!({
        "resource": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "clusters": [{"name": "eu", "replicas": 2}, {"name": "us", "replicas": 1}],
        "failover": {"cluster": {"purgeMode": "Immediately", "statePreservation": {"rules": [
            {"aliasLabelName": "resume-from", "jsonPath": "{.point}"},
            {"aliasLabelName": "gone", "jsonPath": "{.nope}"}]}}},
    })
}

#[test]
fn a_task_has_karmadas_fields_and_the_state_that_was_kept() {
    let last = json!({"point": 7});
    let task = begin(NOON, &binding(&two()), ("eu", "10 s after eu was dead"), Some(&last));
    let task = serde_json::to_string_pretty(&task).expect("JSON");
    insta::assert_snapshot!(task, @r#"
    {
      "fromCluster": "eu",
      "purgeMode": "Directly",
      "replicas": 2,
      "reason": "TaintUntolerated",
      "message": "10 s after eu was dead; its state did not come along: {.nope} is not in its status",
      "producer": "TaintManager",
      "creationTimestamp": "2025-06-15T15:06:40Z",
      "preservedLabelState": {
        "resume-from": "7"
      },
      "clustersBeforeFailover": [
        "eu",
        "us"
      ]
    }
    "#);
}

#[track_caller]
fn check_placed(template: &Value, data: bool, finished: bool) {
    let got = placed("x".into(), template, &binding(&two()));
    assert_eq!((got.keeps_data, got.finished), (data, finished));
}

#[test]
fn volumes_and_finished_jobs_are_seen() {
    check_placed(&json!({"kind": "Deployment"}), false, false);
    check_placed(&json!({"kind": "PersistentVolumeClaim"}), true, false);
    check_placed(
        &json!({"kind": "StatefulSet", "spec": {"volumeClaimTemplates": [{}]}}),
        true,
        false,
    );
    let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let mounts = json!({"kind": "Deployment", "spec": {"template": {"spec": {"volumes": volume}}}});
    check_placed(&mounts, true, false);
    let ended = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    check_placed(&json!({"kind": "Job", "status": ended}), false, true);
    assert!(placed("x".into(), &Value::Null, &binding(&two())).behaviour.is_some());
}

#[test]
fn a_binding_is_healthy_when_its_newest_decision_is_everywhere() {
    let healthy = |generation: i64, applied: bool| {
        let item =
            |name: &str| json!({"clusterName": name, "applied": applied, "health": "Healthy"});
        let mut it = json!({"metadata": {"generation": 2}, "spec": two()});
        it["status"] = json!({"schedulerObservedGeneration": generation,
            "aggregatedStatus": [item("eu"), item("us")]});
        let it: ResourceBinding = serde_json::from_value(it).expect("a binding");
        placed("x".into(), &Value::Null, &it).healthy
    };
    assert!(healthy(2, true));
    assert!(!healthy(1, true) && !healthy(2, false));
}

#[test]
fn each_cluster_has_a_line() {
    let mut task = begin(NOON, &binding(&two()), ("eu", "10 s after eu was dead"), None);
    task.purge_mode = "Gracefully".into();
    task.message = "10 s after eu was dead".into();
    let waits = Verdict::Waits {
        taint: "cluster.karmada.io/unreachable:NoExecute".into(),
        until: NOON.as_millisecond(),
    };
    let said = say(&[("eu", &Verdict::Moved), ("us", &waits)], &[task]);
    assert_eq!((said.done, said.reason.as_str()), (false, "TolerationRuns"));
    insta::assert_snapshot!(said.message, @r"
    eu: it was moved away 10 s after eu was dead; the old copy is kept there yet
    us: it stays while cluster.karmada.io/unreachable:NoExecute is tolerated, until 2025-06-15T15:06:40Z
    ");
}

proptest! {
    /// Once everything is written there is nothing left to write.
    #[test]
    fn a_cluster_settles_in_one_round(
        ready in 0..5_usize, word in 0..3, approve in any::<bool>(), others in 0..4_usize,
    ) {
        let states = [
            ("True", "ClusterReady"), ("False", "ClusterNotReachable"), ("Unknown", "AgentSilent"),
            ("Unknown", "Connecting"), ("False", "CredentialsRefused"),
        ];
        let mut eu = cluster("eu", states[ready]);
        if approve {
            eu.metadata.annotations.insert(APPROVE.into(), "true".into());
        }
        let word = match word {
            0 => Word::Silent,
            1 => Word::Alive,
            _ => Word::Dead { since: NOON.as_millisecond(), observers: vec!["us".into()] },
        };
        let now = NOON.as_millisecond();
        let mut run = || {
            let well = (0..others).map(|it| member(now, 0, &cluster(&format!("c{it}"), states[0]), Word::Silent));
            let members: Vec<_> = well.chain([member(now, 0, &eu, word.clone())]).collect();
            let fleet = assess(now, &members, false, &Settings::default());
            let effects = tell(NOON, &eu, &fleet.members["eu"], &[]);
            let count = effects.len();
            play(&mut eu, effects);
            count
        };
        run();
        prop_assert_eq!(run(), 0);
    }
}

#[test]
fn the_latch_is_the_majoritys_and_not_the_cut_off_hubs() {
    let mut eu = cluster("eu", ("False", "ClusterNotReachable"));
    let mut held = |reason: &str| {
        let condition = kogge_api::Condition::new("FailoverHeld", true, reason, "");
        set_condition(&mut eu.status.conditions, condition, NOON);
        member(0, 0, &eu, Word::Silent).held
    };
    assert!(held("MajorityGone"));
    assert!(!held("HubCutOff"));
}
