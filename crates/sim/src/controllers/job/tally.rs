//! How many pods of a Job are over, counted once each, whatever becomes of them. Pure.
//!
//! Kubernetes' way: a pod holds a finalizer until it is counted. First the status names it as not
//! counted yet, then it loses the finalizer, then the status counts it: cut short anywhere, the
//! next round goes on from there.

use std::collections::BTreeSet;

use kogge_member::object;
use serde_json::{Value, json};

use super::indexes::Indexes;
use crate::controllers::pods::{number, phase};

pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Counted, and without finalizer.
    pub succeeded: i64,
    pub failed: i64,
    /// Uids of those that are over and not counted yet.
    pub fresh_succeeded: Vec<String>,
    pub fresh_failed: Vec<String>,
    /// Of a Job whose pods are numbered: which numbers are done.
    pub indexes: Option<Indexes>,
    /// Names of pods that may lose their finalizer: the stored status has them.
    pub release: Vec<String>,
}

impl Tally {
    pub fn all_succeeded(&self) -> i64 {
        let fresh = i64::try_from(self.fresh_succeeded.len()).unwrap_or(i64::MAX);
        self.indexes.as_ref().map_or(self.succeeded + fresh, Indexes::count)
    }

    pub fn all_failed(&self) -> i64 {
        self.failed + i64::try_from(self.fresh_failed.len()).unwrap_or(i64::MAX)
    }

    pub fn is_settled(&self) -> bool {
        self.fresh_succeeded.is_empty() && self.fresh_failed.is_empty() && self.release.is_empty()
    }

    /// `status.uncountedTerminatedPods`.
    pub fn uncounted(&self) -> Value {
        if self.fresh_succeeded.is_empty() && self.fresh_failed.is_empty() {
            return Value::Null;
        }
        json!({"succeeded": self.fresh_succeeded, "failed": self.fresh_failed})
    }
}

pub(super) fn is_tracked(pod: &Value) -> bool {
    let held = pod["metadata"]["finalizers"].as_array();
    held.into_iter().flatten().any(|it| it == TRACKING)
}

pub(super) fn tally(job: &Value, pods: &[&Value]) -> Tally {
    let stored = |field: &str| -> BTreeSet<&str> {
        let uids = job["status"]["uncountedTerminatedPods"][field].as_array();
        uids.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (named_succeeded, named_failed) = (stored("succeeded"), stored("failed"));
    let mut tally = Tally {
        succeeded: number(job, "/status/succeeded"),
        failed: number(job, "/status/failed"),
        indexes: super::is_indexed(job)
            .then(|| Indexes::parse(object::text(job, "/status/completedIndexes"))),
        ..Tally::default()
    };
    let known = tally.indexes.clone();
    let tracked = || pods.iter().filter(|it| is_tracked(it));
    let held: BTreeSet<&str> = tracked().map(|it| object::uid(it)).collect();
    tally.succeeded += gone(&named_succeeded, &held);
    tally.failed += gone(&named_failed, &held);
    for pod in tracked() {
        let uid = object::uid(pod);
        let is_named = match outcome(job, pod) {
            None => continue,
            Some(true) => {
                if let Some(done) = &mut tally.indexes {
                    let index = super::indexes::of(pod);
                    done.extend(index);
                    index.is_none_or(|it| known.as_ref().is_some_and(|known| known.has(it)))
                } else {
                    tally.fresh_succeeded.push(uid.to_owned());
                    named_succeeded.contains(uid)
                }
            }
            Some(false) => {
                tally.fresh_failed.push(uid.to_owned());
                named_failed.contains(uid)
            }
        };
        if is_named {
            tally.release.push(object::name(pod).to_owned());
        }
    }
    if let Some(done) = &tally.indexes {
        tally.succeeded = done.count();
    }
    tally
}

/// Those that the status names and that have lost their finalizer count from now on.
fn gone(named: &BTreeSet<&str>, held: &BTreeSet<&str>) -> i64 {
    i64::try_from(named.difference(held).count()).unwrap_or(i64::MAX)
}

/// Whether a pod is over, and well. One that goes without having finished has failed, unless the
/// Job waits for it to say so.
fn outcome(job: &Value, pod: &Value) -> Option<bool> {
    match phase(pod) {
        "Succeeded" => Some(true),
        "Failed" => Some(false),
        _ => {
            let waits = job["spec"]["podReplacementPolicy"] == "Failed";
            (object::is_deleting(pod) && !waits).then_some(false)
        }
    }
}
