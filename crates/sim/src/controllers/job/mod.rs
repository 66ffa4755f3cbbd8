//! Job: pods until enough of them have succeeded, or too many failed, or it took too long.
//!
//! Reading order: `tally` (who counts), `verdict` (what follows for the Job), `pod`, this file.
//! Not here: pod failure and success policies, backoff limits by index.

mod indexes;
mod pod;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;

use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::{Value, json};

use self::{
    pod::{more, release},
    tally::{Tally, is_tracked, tally},
    verdict::{Verdict, verdict},
};
use super::{
    Effect, Plan,
    kind::{Key, Kind},
    pods::{condition, count, is_active, is_finished, is_ready, stamped, status, to_delete},
    world::{World, controller},
};
use crate::time::seconds;

const OURS: &str = "kubernetes.io/job-controller";

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let job = world.get(key).filter(|it| !object::is_deleting(it));
    let Some(job) = job else { return let_go(world, key).into() };
    let others = job["spec"]["managedBy"].as_str().is_some_and(|it| it != OURS);
    if others {
        return Plan::default();
    }
    if let Some(at) = finished_at(job) {
        return expire(job, at, now);
    }
    let mut round = Round::new(world, job, now);
    match verdict(job, &round.tally, round.active.len(), now) {
        Verdict::Failed { reason, message } => {
            round.end(("FailureTarget", "Failed"), &reason, &message);
            // What a failed Job stops has failed.
            round
                .effects
                .extend(round.active.iter().map(|it| Effect::Delete(Key::of(Kind::Pod, it))));
        }
        Verdict::Succeeded { reason, message } => {
            round.end(("SuccessCriteriaMet", "Complete"), &reason, &message);
            round.drop_pods(usize::MAX);
        }
        Verdict::Suspended => {
            round.say(("Suspended", "True", "JobSuspended", "Job suspended"));
            round.said["startTime"] = Value::Null;
            round.drop_pods(usize::MAX);
        }
        Verdict::Runs(wanted) => round.run(wanted),
    }
    round.plan(key)
}

/// One look at a Job: what is known, and what comes of it.
struct Round<'a> {
    job: &'a Value,
    now: Timestamp,
    pods: Vec<&'a Value>,
    active: Vec<&'a Value>,
    /// Pods on their way out that have not finished.
    going: usize,
    tally: Tally,
    said: Value,
    conditions: Vec<Value>,
    effects: Vec<Effect>,
    recheck_after: Option<SignedDuration>,
}

impl<'a> Round<'a> {
    fn new(world: &'a World, job: &'a Value, now: Timestamp) -> Self {
        let pods: Vec<&Value> = world.owned(Kind::Pod, job).collect();
        let active: Vec<&Value> = pods.iter().copied().filter(|it| is_active(it)).collect();
        let going = pods.iter().filter(|it| object::is_deleting(it) && !is_finished(it)).count();
        let tally = tally(job, &pods);
        let mut said = counts(&tally, &active, going);
        let started = job["status"]["startTime"].as_str();
        said["startTime"] = started.map_or_else(|| seconds(now).into(), Into::into);
        let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let (effects, recheck_after) = (Vec::new(), None);
        Self { job, now, pods, active, going, tally, said, conditions, effects, recheck_after }
    }

    fn say(&mut self, said: (&str, &str, &str, &str)) {
        let mut it = stamped(self.job, said, self.now);
        it["lastProbeTime"] = it["lastTransitionTime"].clone();
        match self.conditions.iter_mut().find(|it| it["type"] == said.0) {
            Some(known) => *known = it,
            None => self.conditions.push(it),
        }
    }

    /// It is judged at once, and over when its last pod is counted.
    fn end(&mut self, (first, last): (&str, &str), reason: &str, message: &str) {
        self.say((first, "True", reason, message));
        if self.active.is_empty() && self.going == 0 && self.tally.is_settled() {
            self.say((last, "True", reason, message));
            if last == "Complete" {
                self.said["completionTime"] = seconds(self.now).into();
            }
        }
    }

    fn run(&mut self, wanted: usize) {
        if condition(self.job, "Suspended").is_some_and(|it| it["status"] == "True") {
            self.say(("Suspended", "False", "JobResumed", "Job resumed"));
            self.said["startTime"] = seconds(self.now).into();
        }
        self.drop_pods(self.active.len().saturating_sub(wanted));
        let waits = self.job["spec"]["podReplacementPolicy"] == "Failed";
        let has = self.active.len() + if waits { self.going } else { 0 };
        let missing = wanted.saturating_sub(has);
        let wait = backoff(&self.tally, &self.pods, self.now).filter(|_| 0 < missing);
        if wait.is_none() {
            self.effects.extend(more(self.job, &self.pods, self.tally.indexes.as_ref(), missing));
        }
        let deadline = verdict::until_deadline(self.job, self.now);
        self.recheck_after = [wait, deadline].into_iter().flatten().min();
    }

    /// Takes so many away; that is no failure of theirs.
    fn drop_pods(&mut self, many: usize) {
        for effect in to_delete(self.active.clone(), many) {
            if let Effect::Delete(key) = &effect {
                let pod = self.active.iter().find(|it| object::name(it) == key.name);
                self.effects.extend(pod.filter(|it| is_tracked(it)).map(|it| release(it)));
            }
            self.effects.push(effect);
        }
    }

    /// The status names who is over before they may go.
    fn plan(mut self, key: &Key) -> Plan {
        self.said["conditions"] = self.conditions.into();
        let mut effects: Vec<Effect> = status(key, self.job, &self.said).into_iter().collect();
        let counted = |it: &&&Value| self.tally.release.iter().any(|name| name == object::name(it));
        effects.extend(self.pods.iter().filter(counted).map(|it| release(it)));
        effects.extend(self.effects);
        Plan { effects, recheck_after: self.recheck_after }
    }
}

fn counts(tally: &Tally, active: &[&Value], going: usize) -> Value {
    let mut said = json!({
        "active": active.len(), "ready": count(active.iter().copied().filter(|it| is_ready(it))),
        "terminating": going, "succeeded": tally.succeeded, "failed": tally.failed,
        "uncountedTerminatedPods": tally.uncounted(),
    });
    if let Some(done) = &tally.indexes {
        said["completedIndexes"] = Some(done.to_string()).filter(|it| !it.is_empty()).into();
    }
    said
}

pub(super) fn is_indexed(job: &Value) -> bool {
    job["spec"]["completionMode"] == "Indexed"
}

/// After failures new pods come later and later: 10 s, doubled each time, ten minutes at most.
fn backoff(tally: &Tally, pods: &[&Value], now: Timestamp) -> Option<SignedDuration> {
    let failures = u32::try_from(tally.all_failed()).unwrap_or(u32::MAX);
    if failures == 0 {
        return None;
    }
    let wait = SignedDuration::from_secs(10_i64 << (failures - 1).min(6));
    let wait = wait.min(SignedDuration::from_mins(10));
    let ended = pods.iter().filter(|it| it["status"]["phase"] == "Failed").filter_map(|it| {
        object::text(it, "/status/containerStatuses/0/state/terminated/finishedAt").parse().ok()
    });
    let left = wait - now.duration_since(ended.max()?);
    left.is_positive().then_some(left)
}

/// When it got its last condition.
pub(super) fn finished_at(job: &Value) -> Option<Timestamp> {
    let over = ["Complete", "Failed"].into_iter().filter_map(|it| condition(job, it));
    let at = over.filter(|it| it["status"] == "True").map(|it| it["lastTransitionTime"].as_str());
    at.flatten().next()?.parse().ok()
}

/// A finished Job goes `ttlSecondsAfterFinished` later, if it says so.
fn expire(job: &Value, at: Timestamp, now: Timestamp) -> Plan {
    let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else {
        return Plan::default();
    };
    let left = SignedDuration::from_secs(seconds) - now.duration_since(at);
    if left.is_positive() {
        return Plan { effects: Vec::new(), recheck_after: Some(left) };
    }
    vec![Effect::Delete(Key::of(Kind::Job, job))].into()
}

/// The pods of a Job that is gone or going need not wait to be counted.
fn let_go(world: &World, key: &Key) -> Vec<Effect> {
    let of_job = |it: &&Value| {
        controller(it).is_some_and(|by| by["kind"] == "Job" && by["name"] == key.name.as_str())
    };
    let pods = world.in_namespace(Kind::Pod, &key.namespace).filter(of_job);
    pods.filter(|it| is_tracked(it)).map(release).collect()
}
