//! CronJob: a Job at each moment of a schedule.
//!
//! Reading order: `schedule` (when), this file (what then).

mod schedule;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kogge_member::object;
use serde_json::{Value, json};

use self::schedule::Schedule;
use super::{
    Effect, Plan,
    job::finished_at,
    kind::{Key, Kind},
    pods::{condition, owned_by, status},
    world::World,
};
use crate::time::seconds;

/// On Jobs: the moment they were made for.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Moments missed beyond this many are not looked through one by one.
const MANY: usize = 1_000;

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    let Some(cron) = world.get(key).filter(|it| !object::is_deleting(it)) else {
        return Plan::default();
    };
    let jobs: Vec<&Value> =
        world.owned(Kind::Job, cron).filter(|it| !object::is_deleting(it)).collect();
    let mut plan = Plan::from(forget(cron, &jobs));
    let active: Vec<&Value> = jobs.iter().copied().filter(|it| finished_at(it).is_none()).collect();
    let mut said = summary(cron, &jobs, &active);
    match due(cron, now) {
        Ok(due) => {
            plan.recheck(due.next.map(|it| it.duration_since(now)));
            let missed = due.missed.filter(|_| cron["spec"]["suspend"] != true);
            if let Some(at) = missed {
                let effects = start(cron, &active, at);
                // Jobs of one moment have one name, so that none comes twice.
                let made = effects.iter().any(|it| matches!(it, Effect::Create { .. }));
                if made {
                    said["lastScheduleTime"] = seconds(at).into();
                }
                plan.effects.extend(effects);
            }
        }
        Err((reason, message)) => {
            plan.effects.push(Effect::Warn { about: key.clone(), reason, message });
        }
    }
    plan.effects.extend(status(key, cron, &said));
    plan
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    /// The last moment that has come and for which no Job was made.
    missed: Option<Timestamp>,
    next: Option<Timestamp>,
}

/// Why a schedule says nothing, as reason and message.
type Fault = (&'static str, String);

fn due(cron: &Value, now: Timestamp) -> Result<Due, Fault> {
    let written = object::text(cron, "/spec/schedule");
    let schedule = Schedule::parse(written)
        .map_err(|it| ("UnparseableSchedule", format!("unparseable schedule {written:?}: {it}")))?;
    let zone = match cron["spec"]["timeZone"].as_str() {
        Some(name) => TimeZone::get(name)
            .map_err(|_| ("UnknownTimeZone", format!("invalid timeZone: {name:?}: unknown")))?,
        None => TimeZone::UTC,
    };
    let time = |path: &str| object::text(cron, path).parse::<Timestamp>().ok();
    let last = time("/status/lastScheduleTime").or_else(|| time("/metadata/creationTimestamp"));
    let mut from = last.unwrap_or(now);
    if let Some(limit) = cron["spec"]["startingDeadlineSeconds"].as_i64() {
        from = from.max(now - SignedDuration::from_secs(limit));
    }
    let mut due = Due::default();
    for _ in 0..MANY {
        due.next = schedule.next(due.missed.unwrap_or(from), &zone);
        match due.next {
            Some(at) if at <= now => due.missed = Some(at),
            _ => return Ok(due),
        }
    }
    // A clock that stood still for long: the last moment lies within a day, or is skipped.
    let day = now - SignedDuration::from_hours(24);
    due.missed = std::iter::successors(schedule.next(day, &zone), |at| schedule.next(*at, &zone))
        .take_while(|at| *at <= now)
        .last();
    due.next = schedule.next(now, &zone);
    Ok(due)
}

fn start(cron: &Value, active: &[&Value], at: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    match cron["spec"]["concurrencyPolicy"].as_str() {
        Some("Forbid") if !active.is_empty() => return effects,
        Some("Replace") => {
            effects.extend(active.iter().map(|it| Effect::Delete(Key::of(Kind::Job, it))));
        }
        _ => {}
    }
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations =
        template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert(SCHEDULED.to_owned(), seconds(at).into());
    let object = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": format!("{}-{}", object::name(cron), at.as_second() / 60),
            "namespace": object::namespace(cron),
            "labels": template["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [owned_by(cron)],
        },
        "spec": template["spec"],
    });
    effects.push(Effect::Create { kind: Kind::Job, object });
    effects
}

fn summary(cron: &Value, jobs: &[&Value], active: &[&Value]) -> Value {
    let active: Vec<Value> = active
        .iter()
        .map(|it| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "name": object::name(it),
                "namespace": object::namespace(it), "uid": object::uid(it),
                "resourceVersion": object::resource_version(it)})
        })
        .collect();
    let done = jobs.iter().filter_map(|it| it["status"]["completionTime"].as_str());
    let known = cron["status"]["lastSuccessfulTime"].as_str();
    let mut said = json!({"active": listed(cron, active)});
    if let Some(last) = done.chain(known).max() {
        said["lastSuccessfulTime"] = last.into();
    }
    said
}

/// Which Jobs are active, in the words of the status where they are the same.
fn listed(cron: &Value, active: Vec<Value>) -> Value {
    let known = &cron["status"]["active"];
    let uids = |it: &[Value]| -> Vec<String> {
        it.iter().map(|it| it["uid"].as_str().unwrap_or_default().to_owned()).collect()
    };
    if known.as_array().is_some_and(|known| uids(known) == uids(&active)) {
        return known.clone();
    }
    if active.is_empty() { Value::Null } else { active.into() }
}

/// Finished Jobs beyond the limits of the history, the oldest first.
fn forget(cron: &Value, jobs: &[&Value]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for (kind, field, unsaid) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let ended = |it: &&&Value| condition(it, kind).is_some_and(|it| it["status"] == "True");
        let mut ended: Vec<&&Value> = jobs.iter().filter(ended).collect();
        ended.sort_by_key(|it| object::text(it, "/status/startTime").to_owned());
        let limit = cron["spec"][field].as_u64().unwrap_or(unsaid);
        let spare = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        effects.extend(ended.iter().take(spare).map(|it| Effect::Delete(Key::of(Kind::Job, it))));
    }
    effects
}
