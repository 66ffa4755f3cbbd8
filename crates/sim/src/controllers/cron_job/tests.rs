use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::{Value, json};

use super::decide;
use crate::controllers::{
    Effect, Plan,
    kind::{Key, Kind},
    world::World,
};

fn at(time: &str) -> Timestamp {
    format!("2026-11-27T{time}Z").parse().unwrap()
}

fn key() -> Key {
    Key::new(Kind::CronJob, "shop", "c")
}

/// A CronJob of every ten minutes, made at noon, with more to its spec.
fn world(more: &Value, jobs: &[Value]) -> World {
    let mut cron = json!({"apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "c", "namespace": "shop", "uid": "c",
            "creationTimestamp": "2026-11-27T12:00:00Z"},
        "spec": {"schedule": "*/10 * * * *", "jobTemplate": {
            "metadata": {"labels": {"app": "c"}}, "spec": {"completions": 1}}}});
    for (field, value) in more.as_object().unwrap() {
        cron["spec"][field] = value.clone();
    }
    let mut world = World::default();
    world.set(Kind::CronJob, cron);
    for job in jobs {
        world.set(Kind::Job, job.clone());
    }
    world
}

fn job(name: &str, ended: Option<&str>) -> Value {
    let mut it = json!({"metadata": {"name": name, "namespace": "shop", "uid": name,
            "ownerReferences": [{"kind": "CronJob", "name": "c", "uid": "c", "controller": true}]},
        "status": {"startTime": format!("2026-11-27T11:0{}:00Z", &name[name.len() - 1..])}});
    if let Some(kind) = ended {
        it["status"]["conditions"] = json!([{"type": kind, "status": "True",
            "lastTransitionTime": "2026-11-27T11:30:00Z"}]);
    }
    it
}

fn made(plan: &Plan) -> Vec<&str> {
    let made = plan.effects.iter().filter_map(|it| match it {
        Effect::Create { object, .. } => Some(object::name(object)),
        _ => None,
    });
    made.collect()
}

fn gone(plan: &Plan) -> Vec<&str> {
    let gone = plan.effects.iter().filter_map(|it| match it {
        Effect::Delete(key) => Some(key.name.as_str()),
        _ => None,
    });
    gone.collect()
}

fn name(time: &str) -> String {
    format!("c-{}", at(time).as_second() / 60)
}

#[test]
fn a_job_comes_when_its_moment_does() {
    let world = world(&json!({}), &[]);
    let early = decide(&world, &key(), at("12:09:30"));
    assert_eq!(made(&early), [""; 0]);
    assert_eq!(early.recheck_after, Some(SignedDuration::from_secs(30)));
    let due = decide(&world, &key(), at("12:10:00"));
    assert_eq!(made(&due), [name("12:10:00")]);
    let Some(Effect::Create { object, .. }) = due.effects.first() else { panic!("{due:?}") };
    assert_eq!(object::label(object, "app"), Some("c"));
    let status = due.effects.last().unwrap();
    let Effect::Patch { patch, .. } = status else { panic!("{status:?}") };
    assert_eq!(patch["status"]["lastScheduleTime"], "2026-11-27T12:10:00Z");
}

#[test]
fn of_several_missed_moments_the_last_counts_unless_it_is_too_late() {
    let late = decide(&world(&json!({}), &[]), &key(), at("12:35:00"));
    assert_eq!(made(&late), [name("12:30:00")]);
    let strict = world(&json!({"startingDeadlineSeconds": 60}), &[]);
    assert_eq!(made(&decide(&strict, &key(), at("12:35:00"))), [""; 0]);
    let after_years =
        decide(&world(&json!({}), &[]), &key(), at("12:00:00") + SignedDuration::from_hours(9999));
    assert_eq!(made(&after_years).len(), 1);
}

#[test]
fn suspended_none_comes() {
    let plan = decide(&world(&json!({"suspend": true}), &[]), &key(), at("12:10:00"));
    assert_eq!(made(&plan), [""; 0]);
}

#[test]
fn the_policy_says_what_becomes_of_a_job_that_still_runs() {
    let running = [job("c-1", None)];
    let plan = |policy: &str| {
        decide(&world(&json!({"concurrencyPolicy": policy}), &running), &key(), at("12:10:00"))
    };
    assert_eq!(made(&plan("Allow")).len(), 1);
    assert_eq!(made(&plan("Forbid")).len(), 0);
    assert_eq!((made(&plan("Replace")).len(), gone(&plan("Replace"))), (1, vec!["c-1"]));
}

#[test]
fn history_is_kept_up_to_its_limits() {
    let jobs: Vec<Value> = ["c-1", "c-2", "c-3"]
        .into_iter()
        .map(|it| job(it, Some("Complete")))
        .chain(["c-4", "c-5"].map(|it| job(it, Some("Failed"))))
        .collect();
    let limits = json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0});
    let plan = decide(&world(&limits, &jobs), &key(), at("12:01:00"));
    assert_eq!(gone(&plan), ["c-1", "c-2", "c-4", "c-5"]);
}

#[test]
fn a_zone_is_heeded() {
    let zoned = world(&json!({"schedule": "0 14 * * *", "timeZone": "Europe/Berlin"}), &[]);
    assert_eq!(made(&decide(&zoned, &key(), at("13:00:00"))), [name("13:00:00")]);
}

#[test]
fn a_schedule_that_says_nothing_is_complained_of() {
    let faults = [
        (json!({"timeZone": "Mars/Base"}), "UnknownTimeZone"),
        (json!({"schedule": "* * *"}), "UnparseableSchedule"),
    ];
    for (spec, want) in faults {
        let plan = decide(&world(&spec, &[]), &key(), at("13:00:00"));
        let [Effect::Warn { reason, .. }] = &plan.effects[..] else { panic!("{plan:?}") };
        assert_eq!((*reason, plan.recheck_after), (want, None));
    }
}
