//! Job: pods until enough of them have succeeded.

use jiff::Timestamp;
use kogge_member::object;
use serde_json::{Value, json};

use super::{
    Effect,
    pods::{condition, count, from_template, is_active, phase, status, to_delete},
    world::{Key, Kind, World},
};

pub(super) fn decide(world: &World, key: &Key, now: Timestamp) -> Vec<Effect> {
    let Some(job) = world.get(key) else { return Vec::new() };
    if object::is_deleting(job) || condition(job, "Complete").is_some() {
        return Vec::new();
    }
    let pods: Vec<&Value> = world.owned(Kind::Pod, job).collect();
    let succeeded = count(pods.iter().copied().filter(|it| phase(it) == "Succeeded"));
    let active: Vec<&Value> = pods.iter().copied().filter(|it| is_active(it)).collect();
    let asked = |field: &str| job["spec"][field].as_i64();
    let completions = asked("completions").unwrap_or(1);
    let parallel =
        if job["spec"]["suspend"] == true { 0 } else { asked("parallelism").unwrap_or(1) };
    let wanted = usize::try_from(parallel.min(completions - succeeded).max(0)).unwrap_or(0);
    let mut effects = Vec::new();
    let template = &job["spec"]["template"];
    let has = active.len();
    effects.extend(
        (has..wanted).map(|_| Effect::Create {
            kind: Kind::Pod,
            object: from_template(job, template, None),
        }),
    );
    effects.extend(to_delete(active, has.saturating_sub(wanted)));
    let time = crate::time::seconds(now);
    let started = job["status"]["startTime"].as_str().unwrap_or(&time);
    let mut said = json!({"active": wanted, "succeeded": succeeded, "startTime": started});
    if completions <= succeeded {
        let met = |kind: &str| {
            json!({"type": kind, "status": "True", "reason": "CompletionsReached",
                "message": "Reached expected number of succeeded pods",
                "lastProbeTime": time, "lastTransitionTime": time})
        };
        said["completionTime"] = time.clone().into();
        said["conditions"] = json!([met("SuccessCriteriaMet"), met("Complete")]);
    }
    effects.extend(status(key, job, &said));
    effects
}
