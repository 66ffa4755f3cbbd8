use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::{Value, json};

use super::{decide, tally::is_tracked};
use crate::controllers::{
    Effect, Plan,
    kind::{Key, Kind},
    pods::condition,
    world::World,
};

const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

/// A cluster where a test says how pods end.
struct Played {
    world: World,
    version: u64,
    now: Timestamp,
    /// Every round is cut short after this many effects.
    most: usize,
}

impl Played {
    fn start(spec: &Value) -> Self {
        Self::start_cut(spec, usize::MAX)
    }

    fn start_cut(spec: &Value, most: usize) -> Self {
        let mut it = Self { world: World::default(), version: 0, now: NOON, most };
        let mut spec = spec.clone();
        spec["template"] =
            json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}});
        it.put(
            Kind::Job,
            json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec,
            "metadata": {"name": "j", "namespace": "shop", "uid": "j"}}),
        );
        it.settle();
        it
    }

    fn key() -> Key {
        Key::new(Kind::Job, "shop", "j")
    }

    fn put(&mut self, kind: Kind, mut it: Value) {
        self.version += 1;
        it["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.world.set(kind, it);
    }

    fn set_spec(&mut self, field: &str, value: Value) {
        let mut job = self.job().clone();
        job["spec"][field] = value;
        self.put(Kind::Job, job);
        self.settle();
    }

    fn plan(&self) -> Plan {
        decide(&self.world, &Self::key(), self.now)
    }

    fn settle(&mut self) {
        for _ in 0..60 {
            let effects = self.plan().effects;
            if effects.is_empty() {
                return;
            }
            for effect in effects.into_iter().take(self.most) {
                self.carry_out(effect);
            }
        }
        panic!("it does not settle: {:?}", self.plan());
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Create { kind, object: mut it } => {
                let name =
                    format!("{}{}", object::text(&it, "/metadata/generateName"), self.version);
                it["metadata"]["name"] = name.clone().into();
                it["metadata"]["uid"] = name.into();
                it["status"] = json!({"phase": "Running"});
                self.put(kind, it);
            }
            Effect::Patch { key, patch, .. } => {
                let mut it = self.world.get(&key).unwrap().clone();
                for (field, value) in patch["status"].as_object().into_iter().flatten() {
                    it["status"][field] = value.clone();
                }
                for (field, value) in patch["metadata"].as_object().into_iter().flatten() {
                    it["metadata"][field] = value.clone();
                }
                if object::is_deleting(&it) && !is_tracked(&it) {
                    self.world.remove(key.kind, &it);
                } else {
                    self.put(key.kind, it);
                }
            }
            Effect::Warn { message, .. } => panic!("{message}"),
            Effect::Delete(key) | Effect::Remove(key) => {
                let mut it = self.world.get(&key).unwrap().clone();
                it["metadata"]["deletionTimestamp"] = "now".into();
                if is_tracked(&it) {
                    self.put(key.kind, it);
                } else {
                    self.world.remove(key.kind, &it);
                }
            }
        }
    }

    fn job(&self) -> &Value {
        self.world.get(&Self::key()).unwrap()
    }

    fn running(&self) -> Vec<Value> {
        let pods = self.world.all(Kind::Pod);
        pods.filter(|it| super::is_active(it)).cloned().collect()
    }

    /// Ends the first pod that runs.
    fn end(&mut self, phase: &str) {
        let mut pod = self.running().remove(0);
        pod["status"] = json!({"phase": phase, "containerStatuses": [
            {"state": {"terminated": {"finishedAt": crate::time::seconds(self.now)}}}]});
        self.put(Kind::Pod, pod);
        self.settle();
    }

    /// Type, and reason, of the last condition.
    fn says(&self) -> (String, String) {
        let last = self.job()["status"]["conditions"].as_array().and_then(|it| it.last().cloned());
        let last = last.unwrap_or_default();
        let text = |field: &str| last[field].as_str().unwrap_or_default().to_owned();
        (text("type"), text("reason"))
    }

    fn number(&self, field: &str) -> i64 {
        self.job()["status"][field].as_i64().unwrap_or(0)
    }
}

fn pair(kind: &str, reason: &str) -> (String, String) {
    (kind.to_owned(), reason.to_owned())
}

#[test]
fn pods_run_in_parallel_until_enough_have_succeeded() {
    let mut job = Played::start(&json!({"parallelism": 2, "completions": 3}));
    assert_eq!(job.running().len(), 2);
    job.end("Succeeded");
    assert_eq!((job.running().len(), job.number("succeeded")), (2, 1));
    // A pod that was counted may go.
    for pod in job.world.all(Kind::Pod).cloned().collect::<Vec<_>>() {
        if pod["status"]["phase"] == "Succeeded" {
            assert!(!is_tracked(&pod), "{pod}");
            job.world.remove(Kind::Pod, &pod);
        }
    }
    job.end("Succeeded");
    assert_eq!((job.running().len(), job.number("succeeded")), (1, 2));
    job.end("Succeeded");
    assert_eq!(job.says(), pair("Complete", "CompletionsReached"));
    assert_eq!((job.running().len(), job.number("succeeded")), (0, 3));
    assert!(job.job()["status"]["completionTime"].is_string());
}

#[test]
fn one_failure_too_many_fails_the_job_and_stops_the_rest() {
    let mut job = Played::start(&json!({"parallelism": 2, "completions": 2, "backoffLimit": 1}));
    job.end("Failed");
    assert_eq!(job.running().len(), 1, "the next one waits");
    assert_eq!(job.plan().recheck_after, Some(SignedDuration::from_secs(10)));
    job.now += SignedDuration::from_secs(10);
    job.settle();
    assert_eq!(job.running().len(), 2);
    job.end("Failed");
    assert_eq!(job.says(), pair("Failed", "BackoffLimitExceeded"));
    assert_eq!((job.running().len(), job.number("failed")), (0, 3));
    assert!(condition(job.job(), "Complete").is_none());
}

#[test]
fn a_job_that_is_active_too_long_fails() {
    let mut job = Played::start(&json!({"completions": 1, "activeDeadlineSeconds": 30}));
    assert_eq!(job.plan().recheck_after, Some(SignedDuration::from_secs(30)));
    job.now += SignedDuration::from_secs(30);
    job.settle();
    assert_eq!(job.says(), pair("Failed", "DeadlineExceeded"));
    assert!(job.running().is_empty());
}

#[test]
fn a_suspended_job_gives_its_pods_up_and_starts_anew() {
    let mut job = Played::start(&json!({"completions": 1, "suspend": true}));
    assert_eq!(job.says(), pair("Suspended", "JobSuspended"));
    assert!(job.running().is_empty() && job.job()["status"]["startTime"].is_null());
    job.set_spec("suspend", false.into());
    assert_eq!((job.running().len(), job.says()), (1, pair("Suspended", "JobResumed")));
    job.set_spec("suspend", true.into());
    assert_eq!((job.running().len(), job.number("failed")), (0, 0), "that is no failure");
    job.set_spec("suspend", false.into());
    job.end("Succeeded");
    assert_eq!(job.says(), pair("Complete", "CompletionsReached"));
}

#[test]
fn a_finished_job_goes_when_its_time_is_over() {
    let mut job = Played::start(&json!({"completions": 1, "ttlSecondsAfterFinished": 60}));
    job.end("Succeeded");
    assert_eq!(job.plan().recheck_after, Some(SignedDuration::from_secs(60)));
    job.now += SignedDuration::from_secs(60);
    job.settle();
    assert!(job.world.get(&Played::key()).is_none());
}

#[test]
fn indexed_pods_have_a_number_each_and_a_failed_one_comes_again() {
    let spec = json!({"parallelism": 2, "completions": 3, "completionMode": "Indexed"});
    let mut job = Played::start(&spec);
    let numbers = |job: &Played| -> Vec<i64> {
        let mut all: Vec<i64> = job.running().iter().filter_map(super::indexes::of).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(numbers(&job), [0, 1]);
    job.end("Succeeded");
    assert_eq!(numbers(&job), [1, 2]);
    assert_eq!(job.job()["status"]["completedIndexes"], "0");
    job.end("Failed");
    job.now += SignedDuration::from_secs(10);
    job.settle();
    assert_eq!(numbers(&job), [1, 2]);
    job.end("Succeeded");
    job.end("Succeeded");
    assert_eq!(job.job()["status"]["completedIndexes"], "0-2");
    assert_eq!(job.says(), pair("Complete", "CompletionsReached"));
}

#[test]
fn without_a_number_of_completions_one_success_ends_it() {
    let mut job = Played::start(&json!({"parallelism": 2}));
    job.end("Succeeded");
    assert_eq!(job.running().len(), 1, "no new one comes");
    job.end("Succeeded");
    assert_eq!(job.says(), pair("Complete", "CompletionsReached"));
}

#[test]
fn the_pods_of_a_job_that_is_gone_are_let_go() {
    let mut job = Played::start(&json!({"completions": 1}));
    let it = job.job().clone();
    job.world.remove(Kind::Job, &it);
    assert_eq!(job.plan().effects.len(), 1);
    job.settle();
    assert!(job.running().iter().all(|it| !is_tracked(it)));
}

#[test]
fn a_round_cut_short_is_finished_by_the_next() {
    for most in 1..4 {
        let spec = json!({"parallelism": 2, "completions": 3});
        let mut job = Played::start_cut(&spec, most);
        for phase in ["Succeeded", "Failed"] {
            job.end(phase);
        }
        job.now += SignedDuration::from_secs(10);
        job.settle();
        job.end("Succeeded");
        job.end("Succeeded");
        assert_eq!(job.says(), pair("Complete", "CompletionsReached"));
        assert_eq!((job.number("succeeded"), job.number("failed")), (3, 1), "{most} at a time");
    }
}
