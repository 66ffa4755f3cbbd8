//! What is to be said of a cluster whose agent dials the hub, when it does not. Pure.

use std::time::Duration;

use kogge_api::{
    Condition, ConditionStatus::Unknown, find_condition, fleet::Cluster, fleet::SyncMode,
};

use super::decide::Observed;
use crate::reports::{SILENCE, is_silent};

/// The agent has not been heard for too long.
const SILENT: &str = "AgentSilent";

/// `Ready`, where not what the agent says decides but that it says nothing.
pub(super) fn ready(seen: &Observed, cluster: &Cluster) -> Option<Condition> {
    if is_silent(seen.heard.unwrap_or(seen.since), seen.now) {
        let what = match seen.heard {
            Some(at) => format!("its agent was last heard at {at:.0}"),
            None => format!("its agent was not heard since the hub started at {:.0}", seen.since),
        };
        let message = format!("{what}; see that kogge agent runs there and reaches the hub");
        return Some(Condition::new("Ready", Unknown, SILENT, message));
    }
    let says_something = seen.state.as_ref().is_some_and(|it| it.ready.is_some());
    if seen.heard.is_some() && says_something {
        return None;
    }
    // A hub that has just started leaves what it said before.
    let known = find_condition(&cluster.status.conditions, "Ready").cloned();
    let connecting = || Condition::new("Ready", Unknown, "Connecting", "waiting for its agent");
    Some(known.unwrap_or_else(connecting))
}

/// When silence will have been too long, if nothing is heard until then.
pub(super) fn look_again(seen: &Observed) -> Option<Duration> {
    let cluster = seen.cluster.as_ref()?;
    let last = seen.heard.unwrap_or(seen.since);
    if cluster.spec.sync_mode != SyncMode::Pull || is_silent(last, seen.now) {
        return None;
    }
    let left = SILENCE - seen.now.duration_since(last);
    Some(left.unsigned_abs() + Duration::from_millis(100))
}
