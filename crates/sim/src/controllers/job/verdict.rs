//! What its pods so far mean for a Job. Pure.

use jiff::{SignedDuration, Timestamp};
use kogge_member::object;
use serde_json::Value;

use super::tally::Tally;
use crate::controllers::pods::condition;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Failed {
        reason: String,
        message: String,
    },
    Succeeded {
        reason: String,
        message: String,
    },
    Suspended,
    /// So many pods are to run.
    Runs(usize),
}

/// A Job that once was judged stays so; `active` pods run now.
pub(super) fn verdict(job: &Value, tally: &Tally, active: usize, now: Timestamp) -> Verdict {
    let said = |kind: &str| {
        let it = condition(job, kind).filter(|it| it["status"] == "True")?;
        let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
        Some((text("reason"), text("message")))
    };
    if let Some((reason, message)) = said("FailureTarget") {
        return Verdict::Failed { reason, message };
    }
    if let Some((reason, message)) = said("SuccessCriteriaMet") {
        return Verdict::Succeeded { reason, message };
    }
    let failed = |reason: &str, message: &str| Verdict::Failed {
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    if job["spec"]["backoffLimit"].as_i64().unwrap_or(6) < tally.all_failed() {
        return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    let suspended = job["spec"]["suspend"] == true;
    if !suspended && until_deadline(job, now).is_some_and(|it| !it.is_positive()) {
        return failed("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let completions = job["spec"]["completions"].as_i64();
    let succeeded = tally.all_succeeded();
    // Without a number, one success ends it when the others have ended too.
    let enough = completions.map_or(0 < succeeded && active == 0, |it| it <= succeeded);
    if enough {
        return Verdict::Succeeded {
            reason: "CompletionsReached".to_owned(),
            message: "Reached expected number of succeeded pods".to_owned(),
        };
    }
    if suspended {
        return Verdict::Suspended;
    }
    let parallel = job["spec"]["parallelism"].as_i64().unwrap_or(1);
    let size = |it: i64| usize::try_from(it).unwrap_or(0);
    let pods = match completions {
        Some(all) => size(parallel.min(all - succeeded)),
        None if 0 < succeeded => active.min(size(parallel)),
        None => size(parallel),
    };
    Verdict::Runs(pods)
}

/// How long it may still be active.
pub(super) fn until_deadline(job: &Value, now: Timestamp) -> Option<SignedDuration> {
    let limit = job["spec"]["activeDeadlineSeconds"].as_i64()?;
    let started = object::text(job, "/status/startTime").parse().unwrap_or(now);
    Some(SignedDuration::from_secs(limit) - now.duration_since(started))
}
